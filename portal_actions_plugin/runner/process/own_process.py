"""Whether a handler has left its process what it was: not forked into two, and with the descriptors that are ours."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

log = logging.getLogger(__name__)


def _nobody() -> None:
    """Tell nobody: nobody waits for a word."""


class OwnProcess:
    """The process that claims and records, as it was before a handler was called in it."""

    def __init__(self, *descriptors: int, spoilt: Callable[[], None] = _nobody) -> None:
        """Remember it.

        Args:
            descriptors: ours, which nobody else may close or replace. What happened to them has happened to those of
                database connections too: SQLite would write into whatever file has their number next.
            spoilt: called when that has happened, just before the process ends.
        """
        self._pid = os.getpid()
        self._descriptors = {descriptor: _identity(descriptor) for descriptor in descriptors}
        self._spoilt = spoilt

    def is_forked(self) -> bool:
        """Whether this is a child that somebody forked from the process."""
        return os.getpid() != self._pid

    def require(self) -> None:
        """Raise RuntimeError in a forked child; end the process when its descriptors are not its own any more."""
        if self.is_forked():
            raise RuntimeError(
                "A forked child cannot use ctx: its database connection is its parent's. Hand what is to be said to "
                "the process that the handler was called in, as with multiprocessing.Queue."
            )
        self._end_if_spoilt()

    def leave_if_not_ours(self, cause: BaseException | None = None) -> None:
        """End a forked child that has come back from a handler, and a process that a handler has spoilt, here and now.

        Args:
            cause: what the handler raised.
        """
        if self.is_forked():
            if cause is not None and not isinstance(cause, SystemExit):
                log.error("a process that a handler had forked failed", exc_info=cause)
            # Nothing is flushed: what waits in buffers is the parent's to write.
            os._exit(_exit_status(cause))
        self._end_if_spoilt()

    def _end_if_spoilt(self) -> None:
        if any(_identity(descriptor) != was for descriptor, was in self._descriptors.items()):
            self._spoilt()
            os._exit(1)


def _exit_status(cause: BaseException | None) -> int:
    if isinstance(cause, SystemExit):
        return cause.code if isinstance(cause.code, int) else int(cause.code is not None)
    return int(cause is not None)


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino
