"""Ringing for a queued row after its commit: a job on an RQ queue that carries the run's id, and nothing else. Losing it loses nothing."""

from __future__ import annotations

import json
import logging
import uuid
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.news import doorbells, older_workers
from portal_actions_plugin.runs.news.redis_names import OLD_PREFIX, NamespaceUnknownError, redis_names
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import Transaction, transaction

if TYPE_CHECKING:
    # Only what talks to Redis imports its client: it takes long, and a page does not need it.
    from redis import Redis

log = logging.getLogger(__name__)

RQ_QUEUES, RQ_QUEUE, RQ_JOB, RQ_WORKERS = "rq:queues", "rq:queue:", "rq:job:", "rq:workers:"
"""Where RQ keeps its queues, jobs and who listens. A worker compares the former with the RQ that it listens with."""

DOORBELL = "portal_actions_plugin.runner.worker.doorbell"
"""The one function name that a job may carry. It is never imported from what Redis says."""

MAX_PAYLOAD = 1000
"""Bytes: a doorbell's name and one id are far shorter."""

DOORBELL_TTL = 3600
"""Seconds after which an unheard doorbell leaves Redis; the sweeper rings again long before."""


class End(StrEnum):
    """Which end of a queue a doorbell is put at. Workers take from the front."""

    BACK = "back"
    FRONT = "front"


def ring_after_commit(tx: Transaction, run_id: str, queue_name: str) -> None:
    """Ring for a queued row once it is committed, behind all that have been rung for."""
    tx.ring_after_commit(partial(ring, [(run_id, queue_name)]))


def ring_first_after_commit(tx: Transaction, run_id: str, queue_name: str) -> None:
    """Ring for a queued row once it is committed, before all that have been rung for.

    For what goes on with a run that has begun: in a backlog, runs end one after the other, and not all at the end.
    """
    tx.ring_after_commit(partial(ring, [(run_id, queue_name)], End.FRONT))


def ring(due: Sequence[tuple[str, str]], end: End = End.BACK) -> int:
    """Put (run id, queue) on RQ, a fresh job id each; says how many Redis took. The others are due again at once."""
    from redis.exceptions import RedisError

    redis = extension().redis
    rung = 0
    try:
        known = redis_names()
        for run_id, queue_name in due:
            reached("ring.before")
            older_may_listen = _enqueue(redis, run_id, known.queue(queue_name), OLD_PREFIX + queue_name, end)
            if older_may_listen and older_workers.workers_live():
                _enqueue(redis, run_id, OLD_PREFIX + queue_name, known.queue(queue_name), end)
            rung += 1
            reached("ring.after")
    except (RedisError, OSError) as error:
        missed = [run_id for run_id, _ in due[rung:]]
        log.warning("Redis did not take %d wake-ups, the sweeper will send them again: %s", len(missed), error)
        with transaction("doorbell_lost") as tx:
            doorbells.lost(tx, missed)
    except NamespaceUnknownError as error:
        log.warning("%d wake-ups could not be sent, the sweeper will send them again: %s", len(due), error)
    return rung


def _enqueue(redis: Redis, run_id: str, queue: str, other_queue: str, end: End = End.BACK) -> bool:
    """Put a job on an RQ queue, as ``Queue.enqueue_call`` would: in one round trip instead of two, with a third of the work.

    RQ is not imported for that: a web process has no other use for it. Says whether another queue may have workers.
    """
    job_id, at = str(uuid.uuid4()), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    queue_key, job_key = f"{RQ_QUEUE}{queue}", f"{RQ_JOB}{job_id}"
    job: dict[Any, Any] = {
        "data": _compressed(json.dumps((DOORBELL, None, (run_id,), {})).encode()),
        "origin": queue,
        "description": run_id,
        "status": "queued",
        "created_at": at,
        "enqueued_at": at,
        "timeout": -1,
        "ttl": DOORBELL_TTL,
        "result_ttl": 0,
        "failure_ttl": DOORBELL_TTL,
    }
    with redis.pipeline() as together:
        together.sadd(RQ_QUEUES, queue_key)
        together.hset(job_key, mapping=job)
        together.expire(job_key, DOORBELL_TTL)
        push = together.lpush if end is End.FRONT else together.rpush
        push(queue_key, job_id)
        together.exists(f"{RQ_WORKERS}{other_queue}")
        return bool(together.execute()[-1])


def _compressed(few: bytes) -> bytes:
    """As ``zlib.compress``, with tables for a few bytes: to make those for many takes fifteen times as long."""
    small = zlib.compressobj(wbits=9, memLevel=1)
    return small.compress(few) + small.flush()


def rung_for(payload: bytes) -> str | None:
    """The run that a job's payload rings for, when it is one of our doorbells. Nothing else in it is looked at."""
    try:
        name, instance, args, kwargs = json.loads(zlib.decompressobj().decompress(payload, MAX_PAYLOAD))
        if name != DOORBELL or instance is not None or kwargs or len(args) != 1:
            return None
        return str(uuid.UUID(args[0]))
    except (ValueError, TypeError, AttributeError, RecursionError, zlib.error):
        return None
