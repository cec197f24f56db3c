"""A worker: hears doorbells on one RQ queue and forks a job process for each."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
import uuid
import zlib
from functools import partial
from typing import Any, cast

from flask import Flask
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DequeueTimeout
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker, WorkerStatus
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.extension import extension
from portal_actions_plugin.pause_points import reached
from portal_actions_plugin.runner import execute, recovery, run_logs
from portal_actions_plugin.runner.execute import TellTime
from portal_actions_plugin.runner.monitor import JobProcess, tell_time_left, watch
from portal_actions_plugin.runner.processes import (
    Connections,
    StopRequest,
    die_with_parent,
    reset_after_fork,
    signals_held,
)
from portal_actions_plugin.runner.rehearsal import rehearse
from portal_actions_plugin.runs.dispatch import DOORBELL, QUEUE_PREFIX
from portal_actions_plugin.runs.redaction import Redactor

log = logging.getLogger(__name__)

LISTEN_SECONDS = 2
REDIS_SECONDS = 10
WORKER_TTL = 60
BEAT_SECONDS = 20
WAIT_FOR_REDIS = 1.0
DONE = 10
"""Exit status of a job process that has left nothing to do. It is not 0: a handler's library may exit with that."""

DONE_HOLDING_A_LOCK = 11
"""Likewise, but its lock is only free now that it is gone."""

MAX_PAYLOAD = 1000
"""Bytes: a doorbell's name and one id are far shorter."""


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
        try:
            name, instance, args, kwargs = json.loads(zlib.decompressobj().decompress(self.payload, MAX_PAYLOAD))
            if name != DOORBELL or instance is not None or kwargs or len(args) != 1:
                return None
            return str(uuid.UUID(args[0]))
        except (ValueError, TypeError, AttributeError, RecursionError, zlib.error):
            return None


class StepWorker(BaseWorker):
    """One RQ worker on one queue, with a loop of its own: RQ's blocks on Redis, and lets healthy steps die with it."""

    job_class = Doorbell

    def __init__(self, app: Flask, queue: str, place: str, connection: Redis, connections: Connections) -> None:
        super().__init__(
            [Queue(QUEUE_PREFIX + queue, connection=connection, serializer=JSONSerializer, job_class=Doorbell)],
            name=uuid.uuid4().hex,
            connection=connection,
            job_class=Doorbell,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
        )
        self._app = app
        self._place = place
        self._connections = connections
        self._beat_at = 0.0

    def _set_ip_address(self, connection: Redis) -> None:  # noqa: ARG002 RQ's signature
        """Leave it unknown: asking Redis for it fails on a unix socket whose path has a space."""
        self.ip_address = "unknown"

    def hear(self) -> str | None:
        """Wait a moment for a doorbell and take it off Redis; the id of the run that it rings for."""
        self._beat()
        try:
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
        IntermediateQueue(queue.key, connection=self.connection).remove(job.id)
        self.connection.delete(job.key)
        reached("heard")
        run_id = job.run_id()
        if run_id is None:
            log.error("a job on %s is not a doorbell of ours: dropped", queue.name)
        return run_id

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beat_at > BEAT_SECONDS:
            self.heartbeat()
            self._beat_at = now

    def run(self, run_id: str, stop: StopRequest) -> None:
        """Fork a job process for a run and stay with it until it is gone."""
        job = self._fork(run_id)
        stopped = watch(job, stop)
        if job.exit_status == DONE:
            return
        deal_with = recovery.hand_back if stopped else recovery.recover_process
        with self._app.app_context():
            try:
                deal_with(job.process_token)
                if job.exit_status != DONE_HOLDING_A_LOCK:
                    log.warning("the job process of run %s ended with status %s", run_id, job.exit_status)
                    recovery.ring_soon(run_id)
            except SQLAlchemyError as error:
                log.warning("the job process is gone; a sweeper deals with what it left: %s", error)

    def _fork(self, run_id: str) -> JobProcess:
        process_token = str(uuid.uuid4())
        self._connections.close_all()
        parent = os.getpid()
        ended, alive = os.pipe()
        reached("fork_job.before")
        with signals_held():
            pid = os.fork()
            if pid == 0:
                os.close(ended)
                self._be_the_job(run_id, process_token, parent, alive)
        reached("fork_job.parent")
        os.close(alive)
        return JobProcess(pid, ended, process_token)

    def _be_the_job(self, run_id: str, process_token: str, parent: int, alive: int) -> None:
        status = 1
        redactor = Redactor()
        try:
            # To the very end: a thread of the handler may still be at it when the attempt is over.
            with run_logs.speaking(redactor, {"run_id": run_id}):
                status = self._perform(run_id, process_token, parent, partial(tell_time_left, alive), redactor)
        finally:
            logging.shutdown()
            os._exit(status)

    def _perform(self, run_id: str, process_token: str, parent: int, tell: TellTime, redactor: Redactor) -> int:
        try:
            os.setpgid(0, 0)
            die_with_parent(parent, signal.SIGKILL)
            reset_after_fork()
            self._connections.forget()
            reached("fork_job.child")
            with self._app.app_context():
                holds_a_lock = execute.perform(run_id, process_token, self._place, tell, redactor)
        except BaseException:
            log.exception("the job process of run %s failed", run_id)
            return 1
        return DONE_HOLDING_A_LOCK if holds_a_lock else DONE


def work(app: Flask, queue: str, place: str, connections: Connections) -> None:
    """Be the worker at a place until told to stop; returns once the running step is finished."""
    stop = StopRequest()
    with app.app_context():
        rehearse()
        worker: StepWorker | None = None
        while not stop.calm:
            try:
                worker = worker or _birth(app, queue, place, connections)
                run_id = worker.hear()
            except (RedisError, OSError) as error:
                log.warning("Redis is away, trying again: %s", error)
                time.sleep(WAIT_FOR_REDIS)
                continue
            if run_id:
                worker.run(run_id, stop)
        if worker:
            _death(worker)


def _birth(app: Flask, queue: str, place: str, connections: Connections) -> StepWorker:
    redis: Any = Redis.from_url(extension().config.redis_url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=2)
    worker = StepWorker(app, queue, place, redis, connections)
    worker.register_birth()  # type: ignore[no-untyped-call]
    worker.set_state(WorkerStatus.IDLE)
    log.info("worker %s listens on %s", worker.name, queue)
    return worker


def _death(worker: StepWorker) -> None:
    try:
        worker.register_death()  # type: ignore[no-untyped-call]
    except (RedisError, OSError):
        log.debug("Redis is away; it forgets the worker %s by itself", worker.name)
