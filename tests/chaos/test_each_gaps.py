"""A process that is killed, stopped or canceled at any pause point of a step with ``each``.

No item is lost, and none is done twice unasked.
"""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.errors import ConflictError
from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.runs.states import ACTIVE, CANCELED, FAILED, RUNNING, SUCCESS
from portal_actions_plugin.runs.workspaces import folders
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.pause_points import set_visitor
from portal_actions_plugin.storage.sessions import database, reading, transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.run_helpers import ADA, change_action, register, start

LONG = "CHAOS_RUNS" in os.environ
FEW = (5, 17)
"""The points at which a process is harmed in the short form: the n-th of all, another in each case."""

KILLED, CANCELED_THERE = "killed", "canceled"
STOPPED, STOPPED_BESIDE = "stopped until its run is over", "stopped until its run is taken over"
HARMS = (KILLED, *(pytest.param(harm, marks=pytest.mark.nightly) for harm in (STOPPED, STOPPED_BESIDE, CANCELED_THERE)))
"""What is done to the process. One that is stopped goes on later, when what it had in hand is not its own any more."""

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


@dataclass
class Harm:
    """What is done to the process that comes to the n-th pause point of all that perform one chain of runs.

    In a transaction processes are killed and nothing else: others wait for its locks, so they can only come after it.
    """

    kind: str
    number: int
    book: Book
    stopped: dict[int, str] = field(default_factory=dict)
    """The tokens of processes that are stopped, or were until they were taken over, by their ids."""

    def at(self, point: str, run_id: str) -> None:
        if self.kind != KILLED and point.endswith(".before_commit"):
            return
        if self.book.note("points", point) != self.number:
            return
        if self.kind == CANCELED_THERE:
            set_visitor(None)
            self._cancel(run_id)
        else:
            os.kill(os.getpid(), signal.SIGKILL if self.kind == KILLED else signal.SIGSTOP)

    def _cancel(self, run_id: str) -> None:
        with suppress(ConflictError):  # it is over
            service.cancel_template_run(ADA, run_id)
            self.book.note("canceled", json.dumps([run_id, claimed(run_id)]))

    def fork(self, step_id: str, run_id: str, token: str) -> int:
        """A process that performs a run and what follows it."""
        database().close_connections()
        pid = os.fork()
        if pid:
            return pid
        try:
            set_visitor(lambda point: self.at(point, run_id))
            execute.perform(step_id, Performer(token, "test", may_go_on=lambda: True))
        finally:
            os._exit(1)

    def wait(self, pid: int, token: str) -> None:
        """Wait until a process is gone, and clear away what it leaves; what one that is stopped had is taken over."""
        if os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]):
            self.stopped[pid] = token
            take_over(token)
            if self.kind == STOPPED_BESIDE:
                os.kill(pid, signal.SIGCONT)
        else:
            clear_away(token)

    def let_go(self) -> None:
        """Let what is stopped come to its end: all that it has in hand is over, so nothing changes."""
        before = everything()
        for pid, token in self.stopped.items():
            os.kill(pid, signal.SIGCONT)
            os.waitpid(pid, 0)
            clear_away(token)
        if self.kind == STOPPED:
            assert everything() == before
        self.stopped.clear()

    def kill_stopped(self) -> None:
        for pid in self.stopped:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.stopped.clear()


def clear_away(token: str) -> None:
    """What the parent of a process does once that is gone."""
    folders.remove_of_process(token)
    recovery.recover_process(token)


def take_over(token: str) -> None:
    """What a sweeper does about a process that has not renewed its lease for long."""
    with transaction("test") as tx:
        its = tables.action_runs.c.process_token == token, tables.action_runs.c.status == RUNNING
        long_ago = {"lease_expires_at": now_plus(-60), "lapse_seen_at": now_plus(-30)}
        tx.execute(update(tables.action_runs).where(*its).values(**long_ago))
    for row in recovery.lapsed(0, 10):
        recovery.recover_lapsed(row)


def go_on(run_id: str, harm: Harm) -> str:
    """Let processes perform all that is queued, at once what may be; gives how the run has ended."""
    give_up = time.monotonic() + 100
    try:
        while (status := queries.template_run(run_id).status) in ACTIVE:
            assert time.monotonic() < give_up, harm.book.lines("points")
            queued = queries.action_runs(RunFilter(status=("queued",)), limit=10).items
            tokens = {step.id: str(uuid.uuid4()) for step in queued}
            processes = {harm.fork(step_id, run_id, token): token for step_id, token in tokens.items()}
            for pid, token in processes.items():
                harm.wait(pid, token)
        harm.let_go()
    finally:
        harm.kill_stopped()
    return status


def everything() -> dict[str, list[dict[str, Any]]]:
    """All rows of runs, but for who has been told of them."""
    found = (
        *(tables.template_runs, tables.action_runs, tables.attempts, tables.step_lists, tables.step_items),
        *(tables.workspaces, tables.audit),
    )
    told = ("announced_at", "rung_at", "rings")
    with reading() as db:
        return {
            table.name: [
                {name: value for name, value in row.items() if name not in told}
                for row in db.rows(select(table).order_by(*table.primary_key))
            ]
            for table in found
        }


def claimed(run_id: str) -> list[list[Any]]:
    """Each step's and item's attempts: no other has begun."""
    step = tables.action_runs.c
    with reading() as db:
        mine = select(step.id, step.attempt).where(step.template_run_id == run_id, step.attempt > 0).order_by(step.id)
        return [[row["id"], row["attempt"]] for row in db.rows(mine)]


def items_of(run_id: str, position: int) -> list[dict[str, Any]]:
    step = tables.action_runs.c
    mine = step.template_run_id == run_id, step.position == position
    with reading() as db:
        return [dict(row) for row in db.rows(select(tables.action_runs).where(*mine).order_by(step.item))]


def ends_of(run_id: str) -> list[str]:
    ends = ("template_run.finish", "template_run.cancel")
    with reading() as db:
        rows = db.rows(select(tables.audit).where(tables.audit.c.run_id == run_id, tables.audit.c.event.in_(ends)))
    return [row["outcome"] for row in rows]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.parametrize("kind", HARMS)
def test_a_process_that_is_harmed_anywhere_loses_no_item_and_repeats_none_that_must_not_be(
    app: Flask, template_folder: Path, books: Callable[[str], Book], kind: str, case: str
) -> None:
    for number in count(1) if LONG else [few + 2 * list(CASES).index(case) for few in FEW]:
        book = books(REFUSED.get(case, ""))
        harm = Harm(kind, number, book)
        to_resume = (FAILED, CANCELED) if case in REFUSED else (CANCELED,)
        chain = [start(template_folder, *CASES[case]).id]
        statuses = [go_on(chain[0], harm)]
        (book.folder / "refused").unlink(missing_ok=True)
        while statuses[-1] in to_resume and len(chain) <= RESUMES:
            chain.append(service.resume_template_run(ADA, chain[-1], Ask()).run.id)
            statuses.append(go_on(chain[-1], harm))
        points = book.lines("points")
        why = f"{kind} at {number}. of {points}"
        position = 0 if case in REFUSED else 2
        assert statuses[-1] == ("success" if case in REFUSED else "failed"), why
        assert [ends_of(run_id) for run_id in chain] == [[status] for status in statuses], why
        require_items(chain, position, why)
        require_attempts(chain, book, position, why)
        require_canceled(chain, statuses, book, why)
        if len(points) < number:
            assert LONG, f"only {len(points)} points"
            assert number > max(FEW), points
            break


def require_canceled(chain: list[str], statuses: list[str], book: Book, why: str) -> None:
    """Nothing has begun in a run since it was canceled."""
    told = [json.loads(line) for line in book.lines("canceled")]
    canceled = [run_id for run_id, status in zip(chain, statuses, strict=True) if status == CANCELED]
    assert told == [[run_id, claimed(run_id)] for run_id in canceled], why


def require_items(chain: list[str], position: int, why: str) -> None:
    """Each item has succeeded once in all runs, and the last one has them all; what cleans up begins anew in each."""
    rows = [row for run_id in chain for row in items_of(run_id, position)]
    of_them = rows if position == 0 else items_of(chain[-1], position)
    done = Counter(row["item"] for row in of_them if row["status"] == SUCCESS and row["taken_over_from"] is None)
    assert sorted(done.values()) == [1, 1, 1], why
    last = items_of(chain[-1], position)
    assert [row["outputs"] for row in last] == [{"made": value} for value in ITEMS], why
    for row in rows:
        assert row["status"] in ("success", "failed", "canceled"), why
        assert row["error_code"] in (None, "CONFLICT", "WORKER_LOST"), (row["error_message"], why)
    if position == 2:
        assert queries.template_run(chain[-1]).failed_at_step == "step-0", why


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
