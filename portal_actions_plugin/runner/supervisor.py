"""The supervisor: starts the workers, restarts those that die, and sweeps."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Flask
from sqlalchemy import delete, insert, update
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.db import Transaction, transaction
from portal_actions_plugin.extension import extension
from portal_actions_plugin.models import WorkerRow
from portal_actions_plugin.pause_points import reached
from portal_actions_plugin.runner.preload import preload
from portal_actions_plugin.runner.processes import (
    Connections,
    StopRequest,
    die_with_parent,
    reset_after_fork,
    signals_held,
)
from portal_actions_plugin.runner.sweeper import sweep
from portal_actions_plugin.runner.worker import work
from portal_actions_plugin.sql import now_plus

log = logging.getLogger(__name__)

TICK_SECONDS = 0.25
BEAT_SECONDS = 5
FORGET_SECONDS = 3600
CALM_RESTART_SECONDS = 10
MAX_RESTART_SECONDS = 30


@dataclass(slots=True)
class Place:
    """A worker's place: when its worker dies, another takes it, later each time it dies young."""

    queue: str
    name: str
    pid: int = 0
    born: float = 0.0
    start_at: float = 0.0
    backoff: float = 0.5

    def died(self, now: float) -> None:
        self.pid = 0
        lived_long = now - self.born > CALM_RESTART_SECONDS
        self.backoff = 0.5 if lived_long else min(self.backoff * 2, MAX_RESTART_SECONDS)
        self.start_at = now + (0 if lived_long else self.backoff)


def forget_gone(tx: Transaction) -> int:
    """Forget the workers that nobody has seen for an hour; says how many those are."""
    return tx.changed(delete(WorkerRow).where(WorkerRow.seen_at < now_plus(-FORGET_SECONDS)))


class Supervisor:
    """Runs until it is told to stop: once for a calm end, twice for one at once."""

    def __init__(self, app: Flask, queues: Sequence[str], workers: int) -> None:
        """Prepare.

        Args:
            app: the host's app, loaded already: workers are forked from it.
            queues: the queues to work on; a worker process has one.
            workers: worker processes for each queue.
        """
        self._app = app
        host = socket.gethostname()
        self._places = [
            Place(queue, f"{host}:{os.getpid()}:{queue}:{n + 1}") for queue in queues for n in range(workers)
        ]
        self._connections = Connections()

    def run(self) -> None:
        """Keep the workers alive and sweep, until told to stop; then wait for them."""
        stop = StopRequest()
        preload(extension())
        # What is there stays: no collection of a worker or a job process looks through it, or copies its memory.
        gc.collect()
        gc.freeze()
        self._start_due()
        swept = beaten = float("-inf")
        while not stop.calm:
            now = time.monotonic()
            self._reap()
            self._start_due()
            if now - swept >= extension().config.sweep_seconds:
                self._sweep()
                swept = now
            if now - beaten >= BEAT_SECONDS:
                self._beat()
                beaten = now
            time.sleep(TICK_SECONDS)
        self._stop(stop)

    def _sweep(self) -> None:
        # A context of its own: what a host's receiver opens in it is closed with it, before the next fork.
        with self._app.app_context():
            sweep()

    def _start_due(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if not place.pid and place.start_at <= now:
                self._start(place)

    def _start(self, place: Place) -> None:
        place.born = time.monotonic()
        try:
            self._connections.close_all()
        except RuntimeError:
            log.exception("the worker %s cannot be forked yet", place.name)
            return place.died(place.born)
        parent = os.getpid()
        reached("fork_worker.before")
        with signals_held():
            place.pid = os.fork()
            if place.pid == 0:
                self._be_a_worker(place, parent)
        reached("fork_worker.parent")
        return None

    def _be_a_worker(self, place: Place, parent: int) -> None:
        status = 1
        try:
            os.setsid()
            die_with_parent(parent, signal.SIGTERM)
            reset_after_fork()
            self._connections.forget()
            reached("fork_worker.child")
            work(self._app, place.queue, place.name, self._connections)
            status = 0
        except BaseException:
            log.exception("the worker %s failed", place.name)
        finally:
            logging.shutdown()
            os._exit(status)

    def _reap(self) -> None:
        for place in self._places:
            if place.pid:
                pid, status = os.waitpid(place.pid, os.WNOHANG)
                if pid:
                    place.died(time.monotonic())
                    log.warning("the worker %s died with status %d and is started again", place.name, status)

    def _beat(self) -> None:
        alive = [place for place in self._places if place.pid]
        try:
            with transaction("workers_seen") as tx:
                forget_gone(tx)
                for place in alive:
                    seen = update(WorkerRow).where(WorkerRow.name == place.name)
                    if not tx.changed(seen.values(seen_at=now_plus(0), pid=place.pid)):
                        tx.execute(
                            insert(WorkerRow).values(
                                name=place.name,
                                queue=place.queue,
                                host=socket.gethostname(),
                                pid=place.pid,
                                started_at=now_plus(0),
                                seen_at=now_plus(0),
                            )
                        )
        except SQLAlchemyError as error:
            log.warning("the workers could not be marked as alive: %s", error)

    def _stop(self, stop: StopRequest) -> None:
        log.info("stopping: workers finish their steps; a second signal ends them at once")
        sent = 0
        while any(place.pid for place in self._places):
            if sent < min(stop.count, 2):
                sent += 1
                self._signal_workers()
            for place in self._places:
                if place.pid and os.waitpid(place.pid, os.WNOHANG)[0]:
                    place.pid = 0
            time.sleep(0.05)
        self._forget_workers()

    def _signal_workers(self) -> None:
        for place in self._places:
            if place.pid:
                os.kill(place.pid, signal.SIGTERM)

    def _forget_workers(self) -> None:
        try:
            with transaction("workers_stopped") as tx:
                tx.changed(delete(WorkerRow).where(WorkerRow.name.in_([place.name for place in self._places])))
        except SQLAlchemyError as error:
            log.warning("the workers could not be marked as stopped: %s", error)
