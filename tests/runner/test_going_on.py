"""A process that goes on with the next step of its run: what that spares, and what it must not change."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import TemplateRun
from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runner.attempt import execute, record
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runner.process.rehearsal import rehearse
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.changes import slots
from portal_actions_plugin.runs.news import ring, tell
from portal_actions_plugin.runs.news.redis_names import redis_names
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.storage import engines, tables
from portal_actions_plugin.storage.sessions import Database, database, transaction
from tests.support.listening import EVERYTHING, listening
from tests.support.run_helpers import ADA, HELLO, claim, columns, go_on, register, run_one_off, start, work_off
from tests.support.statements import counting
from tests.support.waiting import wait_until


@pytest.fixture
def rung(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that doorbells ring for from now on; none of them reaches Redis."""
    heard: list[str] = []
    monkeypatch.setattr(ring, "ring", lambda due, _end=None: heard.extend(run_id for run_id, _ in due) or len(due))
    return heard


def statuses(run: TemplateRun) -> tuple[str, list[str]]:
    now = queries.template_run(run.id)
    return now.status, [step.status for step in now.steps]


def test_a_process_that_may_go_on_makes_all_steps_and_rings_for_none(
    app: Flask, rung: list[str], template_folder: Path
) -> None:
    run = start(template_folder, HELLO, HELLO, HELLO)
    rung.clear()
    token = go_on(run)
    assert statuses(run) == ("success", ["success"] * 3)
    assert rung == []
    for number, step in enumerate(queries.template_run(run.id).steps):
        row = columns(step.run.id)
        assert (row["process_token"], row["input"]) == (token, {"message": "hello"})
        assert (row["attempt"], row["rings"], row["status"]) == (1, int(number == 0), "success")
        assert [attempt.outcome for attempt in queries.action_run(step.run.id).attempts] == ["success"]
        assert [line.message for line in queries.log_lines(step.run.id)] == ["hello"]
    with transaction("test") as tx:
        audited = tx.rows(
            select(tables.audit.c.event).where(tables.audit.c.template_run_id == run.id).order_by(tables.audit.c.id)
        )
    assert [row["event"] for row in audited][-4:] == ["action_run.finish"] * 3 + ["template_run.finish"]


def test_a_later_step_sees_what_the_earlier_ones_made(app: Flask, template_folder: Path) -> None:
    register(make=lambda ctx, value=None: {"made": f"<{value}>"})
    first = {"action": "test.make@v1", "input": {"value": "a"}}
    second = {"action": "test.make@v1", "input": {"value": "${{ steps['step-0'].outputs.made }}"}}
    run = start(template_folder, first, second)
    go_on(run)
    assert queries.action_run(queries.template_run(run.id).steps[1].run.id).outputs == {"made": "<<a>>"}


def test_signals_come_in_the_order_in_which_a_process_for_each_step_sends_them(
    app: Flask, template_folder: Path
) -> None:
    with listening(app, *EVERYTHING) as alone:
        start(template_folder, HELLO, HELLO)
        work_off()
    with listening(app, *EVERYTHING) as going_on:
        go_on(start(template_folder, HELLO, HELLO))
    assert [(name, kind) for name, kind, _ in going_on] == [(name, kind) for name, kind, _ in alone]


def test_a_process_is_asked_each_time_whether_it_may_go_on(app: Flask, rung: list[str], template_folder: Path) -> None:
    run = start(template_folder, HELLO, HELLO, HELLO)
    rung.clear()
    answers = iter([True, False])
    go_on(run, lambda: next(answers))
    assert statuses(run) == ("running", ["success", "success", "queued"])
    assert rung == [queries.template_run(run.id).steps[2].run.id]


def test_a_run_that_is_canceled_meanwhile_does_not_go_on(app: Flask, template_folder: Path) -> None:
    run = start(template_folder, HELLO, HELLO)

    def cancel() -> bool:
        service.cancel_template_run(ADA, run.id)
        return True

    left = execute.perform(run.steps[0].run.id, Performer(str(uuid.uuid4()), "test", may_go_on=cancel))
    assert statuses(run) == ("canceled", ["canceled", "not_run"])
    assert left.trouble, "its process must not make anybody else's run"


def test_a_next_step_whose_lock_is_held_stays_queued_and_is_rung_for(
    app: Flask, rung: list[str], template_folder: Path
) -> None:
    register(again=lambda ctx, value=None: None, lock=lambda data: data["value"])
    holder = run_one_off("test.again@v1", {"value": "shop"})
    token = str(uuid.uuid4())
    assert claim(holder, token, lock_key="shop")
    run = start(template_folder, HELLO, {"action": "test.again@v1", "input": {"value": "shop"}})
    rung.clear()
    go_on(run)
    assert statuses(run) == ("running", ["success", "queued"])
    waiting = queries.template_run(run.id).steps[1].run.id
    assert rung == [waiting]
    recovery.recover_process(token)
    assert set(rung) == {waiting, holder}, "who frees the lock rings for the next in line"


def test_a_step_that_holds_a_lock_is_the_last_of_its_process(app: Flask, template_folder: Path) -> None:
    register(again=lambda ctx, value=None: None, lock=lambda data: data["value"])
    locked = {"action": "test.again@v1", "input": {"value": "shop"}}
    run = start(template_folder, HELLO, locked, HELLO)
    assert execute.perform(run.steps[0].run.id, Performer(str(uuid.uuid4()), "test", may_go_on=lambda: True)).lock
    assert statuses(run) == ("running", ["success", "success", "queued"])


def test_a_process_that_dies_at_a_later_step_loses_that_step_alone(app: Flask, template_folder: Path) -> None:
    class DeadError(BaseException):
        pass

    def die(ctx: Any, value: Any = None) -> None:
        raise DeadError

    register(die=die)
    run = start(template_folder, HELLO, {"action": "test.die@v1", "input": {}})
    with pytest.MonkeyPatch.context() as dying:
        dying.setattr(record, "failed", lambda *_: None)
        token = go_on(run)
    assert statuses(run) == ("running", ["success", "running"])
    recovery.recover_process(token)
    assert statuses(run) == ("failed", ["success", "failed"])


def test_a_process_whose_commit_was_not_answered_goes_on_with_what_it_claimed(
    app: Flask, monkeypatch: pytest.MonkeyPatch, template_folder: Path
) -> None:
    """Nobody else would: its lease is the process's, and the process lives."""
    real = slots.transaction

    @contextmanager
    def answer_lost(name: str) -> Iterator[Any]:
        with real(name) as tx:
            yield tx
        monkeypatch.setattr(slots, "transaction", real)
        raise OperationalError("COMMIT", {}, Exception("the answer was lost"))

    run = start(template_folder, HELLO, HELLO)
    monkeypatch.setattr(slots, "transaction", answer_lost)
    go_on(run)
    assert statuses(run) == ("success", ["success", "success"])
    assert len(queries.action_run(queries.template_run(run.id).steps[1].run.id).attempts) == 1


@pytest.mark.parametrize("going_on", [True, False])
def test_an_input_that_the_database_refuses_fails_its_own_step(
    app: Flask, template_folder: Path, going_on: bool
) -> None:
    if database().engine.dialect.name != "postgresql":
        pytest.skip("SQLite keeps it")
    register(make=lambda ctx, value=None: {"number": 10})
    endless = "${{ (1e308 * steps['step-0'].outputs.number) }}"
    make = {"action": "test.make@v1", "input": {}}
    run = start(template_folder, make, {"action": "test.make@v1", "input": {"value": endless}})
    go_on(run, lambda: going_on)
    work_off()
    assert statuses(run) == ("failed", ["success", "failed"])


# -- what it costs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("done", "statements"),
    [(0, 10), (1, 11), (2, 11)],
    ids=["first", "middle", "last"],
)
def test_a_step_of_its_own_takes_two_commits_and_few_statements(
    app: Flask, nobody_listens: None, template_folder: Path, done: int, statements: int
) -> None:
    run = start(template_folder, HELLO, HELLO, HELLO)
    for _ in range(done):
        execute.perform(queries.template_run(run.id).steps[_].run.id, Performer(str(uuid.uuid4()), "test"))
    step = queries.template_run(run.id).steps[done].run.id
    with counting(app) as said:
        execute.perform(step, Performer(str(uuid.uuid4()), "test"))
    assert (len(said) - said.count("COMMIT"), said.count("COMMIT")) == (statements, 2)


def test_a_step_that_a_process_goes_on_with_takes_one_commit_and_reads_nothing(
    app: Flask, nobody_listens: None, template_folder: Path
) -> None:
    counts = []
    for steps in (2, 3):
        run = start(template_folder, *[HELLO] * steps)
        with counting(app) as said:
            go_on(run)
        counts.append((len(said) - said.count("COMMIT"), said.count("COMMIT"), str(said).count("'SELECT")))
    two, three = counts
    assert [more - fewer for more, fewer in zip(three, two, strict=True)] == [7, 1, 0]


def test_a_transaction_tells_all_web_processes_in_one_message(
    app: Flask, nobody_listens: None, template_folder: Path
) -> None:
    run = start(template_folder, HELLO, HELLO)
    with extension().redis.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(redis_names().channel)
        wait_until(lambda: listener.subscribed and listener.get_message() is None)
        go_on(run)
        told = [wait_until(lambda: listener.get_message(timeout=0.1))["data"].decode() for _ in range(3)]
    first, second = (step.run.id for step in queries.template_run(run.id).steps)
    assert told == [
        f"action_run {first}\ntemplate_run {run.id}",
        f"action_run {first}\naction_run {second}",
        f"action_run {second}\ntemplate_run {run.id}",
    ]


def test_a_connection_that_was_idle_is_asked_whether_it_lives_and_a_busy_one_is_not(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database().engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no server")
    pings: list[bool] = []
    ping = database().engine.dialect.do_ping
    monkeypatch.setattr(database().engine.dialect, "do_ping", lambda connection: pings.append(True) or ping(connection))
    for _ in range(3):
        queries.template_runs(RunFilter(), limit=1)
    assert pings == []
    _end_connections(database())
    monkeypatch.setattr(engines, "TRUSTED_SECONDS", 0)
    assert list(queries.template_runs(RunFilter(), limit=1).items) == []
    assert pings


def _end_connections(of: Database) -> None:
    """Let the server end the connections of a pool, as its restart does."""
    import psycopg

    url = of.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_rehearsal_leaves_nothing_behind_and_nothing_to_make_for_the_first_run(
    app: Flask, nobody_listens: None, rung: list[str], template_folder: Path
) -> None:
    run = start(template_folder, HELLO, HELLO)
    rung.clear()
    engine = database().engine
    engine.clear_compiled_cache()
    rehearse()
    assert rung == []
    assert [known.id for known in queries.template_runs(RunFilter(), limit=9).items] == [run.id]
    made = len(engine._compiled_cache)
    go_on(run)
    assert len(engine._compiled_cache) == made
    assert statuses(run) == ("success", ["success", "success"])


def test_an_echo_leaves_nothing_to_read_for_who_has_its_connection_next(app: Flask) -> None:
    redis = extension().echoes
    connection = redis.client_id()
    for number in range(5):
        tell._echo([f"action_run {number}"])
        assert redis.echo(str(number)) == str(number).encode()
    assert redis.client_id() == connection, "else it was thrown away, since there was something to read"
