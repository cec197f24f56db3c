"""Writes take turns: one at a time for each credential in this process, with a pause between them where a forge asks for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep


class Turns:
    """Who may write now. Any thread may use it; a forked child begins anew."""

    def __init__(self) -> None:
        """Nobody has written yet."""
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    @contextmanager
    def turn(self, writer: Hashable, pause_seconds: float) -> Iterator[None]:
        """Wait for the writes of the same writer that came before, and for the pause after the last of them.

        Args:
            writer: a credential of an installation.
            pause_seconds: from the end of one write to the begin of the next.
        """
        with self._lock:
            one = self._writers.setdefault(writer, _Writer())
        with one.lock:
            if (seconds := one.last + pause_seconds - monotonic()) > 0:
                sleep(seconds)
            try:
                yield
            finally:
                one.last = monotonic()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._writers: dict[Hashable, _Writer] = {}


class _Writer:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.last = -1e9
