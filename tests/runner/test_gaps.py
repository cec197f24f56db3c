"""A job process that dies, or is stopped, between any two of its steps: its worker goes on with another one."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.support import deeds
from tests.support.people import Person
from tests.support.waiting import wait_until
from tests.support.workers import Workers, children_of

StartWorkers = Callable[..., Workers]
SHORT_LEASES = {
    "PORTAL_ACTIONS_LEASE_SECONDS": 4,
    "PORTAL_ACTIONS_LEASE_RENEW_SECONDS": 0.5,
    "PORTAL_ACTIONS_LAPSE_GRACE_SECONDS": 0.5,
    "PORTAL_ACTIONS_SWEEP_SECONDS": 0.3,
    "PORTAL_ACTIONS_RING_AGAIN_SECONDS": 2,
}
ENDED = ("success", "failed", "canceled")

OF_JOB_PROCESSES = [
    "fork_job.child",
    "order.read",
    "claim.before_commit",
    "claim.committed",
    "handler.before",
    "handler.after",
    "record.before",
    "succeed.before_commit",
    "succeed.committed",
    "perform.after",
    "stand_by.before",
    "stand_by.said",
    "stand_by.after",
    "end.before",
    "end.said",
]
OF_WORKERS = ["fork_job.parent", "heard", "begin.before", "begin.after"]


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_RATE_LIMIT="10000 per minute")
    monkeypatch.setenv("TEST_PORTAL_DEEDS", "1")
    deeds.register(app)
    with app.app_context():
        yield app


def start_wait(ada: Person, seconds: float) -> str:
    answer = ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": seconds}})
    return answer.headers["Location"]


def start_deed(ada: Person, deed: str, action: str = "test.deed@v1") -> str:
    return ada.post(f"/api/v1/actions/{action}/runs", {"input": {"deed": deed}}).headers["Location"]


def ended(ada: Person, path: str, seconds: float = 100) -> dict[str, Any]:
    return wait_until(lambda: (run := ada.get(path).json)["status"] in ENDED and run, seconds)


def stands_by(pid: int) -> bool:
    return "pipe_read" in Path(f"/proc/{pid}/wchan").read_text()


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.fault("0b")
@pytest.mark.timeout(400)
def test_a_job_process_that_dies_just_as_it_stands_by_is_replaced(
    ada: Person, start_workers: StartWorkers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its worker was stopped for a moment: it finds, at one look, that the process stood by and that it is gone.

    When the moment is too long it finds one after the other, so this takes some tries.
    """
    mark = tmp_path / "stopped"
    monkeypatch.setenv("TEST_PORTAL_HARM_AT", json.dumps(["perform.after", "its parent", signal.SIGSTOP, str(mark)]))
    workers = start_workers()
    [worker] = wait_until(workers.children, 120)
    for _ in range(8):
        path = start_wait(ada, 0)
        wait_until(lambda: state_of(worker) == "T")
        [job] = children_of(worker)
        wait_until(lambda job=job: stands_by(job))
        os.kill(job, signal.SIGKILL)
        wait_until(lambda job=job: state_of(job) == "Z")
        os.kill(worker, signal.SIGCONT)
        assert ended(ada, path)["status"] == "success"
        # The mark is still there: this one goes well.
        assert ended(ada, start_wait(ada, 0))["status"] == "success", (
            "a worker that holds on to a dead process is stuck"
        )
        mark.unlink()
    assert workers.children() == [worker]
    assert "Redis is away" not in (tmp_path / "workers.log").read_text()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("point", "victim"),
    [*((point, "itself") for point in OF_JOB_PROCESSES), *((point, "its child") for point in OF_WORKERS)],
)
@pytest.mark.parametrize("harm", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_job_process_may_die_or_be_stopped_anywhere_and_its_worker_goes_on(
    ada: Person,
    start_workers: StartWorkers,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    point: str,
    victim: str,
    harm: int,
) -> None:
    mark = tmp_path / "harmed"
    monkeypatch.setenv("TEST_PORTAL_HARM_AT", json.dumps([point, victim, harm, str(mark)]))
    workers = start_workers(**SHORT_LEASES)
    [worker] = wait_until(workers.children, 120)
    if point.startswith("end."):
        ended(ada, start_wait(ada, 0))
        # Its process ends since a handler has changed it.
        first = start_deed(ada, "change the folder")
    else:
        # One that is stopped, and not its worker, has all of its action's time: here that is short.
        first = start_wait(ada, 0) if harm == signal.SIGKILL else start_deed(ada, "nothing", "test.briefDeed@v1")
    wait_until(mark.exists, 60)
    run = ended(ada, first)
    if harm == signal.SIGKILL:
        assert run["status"] == "success", run
    assert all(ended(ada, start_wait(ada, 0))["status"] == "success" for _ in range(2))
    assert workers.children() == [worker], "and it is the same worker"
    log = (tmp_path / "workers.log").read_text()
    assert "Redis is away" not in log
    assert "Traceback" not in log
