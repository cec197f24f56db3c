"""A process that is killed at any pause point of a step with ``each``: no item is lost, and none is done twice unasked."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.errors import ConflictError
from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.runs.states import SUCCESS
from portal_actions_plugin.runs.workspaces import folders
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.pause_points import set_visitor
from portal_actions_plugin.storage.sessions import database, reading
from tests.support.run_helpers import ADA, change_action, register, start

LONG = "CHAOS_RUNS" in os.environ
FEW = (5, 22)
"""The points at which a process is killed in the short form: the n-th of all, another in each case."""

ITEMS = ["a", "b", "c"]
RESUMES = 3
EACH = {"each": ITEMS, "input": {"value": "${{ each.value }}"}}
LAST = {"action": "test.last@v1", "input": {"value": "${{ steps['step-0'].output.made }}"}}
CASES: dict[str, Sequence[dict[str, Any]]] = {
    "one after the other, once": ({**EACH, "action": "test.once@v1"}, LAST),
    "at a time, once": ({**EACH, "action": "test.once@v1", "concurrency": 2}, LAST),
    "at a time, again": ({**EACH, "action": "test.again@v1", "concurrency": 2}, LAST),
    "to clean up, with files": (
        {"action": "test.again@v1", "input": {"value": "refused"}},
        LAST,
        {**EACH, "action": "test.againWithFiles@v1", "if": "${{ always() }}"},
    ),
}
REFUSED = {"one after the other, once": "b", "at a time, once": "b", "at a time, again": "b"}
"""The item that fails in the first run; of it and those after it there is more to do then."""


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_RATE_LIMIT="10000 per minute")
    with app.app_context():
        yield app


@dataclass(frozen=True)
class Book:
    """What the processes of one chain of runs have noted, each line by one write: it outlives who wrote it."""

    folder: Path

    def note(self, name: str, line: str) -> int:
        """Add a line; says which line it is."""
        place = self.folder / name
        descriptor = os.open(place, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, f"{line}\n".encode())
            end = os.lseek(descriptor, 0, os.SEEK_CUR)
            return os.pread(descriptor, end, 0).count(b"\n")
        finally:
            os.close(descriptor)

    def lines(self, name: str) -> list[str]:
        place = self.folder / name
        return place.read_text().splitlines() if place.exists() else []


@pytest.fixture
def books(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Book]:
    """Gives an empty book, which the handlers write from then on; where it names an item as refused, that fails."""
    monkeypatch.setattr(folders, "_root", (tmp_path / "temporary").resolve)
    now: list[Book] = []

    def do(ctx: ActionContext, value: Any) -> dict[str, Any]:
        now[0].note("begun", f"{ctx.run.id} {ctx.run.attempt}")
        if value in ["refused", *now[0].lines("refused")]:
            raise ConflictError("The first error.")
        return {"made": value}

    def with_files(ctx: ActionContext, value: Any) -> dict[str, Any]:
        found = [one.path for one in ctx.workspace.files()]
        if found != ITEMS[: ITEMS.index(value)]:
            raise AssertionError(f"{value} was given {found}")
        ctx.workspace.path(value).write_text(value)
        return do(ctx, value)

    def last(ctx: ActionContext, value: Any) -> None:
        if value != ITEMS:
            raise AssertionError(f"the items have made {value}")

    register(once=do, again=do, againWithFiles=with_files)
    register(last=last)
    change_action("test.last@v1", idempotent=True)
    change_action("test.againWithFiles@v1", workspace="writes")

    def begin(refused: str) -> Book:
        folder = tmp_path / uuid.uuid4().hex
        folder.mkdir()
        now[:] = [Book(folder)]
        if refused:
            now[0].note("refused", refused)
        return now[0]

    return begin


def fork(run_id: str, token: str, book: Book, number: int) -> int:
    """A process that performs a run and what follows it, and is killed if it is the one at the n-th pause point of all."""
    database().close_connections()
    pid = os.fork()
    if pid:
        return pid
    try:
        set_visitor(
            lambda point: os.kill(os.getpid(), signal.SIGKILL) if book.note("points", point) == number else None
        )
        execute.perform(run_id, Performer(token, "test", may_go_on=lambda: True))
    finally:
        os._exit(1)


def go_on(run_id: str, book: Book, number: int) -> str:
    """Let processes perform all that is queued, at once what may be; gives how the run has ended."""
    give_up = time.monotonic() + 100
    while (status := queries.template_run(run_id).status) in ("queued", "running"):
        assert time.monotonic() < give_up, book.lines("points")
        queued = queries.action_runs(RunFilter(status=("queued",)), limit=10).items
        processes = {}
        for step in queued:
            token = str(uuid.uuid4())
            processes[fork(step.id, token, book, number)] = token
        for pid, token in processes.items():
            os.waitpid(pid, 0)
            folders.remove_of_process(token)
            recovery.recover_process(token)
    return status


def items_of(run_id: str, position: int) -> list[dict[str, Any]]:
    step = tables.action_runs.c
    mine = step.template_run_id == run_id, step.position == position
    with reading() as db:
        return [dict(row) for row in db.rows(select(tables.action_runs).where(*mine).order_by(step.item))]


def ends_of(run_id: str) -> list[str]:
    with reading() as db:
        mine = tables.audit.c.run_id == run_id, tables.audit.c.event == "template_run.finish"
        rows = db.rows(select(tables.audit).where(*mine))
    return [row["outcome"] for row in rows]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("case", list(CASES))
def test_a_process_killed_anywhere_loses_no_item_and_repeats_none_that_must_not_be(
    app: Flask, template_folder: Path, books: Callable[[str], Book], case: str
) -> None:
    for number in count(1) if LONG else [few + 3 * list(CASES).index(case) for few in FEW]:
        book = books(REFUSED.get(case, ""))
        chain = [start(template_folder, *CASES[case]).id]
        statuses = [go_on(chain[0], book, number)]
        (book.folder / "refused").unlink(missing_ok=True)
        while statuses[-1] == "failed" and case in REFUSED and len(chain) <= RESUMES:
            chain.append(service.resume_template_run(ADA, chain[-1], Ask()).run.id)
            statuses.append(go_on(chain[-1], book, number))
        points = book.lines("points")
        why = f"killed at {number}. of {points}"
        position = 0 if case in REFUSED else 2
        assert statuses[-1] == ("success" if case in REFUSED else "failed"), why
        assert [ends_of(run_id) for run_id in chain] == [[status] for status in statuses], why
        require_items(chain, position, why)
        require_attempts(chain, book, position, why)
        if len(points) < number:
            assert LONG, f"only {len(points)} points"
            assert number > max(FEW), points
            break


def require_items(chain: list[str], position: int, why: str) -> None:
    """Each item has succeeded once in all runs, and the last one has them all."""
    rows = [row for run_id in chain for row in items_of(run_id, position)]
    done = Counter(row["item"] for row in rows if row["status"] == SUCCESS and row["taken_over_from"] is None)
    assert sorted(done.values()) == [1, 1, 1], why
    last = items_of(chain[-1], position)
    assert [row["outputs"] for row in last] == [{"made": value} for value in ITEMS], why
    for row in rows:
        assert row["status"] in ("success", "failed", "canceled"), why
        assert row["error_code"] in (None, "CONFLICT", "WORKER_LOST"), (row["error_message"], why)
    if position == 2:
        assert queries.template_run(chain[0]).failed_at_step == "step-0", why


def require_attempts(chain: list[str], book: Book, position: int, why: str) -> None:
    """What has begun is counted as an attempt, each once; what must not be repeated has no second one."""
    begun = Counter(book.lines("begun"))
    assert set(begun.values()) <= {1}, why
    by_run = Counter(line.partition(" ")[0] for line in begun)
    for row in (row for run_id in chain for row in items_of(run_id, position) if row["taken_over_from"] is None):
        assert by_run[row["id"]] <= row["attempt"], why
        if row["action"] == "test.once@v1":
            assert row["attempt"] <= 1, why
        if row["status"] == SUCCESS:
            assert f"{row['id']} {row['attempt']}" in begun, why
