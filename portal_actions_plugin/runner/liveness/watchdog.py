"""A thread that ends its process when that stands still: a process that hangs is not restarted by anybody, one that ends is."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

STOOD_STILL = 70
"""Exit status of a process that its own watchdog has ended: EX_SOFTWARE of sysexits.h."""

TICKS = 20
"""How often it looks until it ends the process."""

LAST_WORDS_SECONDS = 2.0


class Watchdog:
    """Ends this process with status 70 when ``turned`` was not called for so many seconds.

    It counts its own looks, not the clock: a process that was stopped and goes on has not stood still meanwhile.
    """

    def __init__(self, what: str, seconds: float) -> None:
        """Prepare.

        Args:
            what: the process, for the last words.
            seconds: how long its loop may stand still.
        """
        self._what = what
        self._seconds = seconds
        self._turns = 0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def turned(self) -> None:
        """Say that the loop turns."""
        self._turns += 1

    def __enter__(self) -> Self:
        self._over.clear()
        self._thread = threading.Thread(target=self._watch, name="portal-actions-watchdog", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()
            self._thread = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """Have no thread for a while: a process forks without one, or its child may wait for a lock that nobody frees."""
        was_there = self._thread is not None
        self.__exit__()
        try:
            yield
        finally:
            if was_there:
                self.__enter__()

    def forget(self) -> None:
        """In a forked child: that is another process, which nobody watches yet."""
        self._thread = None

    def _watch(self) -> None:
        seen, still = self._turns, 0
        while not self._over.wait(self._seconds / TICKS):
            still = still + 1 if self._turns == seen else 0
            seen = self._turns
            if still >= TICKS:
                self._end()

    def _end(self) -> None:
        # Somebody who does not read what this process writes must not keep it alive.
        words = threading.Thread(target=self._say_why, daemon=True)
        words.start()
        words.join(LAST_WORDS_SECONDS)
        os._exit(STOOD_STILL)

    def _say_why(self) -> None:
        words = f"{self._what} has stood still for {self._seconds:g} s and ends with status {STOOD_STILL}. It stands here:\n"
        os.write(2, words.encode())
        faulthandler.dump_traceback(2, all_threads=True)
        sys.stderr.flush()
