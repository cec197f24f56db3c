"""What interrupts a process: its own time limit, and somebody's request to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeLimitError(BaseException):
    """The time is over. Not an ``Exception``, so that a handler that catches everything does not swallow it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeLimitError within when it takes longer, so that what is within can clean up.

    Code that blocks the signal, or sets an alarm of its own, is not stopped by it: the parent's watch is for that.
    Only a main thread hears signals; elsewhere the watch alone counts.

    Args:
        seconds: above 0.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(_signum: int, _frame: FrameType | None) -> None:
        raise TimeLimitError

    began = time.monotonic()
    before = signal.signal(signal.SIGALRM, over)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            # Somebody else's alarm was set: it goes on as if nothing had been.
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 0.001))


class StopRequest:
    """Counts SIGTERM and SIGINT: the first asks for a calm end, the second for one at once."""

    def __init__(self) -> None:
        self.count = 0
        self._first_at = 0.0
        signal.signal(signal.SIGTERM, self._count)
        signal.signal(signal.SIGINT, self._count)

    def _count(self, _signum: int, _frame: FrameType | None) -> None:
        self.count += 1
        self._first_at = self._first_at or time.monotonic()

    def asked_for(self) -> float:
        """Seconds since the first of them."""
        return time.monotonic() - self._first_at if self.count else 0.0

    @property
    def calm(self) -> bool:
        return self.count > 0

    @property
    def at_once(self) -> bool:
        return self.count > 1
