"""Receivers of signals that hang, are slow or die: each has its time, and nothing waits for it that others depend on."""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from portal_actions_plugin import ActionContext, signals
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runner.supervisor import Supervisor
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.pause_points import set_visitor
from portal_actions_plugin.storage.sessions import transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.listening import EVERYTHING, listening
from tests.support.run_helpers import ADA, HELLO, change_action, columns, perform, register, run_one_off, start
from tests.support.waiting import wait_until
from tests.support.workers import Workers


@contextmanager
def receiving(app: Flask, name: str, receiver: Callable[..., Any]) -> Iterator[None]:
    with getattr(signals, name).connected_to(receiver, sender=app):
        yield


def unannounced(run_id: str) -> None:
    with transaction("test") as tx:
        tx.execute(
            update(tables.action_runs)
            .where(tables.action_runs.c.id == run_id)
            .values(finished_at=now_plus(-100), announced_at=None)
        )


# -- where requests are answered -----------------------------------------------------------------------------------------


@pytest.mark.fault("C14")
def test_a_request_waits_for_a_receiver_no_longer_than_its_time(
    make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(PORTAL_ACTIONS_RECEIVER_SECONDS=0.05)
    over, ended = threading.Event(), threading.Event()

    def hangs(_app: Flask, **_: Any) -> None:
        over.wait(3)
        ended.set()

    with app.app_context():
        run_id = run_one_off("debug.log@v1", {"message": "hello"})
        with listening(app, "action_run_finished") as heard, receiving(app, "action_run_finished", hangs):
            service.cancel_action_run(ADA, run_id)
        was_over = ended.is_set()
        over.set()
        assert not was_over
        assert heard == [("action_run_finished", "debug.log@v1", "canceled")]
        assert columns(run_id)["announced_at"]
    assert f"test_receivers.{hangs.__qualname__} of action_run_finished for run {run_id} takes longer" in caplog.text
    assert wait_until(ended.is_set)


def test_a_receiver_of_which_all_calls_hang_is_not_called_again_and_a_sweep_tells_it(
    make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(PORTAL_ACTIONS_RECEIVER_SECONDS=0.02)
    over, calls = threading.Event(), []

    def hangs(_app: Flask, run: Any, **_: Any) -> None:
        calls.append(run.id)
        over.wait()

    with app.app_context(), receiving(app, "action_run_finished", hangs):
        ids = [run_one_off("debug.log@v1", {"message": "hello"}) for _ in range(6)]
        for run_id in ids:
            service.cancel_action_run(ADA, run_id)
        over.set()
        assert calls == ids[:4]
        assert [columns(run_id)["announced_at"] is None for run_id in ids] == [False] * 4 + [True] * 2
    assert "4 calls of it have not come to an end in this process" in caplog.text


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_receiver_that_raises_or_wants_to_end_its_process_keeps_nobody_from_hearing(
    app: Flask, error: type[BaseException]
) -> None:
    def raises(_app: Flask, **_: Any) -> None:
        raise error("the host's own bug")

    with receiving(app, "action_run_finished", raises), listening(app, *EVERYTHING) as heard:
        run_id = run_one_off("debug.log@v1", {"message": "hello"})
        perform(run_id)
    assert [name for name, _, _ in heard] == ["action_run_queued", "action_run_started", "action_run_finished"]
    assert columns(run_id)["announced_at"]


# -- in a job process ----------------------------------------------------------------------------------------------------


@pytest.mark.fault("C14")
def test_a_slow_receiver_takes_nothing_of_the_next_handlers_time(make_app: Callable[..., Flask]) -> None:
    app = make_app()

    def slow(_app: Flask, **_: Any) -> None:
        time.sleep(1.2)

    def works(_ctx: ActionContext, *, value: Any = None) -> None:
        time.sleep(0.3)

    with app.app_context(), receiving(app, "action_run_started", slow):
        register(works=works)
        change_action("test.works@v1", timeout=1)
        run_id = run_one_off("test.works@v1")
        perform(run_id)
        run = queries.action_run(run_id)
        assert (run.status, run.error) == ("success", None)


def test_what_a_job_process_has_told_is_written_along_with_its_next_transaction(
    app: Flask, template_folder: Path
) -> None:
    from portal_actions_plugin.runner.process.monitor import _Told
    from portal_actions_plugin.runner.process.receivers import RidingDelivery
    from portal_actions_plugin.runner.process.shared_memory import CallOfReceiver, SharedDeadline, ToldRuns
    from portal_actions_plugin.runs.news.delivery import deliver_by

    told, made = ToldRuns(), []
    deliver_by(RidingDelivery(CallOfReceiver(), SharedDeadline(), told))
    with listening(app, *EVERYTHING) as heard:
        run = start(template_folder, HELLO, HELLO)
        first = run.steps[0].run
        assert first is not None
        set_visitor(lambda point: made.append(point.removesuffix(".committed")) if "committed" in point else None)
        performer = Performer(str(uuid.uuid4()), "test", may_go_on=lambda: True)
        execute.perform(first.id, performer)
        set_visitor(None)
    assert made == ["claim", "succeed", "succeed"], "no transaction for the news alone"
    assert len(heard) == 8
    [_, step] = queries.template_run(run.id).steps
    assert step.run is not None
    assert columns(first.id)["announced_at"]
    assert set(told.waiting()) == {f"action_run {step.run.id}", f"template_run {run.id}"}
    # As its parent does when it stands by, or is gone.
    _Told(told).write_what_is_left()
    assert columns(step.run.id)["announced_at"]
    assert told.waiting() == []


def test_its_parent_writes_what_a_process_has_told_that_has_no_transaction_for_long(app: Flask) -> None:
    from portal_actions_plugin.runner.process.monitor import _Told
    from portal_actions_plugin.runner.process.shared_memory import ToldRuns

    told = ToldRuns()
    written = _Told(told)
    run_id = run_one_off("debug.log@v1", {"message": "hello"})
    perform(run_id)
    unannounced(run_id)
    told.add([f"action_run {run_id}"])
    for announced in (False, True):
        with transaction("renew") as tx:
            written.write_what_waited(tx)
        assert bool(columns(run_id)["announced_at"]) is announced


def test_told_runs_are_kept_until_they_are_written_and_find_no_room_without_end() -> None:
    from portal_actions_plugin.runner.process.shared_memory import ToldRuns

    told = ToldRuns()
    ids = [f"action_run {uuid.uuid4()}" for _ in range(200)]
    kept = [change for change in ids if told.add([change])]
    assert ids[: len(kept)] == kept == told.waiting()
    assert 50 < len(kept) < 200
    told.forget(kept[1:])
    assert told.waiting() == kept[:1]


@pytest.mark.parametrize("stubborn", [False, True], ids=["interrupted", "interrupted though it catches everything"])
def test_a_receiver_that_hangs_in_a_worker_is_interrupted_and_told_by_name(
    make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture, *, stubborn: bool
) -> None:
    from portal_actions_plugin.runner.process.receivers import TimedDelivery
    from portal_actions_plugin.runner.process.shared_memory import CallOfReceiver, SharedDeadline
    from portal_actions_plugin.runs.news.delivery import deliver_by

    app = make_app(PORTAL_ACTIONS_RECEIVER_SECONDS=0.1)
    at, deadline, seen = CallOfReceiver(), SharedDeadline(), []

    def hangs(_app: Flask, run: Any, **_: Any) -> None:
        seen.append((at.change(), at.is_between_handlers(), deadline.moment() < math.inf))
        try:
            threading.Event().wait()
        except Exception:
            if stubborn:
                threading.Event().wait()

    with app.app_context(), listening(app, "action_run_finished") as heard:
        deliver_by(TimedDelivery(at, deadline))
        with receiving(app, "action_run_finished", hangs):
            run_id = run_one_off("debug.log@v1", {"message": "hello"})
            perform(run_id)
        assert columns(run_id)["announced_at"]
    assert heard == [("action_run_finished", "debug.log@v1", "success")]
    assert seen == [(f"action_run {run_id}", True, True)]
    assert (at.words(), deadline.moment()) == ("", math.inf)
    assert f"of action_run_finished for run {run_id} takes longer than its 0.1 s: it was interrupted" in caplog.text


# -- in loops that others depend on --------------------------------------------------------------------------------------


@pytest.mark.fault("C14")
def test_a_supervisor_calls_no_receiver_in_its_loop(app: Flask) -> None:
    called: list[int] = []

    def receiver(_app: Flask, **_: Any) -> None:
        called.append(os.getpid())

    with receiving(app, "action_run_finished", receiver):
        run_id = run_one_off("debug.log@v1", {"message": "hello"})
        perform(run_id)
        unannounced(run_id)
        called.clear()
        Supervisor(app, ["default"], 0)._sweep()
    assert called == []


def test_a_worker_goes_on_when_a_receiver_hangs_for_ever(
    app: Flask, start_workers: Callable[..., Workers], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its process is killed in there; nothing of the run is lost, and the news go out all the same."""
    if extension().database.engine.dialect.name == "sqlite":
        pytest.skip("where it is kept plays no part")
    monkeypatch.setenv("TEST_PORTAL_HARM", "hanging_receiver")
    workers = start_workers(PORTAL_ACTIONS_RECEIVER_SECONDS=0.5, PORTAL_ACTIONS_LEASE_SECONDS=20)
    run_id = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run.id

    def heard() -> list[dict[str, str]]:
        file = tmp_path / "heard"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    assert wait_until(lambda: any(one["run"] == run_id for one in heard()))
    run = queries.template_run(run_id)
    ids = [step.run.id for step in run.steps if step.run]
    assert [columns(one)["status"] for one in ids] == ["success", "success"]
    assert wait_until(lambda: {*ids, run_id} <= {one["run"] for one in heard() if one["through"]})
    assert wait_until(lambda: all(columns(one)["announced_at"] for one in ids))
    assert "did not come to an end, and could not be interrupted: its process was killed" in workers.log.read_text()
    assert workers.process.poll() is None


def test_a_receiver_that_hangs_in_the_news_of_a_loop_counts_as_told_and_holds_up_no_others(
    make_app: Callable[..., Flask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from portal_actions_plugin.runner.liveness.watchdog import Watchdog
    from portal_actions_plugin.runner.process.connections import Connections
    from portal_actions_plugin.runner.teller import Teller

    app = make_app(PORTAL_ACTIONS_RECEIVER_SECONDS=0.2)

    def hangs(_app: Flask, run: Any, **_: Any) -> None:
        (tmp_path / run.id).touch()
        if run.id == ids[0]:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
            while True:
                time.sleep(60)

    with app.app_context():
        ids = [run_one_off("debug.log@v1", {"message": "hello"}) for _ in range(2)]
        for run_id in ids:
            perform(run_id)
            unannounced(run_id)
        with receiving(app, "action_run_finished", hangs):
            teller = Teller(app, Connections(), Watchdog("a loop", 60))
            for run_id in ids:
                teller.add(signals.action_run_finished, run_id)

            def are_told() -> bool:
                teller.turn()
                missing = [run_id for run_id in ids if not columns(run_id)["announced_at"]]
                for run_id in missing:
                    teller.add(signals.action_run_finished, run_id)
                extension().database.close_connections()
                return not missing

            assert wait_until(are_told)
            teller.end(lambda: None)
        assert all((tmp_path / run_id).exists() for run_id in ids)
    assert f"of action_run_finished for run {ids[0]} did not come to an end" in caplog.text
