"""The contract's table: every action on every forge, whatever happens to its requests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from portal_actions_plugin.errors import (
    ActionError,
    AuthError,
    ConflictError,
    NotFoundError,
    RateLimitedError,
    RemoteError,
)
from portal_actions_plugin.scm.github import operations as github
from portal_actions_plugin.scm.gitlab import permissions as gitlab
from portal_actions_plugin.scm.local import operations as local
from portal_actions_plugin.scm.remote import lost_answers, transport
from tests.support.action_helpers import MemoryRecorder
from tests.support.forges.benches import GitHubBench, GitLabBench, KeptPauses, LocalBench, context_on
from tests.support.forges.contract import ROWS, Row
from tests.support.forges.faults import Drip, Fault, Hang, Reset, Respond, html_page, redirect
from tests.support.forges.scripted import ScriptedForge
from tests.support.forges.server import ForgeServer

WRITES = ("POST", "PUT", "PATCH", "DELETE")
ATTEMPTS = 5
OPERATIONS = {"local": local.OPERATIONS, "github": github.OPERATIONS, "gitlab": gitlab.OPERATIONS}
BENCHES = {"local": LocalBench, "github": GitHubBench, "gitlab": GitLabBench}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """Each forge, started when it is first asked for: every cell has a repository of its own there."""
    opened: dict[str, Any] = {}

    def bench(name: str) -> Any:
        if name not in opened:
            opened[name] = BENCHES[name](tmp_path_factory.mktemp(name))
            if name != "local":
                opened[name].double.start()
        return opened[name]

    yield bench
    transport.close_kept()
    for name, used in opened.items():
        if name != "local":
            used.double.stop()


class Cell:
    """One action on one forge, with a repository that nobody else uses."""

    def __init__(self, bench: Any, row: Row) -> None:
        self.bench, self.row = bench, row
        self.repo = f"shop-{next(_numbers)}"
        self.recorder = MemoryRecorder()
        self.pauses = KeptPauses()
        row.prepare(bench, self.repo)
        self.data = row.data(bench, self.repo)
        self.before = self.state
        if bench.is_remote:
            bench.log.clear()

    @property
    def state(self) -> object:
        return self.row.state(self.bench, self.repo)

    def run(self, *, data: dict[str, Any] | None = None, credential: str = "full") -> dict[str, Any]:
        """One attempt of one run: whatever it has kept is there for the next one."""
        ctx = context_on(self.bench, self.recorder, credential=credential, pauses=self.pauses)
        return self.row.action.run(ctx, data or self.data)

    def attempts(self) -> list[ActionError]:
        """As many attempts as it takes, as a worker makes them; returns what went wrong before the last one."""
        errors: list[ActionError] = []
        while (error := self.error_of_run()) is not None:
            assert error.retryable, error
            assert not isinstance(error, RateLimitedError), error
            errors.append(error)
            assert len(errors) < ATTEMPTS, errors
        return errors

    def error_of_run(self) -> ActionError | None:
        try:
            self.run()
        except ActionError as error:
            return error
        return None

    def refused(self, error: type[ActionError], **options: Any) -> ActionError:
        """An attempt that has to fail; returns the error."""
        with pytest.raises(error) as caught:
            self.run(**options)
        assert caught.value.hint
        return caught.value

    def order(self, method: str, nth: int, fault: Fault, *, after: bool) -> Any:
        return self.bench.faults.order(method, "**", fault, nth=nth, after=after)


# -- columns ----------------------------------------------------------------------------------------------------------


def first_time(cell: Cell) -> None:
    cell.run()
    assert cell.state == cell.row.done


def second_time(cell: Cell) -> None:
    made = cell.run()
    again = cell.run()
    assert cell.state == cell.row.done
    assert {key: value for key, value in again.items() if key not in ("changed", "changedFiles", "added")} == {
        key: value for key, value in made.items() if key not in ("changed", "changedFiles", "added")
    }


def unknown_token(cell: Cell) -> None:
    error = cell.refused(AuthError, credential="unknown")
    assert not error.retryable
    assert cell.state == cell.before


def missing_scope(cell: Cell) -> None:
    error = cell.refused(AuthError, credential="weak")
    assert not error.retryable
    assert cell.state == cell.before


def not_there(cell: Cell) -> None:
    error = cell.refused(NotFoundError, data=cell.row.missing(cell.data))
    assert not error.retryable
    assert cell.state == cell.before


def conflict(cell: Cell) -> None:
    assert cell.row.conflict is not None
    data = cell.row.conflict(cell.bench, cell.repo, cell.data)
    before = cell.state
    error = cell.refused(ConflictError, data=data)
    assert not error.retryable
    assert cell.state == before


def limit_with_a_time(cell: Cell) -> None:
    _limited(cell, cell.bench.limited(90), 90.0, 90.0)


def limit_without_a_time(cell: Cell) -> None:
    _limited(cell, cell.bench.limited_without_time(), None, 60.0)


def _limited(cell: Cell, answer: Respond, named: float | None, waits: float) -> None:
    (method, nth), *_ = writes_of(cell.bench, cell.row)
    order = cell.order(method, nth, answer, after=False)
    error = cell.refused(RateLimitedError)
    assert (order.fired, error.retry_after) == (1, waits)
    assert [seconds for _, _, seconds in cell.pauses.begun] == [named]
    assert cell.state == cell.before
    assert cell.attempts() == []
    assert cell.state == cell.row.done


def gateway_error_after_the_write(cell: Cell) -> None:
    _each_write_is_lost(
        cell, lambda: Respond(502, "<html><h1>502 Bad Gateway</h1></html>", {"Content-Type": "text/html"})
    )


def timeout(cell: Cell) -> None:
    with short_times():
        _each_write_is_lost(cell, Hang)


def connection_reset(cell: Cell) -> None:
    _each_write_is_lost(cell, Reset)


def slow_body(cell: Cell) -> None:
    with short_times():
        _each_write_is_lost(cell, lambda: Drip(0.2), writes_of(cell.bench, cell.row)[-1:])


@contextmanager
def short_times() -> Iterator[None]:
    """What takes seconds takes one. On a slow machine other answers may be late, too: that costs an attempt."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "READ_SECONDS", 0.7)
        patch.setattr(transport, "CALL_SECONDS", 1.2)
        yield


def _each_write_is_lost(
    cell: Cell, fault: Callable[[], Fault], writes: Sequence[tuple[str, int]] | None = None
) -> None:
    """The forge has done what was asked and its answer does not come: it is found, and not done once more."""
    for method, nth in writes or writes_of(cell.bench, cell.row):
        tried = Cell(cell.bench, cell.row)
        order = tried.order(method, nth, fault(), after=True)
        tried.attempts()
        order.release()
        assert order.fired == 1
        assert tried.state == tried.row.done, f"the answer to {method} number {nth} was lost"


def html_page_instead_of_an_answer(cell: Cell) -> None:
    """Something in between has answered, so that nothing was done."""
    for method, nth in writes_of(cell.bench, cell.row):
        tried = Cell(cell.bench, cell.row)
        order = tried.order(method, nth, html_page(), after=False)
        if cell.row.never_repeats:
            assert "again" in tried.refused(RemoteError).message
            assert "again" in tried.refused(RemoteError).message
            assert (order.fired, tried.state) == (1, tried.before)
            continue
        errors = tried.attempts()
        assert order.fired == 1
        # What is named by its content may be sent again at once: nothing is there twice then.
        assert {error.code for error in errors} <= {"REMOTE_ERROR"}
        assert tried.state == tried.row.done


def redirect_to_another_host(cell: Cell) -> None:
    methods = dict.fromkeys(("GET", *(method for method, _ in writes_of(cell.bench, cell.row))))
    with ForgeServer(ScriptedForge()) as sink:
        for method in methods:
            tried = Cell(cell.bench, cell.row)
            order = tried.order(method, 1, redirect(f"{sink.url}/elsewhere", 307), after=False)
            error = tried.refused(RemoteError)
            assert order.fired == 1
            assert sink.url.removeprefix("http://") in error.message
        assert sink.log.entries() == []


_writes: dict[tuple[str, str], list[tuple[str, int]]] = {}


def writes_of(bench: Any, row: Row) -> list[tuple[str, int]]:
    """The writes of an action that nothing happens to: each one's method, and its number among those of that method."""
    key = (bench.name, row.name)
    if key not in _writes:
        cell = Cell(bench, row)
        cell.run()
        seen: dict[str, int] = {}
        _writes[key] = []
        for entry in bench.log.entries():
            if entry.method in WRITES:
                seen[entry.method] = seen.get(entry.method, 0) + 1
                _writes[key].append((entry.method, seen[entry.method]))
        bench.log.clear()
    assert _writes[key], "an action without a write has no place in this table"
    return _writes[key]


ANYWHERE = [first_time, second_time, not_there, conflict]
OVER_A_NETWORK = [
    unknown_token,
    missing_scope,
    limit_with_a_time,
    limit_without_a_time,
    gateway_error_after_the_write,
    timeout,
    connection_reset,
    slow_body,
    html_page_instead_of_an_answer,
    redirect_to_another_host,
]
_AS_A_SET = "what is there is left, and what is missing is added: nothing can be in its way"
_AS_IT_SHOULD_BE = "it is made as it should be, whatever it was before"
LEFT_OUT: dict[tuple[str, str, str], str] = {
    ("*", "set up a webhook", "conflict"): _AS_IT_SHOULD_BE,
    ("*", "protect a branch", "conflict"): _AS_IT_SHOULD_BE,
    ("*", "set a secret of the CI", "conflict"): _AS_IT_SHOULD_BE,
    ("*", "set topics", "conflict"): _AS_A_SET,
    ("*", "add a collaborator", "conflict"): _AS_A_SET,
    ("*", "label an issue", "conflict"): _AS_A_SET,
    ("*", "open an issue", "conflict"): "issues have no name that could be taken",
    ("*", "start a run of the CI", "conflict"): "runs have no name that could be taken",
}
"""Forge (* for all), row and column, and why that cell is none. Neither is one what a forge's ``OPERATIONS`` lack."""


def cells() -> Iterator[tuple[str, Row, Callable[[Cell], None]]]:
    for name in BENCHES:
        for row in (row for row in ROWS if row.action.operations_for({}) <= OPERATIONS[name]):
            for column in ANYWHERE if name == "local" else ANYWHERE + OVER_A_NETWORK:
                yield name, row, column


def is_left_out(name: str, row: Row, column: Callable[[Cell], None]) -> bool:
    return any((forge, row.name, column.__name__) in LEFT_OUT for forge in (name, "*"))


@pytest.fixture
def _short_look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_answers, "LOOK_UP_SECONDS", 0.4)
    monkeypatch.setattr(lost_answers, "FIRST_PAUSE_SECONDS", 0.1)


@pytest.mark.usefixtures("_short_look_ups")
@pytest.mark.parametrize(
    ("name", "row", "column"),
    [pytest.param(*cell, id=f"{cell[0]}: {cell[1]}: {cell[2].__name__}") for cell in cells() if not is_left_out(*cell)],
)
def test_an_action_does_its_work_once_whatever_happens(
    benches: Callable[[str], Any], name: str, row: Row, column: Callable[[Cell], None]
) -> None:
    bench = benches(name)
    cell = Cell(bench, row)
    try:
        column(cell)
    finally:
        if bench.is_remote:
            bench.faults.clear()


def test_at_most_one_cell_in_ten_is_left_out() -> None:
    every = list(cells())
    columns = {name: len(ANYWHERE if name == "local" else ANYWHERE + OVER_A_NETWORK) for name in BENCHES}
    # There is no CI on this machine's disk.
    assert len(every) == len(ROWS) * sum(columns.values()) - columns["local"]
    without = [cell for cell in every if is_left_out(*cell)]
    assert len(without) * 10 <= len(every)
    used = {(name, row.name, column.__name__) for name, row, column in every}
    assert all(any((forge, *rest) in used for forge in (*BENCHES,)) for _, *rest in LEFT_OUT)
