"""The supervisor: starts the workers, restarts those that die or have stalled, and sweeps."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from flask import Flask
from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.doorbells import neighbours
from portal_actions_plugin.runner.housekeeper import Housekeeper
from portal_actions_plugin.runner.liveness.lookout import Lookout, ToReplace
from portal_actions_plugin.runner.liveness.places import Place
from portal_actions_plugin.runner.liveness.service_manager import ServiceManager
from portal_actions_plugin.runner.liveness.watchdog import Watchdog
from portal_actions_plugin.runner.process.connections import Connections
from portal_actions_plugin.runner.process.forking import adopt_orphans, die_with_parent, reset_after_fork, signals_held
from portal_actions_plugin.runner.process.interruptions import StopRequest
from portal_actions_plugin.runner.process.leftovers import Leftovers, own_children
from portal_actions_plugin.runner.process.preload import preload
from portal_actions_plugin.runner.sweeper import sweep
from portal_actions_plugin.runner.teller import Teller
from portal_actions_plugin.runner.template_watch import TemplateWatch
from portal_actions_plugin.runner.worker import work
from portal_actions_plugin.runs.news.delivery import deliver_by
from portal_actions_plugin.runs.reading import workers
from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import transaction

log = logging.getLogger(__name__)

T = TypeVar("T")

TICK_SECONDS = 0.25
WAIT_FOR_DATABASE = 1.0
BEAT_SECONDS = 5
END_LEFTOVERS_SECONDS = 2.0

STOPPED = 0
"""Exit status of a supervisor that was told to stop."""

CANNOT_FORK = 71
"""Exit status of a supervisor that could not fork a worker for too long: EX_OSERR of sysexits.h."""


def once_it_answers(ask: Callable[[], T]) -> T:
    """Ask the database something, for as long as it is away: to end would be to wait for somebody who starts this anew.

    Args:
        ask: asks it, and may be called any number of times.

    Returns:
        What it answered.
    """
    while True:
        try:
            return ask()
        except DBAPIError as error:
            away.bear(error, log, "no worker starts while the database is away (what to do: flask actions doctor)")
        time.sleep(WAIT_FOR_DATABASE)


class Supervisor:
    """Runs until it is told to stop: once for a calm end, twice for one at once."""

    def __init__(self, app: Flask, queues: Sequence[str], workers: int, alive_file: Path | None = None) -> None:
        """Prepare.

        Args:
            app: the host's app, loaded already: workers are forked from it.
            queues: the queues to work on; a worker process has one.
            workers: worker processes for each queue.
            alive_file: a file to touch while the loop turns, for a probe.
        """
        self._app = app
        host = socket.gethostname()
        self._places = [
            Place(queue, f"{host}:{os.getpid()}:{queue}:{n + 1}") for queue in queues for n in range(workers)
        ]
        self._connections = Connections()
        self._lookout = Lookout(self._places)
        self._manager = ServiceManager(alive_file)
        self._watchdog = Watchdog("the supervisor", extension().config.stall_seconds)
        self._beat_seconds = min(BEAT_SECONDS, extension().config.stall_seconds / 8)
        self._cannot_fork_since: float | None = None
        self._teller = Teller(app, self._connections, self._watchdog)
        self._housekeeper = Housekeeper(app, self._connections, self._watchdog)
        self._templates = TemplateWatch(app, self._connections, self._watchdog)

    def run(self) -> int:
        """Keep the workers alive and sweep, until told to stop; then wait for them.

        Returns:
            The process's exit status: ``STOPPED`` or ``CANNOT_FORK``. One that stands still ends by its watchdog.
        """
        stop = StopRequest()
        adopt_orphans()
        preload(extension())
        deliver_by(self._teller)
        self._hosts_own = own_children()
        # What is there stays: no collection of a worker or a job process looks through it, or copies its memory.
        gc.collect()
        gc.freeze()
        with self._watchdog:
            self._lookout.forget_predecessors()
            self._start_due()
            self._manager.ready()
            self._keep_going(stop)
            self._manager.stopping()
            self._stop(stop)
        return STOPPED if stop.calm else CANNOT_FORK

    def _keep_going(self, stop: StopRequest) -> None:
        swept = beaten = float("-inf")
        while not stop.calm and not self._has_given_up():
            now = time.monotonic()
            self._turned()
            self._reap()
            self._start_due()
            if now - swept >= extension().config.sweep_seconds:
                self._sweep()
                swept = now
            self._teller.turn()
            self._housekeeper.turn()
            self._templates.turn()
            if now - beaten >= self._beat_seconds:
                self._look_after_workers()
                beaten = now
            time.sleep(TICK_SECONDS)

    def _turned(self) -> None:
        self._watchdog.turned()
        there = sum(1 for place in self._places if place.pid)
        self._manager.turned(f"{there} of {len(self._places)} workers are there")

    def _sweep(self) -> None:
        # A context of its own: what host code opens in it is closed with it, before the next fork.
        with self._app.app_context():
            neighbours.be_seen()
            sweep(self._watchdog.turned, self._teller.add)
            self._templates.listen()

    def _start_due(self) -> None:
        now = time.monotonic()
        for place in self._places:
            if not place.pid and place.start_at <= now:
                self._start(place)

    def _start(self, place: Place) -> None:
        place.began(time.monotonic())
        try:
            self._connections.close_all()
        except RuntimeError as error:
            return self._cannot_fork(place, error)
        try:
            self._fork(place)
        except OSError as error:
            return self._cannot_fork(place, error)
        self._cannot_fork_since = None
        return None

    def _cannot_fork(self, place: Place, error: Exception) -> None:
        log.error("the worker %s cannot be forked yet: %s", place.name, error)
        place.died(place.born)
        self._cannot_fork_since = self._cannot_fork_since or place.born

    def _fork(self, place: Place) -> None:
        """Fork a place's worker. A watchdog that cannot be started again ends this process: its worker is alive by then."""
        parent = os.getpid()
        reached("fork_worker.before")
        with self._watchdog.away(), signals_held():
            place.pid = os.fork()
            if place.pid == 0:
                self._be_a_worker(place, parent)
        reached("fork_worker.parent")

    def _has_given_up(self) -> bool:
        """Whether no worker could be forked for too long: whoever restarts this process mends more than it can."""
        seconds = extension().config.stall_seconds
        since = self._cannot_fork_since
        if since is None or time.monotonic() - since < seconds:
            return False
        log.critical("no worker could be forked for %g s: ending with status %d", seconds, CANNOT_FORK)
        return True

    def _be_a_worker(self, place: Place, parent: int) -> None:
        status = 1
        try:
            self._watchdog.forget()
            os.setsid()
            die_with_parent(parent, signal.SIGTERM)
            reset_after_fork()
            self._connections.forget()
            reached("fork_worker.child")
            work(self._app, place.queue, place.name, self._connections, place.pulse)
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
                    place.died_with = status
                    place.died(time.monotonic())
                    self._end_leftovers()
                    log.warning("the worker %s died with status %d and is started again", place.name, status)

    def _end_leftovers(self) -> None:
        """End what the job process of a dead worker has started: nobody else is left to do it, and it may be writing."""
        workers = {place.pid for place in self._places if place.pid}
        # Each worker is a session of its own, so what is in ours was started here, by the host.
        its_own = own_children(os.getsid(0))
        if not Leftovers(self._hosts_own | its_own | workers).end(END_LEFTOVERS_SECONDS):
            log.error("a dead worker's job process has started what cannot be ended")

    def _look_after_workers(self) -> None:
        self._replace(self._lookout.standing_still())
        self._lookout.say_who_is_missing()
        try:
            self._lookout.tell()
            self._replace(self._lookout.deaf())
        except DBAPIError as error:
            away.bear(error, log, "the workers cannot be marked as alive")

    def _replace(self, stalled: Sequence[ToReplace]) -> None:
        for one in stalled:
            # A calm end is for who hears: one that was stopped, or hangs, does not. Whoever does not read the log, which
            # may be what it hangs in, must not keep it alive.
            os.kill(one.place.pid, signal.SIGKILL)
            log.error("killed the worker %s (process %d): %s", one.place.name, one.place.pid, one.why)

    def _stop(self, stop: StopRequest) -> None:
        self._templates.end()
        log.info("stopping: workers finish their steps; a second signal ends them at once")
        sent, beaten = 0, float("-inf")
        while any(place.pid for place in self._places):
            self._turned()
            if time.monotonic() - beaten >= self._beat_seconds:
                self._mark_those_left()
                beaten = time.monotonic()
            if sent < min(max(stop.count, 1), 2):
                sent += 1
                self._signal_workers()
            self._replace(self._lookout.standing_still())
            for place in self._places:
                if place.pid and os.waitpid(place.pid, os.WNOHANG)[0]:
                    place.pid = 0
                    self._end_leftovers()
            time.sleep(0.05)
        self._housekeeper.end()
        self._teller.end(self._turned)
        self._forget_workers()

    def _signal_workers(self) -> None:
        for place in self._places:
            if place.pid:
                os.kill(place.pid, signal.SIGTERM)

    def _mark_those_left(self) -> None:
        try:
            self._lookout.tell_of_those_left()
        except DBAPIError as error:
            away.bear(error, log, "the workers that finish their steps cannot be marked as alive")

    def _forget_workers(self) -> None:
        try:
            with transaction("workers_stopped") as tx:
                workers.forget(tx, [place.name for place in self._places])
        except DBAPIError as error:
            away.bear(error, log, "the workers cannot be marked as stopped")
