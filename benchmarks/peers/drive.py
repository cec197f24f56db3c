"""Loads a peer and takes its times. Runs in the peer's environment: it needs the redis client and nothing of ours.

A run's last step tells its end on a list in Valkey, whatever the peer keeps of it.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Callable

import redis

ENDED = "benchmark-ended"
STRANDED_SECONDS = float(os.environ.get("PEER_STRANDED_SECONDS", "10"))
"""A run that has not ended by then is given up, and another one takes its place."""

_BETWEEN_SECONDS = 0.15


def ended(run_id: str) -> None:
    """Tell that a run has ended: the last step calls it."""
    connection().rpush(ENDED, json.dumps([run_id, time.time()]))


def connection() -> redis.Redis:
    global _connection  # noqa: PLW0603 one for each process
    if _connection is None:
        _connection = redis.Redis.from_url(os.environ["PEER_REDIS"], socket_timeout=None)
    return _connection


_connection: redis.Redis | None = None


def main(start: Callable[[str], None]) -> None:
    """Print the figures as JSON: runs a second, milliseconds from the start to the end, and how many were stranded."""
    singles, seconds, backlog = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    connection().delete(ENDED)
    _one_by_one(start, 3)
    latencies, lost = _one_by_one(start, singles)
    rate, stranded, started = _sustained(start, seconds, backlog)
    print(json.dumps({"rate": rate, "latencies": latencies, "stranded": stranded + lost, "started": started + singles}))


def _one_by_one(start: Callable[[str], None], number: int) -> tuple[list[float], int]:
    latencies = []
    for _ in range(number):
        time.sleep(_BETWEEN_SECONDS)
        run_id = uuid.uuid4().hex
        began = time.time()
        start(run_id)
        while heard := connection().blpop([ENDED], timeout=STRANDED_SECONDS):
            ended_id, at = json.loads(heard[1])
            if ended_id == run_id:
                latencies.append((at - began) * 1000)
                break
    return latencies, number - len(latencies)


def _sustained(start: Callable[[str], None], seconds: float, backlog: int) -> tuple[float, int, int]:
    """Keep so many runs on their way; count ends from when as many have ended as were started at once."""
    on_their_way: dict[str, float] = {}
    stranded = started = counted = 0
    ends = since = until = 0.0
    while not since or time.time() < until:
        now = time.time()
        late = [run_id for run_id, began in on_their_way.items() if now - began > STRANDED_SECONDS]
        for run_id in late:
            del on_their_way[run_id]
        stranded += len(late)
        while len(on_their_way) < backlog:
            run_id = uuid.uuid4().hex
            on_their_way[run_id] = time.time()
            start(run_id)
            started += 1
        for _ in range(_heard(on_their_way, 0.05)):
            ends += 1
            counted += bool(since)
        if not since and ends + stranded >= backlog:
            since = time.time()
            until = since + seconds
    rate = counted / (time.time() - since)
    give_up = time.time() + STRANDED_SECONDS
    while on_their_way and time.time() < give_up:
        _heard(on_their_way, 0.5)
    return rate, stranded + len(on_their_way), started


def _heard(on_their_way: dict[str, float], timeout: float) -> int:
    """Take what has ended off the runs on their way; how many."""
    first = connection().blpop([ENDED], timeout=timeout)
    if not first:
        return 0
    more = connection().lpop(ENDED, 100) or []
    return sum(on_their_way.pop(json.loads(one)[0], None) is not None for one in [first[1], *more])
