"""The parent's watch over one job process: renew its lease, read cancel and deadline, end it when it must."""

from __future__ import annotations

import logging
import math
import os
import select as io
import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import cast

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from portal_actions_plugin import away
from portal_actions_plugin.db import Row, single_read, transaction
from portal_actions_plugin.extension import extension
from portal_actions_plugin.models import ActionRunRow
from portal_actions_plugin.runner.processes import StopRequest
from portal_actions_plugin.runner.shared import Shared, SpokenLines
from portal_actions_plugin.runs import claims, log_lines
from portal_actions_plugin.runs.log_lines import Line
from portal_actions_plugin.runs.states import CANCELED, RUNNING

log = logging.getLogger(__name__)

ORDER_BYTES = 36
"""The length of a run's id."""

LOOK_SECONDS = 0.5
LEASH = 0.9
"""The part of a lease after which a job process is killed when it was not renewed: before anybody else may act."""

LAST_WORDS_SECONDS = 10
"""How long the lines that a process has left wait for a database that is away; its run is over, or not to be saved."""

_STANDING_BY = b"."
_WORDS_AT_ONCE = 64


def tell_standing_by(pipe: int) -> None:
    """Tell the parent, from the job process, that all it was told to do is done and it waits for more."""
    os.write(pipe, _STANDING_BY)


class JobProcess:
    """A forked child in a process group of its own, a pipe to it and one from it, and its deadline.

    Attributes:
        deadline: when its time is over; never, when its handler is through.
        spoken: the lines of its run's log that wait to be written.
        exit_status: None while it runs; below 0 when a signal ended it.
        killed: whether it was told to go.
        stands_by: whether it waits for a run; then it has no row, no lock and no lease.
    """

    def __init__(self, pid: int, process_token: str, shared: Shared, *, orders: int, words: int) -> None:
        self.pid = pid
        self.process_token = process_token
        self.deadline = shared.deadline
        self.spoken = shared.spoken
        self.exit_status: int | None = None
        self.killed = False
        self.stands_by = True
        self._words = words
        self._orders: int | None = orders

    def begin(self, run_id: str) -> None:
        """Tell a child that stands by which run to begin with."""
        self.stands_by = False
        try:
            os.write(cast("int", self._orders), run_id.encode())
        except BrokenPipeError:
            log.debug("job process %d is gone; whoever waits for it sees that", self.pid)

    def dismiss(self) -> None:
        """Let the child end when its run is over, and at once when it stands by."""
        if self._orders is not None:
            os.close(self._orders)
            self._orders = None

    def wait(self, seconds: float) -> bool:
        """Wait for it to stand by or end, at most so long; True once it is reaped, and what it started is gone."""
        if io.select([self._words], [], [], seconds)[0] and os.read(self._words, _WORDS_AT_ONCE):
            self.stands_by = True
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        # Before it is reaped its id is nobody else's, and what it left behind may still be writing.
        self._kill_all()
        _, status = os.waitpid(self.pid, 0)
        self.exit_status = os.waitstatus_to_exitcode(status)
        os.close(self._words)
        self.dismiss()
        return True

    def kill(self) -> None:
        """Kill the child and what it started; ``wait`` then reaps it."""
        if self.exit_status is None:
            self.killed = True
            self._kill_all()

    def _kill_all(self) -> None:
        # Never a group that is not the child's own: it could be ours.
        if os.getpgid(self.pid) == self.pid:
            os.killpg(self.pid, signal.SIGKILL)
        else:
            os.kill(self.pid, signal.SIGKILL)


class Leash:
    """Kills a job process whose lease was not renewed in time, or whose time is over.

    It needs no database for that: a parent may hang in it, and others may reach it when this one does not.
    """

    def __init__(self, job: JobProcess, seconds: float) -> None:
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
        """Count anew from the moment at which the renewal was asked for."""
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
            log.warning("killing job process %d: its time is over, or its lease not renewed in time", self._job.pid)
            self._job.kill()
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
    look = _Look(job.process_token, config.lease_seconds)
    lines = _Lines(job.spoken)
    renewed = time.monotonic()
    with Leash(job, config.lease_seconds * LEASH) as leash:
        while not job.wait(min(LOOK_SECONDS, config.lease_renew_seconds)):
            if job.stands_by:
                return False
            turned()
            if stop.calm:
                job.dismiss()
            now = time.monotonic()
            try:
                if not job.killed and (why := _must_end(job, stop, look)):
                    log.warning("killing job process %d: %s", job.pid, why)
                    job.kill()
                if now - renewed >= config.lease_renew_seconds:
                    with transaction("renew") as tx:
                        claims.renew(tx, job.process_token, config.lease_seconds)
                    leash.renewed(now)
                    renewed = now
            except DBAPIError as error:
                away.bear(error, log, "the lease of a job process cannot be renewed")
            lines.write_what_waits()
    lines.write_what_is_left()
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

    def __init__(self, process_token: str, lease_seconds: float) -> None:
        self._process_token = process_token
        self._lease_seconds = lease_seconds
        self._had: set[str] = set()
        self._active_at = time.monotonic()

    def must_end(self) -> str | None:
        """Why the process must end now, if it must."""
        rows = self._rows()
        if not self._had <= {row["id"] for row in rows}:
            return "another process has taken its run over"
        if any(row["status"] == CANCELED for row in rows):
            return "its run was canceled"
        self._had = {row["id"] for row in rows if row["status"] == RUNNING}
        if self._had:
            self._active_at = time.monotonic()
        if time.monotonic() - self._active_at > self._lease_seconds:
            return "it has had no running run for a whole lease"
        return None

    def _rows(self) -> Sequence[Row]:
        with single_read() as db:
            return db.rows(
                select(ActionRunRow.id, ActionRunRow.status).where(ActionRunRow.process_token == self._process_token)
            )


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
