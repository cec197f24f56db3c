"""What is left when calm has come: every row of the database, and every line that the handlers and receivers wrote."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from redis import Redis
from sqlalchemy import select

from portal_actions_plugin.runs.states import CANCELED, FAILED, SUCCESS
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Database
from tests.chaos.arena import Arena
from tests.chaos.client import Client
from tests.support.doorbells import doorbells_on

T = TypeVar("T")
Row = Any


@dataclass(frozen=True)
class Stage:
    """A step of a run: its one row, or with ``each`` those of its items.

    Attributes:
        canceled: whether the run was canceled while this was its last step: also where an item had failed before.
    """

    position: int
    rows: tuple[Row, ...]
    canceled: bool

    @property
    def step_id(self) -> str:
        return str(self.rows[0]["step_id"])

    @property
    def status(self) -> str:
        found = {row["status"] for row in self.rows}
        order = (CANCELED, FAILED) if self.canceled else (FAILED, CANCELED)
        return next((status for status in order if status in found), SUCCESS if found == {SUCCESS} else str(found))

    @property
    def made(self) -> str:
        return ",".join(row["outputs"]["made"] for row in self.rows)


@dataclass(frozen=True)
class Truth:
    """Rows and lines, and what the client was told. What a resumed run has taken over is not among its action runs."""

    template_runs: dict[str, Row]
    action_runs: dict[str, Row]
    taken_over: list[Row]
    attempts: dict[str, list[Row]]
    lists: dict[tuple[str, int], list[Row]]
    workspaces: dict[str, list[Row]]
    audit: list[Row]
    keys: dict[str, str]
    effects: list[dict[str, Any]]
    signals: list[dict[str, Any]]
    waiting_doorbells: int
    runs: dict[str, str]
    gone: set[str]
    asked_to_cancel: set[str]
    canceled_at: dict[str, float]

    @classmethod
    def read(cls, database: Database, arena: Arena, client: Client) -> Truth:
        with database.reading() as db:
            attempts = db.rows(select(tables.attempts).order_by(tables.attempts.c.number))
            steps = db.rows(select(tables.action_runs))
            items = db.rows(select(tables.step_items).order_by(tables.step_items.c.item))
            workspaces = db.rows(select(tables.workspaces))
            truth = {
                "template_runs": {row["id"]: row for row in db.rows(select(tables.template_runs))},
                "action_runs": {row["id"]: row for row in steps if row["taken_over_from"] is None},
                "taken_over": [row for row in steps if row["taken_over_from"] is not None],
                "audit": list(db.rows(select(tables.audit))),
                "keys": {row["key"]: row["run_id"] for row in db.rows(select(tables.idempotency_keys))},
            }
        with Redis.from_url(arena.redis_url) as redis:
            doorbells = doorbells_on(redis)
        return cls(
            **truth,
            lists=grouped(items, lambda row: (row["template_run_id"], row["position"])),
            workspaces=grouped(workspaces, lambda row: row["template_run_id"]),
            attempts=grouped(attempts, lambda row: row["action_run_id"]),
            effects=_lines(arena.folder / "effects"),
            signals=_lines(arena.folder / "signals"),
            waiting_doorbells=doorbells,
            runs=dict(client.runs),
            gone=set(client.gone),
            asked_to_cancel=set(client.asked_to_cancel),
            canceled_at=dict(client.canceled_at),
        )

    def steps(self, run_id: str) -> list[Row]:
        """What there is of each step, also what was taken over; of a step with ``each`` all items, in their order."""
        every = (*self.action_runs.values(), *self.taken_over)
        found = [row for row in every if row["template_run_id"] == run_id]
        return sorted(found, key=lambda row: (row["position"], row["item"]))

    def stages(self, run_id: str) -> list[Stage]:
        """The steps of a run that have begun."""
        run = self.template_runs[run_id]
        by_place = grouped(self.steps(run_id), lambda row: row["position"])
        last = max(by_place, default=None)
        return [
            Stage(position, tuple(rows), canceled=run["status"] == CANCELED and position == last)
            for position, rows in by_place.items()
        ]


def grouped(things: Iterable[T], key: Callable[[T], Any]) -> dict[Any, list[T]]:
    found: dict[Any, list[T]] = defaultdict(list)
    for thing in things:
        found[key(thing)].append(thing)
    return found


def _lines(file: Path) -> list[dict[str, Any]]:
    text = file.read_text() if file.exists() else ""
    return sorted((json.loads(line) for line in text.splitlines()), key=lambda line: line["at"])


def shown(row: Row) -> str:
    """A row for people: what is empty or large is left out."""
    left_out = ("definition", "title", "requester_name", "step_name")
    return ", ".join(f"{name}={value}" for name, value in row.items() if value is not None and name not in left_out)
