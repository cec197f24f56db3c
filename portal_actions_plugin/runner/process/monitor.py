"""The parent's watch over one job process: renew its lease, read cancel and deadline, end it when it must.

What becomes of its runs then is said in ``runner/recovery.py``.
"""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.process.interruptions import StopRequest
from portal_actions_plugin.runner.process.job_process import JobProcess
from portal_actions_plugin.runner.process.shared_memory import SpokenLines, ToldRuns
from portal_actions_plugin.runs.changes import claims, log_lines
from portal_actions_plugin.runs.changes.log_lines import Line
from portal_actions_plugin.runs.news import announced
from portal_actions_plugin.runs.states import CANCELED, RUNNING
from portal_actions_plugin.storage import away, tables
from portal_actions_plugin.storage.sessions import Row, Transaction, single_read, transaction
from portal_actions_plugin.storage.sql import now_plus

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
WOKEN_SECONDS = 0.01
"""A pause after a wake-up with no news: a handler may write for ever to what wakes this process."""

LEASH = 0.9
"""The part of a lease after which a job process is killed when it was not renewed: before anybody else may act."""

LAST_WORDS_SECONDS = 10
"""How long the lines that a process has left wait for a database that is away; its run is over, or not to be saved."""


class Leash:
    """Kills a job process whose lease was not renewed in time, or whose time is over.

    It needs no database for that, and no log: a parent may hang in either, and others may reach what this one does not.

    Attributes:
        has_killed: whether it did.
    """

    def __init__(self, job: JobProcess, seconds: float) -> None:
        self.has_killed = False
        self._job = job
        self._seconds = seconds
        self._lease_ends_at = time.monotonic() + seconds

    def __enter__(self) -> Leash:
        self._before = signal.signal(signal.SIGALRM, self._look)
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)

    def renewed(self, asked_at: float) -> None:
        """Count the lease anew.

        Args:
            asked_at: just before the renewal was asked for, in seconds of the machine's monotonic clock.
        """
        self._lease_ends_at = asked_at + self._seconds
        self._wait()

    def _wait(self) -> None:
        # The deadline is another one with every step, and nobody says so.
        seconds = min(self._ends_at() - time.monotonic(), LOOK_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))

    def _ends_at(self) -> float:
        return math.inf if self._job.killed else min(self._lease_ends_at, self._job.deadline.moment())

    def _look(self, _signum: int, _frame: FrameType | None) -> None:
        if time.monotonic() >= self._ends_at():
            self._job.kill()
            self.has_killed = True
        self._wait()


def _nobody() -> None:
    """Tell nobody: nobody watches."""


def watch(job: JobProcess, stop: StopRequest, turned: Callable[[], None] = _nobody) -> bool:
    """Stay with a job process until it is gone, or stands by. Redis is not asked for anything here.

    Args:
        job: the process.
        stop: whether the worker was told to stop.
        turned: called at each turn of the loop, for who watches that it turns.

    Returns:
        Whether it was ended because the worker has to stop: its step is to be handed back.
    """
    config = extension().config
    look = _Look(job, config.lease_seconds)
    lines = _Lines(job.spoken)
    told = _Told(job.told)
    renewed = looked = time.monotonic()
    pause = min(LOOK_SECONDS, config.lease_renew_seconds)
    with Leash(job, config.lease_seconds * LEASH) as leash:
        while not job.wait(pause):
            if job.stands_by:
                told.write_what_is_left()
                return False
            turned()
            if stop.calm:
                job.dismiss()
            now = time.monotonic()
            if now - looked < pause / 2:
                time.sleep(WOKEN_SECONDS)
                continue
            looked = now
            try:
                if not job.killed and (why := _must_end(job, stop, look)):
                    job.kill()
                    log.warning("killed job process %d: %s", job.pid, why)
                if now - renewed >= config.lease_renew_seconds:
                    with transaction("renew") as tx:
                        claims.renew(tx, job.process_token, config.lease_seconds)
                        told.write_what_waited(tx)
                    leash.renewed(now)
                    renewed = now
            except DBAPIError as error:
                away.bear(error, log, "the lease of a job process cannot be renewed")
            lines.write_what_waits()
    if leash.has_killed:
        log.warning("killed job process %d: its time was over, or its lease not renewed in time", job.pid)
    if job.killed and (receiver := job.call.words()):
        log.error("%s did not come to an end, and could not be interrupted: its process was killed", receiver)
    lines.write_what_is_left()
    told.write_what_is_left()
    return job.killed and _time_is_up(stop)


def _must_end(job: JobProcess, stop: StopRequest, look: _Look) -> str | None:
    if _time_is_up(stop):
        return "the worker has to stop"
    if job.deadline.moment() < time.monotonic():
        return "its run is past its deadline"
    return look.must_end()


def _time_is_up(stop: StopRequest) -> bool:
    return stop.at_once or stop.asked_for() > extension().config.drain_seconds


class _Look:
    """What the database says of a job process at work, look by look. Runs that it has ended well are of no account."""

    def __init__(self, job: JobProcess, lease_seconds: float) -> None:
        self._job = job
        self._lease_seconds = lease_seconds
        # It may have been stopped before it could tell its deadline, or after it was through. To record takes a lease
        # at most, and another one when that has to be recorded as an error.
        self._overdue = tables.action_runs.c.deadline_at < now_plus(-2 * lease_seconds)
        self._had: set[str] = set()
        self._active_at = time.monotonic()

    def must_end(self) -> str | None:
        """Why the process must end now, if it must."""
        rows = self._rows()
        if not self._had <= {row["id"] for row in rows}:
            return "another process has taken its run over"
        if any(row["status"] == CANCELED for row in rows):
            return "its run was canceled"
        if any(row["status"] == RUNNING and row["overdue"] for row in rows):
            return "its run is long past its deadline, and it does not record how that ended"
        self._had = {row["id"] for row in rows if row["status"] == RUNNING}
        if self._had or self._job.call.is_between_handlers():
            self._active_at = time.monotonic()
        if time.monotonic() - self._active_at > self._lease_seconds:
            return "it has had no running run for a whole lease"
        return None

    def _rows(self) -> Sequence[Row]:
        with single_read() as db:
            return db.rows(
                select(tables.action_runs.c.id, tables.action_runs.c.status, self._overdue.label("overdue")).where(
                    tables.action_runs.c.process_token == self._job.process_token
                )
            )


class _Told:
    """Writes for a process that it has told of ends: while it has no transaction of its own, and when it is through."""

    def __init__(self, told: ToldRuns) -> None:
        self._told = told
        self._seen: frozenset[str] = frozenset()

    def write_what_waited(self, tx: Transaction) -> None:
        """Write, along with something else, what was there at the last look, and is still there."""
        waiting = frozenset(self._told.waiting())
        if waited := waiting & self._seen:
            announced.take_along(tx, sorted(waited))
        self._seen = waiting

    def write_what_is_left(self) -> None:
        """Write all, for a process that adds none just now; what cannot be written waits on, or is told once more."""
        if not (left := self._told.waiting()):
            return
        try:
            with transaction("announced") as tx:
                announced.write(tx, left)
            self._told.forget(left)
        except DBAPIError as error:
            away.bear(error, log, "that a job process has told of ends cannot be written")


class _Lines:
    """Writes for a process what it has said and not written: while it is silent, and when it is gone."""

    def __init__(self, spoken: SpokenLines) -> None:
        self._spoken = spoken
        self._written: tuple[int, int] | None = None

    def write_what_waits(self) -> None:
        """Write the lines that have waited for longer than a process lets them."""
        mark = self._spoken.mark()
        if mark == self._written:
            return
        lines = self._spoken.waiting()
        if lines and lines[0].age > SpokenLines.WAIT_SECONDS and self._write(lines):
            self._written = mark

    def write_what_is_left(self) -> None:
        """Write all that is there: what a process said last says why it is gone."""
        give_up = time.monotonic() + LAST_WORDS_SECONDS
        while not self._write(self._spoken.waiting()) and time.monotonic() < give_up:
            time.sleep(LOOK_SECONDS)

    def _write(self, lines: Sequence[Line]) -> bool:
        try:
            if lines:
                with transaction("log") as tx:
                    log_lines.add_left(tx, lines)
        except DBAPIError as error:
            away.bear(error, log, "the lines of a job process cannot be written")
            return False
        return True
