"""Connections that are kept between requests: of this process alone, and never one that the other side has let go."""

from __future__ import annotations

import os
import select
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Hashable

    from portal_actions_plugin.http_client.wire import Wire

KEPT_SECONDS = 15.0
"""How long an idle connection is kept: well below what forges and what stands before them allow."""
KEPT_EACH = 4
"""How many idle connections are kept to one place."""


class KeptConnections:
    """Idle connections by where they lead to. Any thread may use it.

    Connections are opened after a fork. A forked child closes its copies of what was open before, in use or not: that
    tells the other side nothing, and the parent goes on with its own.
    """

    def __init__(self) -> None:
        """Keep none yet, and forget all of them in whatever is forked from this process."""
        self._lock = threading.Lock()
        self._idle: dict[Hashable, list[tuple[float, Wire]]] = {}
        self._open: WeakSet[Wire] = WeakSet()
        os.register_at_fork(after_in_child=self._forget)

    def opened(self, wire: Wire) -> None:
        """Know of a connection that was opened, so that it ends at a fork."""
        self._open.add(wire)

    def take(self, place: Hashable) -> Wire | None:
        """An idle connection to a place that the other side still holds; None when there is none."""
        while True:
            with self._lock:
                waiting = self._idle.get(place)
                if not waiting:
                    return None
                since, wire = waiting.pop()
            if time.monotonic() - since < KEPT_SECONDS and not _was_let_go(wire):
                return wire
            wire.close()

    def keep(self, place: Hashable, wire: Wire) -> None:
        """Keep a connection whose last answer was read, or close it when it cannot be used again."""
        if wire.reusable:
            with self._lock:
                waiting = self._idle.setdefault(place, [])
                if len(waiting) < KEPT_EACH:
                    waiting.append((time.monotonic(), wire))
                    return
        wire.close()

    def close(self) -> None:
        """Close all that are idle."""
        with self._lock:
            idle = [wire for waiting in self._idle.values() for _, wire in waiting]
            self._idle.clear()
        for wire in idle:
            wire.close()

    def _forget(self) -> None:
        inherited = list(self._open)
        self._lock = threading.Lock()  # a thread that the child has not got may have held the other one
        self._idle.clear()
        self._open.clear()
        for wire in inherited:
            with suppress(Exception):
                wire.close()


def _was_let_go(wire: Wire) -> bool:
    """Whether there is anything to read between two requests: an end, or what nobody has asked for."""
    with suppress(OSError, ValueError):
        watch = select.poll()  # select itself knows no descriptor above 1023
        watch.register(wire.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        return bool(watch.poll(0))
    return True
