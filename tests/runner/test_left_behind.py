"""What a handler starts and leaves is gone before its lock is anybody else's, however its process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.support import hostile
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


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_RATE_LIMIT="10000 per minute")
    monkeypatch.setenv("TEST_PORTAL_HOSTILE", "1")
    hostile.register(app)
    with app.app_context():
        yield app


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where what is left behind writes; what is alive at the end of a test that failed is ended."""
    folder = tmp_path / "written"
    folder.mkdir()
    yield folder
    for pid in hostile.alive(str(folder)):
        os.kill(pid, signal.SIGKILL)


def start(ada: Person, action: str, **data: Any) -> str:
    answer = ada.post(f"/api/v1/actions/{action}/runs", {"input": data})
    assert answer.status_code == 202, answer.json
    return answer.headers["Location"]


def ended(ada: Person, path: str) -> dict[str, Any]:
    return wait_until(lambda: (run := ada.get(path).json)["status"] in ENDED and run, 100)


def log_of(ada: Person, path: str) -> list[str]:
    return [line["message"] for line in ada.get(f"{path}/logs").json["data"]]


@pytest.mark.fault("0d")
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("then", "whats"),
    [
        ("succeed", list(hostile.LEAVES)),
        ("fail", ["a daemon"]),
        ("wait", list(hostile.LEAVES)),
        ("take too long", ["many daemons"]),
        ("die", list(hostile.LEAVES)),
        ("kill the worker", ["a writer", "many daemons"]),
    ],
)
def test_what_a_handler_left_in_a_session_of_its_own_is_gone_before_its_lock_is_anothers(
    ada: Person, start_workers: StartWorkers, folder: Path, then: str, whats: list[str]
) -> None:
    start_workers(**SHORT_LEASES)
    wrong = {}
    for what in whats:
        path = start(ada, "test.leave@v1", what=what, folder=str(folder), then=then)
        looking = start(ada, "test.look@v1", folder=str(folder))
        if then == "wait":
            wait_until(lambda path=path: log_of(ada, path), 60)
            ada.post(f"{path}/cancel")
        ended(ada, path)
        run = ended(ada, looking)
        assert run["status"] == "success"
        if run["outputs"]["alive"]:
            wrong[what] = run["outputs"]["alive"]
        for pid in hostile.alive(str(folder)):
            os.kill(pid, signal.SIGKILL)
        for file in folder.iterdir():
            file.unlink()
    assert wrong == {}


@pytest.mark.fault("0d")
def test_what_stands_by_is_ended_with_all_it_has_left_when_its_worker_stops(
    ada: Person, start_workers: StartWorkers, folder: Path
) -> None:
    workers = start_workers()
    path = start(ada, "test.leave@v1", what="a daemon", folder=str(folder), then="succeed")
    assert ended(ada, path)["status"] == "success"
    assert workers.stop() == 0
    assert hostile.alive(str(folder)) == []


def test_only_what_descends_from_the_job_process_is_ended(tmp_path: Path) -> None:
    """Whoever forks job processes may have children of his own: a host's helper, started before or meanwhile."""
    script = """
import os, subprocess, sys, time
from portal_actions_plugin.runner.process.leftovers import Leftovers, own_children
from portal_actions_plugin.runner.process.forking import adopt_orphans

adopt_orphans()
sleep = ["sleep", "60"]
helper = subprocess.Popen(sleep)
leftovers = Leftovers(own_children())
job = os.fork()
if job == 0:
    for _ in range(3):
        subprocess.Popen(sleep, start_new_session=True)
    os._exit(0)
os.waitpid(job, 0)
assert len(own_children()) == 4, own_children()
assert leftovers.end()
assert own_children() == {helper.pid}
assert helper.poll() is None
helper.kill()
helper.wait()
assert leftovers.end() and not own_children()
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_bomb_of_forks_is_ended(tmp_path: Path) -> None:
    """Each of its processes starts others as fast as it can; there are never more than its limit, which is not ours."""
    script = """
import os, resource, sys, time
from portal_actions_plugin.runner.process.leftovers import Leftovers, own_children
from portal_actions_plugin.runner.process.forking import adopt_orphans

adopt_orphans()
leftovers = Leftovers(own_children())
job = os.fork()
if job == 0:
    os.setsid()
    for _ in range(20):
        if os.fork() == 0:
            os.setsid()
            while True:
                if os.fork() == 0:
                    time.sleep(0.1)
                    os._exit(0)
                try:
                    while os.waitpid(-1, os.WNOHANG)[0]:
                        pass
                except ChildProcessError:
                    pass
                time.sleep(0.005)
    os._exit(0)
os.waitpid(job, 0)
time.sleep(0.5)
assert leftovers.end(60)
assert not own_children()
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.fault("0d")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_that_is_killed_leaves_nothing_of_what_its_handler_started(
    ada: Person, start_workers: StartWorkers, folder: Path
) -> None:
    workers = start_workers()
    path = start(ada, "test.leave@v1", what="a daemon", folder=str(folder), then="wait")
    wait_until(lambda: log_of(ada, path), 60)
    [worker] = workers.children()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not hostile.alive(str(folder)), 60)
    [another] = wait_until(lambda: children_of(workers.process.pid), 100)
    assert another != worker
