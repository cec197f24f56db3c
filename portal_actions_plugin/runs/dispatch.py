"""The news after a commit: ring a worker, then tell the host. Losing either loses nothing."""

from __future__ import annotations

import json
import logging
import uuid
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from blinker import NamedSignal
from flask import Flask, current_app

from portal_actions_plugin import signals
from portal_actions_plugin.answers import settled
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import ActionRun, TemplateRun
from portal_actions_plugin.runs import doorbells, locks, older, queries, transitions
from portal_actions_plugin.runs.names import OLD_PREFIX, NamespaceUnknownError, names
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import Transaction, transaction
from portal_actions_plugin.storage.tables import ActionRunRow, TemplateRunRow

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


def ring_after_commit(tx: Transaction, run_id: str, queue_name: str) -> None:
    """Ring for a queued row once it is committed."""

    def ring_it() -> None:
        ring([(run_id, queue_name)])

    tx.on_commit(ring_it)


def ring_for_locks_after_commit(tx: Transaction, keys: Sequence[str]) -> None:
    """Ring for whoever is next in line for each of these locks, which are free now."""
    for key in keys:
        if waiting := locks.take_next_in_line(tx, key, extension().config.ring_again_seconds):
            ring_after_commit(tx, *waiting)


def ring(due: Sequence[tuple[str, str]]) -> int:
    """Put (run id, queue) on RQ, a fresh job id each; says how many Redis took. The others are due again at once."""
    from redis.exceptions import RedisError

    redis = extension().redis
    rung = 0
    try:
        known = names()
        for run_id, queue_name in due:
            reached("ring.before")
            older_may_listen = _enqueue(redis, run_id, known.queue(queue_name), OLD_PREFIX + queue_name)
            if older_may_listen and older.workers_live():
                _enqueue(redis, run_id, OLD_PREFIX + queue_name, known.queue(queue_name))
            rung += 1
            reached("ring.after")
    except (RedisError, OSError) as error:
        missed = [run_id for run_id, _ in due[rung:]]
        log.warning("Redis did not take %d doorbells, the sweeper will ring again: %s", len(missed), error)
        with transaction("doorbell_lost") as tx:
            doorbells.lost(tx, missed)
    except NamespaceUnknownError as error:
        log.warning("%d doorbells could not be rung, the sweeper will ring again: %s", len(due), error)
    return rung


def _enqueue(redis: Redis, run_id: str, queue: str, other_queue: str) -> bool:
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
        together.rpush(queue_key, job_id)
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


def tell_after_commit(tx: Transaction, signal: NamedSignal, run_id: str) -> None:
    """Send a signal about an action run once it is committed."""
    if signal is signals.action_run_finished and signal.receivers:
        tx.after_commit(lambda: announce_action_run(run_id))
        return
    if signal.receivers:
        tx.after_commit(lambda: send(signal, queries.action_run(run_id)))
    tx.gather(f"action_run {run_id}", _echo)


def tell_template_after_commit(tx: Transaction, signal: NamedSignal, run_id: str) -> None:
    """Send a signal about a template run once it is committed."""
    if signal is signals.template_run_finished and signal.receivers:
        tx.after_commit(lambda: announce_template_run(run_id))
        return
    if signal.receivers:
        tx.after_commit(lambda: send(signal, queries.template_run(run_id)))
    tx.gather(f"template_run {run_id}", _echo)


def announce_action_run(run_id: str) -> None:
    """Send a finished action run's signal, and remember that it went out."""
    if signals.action_run_finished.receivers:
        send(signals.action_run_finished, queries.action_run(run_id))
    with transaction("announced") as tx:
        transitions.announced(tx, ActionRunRow, run_id)
        tx.gather(f"action_run {run_id}", _echo)


def announce_template_run(run_id: str) -> None:
    """Likewise for a template run."""
    if signals.template_run_finished.receivers:
        send(signals.template_run_finished, queries.template_run(run_id))
    with transaction("announced") as tx:
        transitions.announced(tx, TemplateRunRow, run_id)
        tx.gather(f"template_run {run_id}", _echo)


def send(signal: NamedSignal, run: ActionRun | TemplateRun) -> None:
    """Send a signal to each receiver; one that raises is logged and harms nobody."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 Flask's documented way to the sender
    reached(f"signal.{signal.name}.before")
    for receiver in signal.receivers_for(app):
        try:
            settled(receiver(app, run=run))
        except Exception:
            log.exception("a receiver of %s failed on run %s", signal.name, run.id)
    reached(f"signal.{signal.name}.after")


def _echo(changes: Sequence[str]) -> None:
    """Let every web process hear of a transaction's changes; best effort."""
    from redis.exceptions import RedisError

    pool = extension().echoes.connection_pool
    try:
        channel = names().channel
        connection: Any = pool.get_connection()
        try:
            # How many have heard it is of no use, and a worker would wait for that after each transaction.
            echo = [("CLIENT", "REPLY", "SKIP"), ("PUBLISH", channel, "\n".join(changes))]
            connection.send_packed_command(connection.pack_commands(echo))
        finally:
            pool.release(connection)
    except (RedisError, OSError, NamespaceUnknownError) as error:
        log.debug("no echo of %s: %s", changes, error)
