"""What the operating system asks of processes that fork: clean connections before, a clean start after."""

from __future__ import annotations

import ctypes
import gc
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool, QueuePool

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STOPPING = (signal.SIGTERM, signal.SIGINT)


class Connections:
    """Every database connection of this process, the host's too: none may be open at a fork.

    A forked child that inherits an SQLite connection was seen to lose a committed row.
    """

    def __init__(self) -> None:
        """Start to watch; connections that are idle already are closed once, so that the count starts true."""
        self._engines: set[Engine] = {found for found in gc.get_objects() if isinstance(found, Engine)}
        self._open: set[int] = set()
        for engine in self._engines:
            engine.dispose()
        event.listen(Engine, "engine_connect", self._saw_engine)
        event.listen(Pool, "connect", self._opened)
        event.listen(Pool, "close", self._closed)
        event.listen(Pool, "close_detached", lambda dbapi_connection: self._closed(dbapi_connection, None))

    def close_all(self) -> None:
        """Close every idle connection; raises RuntimeError when one is in use."""
        in_use = sum(engine.pool.checkedout() for engine in self._engines if isinstance(engine.pool, QueuePool))
        if not in_use:
            for engine in self._engines:
                engine.dispose()
        if self._open:
            raise RuntimeError(f"{len(self._open)} database connections are open at a fork: a transaction is running.")

    def forget(self) -> None:
        """Start anew after a fork: nothing was open then."""
        self._open.clear()

    def _saw_engine(self, connection: Any) -> None:
        self._engines.add(connection.engine)

    def _opened(self, dbapi_connection: Any, _record: object) -> None:
        self._open.add(id(dbapi_connection))

    def _closed(self, dbapi_connection: Any, _record: object) -> None:
        self._open.discard(id(dbapi_connection))


def die_with_parent(parent: int, death_signal: signal.Signals) -> None:
    """Ask the kernel to end this process when its parent dies; where there is no such kernel, do without."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:
            # The parent died before the kernel knew.
            os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of what a child process leaves behind when it ends, so that it is seen; likewise."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


@contextmanager
def signals_held() -> Iterator[None]:
    """Let no signal be answered by the parent's handlers in a child that is just being forked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)


def reset_after_fork() -> None:
    """Give a forked child its own randomness, and the default answer to signals, held ones too."""
    random.seed()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)


class TimeLimitError(BaseException):
    """The time is over. Not an ``Exception``, so that a handler that catches everything does not swallow it."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeLimitError within when it takes longer, so that what is within can clean up.

    Code that blocks the signal, or sets an alarm of its own, is not stopped by it: the parent's watch is for that.
    Only a main thread hears signals; elsewhere the watch alone counts.
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
