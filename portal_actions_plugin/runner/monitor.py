"""The parent's watch over one job process: renew its lease, read cancel and deadline, end it when it must."""

from __future__ import annotations

import logging
import math
import os
import select as io
import signal
import struct
import time
from collections.abc import Sequence
from types import FrameType

from sqlalchemy import RowMapping, select
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.db import reading, transaction
from portal_actions_plugin.extension import extension
from portal_actions_plugin.models import ActionRunRow
from portal_actions_plugin.runner.processes import StopRequest
from portal_actions_plugin.runs import transitions
from portal_actions_plugin.runs.states import CANCELED, RUNNING

log = logging.getLogger(__name__)

_MOMENT = struct.Struct("d")

LOOK_SECONDS = 1.0
LEASH = 0.9
"""The part of a lease after which a job process is killed when it was not renewed: before anybody else may act."""


def tell_time_left(pipe: int, seconds: float) -> None:
    """Tell the parent, from the job process, how long it may still go on; infinity is as long as it has its lease."""
    # As a moment: the monotonic clock is the machine's, and a parent that was stopped may read this late.
    os.write(pipe, _MOMENT.pack(time.monotonic() + seconds))


class JobProcess:
    """A forked child in a process group of its own, with a pipe that says how long it may take, and closes at its end.

    Attributes:
        exit_status: None while it runs; below 0 when a signal ended it.
        killed: whether it was told to go.
        ends_at: when its time is over, by the machine's monotonic clock; infinity when its handler is through.
    """

    def __init__(self, pid: int, pipe: int, process_token: str) -> None:
        self.pid = pid
        self.process_token = process_token
        self.exit_status: int | None = None
        self.killed = False
        self.ends_at: float | None = None
        self._pipe = pipe

    def wait(self, seconds: float) -> bool:
        """Wait for news, at most so long; True once the child is reaped, and what it started is gone."""
        if io.select([self._pipe], [], [], seconds)[0] and (word := os.read(self._pipe, _MOMENT.size)):
            self.ends_at = _MOMENT.unpack(word)[0]
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        # Before it is reaped its id is nobody else's, and what it left behind may still be writing.
        self._kill_all()
        _, status = os.waitpid(self.pid, 0)
        self.exit_status = os.waitstatus_to_exitcode(status)
        os.close(self._pipe)
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
        self._before = signal.signal(signal.SIGALRM, self._let_go)
        self.tighten()
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)

    def renewed(self, asked_at: float) -> None:
        """Count anew from the moment at which the renewal was asked for."""
        self._lease_ends_at = asked_at + self._seconds
        self.tighten()

    def tighten(self) -> None:
        """Set the alarm to whatever is over first."""
        ends_at = min(self._lease_ends_at, self._job.ends_at or math.inf)
        signal.setitimer(signal.ITIMER_REAL, max(ends_at - time.monotonic(), 0.001))

    def _let_go(self, _signum: int, _frame: FrameType | None) -> None:
        if not self._job.killed:
            log.warning("killing job process %d: its time is over, or its lease not renewed in time", self._job.pid)
            self._job.kill()


def watch(job: JobProcess, stop: StopRequest) -> bool:
    """Stay with a job process until it is gone. Redis is not asked for anything here.

    Returns:
        Whether it was ended because the worker has to stop: its step is to be handed back.
    """
    config = extension().config
    look = _Look(job.process_token, config.lease_seconds)
    looked = renewed = time.monotonic()
    with Leash(job, config.lease_seconds * LEASH) as leash:
        while not job.wait(min(LOOK_SECONDS, config.lease_renew_seconds)):
            leash.tighten()
            now = time.monotonic()
            if now - looked < LOOK_SECONDS / 2:
                continue  # the child had something to say
            looked = now
            try:
                if not job.killed and (why := _must_end(job, stop, look)):
                    log.warning("killing job process %d: %s", job.pid, why)
                    job.kill()
                if now - renewed >= config.lease_renew_seconds:
                    with transaction("renew") as tx:
                        transitions.renew(tx, job.process_token, config.lease_seconds)
                    leash.renewed(now)
                    renewed = now
            except SQLAlchemyError as error:
                log.warning("the lease of job process %d could not be renewed: %s", job.pid, error)
    return job.killed and _time_is_up(stop)


def _must_end(job: JobProcess, stop: StopRequest, look: _Look) -> str | None:
    if _time_is_up(stop):
        return "the worker has to stop"
    if job.ends_at is not None and job.ends_at < time.monotonic():
        return "its run is past its deadline"
    return look.must_end()


def _time_is_up(stop: StopRequest) -> bool:
    return stop.at_once or stop.asked_for() > extension().config.drain_seconds


class _Look:
    """What the database says of a job process, look by look."""

    def __init__(self, process_token: str, lease_seconds: float) -> None:
        self._process_token = process_token
        self._lease_seconds = lease_seconds
        self._had_a_row = False
        self._active_at = time.monotonic()

    def must_end(self) -> str | None:
        """Why the process must end now, if it must."""
        rows = self._rows()
        if not rows and self._had_a_row:
            return "another process has taken its run over"
        if any(row["status"] == CANCELED for row in rows):
            return "its run was canceled"
        running = [row for row in rows if row["status"] == RUNNING]
        self._had_a_row = bool(rows)
        if running:
            self._active_at = time.monotonic()
        if time.monotonic() - self._active_at > self._lease_seconds:
            return "it has had no running run for a whole lease"
        return None

    def _rows(self) -> Sequence[RowMapping]:
        with reading() as db:
            return db.rows(select(ActionRunRow.status).where(ActionRunRow.process_token == self._process_token))
