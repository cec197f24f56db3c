"""Processes that hang, stop, are late or are told to go: each ends in a true state, and none takes another along."""

from __future__ import annotations

import math
import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from portal_actions_plugin.errors import RemoteError
from portal_actions_plugin.runner import recovery, sweeper
from portal_actions_plugin.runner.attempt import execute, time_left
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runner.liveness.places import CALM_RESTART_SECONDS, MAX_RESTART_SECONDS, Place
from portal_actions_plugin.runner.process import monitor
from portal_actions_plugin.runner.process.interruptions import StopRequest, TimeLimitError, time_limit
from portal_actions_plugin.runner.process.monitor import JobProcess, watch
from portal_actions_plugin.runner.process.shared_memory import Shared, SpokenLines
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.changes import claims
from portal_actions_plugin.runs.changes.claims import LeaseLostError
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.pause_points import set_visitor
from portal_actions_plugin.storage.sessions import reading, transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.people import Person
from tests.support.run_helpers import (
    ADA,
    change_action,
    claim,
    columns,
    make_due,
    perform,
    register,
    run_one_off,
    set_columns,
    work_off,
)
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from tests.support.workers import Gate, Workers, children_of

StartWorkers = Callable[..., Workers]

SHORT_LEASES = {
    "PORTAL_ACTIONS_LEASE_SECONDS": 8,
    "PORTAL_ACTIONS_LEASE_RENEW_SECONDS": 0.5,
    "PORTAL_ACTIONS_LAPSE_GRACE_SECONDS": 0.5,
    "PORTAL_ACTIONS_SWEEP_SECONDS": 0.3,
}
CANCELS = int(os.environ.get("CANCELS", "12"))


def start_wait(ada: Person, seconds: float) -> str:
    answer = ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": seconds}})
    return answer.headers["Location"]


def is_running(ada: Person, path: str, workers: Workers) -> Any:
    return ada.get(path).json["status"] == "running" and workers.grandchildren()


def at_work(run_path: str) -> int:
    """The job process that makes a run."""
    its_worker = (
        select(tables.workers.c.pid)
        .join(tables.action_runs, tables.action_runs.c.worker == tables.workers.c.name)
        .where(tables.action_runs.c.id == run_path.rpartition("/")[2])
    )

    def find() -> Any:
        with reading() as db:
            return db.row(its_worker)

    [child] = children_of(wait_until(find)["pid"])
    return child


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


# -- time limits -------------------------------------------------------------------------------------------------------


def test_a_handler_whose_time_is_over_can_clean_up_and_fails_with_timeout(app: Flask) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        try:
            time.sleep(3600)
        except Exception:
            ctx.log("an `except Exception` does not see it")
        finally:
            ctx.log("cleaned up")

    register(slow=handler)
    change_action("test.slow@v1", timeout=0.2)
    run_id = run_one_off("test.slow@v1")
    work_off()
    run = queries.action_run(run_id)
    assert (run.status, run.attempt, run.error.code) == ("failed", 1, "TIMEOUT")
    assert [line.message for line in queries.log_lines(run_id)] == ["cleaned up"]


def test_a_time_limit_leaves_an_alarm_that_was_set_before_as_it_was() -> None:
    """The alarm that was set before is the one that watches over this test."""
    handler, left = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0]
    with pytest.raises(TimeLimitError), time_limit(0.05):
        time.sleep(3600)
    with time_limit(100_000):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 50_000
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= left
    assert signal.getsignal(signal.SIGALRM) is handler


# -- leases ------------------------------------------------------------------------------------------------------------


def fork_a_sleeper(
    *, time_left: float | None = None, through: Literal["in time", "never"] = "never", seconds: float = 3600
) -> JobProcess:
    heard, words = os.pipe()
    orders, told = os.pipe()
    shared = Shared()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.close(heard)
        if time_left is not None:
            shared.deadline.set(time_left)
        if through == "in time":
            shared.deadline.set(math.inf)
        time.sleep(seconds)
        os._exit(0)
    os.close(words)
    job = JobProcess(pid, str(uuid.uuid4()), shared, orders=told, words=heard)
    job.begin(str(uuid.uuid4()))
    os.close(orders)
    return job


def test_a_deadline_is_kept_by_a_parent_that_has_no_database(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may reach it: they take the run over, and its lock, when the lease ends at the deadline."""

    def away(*_: Any) -> None:
        raise OperationalError("BEGIN", {}, Exception("this worker alone has lost it"))

    monkeypatch.setattr(monitor, "transaction", away)
    monkeypatch.setattr(monitor, "single_read", away)
    job = fork_a_sleeper(time_left=1.0)
    with make_app(PORTAL_ACTIONS_LEASE_SECONDS=3600).app_context():
        watch(job, StopRequest())
    assert job.exit_status == -signal.SIGKILL


def test_a_handler_that_is_through_may_take_its_time_to_record(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while the database is away: its work is done, and must not count as timed out."""
    app = make_app(PORTAL_ACTIONS_LEASE_SECONDS=600, PORTAL_ACTIONS_LEASE_RENEW_SECONDS=0.2)
    job = fork_a_sleeper(time_left=2, through="in time", seconds=4)
    with app.app_context():
        watch(job, StopRequest())
    assert job.exit_status == 0


def test_the_watch_hears_of_the_deadline_and_that_the_handler_is_through(app: Flask) -> None:
    told: list[float] = []
    run_id = run_one_off("debug.log@v1", {"message": "hello"})
    execute.perform(run_id, Performer(str(uuid.uuid4()), "test", tell=told.append))
    assert 0 < told[0] <= 30 + time_left.GRACE_SECONDS
    assert told[1:] == [math.inf]


def test_a_handler_that_ends_its_process_with_0_is_noticed_at_once(
    ada: Person, start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_PORTAL_EXITS", "0")
    start_workers(PORTAL_ACTIONS_LEASE_SECONDS=3600)  # what is lost when its lease is over is lost too late
    path = ada.post("/api/v1/actions/debug.log@v1/runs", {"input": {"message": "hello"}}).headers["Location"]
    attempts = wait_until(lambda: ada.get(path).json["attempts"])
    wait_until(lambda: ada.get(path).json["attempts"][0]["outcome"] == "lost")
    assert attempts[0]["number"] == 1


def test_a_lock_is_kept_while_its_process_lingers_past_the_deadline(app: Flask) -> None:
    register(again=lambda ctx, value=None: None, lock=lambda data: "key")
    run_id = run_one_off("test.again@v1")
    token = perform(run_id)
    set_columns(run_id, deadline_at=now_plus(-11))
    with transaction("test") as tx:
        assert claims.renew(tx, token, 3600) == 1
    sweeper.sweep()
    assert columns(run_id)["lock_held"], "its parent has renewed just now"


def test_a_parent_that_hangs_in_the_database_still_ends_its_child_before_the_lease_is_over(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(*_: Any) -> int:
        wait_until(lambda: state_of(job.pid) == "Z")
        return 1

    app = make_app(PORTAL_ACTIONS_LEASE_SECONDS=1, PORTAL_ACTIONS_LEASE_RENEW_SECONDS=0.2)
    monkeypatch.setattr(claims, "renew", hangs)
    job = fork_a_sleeper()
    with app.app_context():
        watch(job, StopRequest())
    assert job.exit_status == -signal.SIGKILL


def test_a_lease_that_cannot_be_renewed_ends_the_child(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> int:
        raise OperationalError("UPDATE", {}, Exception("the server is gone"))

    app = make_app(PORTAL_ACTIONS_LEASE_SECONDS=1, PORTAL_ACTIONS_LEASE_RENEW_SECONDS=0.2)
    monkeypatch.setattr(claims, "renew", away)
    monkeypatch.setattr(monitor._Look, "must_end", away)
    job = fork_a_sleeper()
    with app.app_context():
        watch(job, StopRequest())
    assert job.exit_status == -signal.SIGKILL


def test_a_late_process_notices_at_its_next_word_whatever_it_catches(app: Flask) -> None:
    went_on: list[str] = []

    def handler(ctx: Any, value: Any = None) -> None:
        set_columns(ctx.run.id, process_token=str(uuid.uuid4()))
        for speak in (
            lambda: time.sleep(SpokenLines.WAIT_SECONDS) or ctx.log("late"),  # a stopped process was so for longer
            lambda: ctx.progress(1, 2),
            lambda: ctx.link("late", "https://example.com"),
            lambda: ctx.checkpoint("late", lambda: 1),
        ):
            try:
                speak()
            except Exception:
                went_on.append("swallowed")
            except LeaseLostError:
                continue
            else:
                went_on.append("not noticed")
        ctx.log("late again")
        went_on.append("went on")

    register(late=handler)
    run_id = run_one_off("test.late@v1")
    perform(run_id)
    assert went_on == []
    run = queries.action_run(run_id)
    assert (run.status, run.links, run.progress, queries.log_lines(run_id)) == ("running", (), None, [])


def test_a_process_that_lost_its_row_before_the_handler_began_does_not_begin_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    register(once=lambda ctx, value=None: begun.append(ctx.run.id))
    run_id = run_one_off("test.once@v1")

    def lose_it(point: str) -> None:
        if point == "claim.committed":
            set_visitor(None)
            set_columns(run_id, process_token=str(uuid.uuid4()))

    monkeypatch.setattr(time_left, "FRESH", 0)  # it was stopped that long
    set_visitor(lose_it)
    try:
        perform(run_id)
    finally:
        set_visitor(None)
    assert begun == []


def test_a_stopped_parent_loses_its_row_and_its_child_cannot_record(
    ada: Person, start_workers: StartWorkers, gate: Gate
) -> None:
    workers = start_workers(workers=2, **SHORT_LEASES)
    path = start_wait(ada, 1)
    wait_until(lambda: is_running(ada, path, workers))
    child = at_work(path)
    parent = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGSTOP)
    try:
        wait_until(lambda: ada.get(path).json["attempt"] == 2)
    finally:
        os.kill(parent, signal.SIGCONT)
    wait_until(lambda: not exists(child))
    gate.open()
    run = wait_until(lambda: (r := ada.get(path).json)["status"] != "running" and r)
    assert run["status"] == "success"
    assert [attempt["outcome"] for attempt in run["attempts"]] == ["lost", "success"]


def test_two_sweepers_at_once_deal_with_each_lapse_once(app: Flask) -> None:
    runs = [run_one_off("debug.log@v1", {"message": "hello"}) for _ in range(5)]
    for run_id in runs:
        assert claim(run_id, str(uuid.uuid4()))
        set_columns(run_id, lease_expires_at=now_plus(-30), lapse_seen_at=now_plus(-20))
    barrier = threading.Barrier(3)

    def sweep(_: int) -> None:
        with app.app_context():
            barrier.wait()
            sweeper.sweep()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(sweep, range(3)))
    for run_id in runs:
        run = queries.action_run(run_id)
        assert (run.status, run.attempt, [tried.outcome for tried in run.attempts]) == ("queued", 1, ["lost"])


@pytest.mark.parametrize("hours", ["1", "-1"])
def test_a_worker_whose_clock_is_wrong_by_an_hour_works_beside_one_whose_is_right(
    ada: Person, start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch, hours: str
) -> None:
    start_workers(**SHORT_LEASES)
    monkeypatch.setenv("TEST_PORTAL_CLOCK_HOURS", hours)
    start_workers(**SHORT_LEASES)
    paths = [start_wait(ada, 4), start_wait(ada, 4), start_wait(ada, 0.1)]
    wait_until(lambda: all(ada.get(path).json["status"] == "success" for path in paths))
    runs = [ada.get(path).json for path in paths]
    assert [len(run["attempts"]) for run in runs] == [1, 1, 1], "no healthy step was taken for lost"
    assert all(run["duration_ms"] < 3_000_000 for run in runs)


# -- cancel ------------------------------------------------------------------------------------------------------------


def test_trap_2_a_canceled_step_stops_and_its_run_stays_canceled(ada: Person, start_workers: StartWorkers) -> None:
    workers = start_workers()
    wait_until(workers.children)
    path = start_wait(ada, 3000)
    wait_until(lambda: is_running(ada, path, workers))
    [child] = workers.grandchildren()
    assert ada.post(f"{path}/cancel").json["status"] == "canceled"
    wait_until(lambda: not exists(child))
    later = start_wait(ada, 0.1)
    wait_until(lambda: ada.get(later).json["status"] == "success")
    assert ada.get(path).json["status"] == "canceled"


def test_cancels_at_random_moments_end_nothing_but_their_own_child(ada: Person, start_workers: StartWorkers) -> None:
    """``CANCELS=200`` is the long form."""
    dice = random.Random()
    workers = start_workers(workers=3, PORTAL_ACTIONS_RATE_LIMIT="10000 per minute")
    ada_s_limit(ada)
    wait_until(lambda: len(workers.children()) == 3)
    everyone = sorted(workers.children())
    bystanders, canceled = [], []
    for _ in range(CANCELS):
        bystanders.append(start_wait(ada, 0.3))
        path = start_wait(ada, 3000)
        time.sleep(dice.uniform(0, 0.8))
        assert ada.post(f"{path}/cancel").json["status"] == "canceled"
        canceled.append(path)
    wait_until(lambda: all(ada.get(path).json["status"] == "success" for path in bystanders))
    assert {ada.get(path).json["status"] for path in canceled} == {"canceled"}
    assert {len(ada.get(path).json["attempts"]) for path in bystanders} == {1}
    assert sorted(workers.children()) == everyone


def ada_s_limit(ada: Person) -> None:
    """Let one person start as many runs as the test needs."""
    parts = ada._client.application.extensions["portal_actions"]
    object.__setattr__(parts.config, "rate_limit", type(parts.config.rate_limit)(100_000, 60))


def test_what_a_handler_started_and_left_behind_goes_with_it(
    ada: Person, start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TEST_PORTAL_LEAVES_BEHIND", str(tmp_path / "pid"))
    start_workers()
    path = ada.post("/api/v1/actions/debug.log@v1/runs", {"input": {"message": "hello"}}).headers["Location"]
    wait_until(lambda: ada.get(path).json["status"] == "success")
    left = int((tmp_path / "pid").read_text())
    assert wait_until(lambda: not exists(left) or state_of(left) == "Z"), "it is gone, and not only told to go"


# -- stopping ----------------------------------------------------------------------------------------------------------


def test_a_worker_that_is_told_to_stop_finishes_its_step(ada: Person, start_workers: StartWorkers) -> None:
    workers = start_workers()
    path = start_wait(ada, 2)
    wait_until(lambda: is_running(ada, path, workers))
    workers.process.send_signal(signal.SIGTERM)
    assert workers.process.wait(PATIENCE_SECONDS) == 0
    run = ada.get(path).json
    assert (run["status"], len(run["attempts"])) == ("success", 1)


def test_a_step_that_outlasts_the_drain_is_handed_back(ada: Person, start_workers: StartWorkers) -> None:
    workers = start_workers(PORTAL_ACTIONS_DRAIN_SECONDS=1)
    path = start_wait(ada, 3000)
    wait_until(lambda: is_running(ada, path, workers))
    workers.process.send_signal(signal.SIGTERM)
    assert workers.process.wait(PATIENCE_SECONDS) == 0
    run = ada.get(path).json
    assert (run["status"], [attempt["outcome"] for attempt in run["attempts"]]) == ("queued", ["lost"])
    assert "stopped" in run["attempts"][0]["error_message"]


def test_handing_a_step_back_uses_up_no_attempt(app: Flask) -> None:
    tries: list[int] = []

    def handler(ctx: Any, value: Any = None) -> None:
        tries.append(ctx.run.attempt)
        raise RemoteError("down")

    register(again=handler)
    run_id = run_one_off("test.again@v1")
    for attempt in range(4):
        token = str(uuid.uuid4())
        assert claim(run_id, token, attempt=attempt)
        recovery.hand_back(token)
    run = queries.action_run(run_id)
    assert (run.status, run.attempt, run.max_attempts) == ("queued", 4, 7)
    while queries.action_run(run_id).status == "queued":
        make_due(run_id)
        perform(run_id)
    assert tries == [5, 6, 7], "three tries of its own"


def test_a_step_that_may_not_be_repeated_is_not_handed_back_but_fails(app: Flask) -> None:
    register(once=lambda ctx, value=None: None)
    run_id = run_one_off("test.once@v1")
    token = str(uuid.uuid4())
    assert claim(run_id, token)
    recovery.hand_back(token)
    assert queries.action_run(run_id).error.code == "WORKER_LOST"


def test_a_worker_that_dies_young_is_started_again_later_each_time() -> None:
    place = Place("default", "here:1")
    waits = []
    for _ in range(9):
        place.born = 1000.0
        place.died(1000.5)
        waits.append(place.start_at - 1000.5)
    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == MAX_RESTART_SECONDS
    place.born = 2000.0
    place.died(2000.0 + CALM_RESTART_SECONDS + 1)
    assert place.start_at == 2000.0 + CALM_RESTART_SECONDS + 1, "one that lived long is replaced at once"


# -- canceling in process ----------------------------------------------------------------------------------------------


def test_each_canceled_step_has_its_own_end_in_the_audit(app: Flask, margaret: Person) -> None:
    run = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    service.cancel_template_run(ADA, run.id)
    entries = margaret.get(f"/api/v1/audit?run_id={run.steps[0].run.id}").json["data"]
    assert [(entry["event"], entry["outcome"]) for entry in entries] == [("action_run.finish", "canceled")]
