"""The database connections of a process, the host's too: none of them may be open at a fork."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol
from weakref import ref

from sqlalchemy import event
from sqlalchemy.pool import ConnectionPoolEntry, Pool, PoolProxiedConnection


class Closable(Protocol):
    """A driver's connection, of whichever driver."""

    def close(self) -> object:
        """Close it."""


class Connections:
    """Every database connection of this process, the host's too: none may be open at a fork.

    A forked child that inherits an SQLite connection was seen to lose a committed row.
    """

    def __init__(self) -> None:
        """Watch what pools have open, and what they will open."""
        self._entries: set[ref[ConnectionPoolEntry]] = set()
        self._detached: dict[int, Closable] = {}
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

    def _all(self) -> list[object]:
        for key in [key for key in list(self._detached) if not _is_held(self._detached, key)]:
            with suppress(Exception):
                self._detached[key].close()
            del self._detached[key]
        return [*(entry.driver_connection for entry in self._pooled()), *self._detached.values()]

    def _opened(self, _connection: object, entry: ConnectionPoolEntry) -> None:
        self._entries.add(ref(entry, self._entries.discard))

    def _was_detached(self, connection: Closable | None, _entry: object = None) -> None:
        if connection is not None:
            self._detached[id(connection)] = connection

    def _closed_detached(self, connection: object) -> None:
        self._detached.pop(id(connection), None)


def _close(entry: ConnectionPoolEntry) -> None:
    if entry.driver_connection is entry.dbapi_connection:
        entry.close()
        return
    # An asynchronous driver's connection is closed in an event loop, and this process has none at a fork.
    from sqlalchemy.util import greenlet_spawn

    asyncio.run(greenlet_spawn(entry.close))


def _is_held(connections: Mapping[int, object], key: int) -> bool:
    """Whether anybody beside this dictionary has a connection. A weak reference would tell, but SQLite's allow none."""
    is_sqlite = isinstance(connections[key], sqlite3.Connection)
    # Such a one refers to itself, by its cache of statements.
    nobody_s: dict[int, object] = {key: sqlite3.connect(":memory:") if is_sqlite else object()}
    is_held = sys.getrefcount(connections[key]) > sys.getrefcount(nobody_s[key])
    unheld = nobody_s[key]
    if isinstance(unheld, sqlite3.Connection):
        unheld.close()
    return is_held


def _is_open(connection: object) -> bool:
    """Whether a driver's connection is open; one that does not tell is."""
    if isinstance(connection, sqlite3.Connection):
        try:
            return connection.total_changes >= 0
        except sqlite3.ProgrammingError:
            return False
    return not getattr(connection, "closed", False)
