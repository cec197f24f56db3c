"""Hearing doorbells: an RQ worker on one queue that takes ids off Redis, and runs nothing itself."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Collection
from typing import cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DequeueTimeout
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker, WorkerStatus
from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.doorbells.foreign import Foreign
from portal_actions_plugin.runner.doorbells.redis_calls import asking_redis
from portal_actions_plugin.runs.changes import due
from portal_actions_plugin.runs.news.redis_names import redis_names
from portal_actions_plugin.runs.news.ring import RQ_JOB, RQ_QUEUE, RQ_QUEUES, rung_for
from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import single_read

log = logging.getLogger(__name__)

LISTEN_SECONDS = 2
REDIS_SECONDS = 10
WORKER_TTL = 60
BEAT_SECONDS = 20

STALE_AT_ONCE = 200
"""Doorbells looked at in one go when runs have been taken without them."""

NOBODY = "00000000-0000-0000-0000-000000000000"
"""No run's id: to ask for it opens a connection, and whoever asks next finds it open."""


class Doorbell(Job):
    """An RQ job of which only the function's name and one id are read.

    Callbacks, webhooks, dependencies, retries and meta of whoever wrote it are never looked at.
    """

    def restore(self, raw_data: dict[bytes, bytes]) -> None:
        """Read the payload, and nothing else."""
        self.origin = raw_data.get(b"origin", b"").decode(errors="replace")
        self.description = None
        self.payload = raw_data.get(b"data", b"")

    def run_id(self) -> str | None:
        """The run to look at, when this is one of our doorbells."""
        return rung_for(self.payload)


class DoorbellListener(BaseWorker):
    """One RQ worker on one queue. Its loop is the worker's: RQ's own blocks on Redis, and lets healthy steps die with it."""

    job_class = Doorbell

    def __init__(self, queue: str, connection: Redis) -> None:
        """Prepare.

        Args:
            queue: what it hears, as settings name it.
            connection: to Redis.

        Raises:
            NamespaceUnknownError: nobody knows yet what the queue is called on Redis.
        """
        super().__init__(
            [Queue(redis_names().queue(queue), connection=connection, serializer=JSONSerializer, job_class=Doorbell)],
            name=uuid.uuid4().hex,
            connection=connection,
            job_class=Doorbell,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
        )
        self._beat_at = 0.0

    def _set_ip_address(self, connection: Redis) -> None:  # noqa: ARG002 RQ's signature
        """Leave it unknown: asking Redis for it fails on a unix socket whose path has a space."""
        self.ip_address = "unknown"

    def hear(self) -> str | None:
        """Wait a moment for a doorbell and take it off Redis.

        Returns:
            The id of the run that it rings for; None when there was none, or none of ours.

        Raises:
            RedisError: Redis is away.
        """
        self._beat()
        try:
            with asking_redis():
                found = Queue.dequeue_any(
                    self.queues, LISTEN_SECONDS, self.connection, job_class=Doorbell, serializer=JSONSerializer
                )
        except DequeueTimeout:
            return None
        except (ValueError, TypeError) as error:
            # Whoever can write to Redis can put anything on a queue. It is off the queue by now.
            log.warning("what is on %s is not a wake-up of ours: dropped: %s", self.queues[0].name, error)
            return None
        if found is None:
            return None
        job, queue = cast("tuple[Doorbell, Queue]", found)
        # Heard is heard: the row says what is due, and the sweeper rings again for it.
        with asking_redis(), self.connection.pipeline(transaction=False) as redis:
            IntermediateQueue(queue.key, connection=redis).remove(job.id)
            redis.delete(job.key)
            redis.execute()
        reached("heard")
        run_id = job.run_id()
        if run_id is None:
            log.error("a job on %s is not a wake-up of ours: dropped", queue.name)
        return run_id

    def drop_stale(self) -> None:
        """Take doorbells off Redis, many at once, whose runs are not to be begun any more. Raises RedisError."""
        key = self.queues[0].key
        with asking_redis(), self.connection.pipeline(transaction=False) as redis:
            waiting = cast("list[bytes]", self.connection.lrange(key, 0, STALE_AT_ONCE - 1))
            job_keys = {job_id: Doorbell.key_for(job_id.decode(errors="replace")) for job_id in waiting}
            for job_key in job_keys.values():
                redis.hget(job_key, "data")
            run_ids = dict(zip(job_keys, (rung_for(payload or b"") for payload in redis.execute()), strict=True))
        due_still = still_due({run_id for run_id in run_ids.values() if run_id})
        with asking_redis(), self.connection.pipeline(transaction=False) as redis:
            # What is not a wake-up of ours is left for `hear`, which says so.
            for job_id in (job_id for job_id, run_id in run_ids.items() if run_id and run_id not in due_still):
                redis.lrem(key, 1, cast("str", job_id))  # it takes bytes too
                redis.delete(job_keys[job_id])
            redis.execute()

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beat_at > BEAT_SECONDS:
            with asking_redis():
                self.heartbeat()
            self._beat_at = now

    def leave(self) -> None:
        """Let Redis forget this listener; it does so by itself when it is away now."""
        try:
            with asking_redis():
                self.register_death()  # type: ignore[no-untyped-call]
        except RedisError:
            log.debug("Redis is away; it forgets the worker %s by itself", self.name)


def listen(queue: str) -> DoorbellListener:
    """Begin to listen on a queue, and let RQ's tools see that.

    Args:
        queue: as settings name it.

    Raises:
        RedisError: Redis is away.
        NamespaceUnknownError: nobody knows yet what the queue is called on Redis.
    """
    redis: Redis = Redis.from_url(
        extension().config.redis_url,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=2,
        # Once more, for a connection that was closed. More often, the client would wait where nobody sees the loop turn.
        retry=Retry(NoBackoff(), 1),
    )
    with asking_redis():
        listener = DoorbellListener(queue, redis)
        listener.register_birth()  # type: ignore[no-untyped-call]
        listener.set_state(WorkerStatus.IDLE)
    log.info("worker %s listens on %s", listener.name, redis_names().queue(queue))
    return listener


_foreign = Foreign()


def tell_of_foreign(queue: str) -> None:
    """Tell now and then how many doorbells were heard on a queue of runs that this database does not know."""
    _foreign.tell(queue)


def still_due(run_ids: Collection[str]) -> Collection[str]:
    """Those of these runs that are to be begun; all, when the database cannot say: a job process rides that out."""
    try:
        with single_read() as db:
            known = due.known(db, run_ids)
    except DBAPIError as error:
        away.bear(error, log, "the database cannot be asked what is due")
        return run_ids
    _foreign.heard([run_id for run_id in run_ids if run_id not in known and run_id != NOBODY])
    return [run_id for run_id, is_due in known.items() if is_due]


def hears_our_rings() -> bool:
    """Whether the RQ that is installed listens where a start rings: a start rings without RQ."""
    return (
        getattr(Queue, "redis_queues_keys", None),
        getattr(Queue, "redis_queue_namespace_prefix", None),
        getattr(Job, "redis_job_namespace_prefix", None),
    ) == (RQ_QUEUES, RQ_QUEUE, RQ_JOB)
