"""Liveness is proved: who does not turn, does not hear or is not there is seen by everybody, and replaced where that is safe."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal_actions_plugin.doctor import examination
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from portal_actions_plugin.upkeep import measures
from tests.support.people import Person
from tests.support.waiting import wait_until
from tests.support.workers import Workers

StartWorkers = Callable[..., Workers]

QUICK = {
    "PORTAL_ACTIONS_STALL_SECONDS": 6,
    "PORTAL_ACTIONS_LEASE_SECONDS": 3,
    "PORTAL_ACTIONS_LEASE_RENEW_SECONDS": 1,
    "PORTAL_ACTIONS_LAPSE_GRACE_SECONDS": 0.5,
    "PORTAL_ACTIONS_SWEEP_SECONDS": 0.5,
}
LONG = 240.0


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    """A portal that knows as quickly as its workers do that something is wrong."""
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, **QUICK)
    with app.app_context():
        yield app


@contextmanager
def harmed(monkeypatch: pytest.MonkeyPatch, harm: str) -> Iterator[None]:
    """Have the workers that are started within do something wrong."""
    with monkeypatch.context() as environment:
        environment.setenv("TEST_PORTAL_HARM", harm)
        yield


def start_log(ada: Person) -> str:
    answer = ada.post("/api/v1/actions/debug.log@v1/runs", {"input": {"message": "hello"}})
    assert answer.status_code == 202, answer.text
    return str(answer.headers["Location"])


def succeeds(ada: Person, path: str) -> Any:
    return wait_until(lambda: ada.get(path).json["status"] == "success", LONG)


def worker_pids() -> list[int]:
    """The workers that the database knows."""
    with reading() as db:
        return [row["pid"] for row in db.rows(select(tables.workers.c.pid).where(tables.workers.c.pid != 0))]


def is_told(ada: Person) -> bool:
    """Whether doctor, health and metrics all say that a worker is not at work."""
    doctor = [one for one in examination.examine() if one.part == "workers" and one.level == "critical"]
    health = ada.get("/api/v1/health").json
    values = {reading.metric.name: reading.values for reading in measures.read()}
    stalled = sum(values.get("portal_actions_workers_stalled", {}).values())
    return bool(doctor) and bool(stalled) and health["status"] == "degraded" and health["workers_stalled"] > 0


def is_well(ada: Person) -> bool:
    health = ada.get("/api/v1/health").json
    return health["status"] == "ok" and not health.get("workers_stalled")


# -- a loop that does not turn -----------------------------------------------------------------------------------------


@pytest.mark.fault("F32")
def test_a_worker_under_sigstop_is_replaced_and_the_run_that_waits_for_it_starts(
    app: Flask, ada: Person, start_workers: StartWorkers
) -> None:
    workers = start_workers(**QUICK)
    [stopped] = wait_until(workers.children)
    wait_until(worker_pids, LONG)
    os.kill(stopped, signal.SIGSTOP)
    try:
        succeeds(ada, start_log(ada))
    finally:
        if Path(f"/proc/{stopped}").exists():
            os.kill(stopped, signal.SIGCONT)
    assert stopped not in workers.children()
    assert "its loop has not turned" in workers.log.read_text()
    wait_until(lambda: is_well(ada), LONG)


@pytest.mark.fault("F32")
def test_a_supervisor_under_sigstop_is_told_by_doctor_health_and_metrics(
    app: Flask, ada: Person, start_workers: StartWorkers
) -> None:
    workers = start_workers(**QUICK)
    wait_until(worker_pids, LONG)
    wait_until(lambda: is_well(ada), LONG)
    os.kill(workers.process.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: is_told(ada), LONG)
    finally:
        os.kill(workers.process.pid, signal.SIGCONT)
    wait_until(lambda: is_well(ada), LONG)
    assert workers.process.poll() is None, "it was stopped, and has not stood still by itself"


def test_a_worker_that_is_busy_for_long_is_left_alone(app: Flask, ada: Person, start_workers: StartWorkers) -> None:
    # A lease that a loaded machine does not renew in time would be another matter.
    workers = start_workers(**QUICK | {"PORTAL_ACTIONS_LEASE_SECONDS": 120})
    seconds = QUICK["PORTAL_ACTIONS_STALL_SECONDS"] * 3
    busy = ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": seconds}}).headers["Location"]
    wait_until(lambda: ada.get(busy).json["status"] == "running", LONG)
    before = workers.children()
    waits = start_log(ada)
    succeeds(ada, busy)
    succeeds(ada, waits)
    assert (ada.get(busy).json["attempt"], workers.children()) == (1, before)


def test_a_worker_that_was_told_to_stop_and_finishes_its_step_has_not_stalled(
    app: Flask, ada: Person, start_workers: StartWorkers
) -> None:
    workers = start_workers(**QUICK)
    seconds = QUICK["PORTAL_ACTIONS_STALL_SECONDS"] * 2
    busy = ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": seconds}}).headers["Location"]
    wait_until(lambda: ada.get(busy).json["status"] == "running", LONG)
    workers.process.send_signal(signal.SIGTERM)
    told = []

    def is_over() -> bool:
        told.append(ada.get("/api/v1/health").json["workers_stalled"])
        return bool(ada.get(busy).json["status"] == "success")

    wait_until(is_over, LONG)
    assert set(told) == {0}
    assert workers.process.wait(LONG) == 0


@pytest.mark.fault("F32")
def test_a_supervisor_whose_loop_stands_still_ends_with_70_and_says_where_it_stood(
    app: Flask, start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with harmed(monkeypatch, "sweep_hangs"):
        workers = start_workers(**QUICK)
    assert workers.process.wait(LONG) == 70
    last_words = workers.log.read_text()
    assert "the supervisor has stood still for 6 s" in last_words
    assert "worker_harm.py" in last_words


def test_a_loop_that_turns_is_never_ended() -> None:
    script = """
import time
from portal_actions_plugin.runner.liveness.watchdog import Watchdog
with Watchdog("this", 1.0) as watchdog:
    for _ in range(60):
        time.sleep(0.05)
        watchdog.turned()
    with watchdog.away():
        import threading
        assert threading.active_count() == 1, "a fork would find another thread"
    assert threading.active_count() == 2
assert threading.active_count() == 1
"""
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=LONG).returncode == 0


# -- a worker that does not hear, or is not there ------------------------------------------------------------------------


@pytest.mark.fault("F32")
def test_a_worker_that_stands_by_and_hears_nothing_is_told_replaced_and_its_run_starts(
    app: Flask, ada: Person, start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with harmed(monkeypatch, "deaf"):
        workers = start_workers(**QUICK)
    wait_until(lambda: is_well(ada), LONG)
    run = start_log(ada)
    wait_until(lambda: is_told(ada), LONG)
    succeeds(ada, run)
    assert "does not hear that the run" in workers.log.read_text()
    wait_until(lambda: is_well(ada), LONG)


@pytest.mark.fault("F32")
def test_a_supervisor_with_fewer_workers_than_it_was_told_says_so_everywhere(
    app: Flask, ada: Person, start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with harmed(monkeypatch, "dies_young"):
        workers = start_workers(2, **QUICK)
    wait_until(lambda: is_told(ada), LONG)
    messages = [one.message for one in examination.examine() if one.part == "workers"]
    assert any("there is no worker at" in message for message in messages), messages
    wait_until(lambda: "only 0 of 2 workers are there" in workers.log.read_text(), LONG)


@pytest.mark.fault("0a")
def test_a_supervisor_that_cannot_fork_for_long_ends_with_71(
    app: Flask, start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with harmed(monkeypatch, "cannot_fork"):
        workers = start_workers(**QUICK)
    assert workers.process.wait(LONG) == 71
    assert "no worker could be forked for 6 s: ending with status 71" in workers.log.read_text()


def test_the_workers_of_a_supervisor_that_was_killed_are_forgotten_when_another_one_starts_there(
    app: Flask, ada: Person, start_workers: StartWorkers
) -> None:
    first = start_workers(**QUICK)
    wait_until(worker_pids, LONG)
    first.process.kill()
    first.process.wait()
    start_workers(**QUICK)
    wait_until(lambda: is_well(ada), LONG)
    with reading() as db:
        assert len(db.rows(select(tables.workers.c.name))) == 1


# -- the service manager -------------------------------------------------------------------------------------------------


def test_systemd_hears_that_the_supervisor_is_ready_turns_and_stops(
    app: Flask, start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    address = f"{Path(redis_url.removeprefix('unix://')).parent}/notify"  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(LONG)
        try:
            with monkeypatch.context() as environment:
                environment.setenv("NOTIFY_SOCKET", address)
                environment.setenv("WATCHDOG_USEC", "1000000")
                workers = start_workers(**QUICK)
            heard = [manager.recv(1000).decode() for _ in range(3)]
            workers.process.send_signal(signal.SIGTERM)
            while heard[-1] != "STOPPING=1":
                heard.append(manager.recv(1000).decode())
        finally:
            Path(address).unlink()
    assert heard[:3] == ["READY=1", *["WATCHDOG=1\nSTATUS=1 of 1 workers are there"] * 2]
    assert workers.process.wait(LONG) == 0


def test_a_probe_sees_by_a_file_that_the_supervisor_turns(tmp_path: Path) -> None:
    from portal_actions_plugin.runner.liveness.service_manager import ServiceManager

    file = tmp_path / "alive"
    manager = ServiceManager(file)
    assert not file.exists()
    manager.turned("1 of 1 workers are there")
    assert file.exists()


def test_a_file_that_cannot_be_touched_ends_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from portal_actions_plugin.runner.liveness.service_manager import ServiceManager

    ServiceManager(tmp_path / "missing" / "alive").turned("1 of 1 workers are there")
    assert "a probe takes this for dead" in caplog.text
