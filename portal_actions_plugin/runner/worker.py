"""A worker: hears doorbells on one RQ queue, and has a job process stand by for what they ring for."""

from __future__ import annotations

import logging
import math
import os
import time
import uuid
from collections.abc import Collection
from typing import Any, cast

from flask import Flask
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
from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runner.doorbells.foreign import Foreign
from portal_actions_plugin.runner.doorbells.redis_calls import asking_redis
from portal_actions_plugin.runner.liveness.pulse import Doing, Pulse
from portal_actions_plugin.runner.liveness.vitals import Vitals
from portal_actions_plugin.runner.liveness.watchdog import Watchdog
from portal_actions_plugin.runner.process.forking import Connections, StopRequest, adopt_orphans, signals_held
from portal_actions_plugin.runner.process.job_process import JobProcess
from portal_actions_plugin.runner.process.leftovers import Leftovers, own_children
from portal_actions_plugin.runner.process.main import NOBODY, JobProcessMain
from portal_actions_plugin.runner.process.monitor import watch
from portal_actions_plugin.runner.process.rehearsal import rehearse
from portal_actions_plugin.runner.process.shared_memory import Shared, Word
from portal_actions_plugin.runs.changes import due
from portal_actions_plugin.runs.news.redis_names import NamespaceUnknownError, redis_names
from portal_actions_plugin.runs.news.ring import RQ_JOB, RQ_QUEUE, RQ_QUEUES
from portal_actions_plugin.runs.news.ring import rung_for as _rung_for
from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import single_read

log = logging.getLogger(__name__)

LISTEN_SECONDS = 2
REDIS_SECONDS = 10
WORKER_TTL = 60
BEAT_SECONDS = 20
WAIT_FOR_REDIS = 1.0
WAIT_FOR_DATABASE = 5.0
DISMISS_SECONDS = 1.0
BEGIN_ATTEMPTS = 3
"""A process that dies before it has read which run to begin with has done nothing: another one may begin at once."""

STALE_AT_ONCE = 200
"""Doorbells looked at in one go when runs have been taken without them."""


def doorbell(run_id: str) -> None:
    """What a job is named after. RQ's own workers must never run it: they would know nothing of leases."""
    raise RuntimeError(f"The doorbell of run {run_id} was heard by a foreign worker: run `flask actions worker`.")


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
        return _rung_for(self.payload)


class StepWorker(BaseWorker):
    """One RQ worker on one queue, with a loop of its own: RQ's blocks on Redis, and lets healthy steps die with it."""

    job_class = Doorbell

    def __init__(
        self,
        app: Flask,
        queue: str,
        place: str,
        connection: Redis,
        connections: Connections,
        vitals: Vitals | None = None,
    ) -> None:
        """Prepare.

        Args:
            app: the host's app.
            queue: what it hears.
            place: its name, for people.
            connection: to Redis.
            connections: of this process to databases.
            vitals: what its loop tells at each turn; nobody, when there is no loop.
        """
        super().__init__(
            [Queue(redis_names().queue(queue), connection=connection, serializer=JSONSerializer, job_class=Doorbell)],
            name=uuid.uuid4().hex,
            connection=connection,
            job_class=Doorbell,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
        )
        self._app = app
        self._queue = queue
        self._place = place
        self._connections = connections
        self._vitals = vitals or Vitals(Pulse(), Watchdog(f"the worker {place}", math.inf))
        self._beat_at = 0.0
        self._job: JobProcess | None = None

    def _set_ip_address(self, connection: Redis) -> None:  # noqa: ARG002 RQ's signature
        """Leave it unknown: asking Redis for it fails on a unix socket whose path has a space."""
        self.ip_address = "unknown"

    def hear(self) -> str | None:
        """Wait a moment for a doorbell and take it off Redis; the id of the run that it rings for."""
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
            log.warning("what is on %s is not a doorbell of ours: dropped: %s", self.queues[0].name, error)
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
            log.error("a job on %s is not a doorbell of ours: dropped", queue.name)
        return run_id

    def drop_stale(self) -> None:
        """Take doorbells off Redis, many at once, whose runs are not to be begun any more."""
        key = self.queues[0].key
        with asking_redis(), self.connection.pipeline(transaction=False) as redis:
            waiting = cast("list[bytes]", self.connection.lrange(key, 0, STALE_AT_ONCE - 1))
            job_keys = {job_id: Doorbell.key_for(job_id.decode(errors="replace")) for job_id in waiting}
            for job_key in job_keys.values():
                redis.hget(job_key, "data")
            rung_for = dict(zip(job_keys, (_rung_for(payload or b"") for payload in redis.execute()), strict=True))
        due_still = still_due({run_id for run_id in rung_for.values() if run_id})
        with asking_redis(), self.connection.pipeline(transaction=False) as redis:
            # What is not a doorbell of ours is left for `hear`, which says so.
            for job_id in (job_id for job_id, run_id in rung_for.items() if run_id and run_id not in due_still):
                redis.lrem(key, 1, cast("str", job_id))  # it takes bytes too
                redis.delete(job_keys[job_id])
            redis.execute()

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beat_at > BEAT_SECONDS:
            with asking_redis():
                self.heartbeat()
            self._beat_at = now

    def stand_by(self) -> JobProcess:
        """Have a job process stand by: forked ahead of need, or one that has done what it was told."""
        if self._job and self._job.wait(0):
            log.warning("a job process that stood by ended with status %s", self._job.exit_status)
            self._job = None
        if self._job is None:
            self._job = self._fork()
            # The next question finds a connection again: all were closed for the fork.
            still_due([NOBODY])
        return self._job

    def dismiss(self) -> None:
        """End the job process that stands by."""
        if self._job:
            self._job.dismiss()
            while not self._job.wait(DISMISS_SECONDS):
                self._job.kill()

    def run(self, run_id: str, stop: StopRequest) -> None:
        """Let a job process begin with a run and stay with it until it is gone, or stands by again."""
        for _ in range(BEGIN_ATTEMPTS):
            job = self.stand_by()
            self._vitals.turn(Doing.WORKING)
            reached("begin.before")
            job.begin(run_id)
            reached("begin.after")
            stopped = watch(job, stop, lambda: self._vitals.turn(Doing.WORKING))
            if not job.gone:
                return
            self._job = None
            if job.has_begun() or stopped:
                break
        self._deal_with(job, run_id, stopped)

    def _deal_with(self, job: JobProcess, run_id: str, stopped: bool) -> None:  # noqa: FBT001 what `watch` says
        """See to what a process that is gone has left: it may hold a lock, and may not have recorded how a run ended."""
        if not job.leaves_nobody:
            log.error(
                "what the job process of run %s has started cannot be ended: its lock is kept until its lease is over",
                run_id,
            )
            return
        if job.has_done() and job.word() is not Word.DONE_HOLDING_A_LOCK:
            return
        with self._app.app_context():
            try:
                if job.word() is Word.SPOILT:
                    recovery.fail_spoilt(job.process_token)
                elif stopped:
                    recovery.hand_back(job.process_token)
                else:
                    recovery.recover_process(job.process_token)
                if not job.has_done():
                    log.warning("the job process of run %s ended with status %s", run_id, job.exit_status)
                    recovery.ring_soon(run_id)
            except DBAPIError as error:
                away.bear(error, log, "a job process is gone; a sweeper deals with what it left")

    def _fork(self) -> JobProcess:
        process_token = str(uuid.uuid4())
        self._connections.close_all()
        parent = os.getpid()
        leftovers = Leftovers(own_children())
        heard, words = os.pipe()
        orders, told = os.pipe()
        shared = Shared()
        reached("fork_job.before")
        with self._vitals.watchdog.away(), signals_held():
            pid = os.fork()
            if pid == 0:
                self._vitals.watchdog.forget()
                os.close(heard)
                os.close(told)
                child = JobProcessMain(
                    self._app, self._queue, self._place, process_token, shared, orders=orders, words=words
                )
                child.live(parent, self._connections)
        reached("fork_job.parent")
        os.close(words)
        os.close(orders)
        return JobProcess(pid, process_token, shared, orders=told, words=heard, leftovers=leftovers)


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


_foreign = Foreign()


def work(app: Flask, queue: str, place: str, connections: Connections, pulse: Pulse) -> None:
    """Be the worker at a place until told to stop; returns once the running step is finished."""
    stop = StopRequest()
    adopt_orphans()
    with app.app_context(), Watchdog(f"the worker {place}", extension().config.stall_seconds) as watchdog:
        vitals = Vitals(pulse, watchdog)
        rehearse()
        worker: StepWorker | None = None
        while not stop.calm:
            try:
                vitals.turn(Doing.STARTING if worker is None else pulse.doing)
                _foreign.tell(queue)
                worker = worker or _birth(app, queue, place, connections, vitals)
                worker.stand_by()
                vitals.turn(Doing.STANDING_BY)
                run_id = worker.hear()
                if run_id and not still_due([run_id]):
                    worker.drop_stale()
                    continue
            except NamespaceUnknownError as error:
                away.tell(log, "nobody can listen yet", str(error))
                time.sleep(WAIT_FOR_DATABASE)
                continue
            except RedisError as error:
                log.warning("Redis is away, trying again: %s", error)
                vitals.turn(Doing.REDIS_AWAY)
                time.sleep(WAIT_FOR_REDIS)
                continue
            if run_id:
                worker.run(run_id, stop)
        if worker:
            worker.dismiss()
            _death(worker)


def hears_our_rings() -> bool:
    """Whether the RQ that is installed listens where a start rings: it does that without RQ."""
    return (
        getattr(Queue, "redis_queues_keys", None),
        getattr(Queue, "redis_queue_namespace_prefix", None),
        getattr(Job, "redis_job_namespace_prefix", None),
    ) == (RQ_QUEUES, RQ_QUEUE, RQ_JOB)


def _birth(app: Flask, queue: str, place: str, connections: Connections, vitals: Vitals) -> StepWorker:
    redis: Any = Redis.from_url(
        extension().config.redis_url,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=2,
        # Once more, for a connection that was closed. More often, the client would wait where nobody sees the loop turn.
        retry=Retry(NoBackoff(), 1),
    )
    with asking_redis():
        worker = StepWorker(app, queue, place, redis, connections, vitals)
        worker.register_birth()  # type: ignore[no-untyped-call]
        worker.set_state(WorkerStatus.IDLE)
    log.info("worker %s listens on %s", worker.name, redis_names().queue(queue))
    return worker


def _death(worker: StepWorker) -> None:
    try:
        with asking_redis():
            worker.register_death()  # type: ignore[no-untyped-call]
    except RedisError:
        log.debug("Redis is away; it forgets the worker %s by itself", worker.name)
