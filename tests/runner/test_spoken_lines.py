"""Lines of a run's log that wait to be written: in which order, how long, and who writes them when the process cannot."""

from __future__ import annotations

import math
import os
import signal
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, current_app
from sqlalchemy import event

from portal_actions_plugin.errors import RemoteError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import LogLine
from portal_actions_plugin.runner.attempt import execute, recorder
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runner.process.shared_memory import SharedDeadline, SpokenLines
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.changes import log_lines, transitions
from portal_actions_plugin.runs.changes.log_lines import Line
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.storage.sessions import database, transaction
from tests.support import deeds
from tests.support.people import Person
from tests.support.run_helpers import ADA, claim, perform, register, run_one_off
from tests.support.waiting import wait_until
from tests.support.workers import Workers

StartWorkers = Callable[..., Workers]


def line(seq: int, message: str = "hello", run: str = "", token: str = "") -> Line:
    return Line(run or str(uuid.UUID(int=1)), token or str(uuid.UUID(int=2)), seq, 1, "info", message)


def ready() -> SpokenLines:
    """Of a process that has just written something."""
    spoken = SpokenLines()
    spoken.all_written()
    return spoken


def said(run_id: str) -> list[str]:
    return [found.message for found in queries.log_lines(run_id)]


# -- the shared memory -------------------------------------------------------------------------------------------------


def test_a_line_of_a_process_that_has_written_nothing_lately_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not SpokenLines().add(line(1))
    spoken = ready()
    assert spoken.add(line(1))
    monkeypatch.setattr(SpokenLines, "WAIT_SECONDS", 0.0)
    assert not spoken.add(line(2))


def test_lines_wait_in_their_order_and_know_their_age() -> None:
    spoken = ready()
    texts = ["one", "", "line\nbreak", "naïve ✓ \x00 \ud800"]
    for number, text in enumerate(texts):
        assert spoken.add(line(number, text))
    waiting = spoken.waiting()
    assert [found.message for found in waiting] == texts
    assert [found.seq for found in waiting] == [0, 1, 2, 3]
    assert 0 <= waiting[3].age <= waiting[0].age < 1
    spoken.all_written()
    assert spoken.waiting() == []


def test_a_line_that_finds_no_room_is_written_now() -> None:
    spoken = ready()
    assert not spoken.add(line(1, "x" * SpokenLines.ROOM))
    fitting = 0
    while spoken.add(line(fitting, "x" * 1000)):
        fitting += 1
    assert fitting == len(spoken.waiting()) > 50


def test_the_mark_is_another_one_whenever_the_lines_are() -> None:
    spoken = ready()
    marks = [spoken.mark()]
    spoken.add(line(1))
    marks.append(spoken.mark())
    spoken.all_written()
    marks.append(spoken.mark())
    spoken.add(line(1))
    marks.append(spoken.mark())
    assert len(set(marks)) == 4
    assert spoken.mark() == marks[-1]


@pytest.mark.parametrize(
    "spoilt", [b"\xff" * 100, b"[1]\n", b'[0, "run"]\n', b'["soon", 1, 2, 3, 4, 5, 6]\n', b"null\n"]
)
def test_a_process_that_spoils_the_memory_takes_nobody_with_it(spoilt: bytes) -> None:
    spoken = ready()
    spoken.add(line(1))
    spoken._lines[: len(spoilt)] = spoilt
    assert spoken.waiting() == ()
    spoken._head[1] = 2**64 - 1
    assert spoken.waiting() == ()


def test_a_deadline_is_never_read_while_it_is_half_written() -> None:
    deadline = SharedDeadline()
    pid = os.fork()
    if pid == 0:
        while True:
            deadline.set(36_000.0)
            deadline.set(math.inf)
    try:
        assert all(deadline.moment() > time.monotonic() + 18_000 for _ in range(500_000))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_forked_process_and_its_parent_see_the_same_lines() -> None:
    spoken = ready()
    pid = os.fork()
    if pid == 0:
        spoken.add(line(1, "said by a process that is gone"))
        os._exit(0)
    os.waitpid(pid, 0)
    assert [found.message for found in spoken.waiting()] == ["said by a process that is gone"]


# -- how they get into the database ------------------------------------------------------------------------------------


def test_lines_are_added_once_whoever_comes_first_and_never_by_a_stranger(app: Flask) -> None:
    run_id, token = run_one_off("debug.log@v1", {"message": "hello"}), str(uuid.uuid4())
    assert claim(run_id, token)
    lines = [line(number, f"line {number}", run_id, token) for number in (1, 2, 3)]
    with transaction("test") as tx:
        assert log_lines.add_all(tx, lines[:2])
    with transaction("test") as tx:
        assert log_lines.add_all(tx, lines)
    with transaction("test") as tx:
        assert not log_lines.add_all(tx, [line(4, "a stranger's", run_id, str(uuid.uuid4()))])
    assert said(run_id) == ["line 1", "line 2", "line 3"]


def test_a_line_is_dated_when_it_was_said(app: Flask) -> None:
    run_id, token = run_one_off("debug.log@v1", {"message": "hello"}), str(uuid.uuid4())
    assert claim(run_id, token)
    with transaction("test") as tx:
        log_lines.add_all(tx, [line(1, "a minute ago", run_id, token)._replace(age=60), line(2, "now", run_id, token)])
    first, second = queries.log_lines(run_id)
    assert second.at - first.at == pytest.approx(timedelta(seconds=60), abs=timedelta(seconds=1))


@pytest.mark.parametrize("way", ["success", "failure", "another attempt"])
def test_lines_said_in_quick_succession_are_written_with_the_outcome(app: Flask, way: str) -> None:
    calls: list[int] = []

    def handler(ctx: Any, value: Any = None) -> None:
        calls.append(len(calls))
        for number in range(3):
            ctx.log(f"attempt {ctx.run.attempt}, line {number}")
        if way == "failure" or (way == "another attempt" and len(calls) == 1):
            raise RemoteError("gone") if way == "another attempt" else ValueError("wrong")

    register(chatty=handler)
    run_id = run_one_off("test.chatty@v1")
    committed: list[str] = []
    event.listen(database().engine, "commit", lambda _connection: committed.append("COMMIT"))
    perform(run_id)
    assert said(run_id) == [f"attempt 1, line {number}" for number in range(3)]
    # The claim, the outcome, and what tells that its signal went out.
    assert len(committed) <= 3


def test_many_lines_are_all_there_in_their_order(app: Flask) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        for number in range(900):
            ctx.log(f"line {number} {'x' * 100}")

    register(chatty=handler)
    run_id = run_one_off("test.chatty@v1")
    perform(run_id)
    found: list[LogLine] = list(queries.log_lines(run_id))
    assert [known.message.split()[1] for known in found] == [str(number) for number in range(900)]
    assert [known.at for known in found] == sorted(known.at for known in found)


def test_a_handler_whose_run_is_canceled_is_stopped_by_a_line_that_has_to_be_written(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[int] = []

    def handler(ctx: Any, value: Any = None) -> None:
        ctx.log("before")
        service.cancel_action_run(ADA, ctx.run.id)
        monkeypatch.setattr(SpokenLines, "WAIT_SECONDS", 0.0)
        ctx.log("after")
        reached.append(1)

    register(canceled=handler)
    run_id = run_one_off("test.canceled@v1")
    assert execute.perform(run_id, Performer(str(uuid.uuid4()), "test")).trouble
    assert reached == []
    assert queries.action_run(run_id).status == "canceled"


def test_the_last_lines_of_a_canceled_run_are_kept_and_nobody_else_s(app: Flask) -> None:
    run_id, token = run_one_off("debug.log@v1", {"message": "hello"}), str(uuid.uuid4())
    assert claim(run_id, token)
    service.cancel_action_run(ADA, run_id)
    last = line(1, "said before the cancel", run_id, token)
    with transaction("test") as tx:
        assert not log_lines.add_all(tx, [last])
        log_lines.add_left(tx, [line(2, "a stranger's", run_id, str(uuid.uuid4()))])
        log_lines.add_left(tx, [last])
    assert said(run_id) == ["said before the cancel"]


def test_lines_are_kept_when_the_outcome_cannot_be_recorded_as_it_is(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("the database will not have it")

    monkeypatch.setattr(transitions, "succeed", refuse)
    run_id = run_one_off("debug.log@v1", {"message": "hello"})
    perform(run_id)
    assert queries.action_run(run_id).error.code == "INTERNAL_ERROR"
    assert said(run_id) == ["hello"]


def test_threads_of_a_handler_lose_none_of_each_other_s_lines(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SpokenLines, "WAIT_SECONDS", 0.005)

    def handler(ctx: Any, value: Any = None) -> None:
        flask_app: Any = current_app._get_current_object()

        def speak(name: int) -> None:
            with flask_app.app_context():
                for number in range(20):
                    ctx.log(f"{name} {number}")
                    time.sleep(0.001 * (number % 7))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(speak, range(4)))

    register(threads=handler)
    run_id = run_one_off("test.threads@v1")
    perform(run_id)
    assert sorted(said(run_id)) == sorted(f"{name} {number}" for name in range(4) for number in range(20))


def test_the_lines_of_a_step_are_not_those_of_the_next_one(app: Flask) -> None:
    run = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    execute.perform(run.steps[0].run.id, Performer(str(uuid.uuid4()), "test", may_go_on=lambda: True))
    steps = [step for step in queries.template_run(run.id).steps if step.run]
    assert len(steps) == 2
    assert all(len(said(step.run.id)) == 1 for step in steps)


def test_a_line_that_is_written_at_once_takes_one_statement_and_no_round_trip_more(app: Flask) -> None:
    run_id, token = run_one_off("debug.log@v1", {"message": "hello"}), str(uuid.uuid4())
    assert claim(run_id, token)
    statements: list[str] = []
    listen = lambda _connection, _cursor, text, *_: statements.append(text)  # noqa: E731
    event.listen(database().engine, "before_cursor_execute", listen)
    assert recorder._write(line(1, "hello", run_id, token))
    event.remove(database().engine, "before_cursor_execute", listen)
    assert len(statements) == 1


@pytest.mark.fault("E30")
@pytest.mark.fault("27")
def test_lines_that_are_not_kept_cost_the_handler_next_to_nothing(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    object.__setattr__(extension().config, "max_log_lines", 20)
    work: list[int] = []
    mask = Redactor.text

    def count(self: Redactor, text: str) -> str:
        work.append(len(text))
        return mask(self, text)

    spent: list[tuple[int, int]] = []

    def handler(ctx: Any, value: Any = None) -> None:
        monkeypatch.setattr(Redactor, "text", count)
        for number in range(2_000):
            if number in (25, 1_999):
                spent.append((len(work), len(caplog.records)))
            ctx.log(f"line {number}\n12:00:00 error forged" + "x" * (10_000 if number == 3 else 0))
        ctx.log("the last one")

    register(chatty=handler)
    run_id = run_one_off("test.chatty@v1")
    perform(run_id)
    assert spent[0] == spent[1], "nothing was masked or logged for lines that are not kept"
    lines = said(run_id)
    assert lines[-1] == "The log is cut here: a run keeps 20 lines."
    assert [line.split("\n")[0] for line in lines[:-1]] == [f"line {number}" for number in range(20)]
    assert lines[3].endswith(" … (cut)")
    assert len(lines[3]) < 4_100


# -- who writes them for a process that cannot -------------------------------------------------------------------------


def start_a_step_that_speaks_and_waits(ada: Person) -> str:
    answer = ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": 3000}})
    return answer.headers["Location"]


def lines_of(ada: Person, path: str) -> list[str]:
    return [found["message"] for found in ada.get(f"{path}/logs").json["data"]]


def test_what_a_silent_process_has_said_is_there_while_it_is_silent(ada: Person, start_workers: StartWorkers) -> None:
    start_workers()
    path = start_a_step_that_speaks_and_waits(ada)
    wait_until(lambda: ada.get(path).json["status"] == "running")
    assert wait_until(lambda: lines_of(ada, path))
    assert ada.get(path).json["status"] == "running"
    ada.post(f"{path}/cancel")


@pytest.mark.parametrize("_again", range(3))
def test_what_a_handler_said_just_before_it_killed_its_process_is_kept(
    app: Flask, ada: Person, start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch, _again: int
) -> None:
    monkeypatch.setenv("TEST_PORTAL_DEEDS", "1")
    deeds.register(app)
    start_workers()
    answer = ada.post("/api/v1/actions/test.lastWords@v1/runs", {"input": {"deed": "die"}})
    path = answer.headers["Location"]
    wait_until(lambda: ada.get(path).json["status"] == "failed")
    assert lines_of(ada, path) == ["first", "second", "last words"]
