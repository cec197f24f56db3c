"""The parent's watch over one job process: renew its lease, read cancel and deadline, end it when it must."""

from __future__ import annotations

import logging
import os
import select as io
import signal
import time
from collections.abc import Sequence

from sqlalchemy import RowMapping, select
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.db import now_plus, reading, transaction
from portal_actions_plugin.extension import extension
from portal_actions_plugin.models import ActionRunRow
from portal_actions_plugin.runner.processes import StopRequest
from portal_actions_plugin.runs import transitions
from portal_actions_plugin.runs.states import CANCELED, RUNNING

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class JobProcess:
    """A forked child in a process group of its own, known by a pipe that closes when it ends."""

    def __init__(self, pid: int, ended: int, process_token: str) -> None:
        self.pid = pid
        self.process_token = process_token
        self._ended = ended
        self.exit_status: int | None = None

    def wait(self, seconds: float) -> bool:
        """Wait for the end, at most so long; True once the child is reaped."""
        io.select([self._ended], [], [], seconds)
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.exit_status = status
            os.close(self._ended)
        return bool(pid)

    def kill(self) -> None:
        """Kill the child and what it started, and reap it."""
        try:
            group = os.getpgid(self.pid)
        except ProcessLookupError:
            group = None
        # Never a group that is not the child's own: it could be ours.
        if group == self.pid:
            os.killpg(group, signal.SIGKILL)
        else:
            os.kill(self.pid, signal.SIGKILL)
        while not self.wait(1.0):
            pass


def watch(job: JobProcess, stop: StopRequest) -> None:
    """Stay with a job process until it is gone. Redis is not asked for anything here."""
    config = extension().config
    renewed = time.monotonic()
    look = _Look(job.process_token, config.lease_seconds)
    while not job.wait(LOOK_SECONDS):
        try:
            why = "told to stop at once" if stop.at_once else look.must_end()
            if why:
                log.warning("killing job process %d: %s", job.pid, why)
                return job.kill()
            if time.monotonic() - renewed >= config.lease_renew_seconds:
                with transaction() as tx:
                    transitions.renew(tx, job.process_token, config.lease_seconds)
                renewed = time.monotonic()
        except SQLAlchemyError as error:
            log.warning("the lease of job process %d could not be renewed: %s", job.pid, error)
            if time.monotonic() - renewed > config.lease_seconds - LOOK_SECONDS:
                log.warning("killing job process %d: its lease is lost", job.pid)
                return job.kill()
    return None


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
        if any(row["late"] for row in running):
            return "its run is past its deadline"
        self._had_a_row = bool(rows)
        if running:
            self._active_at = time.monotonic()
        if time.monotonic() - self._active_at > self._lease_seconds:
            return "it has had no running run for a whole lease"
        return None

    def _rows(self) -> Sequence[RowMapping]:
        with reading() as db:
            return db.rows(
                select(ActionRunRow.status, (ActionRunRow.deadline_at < now_plus(0)).label("late")).where(
                    ActionRunRow.process_token == self._process_token
                )
            )
