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

from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Database
from tests.chaos.arena import Arena
from tests.chaos.client import Client
from tests.support.doorbells import doorbells_on

T = TypeVar("T")
Row = Any


@dataclass(frozen=True)
class Truth:
    """Rows and lines, and what the client was told."""

    template_runs: dict[str, Row]
    action_runs: dict[str, Row]
    attempts: dict[str, list[Row]]
    audit: list[Row]
    keys: dict[str, str]
    effects: list[dict[str, Any]]
    signals: list[dict[str, Any]]
    waiting_doorbells: int
    runs: dict[str, str]
    asked_to_cancel: set[str]
    canceled_at: dict[str, float]

    @classmethod
    def read(cls, database: Database, arena: Arena, client: Client) -> Truth:
        with database.reading() as db:
            attempts = db.rows(select(tables.attempts).order_by(tables.attempts.c.number))
            truth = {
                "template_runs": {row["id"]: row for row in db.rows(select(tables.template_runs))},
                "action_runs": {row["id"]: row for row in db.rows(select(tables.action_runs))},
                "audit": list(db.rows(select(tables.audit))),
                "keys": {row["key"]: row["run_id"] for row in db.rows(select(tables.idempotency_keys))},
            }
        with Redis.from_url(arena.redis_url) as redis:
            doorbells = doorbells_on(redis)
        return cls(
            **truth,
            attempts=grouped(attempts, lambda row: row["action_run_id"]),
            effects=_lines(arena.folder / "effects"),
            signals=_lines(arena.folder / "signals"),
            waiting_doorbells=doorbells,
            runs=dict(client.runs),
            asked_to_cancel=set(client.asked_to_cancel),
            canceled_at=dict(client.canceled_at),
        )

    def steps(self, run_id: str) -> list[Row]:
        found = [row for row in self.action_runs.values() if row["template_run_id"] == run_id]
        return sorted(found, key=lambda row: row["position"])


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
