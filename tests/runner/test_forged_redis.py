"""Whoever can write to Redis can wake a worker, and nothing more."""

from __future__ import annotations

import json
import os
import pickle
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from portal_actions_plugin import signals
from portal_actions_plugin.runs.news import ring
from portal_actions_plugin.runs.news.redis_names import redis_names
from portal_actions_plugin.runs.reading import queries
from tests.support.doorbells import queue_key
from tests.support.run_helpers import run_one_off
from tests.support.waiting import wait_until
from tests.support.workers import Workers

HELLO = {"message": "hello"}


class Touches:
    """A pickle that makes a file when it is read."""

    def __init__(self, file: Path) -> None:
        self.file = str(file)

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.file}",)


@pytest.fixture
def owned(tmp_path: Path) -> Path:
    """What is there once somebody has got through."""
    return tmp_path / "owned"


def forgeries(owned: Path) -> Iterator[dict[str, bytes]]:
    """RQ jobs that Redis might hold, each of which would make the file if it were believed."""
    evil, touch = pickle.dumps(Touches(owned)), f"touch {owned}"
    real = json.dumps([ring.DOORBELL, None, [str(uuid.uuid4())], {}]).encode()
    for payload in (
        json.dumps(["os.system", None, [touch], {}]).encode(),
        json.dumps(["posix.system", None, [touch], {}]).encode(),
        json.dumps(["subprocess.getoutput", None, [touch], {}]).encode(),
        json.dumps([ring.DOORBELL, None, [touch], {}]).encode(),
        json.dumps([ring.DOORBELL, "os", ["system"], {"command": touch}]).encode(),
        evil,
        pickle.dumps(("os.system", None, (touch,), {})),
    ):
        yield {"data": zlib.compress(payload)}
        yield {"data": payload}
    callbacks = ("success_callback_name", "failure_callback_name", "stopped_callback_name")
    yield {"data": zlib.compress(real), **dict.fromkeys(callbacks, b"os.system")}
    yield {"data": zlib.compress(real), "meta": evil}
    yield {"data": zlib.compress(real), "meta": zlib.compress(evil), "result": evil, "exc_info": evil}
    yield {"data": zlib.compress(real), "dependency_ids": evil, "webhooks": evil, "retry_intervals": evil}
    yield {"data": zlib.compress(real), "serializer": b"pickle", "work_horse_killed_handler": b"os.system"}


def plant(redis: Any, forged: dict[str, bytes]) -> None:
    job_id = f"forged-{uuid.uuid4()}"
    about = {
        "origin": redis_names().queue("default").encode(),
        "status": b"queued",
        "created_at": b"2026-01-01T00:00:00.000000Z",
    }
    redis.hset(f"rq:job:{job_id}", mapping={**about, **forged})
    redis.rpush(queue_key(), job_id)


def test_a_worker_runs_no_forged_job_and_unpickles_nothing(
    app: Flask, redis_url: str, start_workers: Callable[..., Workers], owned: Path
) -> None:
    with Redis.from_url(redis_url) as redis:
        for forged in forgeries(owned):
            plant(redis, forged)
        redis.rpush(queue_key(), "a job that is not there", b"\xff\xfe", pickle.dumps(Touches(owned)))
        redis.sadd("rq:workers", "rq:worker:forged")
        redis.hset("rq:worker:forged", mapping={"queues": pickle.dumps(Touches(owned)), "birth": "never"})
        run_id = run_one_off("debug.log@v1", HELLO)
        workers = start_workers()
        wait_until(lambda: queries.action_run(run_id).status == "success")
        wait_until(lambda: redis.llen(queue_key()) == 0)
    assert workers.process.poll() is None
    assert not owned.exists()
    log = workers.log.read_text()
    assert "Traceback" not in log
    assert "is started again" not in log


def test_a_forged_doorbell_of_a_real_run_only_wakes_a_worker(
    app: Flask, redis_url: str, start_workers: Callable[..., Workers], owned: Path
) -> None:
    run_id = run_one_off("debug.log@v1", HELLO)
    payload = zlib.compress(json.dumps([ring.DOORBELL, None, [run_id], {}]).encode())
    with Redis.from_url(redis_url) as redis:
        for _ in range(5):
            plant(redis, {"data": payload, "success_callback_name": b"os.system", "meta": pickle.dumps(Touches(owned))})
        start_workers(2)
        wait_until(lambda: redis.llen(queue_key()) == 0 and queries.action_run(run_id).status == "success")
    assert len(queries.action_run(run_id).attempts) == 1
    assert not owned.exists()


def test_a_forged_echo_says_nothing_that_the_database_does_not(app: Flask, redis_url: str, owned: Path) -> None:
    heard: list[str] = []

    def receive(_app: Flask, run: Any, **_: Any) -> None:
        heard.append(run.status)

    run_id = run_one_off("debug.log@v1", HELLO)
    with signals.run_changed.connected_to(receive, sender=app), Redis.from_url(redis_url) as redis:
        app.test_client().get("/api/v1/health")  # the relay starts with the first request
        for forged in (pickle.dumps(Touches(owned)), b"action_run ../../etc", b"\xff" * 2000, b"", b"template_run \0"):
            wait_until(lambda forged=forged: redis.publish(redis_names().channel, forged))
        wait_until(lambda: redis.publish(redis_names().channel, f"action_run {run_id}".encode()) and heard)
    assert set(heard) == {"queued"}
    assert not owned.exists()
