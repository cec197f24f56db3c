"""A job process: stands by for a run, makes it, and goes on with what is due in its queue for as long as it may.

The rows are queued and claimed as always. What is saved is the fork, and what a fresh process must set up.
"""

from __future__ import annotations

import contextvars
import decimal
import logging
import math
import os
import select
import signal
import time
from collections.abc import Sequence
from typing import NoReturn

from flask import Flask
from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.runner.attempt import execute, run_logs
from portal_actions_plugin.runner.attempt.execute import Aftermath
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runner.attempt.queued_run import load_queued_run
from portal_actions_plugin.runner.process.forking import (
    Connections,
    adopt_orphans,
    die_with_parent,
    reset_after_fork,
    seed_anew,
)
from portal_actions_plugin.runner.process.job_process import wake_up
from portal_actions_plugin.runner.process.own_process import OwnProcess
from portal_actions_plugin.runner.process.shared_memory import Shared, Word
from portal_actions_plugin.runner.process.traces import Surroundings, open_files, peak_memory
from portal_actions_plugin.runs.changes import due
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import single_read

log = logging.getLogger(__name__)

ORDER_BYTES = 36
"""The length of a run's id."""

MAX_RUNS = 500
"""After so many, a fork costs nothing beside them, and what handlers leak bit by bit goes with the process."""

MAX_SECONDS = 20.0
"""Counted from its first run: beside runs that take so long, a fork costs nothing."""

MAX_GROWTH = 64 * 2**20
"""Bytes of memory that a process may gain before it is replaced."""

MAX_OPEN_FILES = 64
"""More than that it may not have open than it had at first."""

CANDIDATES = 4
"""Other workers want the oldest run too: whoever comes too late takes the next one."""

NOBODY = "00000000-0000-0000-0000-000000000000"
"""No run's id: to ask for it opens a connection, and whoever asks next finds it open."""


class JobProcessMain:
    """What a worker's child does from its fork to its end."""

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
        self._claims = 0
        self._began: float | None = None
        self._ours = OwnProcess(orders, words, spoilt=self._tell_spoilt)
        self._performer = Performer(process_token, place, self._tell, self.may_go_on, shared.spoken, self._ours)

    def live(self, parent: int, connections: Connections) -> NoReturn:
        """Set up, obey, and end."""
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

    def may_go_on(self) -> bool:
        """Whether the next run may be made in this process, should all of it go well until now."""
        if self._claims >= MAX_RUNS or time.monotonic() - (self._began or math.inf) > MAX_SECONDS:
            return False
        if self._is_dismissed():
            return False
        if changed := self._changed():
            log.info("a handler has left its process changed, which ends with it: %s", ", ".join(changed))
            return False
        return peak_memory() - self._memory <= MAX_GROWTH

    def _changed(self) -> Sequence[str]:
        try:
            changed = Surroundings.of_this_process().changed_since(self._surroundings)
            if _settings(self._app) != self._settings:
                changed.append("the app's settings")
            if open_files() - self._open_files > MAX_OPEN_FILES:
                changed.append("open files")
        except Exception as error:  # noqa: BLE001 even what is asked here can be replaced
            return [f"it cannot be looked at: {type(error).__name__}"]
        return changed

    def _set_up(self, parent: int, connections: Connections) -> None:
        os.setpgid(0, 0)
        die_with_parent(parent, signal.SIGKILL)
        adopt_orphans()
        reset_after_fork()
        connections.forget()
        reached("fork_job.child")
        self._warm_up()
        self._surroundings = Surroundings.of_this_process()
        self._settings = _settings(self._app)
        self._open_files = open_files()
        self._memory = peak_memory()

    def _warm_up(self) -> None:
        """Have the first run find an open connection."""
        try:
            with self._app.app_context():
                load_queued_run(NOBODY)
        except DBAPIError as error:
            away.bear(error, log, "a job process stands by without the database")

    def _work(self, run_id: str | None) -> None:
        """Make the run that the worker named, and then what is due, each at most once: a row may be refused for ever."""
        self._began = self._began or time.monotonic()
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
                left, due_now = contextvars.copy_context().run(self._perform, run_id, redactor)
            except BaseException:
                log.exception("the job process of run %s failed", run_id)
                self._end(Word.NOTHING)
            # Masked to the very end: a thread of the handler may still be at it when the attempt is over.
            if left.lock:
                self._end(Word.DONE_HOLDING_A_LOCK)
            if due_now is None:
                self._end(Word.DONE)
        return due_now

    def _perform(self, run_id: str, redactor: Redactor) -> tuple[Aftermath, Sequence[str] | None]:
        # The context of decimals is an object that is changed in place: a copy of a context variable has the same one.
        decimal.setcontext(decimal.getcontext().copy())
        with self._app.app_context():
            left = execute.perform(run_id, self._performer, redactor)
            reached("perform.after")
            may_go_on = not left.trouble and not left.lock and self.may_go_on()
            return left, self._due_now() if may_go_on else None

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
            self._claims += 1
        self._shared.deadline.set(seconds)

    def _is_dismissed(self) -> bool:
        # While this process is at work nobody writes to the pipe: it can be read only when it is closed.
        poll = select.poll()
        poll.register(self._orders, select.POLLIN)
        return bool(poll.poll(0))

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


def _settings(app: Flask) -> dict[str, int]:
    """Which objects the app's settings are: no code of theirs is asked."""
    return {name: id(value) for name, value in app.config.items()}
