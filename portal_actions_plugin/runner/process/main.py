"""What a job process does from its fork to its end: it stands by for a run, makes it, and goes on with what is due.

What going on saves is the fork, and what a fresh process must set up.
From here on, one attempt is ``runner/attempt/execute.py``.
"""

from __future__ import annotations

import contextvars
import decimal
import logging
import math
import os
import signal
from collections.abc import Sequence
from typing import NoReturn

from flask import Flask
from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.runner.attempt import execute, run_logs
from portal_actions_plugin.runner.attempt.execute import Aftermath
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runner.attempt.queued_run import load_queued_run
from portal_actions_plugin.runner.doorbells.listener import NOBODY
from portal_actions_plugin.runner.process.connections import Connections
from portal_actions_plugin.runner.process.forking import adopt_orphans, die_with_parent, reset_after_fork, seed_anew
from portal_actions_plugin.runner.process.going_on import GoingOn
from portal_actions_plugin.runner.process.job_process import wake_up
from portal_actions_plugin.runner.process.own_process import OwnProcess
from portal_actions_plugin.runner.process.receivers import RidingDelivery
from portal_actions_plugin.runner.process.shared_memory import Shared, Word
from portal_actions_plugin.runs.changes import due
from portal_actions_plugin.runs.news.delivery import deliver_by
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import single_read

log = logging.getLogger(__name__)

ORDER_BYTES = 36
"""The length of a run's id."""

CANDIDATES = 4
"""Other workers want the oldest run too: whoever comes too late takes the next one."""


class JobProcessMain:
    """What a worker's child does from its fork to its end; ``JobProcess`` is what the worker sees of it."""

    def __init__(
        self,
        app: Flask,
        queue: str,
        place: str,
        process_token: str,
        shared: Shared,
        *,
        orders: int,
        words: int,
    ) -> None:
        """Prepare, in the child.

        Args:
            app: the host's app.
            queue: the queue whose runs it goes on with.
            place: its worker's name, for people.
            process_token: carried by every write.
            shared: where the worker finds how long an attempt may take, and lines that are not written yet.
            orders: a pipe on which the worker names a run while this process stands by, and which it closes to end it.
            words: a pipe that wakes the worker, to look at what is said in shared memory.
        """
        self._app = app
        self._queue = queue
        self._shared = shared
        self._orders = orders
        self._words = words
        self._going_on = GoingOn(app, orders)
        self._ours = OwnProcess(orders, words, spoilt=self._tell_spoilt)
        may_go_on = self._going_on.is_allowed
        self._performer = Performer(process_token, place, self._tell, may_go_on, shared.spoken, self._ours)

    def live(self, parent: int, connections: Connections) -> NoReturn:
        """Set up, obey, and end.

        Args:
            parent: the worker's process id.
            connections: the worker's to databases, none of which is open.
        """
        try:
            self._set_up(parent, connections)
            while run_id := os.read(self._orders, ORDER_BYTES).decode():
                reached("order.read")
                self._shared.said.begin()
                self._work(run_id)
                reached("stand_by.before")
                self._shared.said.stand_by()
                reached("stand_by.said")
                wake_up(self._words)
                reached("stand_by.after")
            self._end(Word.DONE)
        except BaseException:
            log.exception("a job process failed")
        finally:
            self._end(Word.NOTHING)

    def _set_up(self, parent: int, connections: Connections) -> None:
        os.setpgid(0, 0)
        die_with_parent(parent, signal.SIGKILL)
        adopt_orphans()
        reset_after_fork()
        connections.forget()
        reached("fork_job.child")
        with self._app.app_context():
            deliver_by(RidingDelivery(self._shared.call, self._shared.deadline, self._shared.told))
        self._warm_up()
        self._going_on.remember()

    def _warm_up(self) -> None:
        """Have the first run find an open connection."""
        try:
            with self._app.app_context():
                load_queued_run(NOBODY)
        except DBAPIError as error:
            away.bear(error, log, "a job process stands by without the database")

    def _work(self, run_id: str | None) -> None:
        """Make the run that the worker named, and then what is due, each at most once: a row may be refused for ever."""
        self._going_on.begins()
        tried: set[str] = set()
        while run_id:
            tried.add(run_id)
            run_id = next((other for other in self._make(run_id) if other not in tried), None)

    def _make(self, run_id: str) -> Sequence[str]:
        """Make a run, and say what is due then; does not return when this process may not go on."""
        redactor = Redactor()
        seed_anew()
        with run_logs.speaking(redactor, {"run_id": run_id}):
            try:
                # What a handler sets for its context is gone with it.
                aftermath, due_now = contextvars.copy_context().run(self._perform, run_id, redactor)
            except BaseException:
                log.exception("the job process of run %s failed", run_id)
                self._end(Word.NOTHING)
            # Masked to the very end: a thread of the handler may still be at it when the attempt is over.
            if aftermath.lock:
                self._end(Word.DONE_HOLDING_A_LOCK)
            if due_now is None:
                self._end(Word.DONE)
        return due_now

    def _perform(self, run_id: str, redactor: Redactor) -> tuple[Aftermath, Sequence[str] | None]:
        # The context of decimals is an object that is changed in place: a copy of a context variable has the same one.
        decimal.setcontext(decimal.getcontext().copy())
        with self._app.app_context():
            aftermath = execute.perform(run_id, self._performer, redactor)
            reached("perform.after")
            may_go_on = not aftermath.trouble and not aftermath.lock and self._going_on.is_allowed()
            return aftermath, self._due_now() if may_go_on else None

    def _due_now(self) -> Sequence[str] | None:
        """What is due in this process's queue; None when nobody knows."""
        try:
            with single_read() as db:
                return due.oldest(db, self._queue, CANDIDATES)
        except DBAPIError as error:
            away.bear(error, log, "a job process ends, since it cannot know what is due")
            return None

    def _tell(self, seconds: float) -> None:
        if seconds < math.inf:
            self._going_on.has_claimed()
        self._shared.deadline.set(seconds)

    def _tell_spoilt(self) -> None:
        self._shared.said.end(Word.SPOILT)

    def _end(self, word: Word) -> NoReturn:
        """End, and let the worker know what is left to do. All is recorded by now, also should this last step hang."""
        self._ours.leave_if_not_ours()
        reached("end.before")
        self._shared.said.end(word)
        reached("end.said")
        try:
            logging.shutdown()
        finally:
            os._exit(0 if word else 1)
