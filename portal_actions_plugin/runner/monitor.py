"""The parent's watch over one job process: renew its lease, read cancel and deadline, end it when it must."""

from __future__ import annotations

import logging
import os
import select as io
import signal
import time

from sqlalchemy import func, select
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
    while not job.wait(LOOK_SECONDS):
        if stop.at_once:
            log.warning("told to stop at once: killing job process %d", job.pid)
            return job.kill()
        try:
            if _must_end(job.process_token):
                log.warning("job process %d was canceled or is past its deadline: killing it", job.pid)
                return job.kill()
            if time.monotonic() - renewed >= config.lease_renew_seconds:
                with transaction() as tx:
                    transitions.renew(tx, job.process_token, config.lease_seconds)
                renewed = time.monotonic()
        except SQLAlchemyError as error:
            log.warning("the lease of job process %d could not be renewed: %s", job.pid, error)
            if time.monotonic() - renewed > config.lease_seconds - LOOK_SECONDS:
                log.error(  # noqa: TRY400 the warning above has said why
                    "the lease of job process %d is lost: killing it", job.pid
                )
                return job.kill()
    return None


def _must_end(process_token: str) -> bool:
    """Whether a row of this process was canceled, or has run past its deadline."""
    with reading() as db:
        row = db.row(
            select(func.count().label("n")).where(
                ActionRunRow.process_token == process_token,
                (ActionRunRow.status == CANCELED)
                | ((ActionRunRow.status == RUNNING) & (ActionRunRow.deadline_at < now_plus(0))),
            )
        )
    return bool(row and row["n"])
