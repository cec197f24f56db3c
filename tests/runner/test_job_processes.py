"""Job processes that stand by, go on with what is due, and end when anything is not as it was."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from portal_actions_plugin.runner.doorbells.listener import DoorbellListener
from portal_actions_plugin.runner.process.going_on import MAX_RUNS
from portal_actions_plugin.runs.changes import due
from portal_actions_plugin.runs.news.redis_names import redis_names
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from portal_actions_plugin.storage.sql import now_plus
from tests.support import deeds
from tests.support.doorbells import queue_key
from tests.support.people import Person
from tests.support.run_helpers import run_one_off, set_columns
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from tests.support.workers import Gate, Workers

StartWorkers = Callable[..., Workers]
SHORT_LEASES = {
    "PORTAL_ACTIONS_LEASE_SECONDS": 8,
    "PORTAL_ACTIONS_LEASE_RENEW_SECONDS": 0.5,
    "PORTAL_ACTIONS_LAPSE_GRACE_SECONDS": 0.5,
    "PORTAL_ACTIONS_SWEEP_SECONDS": 0.3,
}


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """A portal, and workers, with an action that does what it must not, and no limit on how much is started."""
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_RATE_LIMIT="10000 per minute")
    monkeypatch.setenv("TEST_PORTAL_DEEDS", "1")
    deeds.register(app)
    with app.app_context():
        yield app


def start(ada: Person, deed: str = "nothing") -> str:
    action = "lateDeed" if deed == "take too long" else "deed"
    answer = ada.post(f"/api/v1/actions/test.{action}@v1/runs", {"input": {"deed": deed}})
    assert answer.status_code == 202, answer.json
    return answer.headers["Location"]


def start_wait(ada: Person, seconds: float) -> str:
    answer = ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": seconds}})
    return answer.headers["Location"]


def ended(ada: Person, path: str) -> dict[str, Any]:
    return wait_until(lambda: (run := ada.get(path).json)["status"] in ("success", "failed", "canceled") and run)


def made_by(ada: Person, path: str) -> int:
    return ended(ada, path)["outputs"]["pid"]


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


# -- going on ----------------------------------------------------------------------------------------------------------


def test_what_waits_is_made_by_few_processes_oldest_first(ada: Person, start_workers: StartWorkers) -> None:
    paths = [start(ada) for _ in range(20)]
    start_workers()
    pids = [made_by(ada, path) for path in paths]
    assert len(set(pids)) == 1
    began = [ada.get(path).json["started_at"] for path in paths]
    assert began == sorted(began)


def test_a_process_is_replaced_after_a_bounded_number_of_runs(app: Flask, start_workers: StartWorkers) -> None:
    ids = [run_one_off("test.deed@v1", {"deed": "nothing"}) for _ in range(MAX_RUNS + 10)]
    start_workers()

    def pids() -> Any:
        with reading() as db:
            found = [row["outputs"] for row in db.rows(tables.action_runs.select())]
        return all(found) and Counter(outputs["pid"] for outputs in found)

    made = wait_until(pids)
    assert sum(made.values()) == len(ids)
    # On a slow machine its seconds are over first.
    assert max(made.values()) <= MAX_RUNS


def test_runs_one_after_another_need_no_fork_between_them(ada: Person, start_workers: StartWorkers) -> None:
    start_workers()
    assert len({made_by(ada, start(ada)) for _ in range(5)}) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_whatever_a_handler_does_to_its_process_ends_with_it(ada: Person, start_workers: StartWorkers) -> None:
    workers = start_workers()
    at_work = wait_until(workers.children)
    before = made_by(ada, start(ada))
    for deed in deeds.DEEDS.keys() - {"nothing"}:
        run = ended(ada, start(ada, deed))
        after = made_by(ada, start(ada))
        assert after != before, f"the process that made {deed!r} was used again"
        assert wait_until(lambda gone=before: is_gone(gone))
        if run["status"] == "success":
            assert run["outputs"]["pid"] == before, "it was made by the process that had stood by"
        before = after
    assert workers.children() == at_work


def test_a_canceled_step_is_gone_also_when_it_is_the_fifth_of_its_process(
    ada: Person, start_workers: StartWorkers
) -> None:
    paths = [start(ada) for _ in range(4)]
    fifth = start_wait(ada, 3000)
    workers = start_workers()
    pids = {made_by(ada, path) for path in paths}
    wait_until(lambda: ada.get(fifth).json["status"] == "running")
    [child] = workers.grandchildren()
    assert pids == {child}
    assert ada.post(f"{fifth}/cancel").json["status"] == "canceled"
    wait_until(lambda: is_gone(child))
    assert made_by(ada, start(ada)) != child
    assert ada.get(fifth).json["status"] == "canceled"


def test_a_run_whose_worker_is_killed_is_retried_also_when_it_is_not_the_first_of_its_process(
    ada: Person, start_workers: StartWorkers, gate: Gate
) -> None:
    workers = start_workers(**SHORT_LEASES)
    before = made_by(ada, start(ada))
    path = start_wait(ada, 1)
    wait_until(lambda: ada.get(path).json["status"] == "running")
    assert workers.grandchildren() == [before]
    [parent] = workers.children()
    os.kill(parent, signal.SIGKILL)
    wait_until(lambda: is_gone(before))
    gate.open()
    run = ended(ada, path)
    assert [attempt["outcome"] for attempt in run["attempts"]] == ["lost", "success"]


def test_a_drain_does_not_wait_for_what_its_processes_could_go_on_with(
    ada: Person, start_workers: StartWorkers
) -> None:
    paths = [start_wait(ada, 0.5) for _ in range(60)]
    workers = start_workers()
    wait_until(lambda: ada.get(paths[1]).json["status"] == "running")
    workers.process.send_signal(signal.SIGTERM)
    assert workers.process.wait(PATIENCE_SECONDS) == 0
    statuses = Counter(ada.get(path).json["status"] for path in paths)
    assert set(statuses) == {"success", "queued"}
    assert statuses["queued"] > 10


def test_each_run_of_a_process_speaks_for_itself(ada: Person, start_workers: StartWorkers, tmp_path: Path) -> None:
    paths = [
        ada.post("/api/v1/actions/debug.log@v1/runs", {"input": {"message": f"number {n}"}}).headers["Location"]
        for n in range(3)
    ]
    start_workers()
    for path in paths:
        ended(ada, path)
    lines = (tmp_path / "workers.log").read_text().splitlines()
    for number, path in enumerate(paths):
        [line] = [line for line in lines if line.endswith(f"number {number}")]
        assert f"run={path.rpartition('/')[2]}" in line


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_a_run_has_masked_is_forgotten_before_the_next_one(ada: Person, start_workers: StartWorkers) -> None:
    start_workers()
    outputs = [ended(ada, start(ada))["outputs"] for _ in range(3)]
    assert len({output["pid"] for output in outputs}) == 1
    assert [output["redactors"] for output in outputs] == [1, 1, 1]


# -- standing by -------------------------------------------------------------------------------------------------------


def test_a_process_that_is_killed_while_it_stands_by_is_replaced(ada: Person, start_workers: StartWorkers) -> None:
    workers = start_workers()
    [child] = wait_until(workers.grandchildren)
    os.kill(child, signal.SIGKILL)
    run = ended(ada, start(ada))
    assert (run["status"], len(run["attempts"])) == ("success", 1)
    assert run["outputs"]["pid"] != child


def test_what_stands_by_goes_with_its_worker(ada: Person, start_workers: StartWorkers) -> None:
    workers = start_workers(PORTAL_ACTIONS_DRAIN_SECONDS=3600)
    made_by(ada, start(ada))
    [child] = workers.grandchildren()
    os.kill(workers.children()[0], signal.SIGKILL)
    assert wait_until(lambda: is_gone(child))
    everyone = wait_until(lambda: (found := workers.children()) and workers.grandchildren() and found)
    everyone += workers.grandchildren()
    workers.process.send_signal(signal.SIGTERM)
    assert workers.process.wait(PATIENCE_SECONDS) == 0
    assert all(is_gone(pid) for pid in everyone)


# -- doorbells ---------------------------------------------------------------------------------------------------------


def test_doorbells_of_runs_that_were_made_without_them_are_dropped_many_at_once(app: Flask, redis_url: str) -> None:
    made = [run_one_off("debug.log@v1", {"message": "hello"}) for _ in range(30)]
    waiting = run_one_off("debug.log@v1", {"message": "hello"})
    for run_id in made:
        set_columns(run_id, status="success")
    with Redis.from_url(redis_url) as redis:
        redis.hset("rq:job:foreign", mapping={"data": "garbage", "origin": redis_names().queue("default")})
        redis.lpush(queue_key(), "foreign")
        commands = redis.info("stats")["total_commands_processed"]
        worker = DoorbellListener("default", redis)
        worker.drop_stale()
        assert redis.info("stats")["total_commands_processed"] - commands < 30 * 4 + 20
        assert redis.llen(queue_key()) == 2
        assert worker.hear() is None, "a foreign job is left for who says what it is"
        assert worker.hear() == waiting
        assert not list(redis.scan_iter("rq:job:*"))


def test_the_oldest_due_run_of_a_queue_is_found_past_those_that_wait(app: Flask) -> None:
    ids = [run_one_off("debug.log@v1", {"message": "hello"}) for _ in range(5)]
    refused, later, other, first, second = ids
    set_columns(refused, lock_key="somebody's")
    set_columns(later, not_before=now_plus(60))
    set_columns(other, queue="slow")
    with reading() as db:
        assert due.oldest(db, "default", 5) == [first, second]
        assert due.oldest(db, "default", 1) == [first]
        assert {run_id for run_id, is_due in due.known(db, ids).items() if is_due} == {refused, other, first, second}
    set_columns(first, status="running")
    with reading() as db:
        assert due.oldest(db, "default", 5) == [second]
        assert {run_id for run_id, is_due in due.known(db, ids).items() if is_due} == {refused, other, second}
