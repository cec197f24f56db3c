"""A worker's job process: forked ahead of need, told which run to begin with, watched, and dealt with when it has died."""

from __future__ import annotations

import logging
import os
import uuid

from flask import Flask
from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runner.doorbells.listener import NOBODY, still_due
from portal_actions_plugin.runner.liveness.pulse import Doing
from portal_actions_plugin.runner.liveness.vitals import Vitals
from portal_actions_plugin.runner.process.connections import Connections
from portal_actions_plugin.runner.process.forking import signals_held
from portal_actions_plugin.runner.process.interruptions import StopRequest
from portal_actions_plugin.runner.process.job_process import JobProcess
from portal_actions_plugin.runner.process.leftovers import Leftovers, own_children
from portal_actions_plugin.runner.process.main import JobProcessMain
from portal_actions_plugin.runner.process.monitor import watch
from portal_actions_plugin.runner.process.shared_memory import Shared, Word
from portal_actions_plugin.runner.teller import Teller
from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.pause_points import reached

log = logging.getLogger(__name__)

DISMISS_SECONDS = 1.0
BEGIN_ATTEMPTS = 3
"""A process that dies before it has read which run to begin with has done nothing: another one may begin at once."""


class Prefork:
    """The job process of one worker: there is one at a time, and it stands by before anybody rings."""

    def __init__(
        self, app: Flask, queue: str, place: str, connections: Connections, vitals: Vitals, teller: Teller
    ) -> None:
        """Prepare; nothing is forked yet.

        Args:
            app: the host's app.
            queue: the queue whose due runs a job process goes on with.
            place: the worker's name, for people.
            connections: of this process to databases; closed before each fork.
            vitals: told at each turn of the watch over a run.
            teller: tells what a process that has died could not.
        """
        self._app = app
        self._queue = queue
        self._place = place
        self._connections = connections
        self._vitals = vitals
        self._teller = teller
        self._process: JobProcess | None = None

    def stand_by(self) -> JobProcess:
        """Have a job process stand by: one that has done what it was told, or else one that is forked now.

        Raises:
            RuntimeError: a database connection is in use.
            OSError: no process can be forked.
        """
        if self._process and self._process.wait(0):
            log.warning("a job process that stood by ended with status %s", self._process.exit_status)
            self._process = None
        if self._process is None:
            self._process = self._fork()
            # The next question finds a connection again: all were closed for the fork.
            still_due([NOBODY])
        return self._process

    def dismiss(self) -> None:
        """End the job process that stands by."""
        if self._process:
            self._process.dismiss()
            while not self._process.wait(DISMISS_SECONDS):
                self._process.kill()

    def run(self, run_id: str, stop: StopRequest) -> None:
        """Let a job process begin with a run and stay with it until it has died, or stands by again.

        Args:
            run_id: an action run's id; the process may go on with others.
            stop: whether the worker was told to stop.
        """
        for _ in range(BEGIN_ATTEMPTS):
            process = self.stand_by()
            self._vitals.turn(Doing.WORKING)
            reached("begin.before")
            process.begin(run_id)
            reached("begin.after")
            stopped = watch(process, stop, self._turned)
            if not process.gone:
                return
            self._process = None
            if process.has_begun() or stopped:
                break
        self._deal_with_death(process, run_id, stopped)

    def _turned(self) -> None:
        self._vitals.turn(Doing.WORKING)
        self._teller.look()

    def _deal_with_death(self, process: JobProcess, run_id: str, stopped: bool) -> None:  # noqa: FBT001 what `watch` says
        """See to what a process that is gone has left: it may hold a lock, and may not have recorded how a run ended."""
        if not process.leaves_nobody:
            log.error(
                "what the job process of run %s has started cannot be ended: its lock is kept until its lease is over",
                run_id,
            )
            return
        if process.has_done() and process.word() is not Word.DONE_HOLDING_A_LOCK:
            return
        with self._app.app_context():
            try:
                if process.word() is Word.SPOILT:
                    recovery.fail_spoilt(process.process_token)
                elif process.call.is_between_handlers():
                    recovery.begin_again(process.process_token, process.call.change())
                elif stopped:
                    recovery.hand_back(process.process_token)
                else:
                    recovery.recover_process(process.process_token)
                if not process.has_done():
                    log.warning("the job process of run %s ended with status %s", run_id, process.exit_status)
                    recovery.ring_soon(run_id)
                for finished, untold in recovery.untold_of(process.process_token):
                    self._teller.add(finished, untold)
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
