"""What the operating system asks of processes that fork: clean connections before, a clean start after."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any
from weakref import ref

from sqlalchemy import event
from sqlalchemy.pool import ConnectionPoolEntry, Pool, PoolProxiedConnection

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STOPPING = (signal.SIGTERM, signal.SIGINT)


class Connections:
    """Every database connection of this process, the host's too: none may be open at a fork.

    A forked child that inherits an SQLite connection was seen to lose a committed row.
    """

    def __init__(self) -> None:
        """Watch what pools have open, and what they will open."""
        self._entries: set[ref[ConnectionPoolEntry]] = set()
        self._detached: dict[int, Any] = {}
        # What a host has frozen is not among the objects otherwise. The supervisor freezes it again.
        gc.unfreeze()
        for found in gc.get_objects():
            # Its type alone: to ask a host's proxies for anything else makes them look for what they stand for.
            if issubclass(type(found), ConnectionPoolEntry):
                self._opened(None, found)
            elif issubclass(type(found), PoolProxiedConnection) and found.is_detached:
                self._was_detached(found.dbapi_connection)
        event.listen(Pool, "connect", self._opened)
        event.listen(Pool, "detach", self._was_detached)
        event.listen(Pool, "close_detached", self._closed_detached)

    def close_all(self) -> None:
        """Close every idle connection; raises RuntimeError when one is in use."""
        for entry in self._pooled():
            if not entry.in_use:
                _close(entry)
        if still_open := sum(map(_is_open, self._all())):
            raise RuntimeError(f"{still_open} database connections are open at a fork: a transaction is running.")

    def forget(self) -> None:
        """Start anew after a fork: nothing was open then."""
        self._entries.clear()
        self._detached.clear()

    def _pooled(self) -> list[ConnectionPoolEntry]:
        """The entries of pools that have a connection. One whose set-up failed has none: nobody says that it is closed."""
        entries = [entry for known in list(self._entries) if (entry := known())]
        return [entry for entry in entries if entry.dbapi_connection is not None]

    def _all(self) -> list[Any]:
        for key in [key for key in list(self._detached) if not _is_held(self._detached, key)]:
            with suppress(Exception):
                self._detached[key].close()
            del self._detached[key]
        return [*(entry.driver_connection for entry in self._pooled()), *self._detached.values()]

    def _opened(self, _connection: object, entry: ConnectionPoolEntry) -> None:
        self._entries.add(ref(entry, self._entries.discard))

    def _was_detached(self, connection: Any, _entry: object = None) -> None:
        if connection is not None:
            self._detached[id(connection)] = connection

    def _closed_detached(self, connection: Any) -> None:
        self._detached.pop(id(connection), None)


def _close(entry: ConnectionPoolEntry) -> None:
    if entry.driver_connection is entry.dbapi_connection:
        entry.close()
        return
    # An asynchronous driver's connection is closed in an event loop, and this process has none at a fork.
    from sqlalchemy.util import greenlet_spawn

    asyncio.run(greenlet_spawn(entry.close))


def _is_held(connections: Mapping[int, Any], key: int) -> bool:
    """Whether anybody beside this dictionary has a connection. A weak reference would tell, but SQLite's allow none."""
    is_sqlite = isinstance(connections[key], sqlite3.Connection)
    # Such a one refers to itself, by its cache of statements.
    nobody_s: dict[int, Any] = {key: sqlite3.connect(":memory:") if is_sqlite else object()}
    is_held = sys.getrefcount(connections[key]) > sys.getrefcount(nobody_s[key])
    if is_sqlite:
        nobody_s[key].close()
    return is_held


def _is_open(connection: Any) -> bool:
    """Whether a driver's connection is open; one that does not tell is."""
    if isinstance(connection, sqlite3.Connection):
        try:
            return connection.total_changes >= 0
        except sqlite3.ProgrammingError:
            return False
    return not getattr(connection, "closed", False)


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


def seed_anew() -> None:
    """Let nobody's randomness follow from what a handler has set; ``random.seed()`` takes ten times as long."""
    random.seed(int.from_bytes(os.urandom(16), "big"))


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
