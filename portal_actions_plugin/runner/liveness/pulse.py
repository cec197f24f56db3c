"""A worker's own proof that its loop turns, and what it says that it is doing: in memory that its supervisor sees.

That a process exists proves nothing: one that was stopped, or hangs, exists as well.
"""

from __future__ import annotations

import mmap
import time
from enum import Enum

_NUMBER = 8
"""Bytes. One that is written through a cast view is there as a whole or not at all."""


class Doing(Enum):
    """What a worker says of itself."""

    STARTING = "starting"
    STANDING_BY = "standing_by"
    WORKING = "working"
    REDIS_AWAY = "redis_away"


_DOINGS = tuple(Doing)


class Pulse:
    """When a worker's loop turned last, what it was doing then, and since when; by the machine's monotonic clock.

    Its supervisor makes it before the fork. The worker alone writes, the supervisor reads whenever it likes.
    """

    def __init__(self) -> None:
        memory = memoryview(mmap.mmap(-1, 3 * _NUMBER))
        self._moments = memory[: 2 * _NUMBER].cast("d")  # when it turned, and since when it does what it does
        self._doing = memory[2 * _NUMBER :].cast("Q")
        self._moments[0] = self._moments[1] = time.monotonic()

    def turn(self, doing: Doing) -> None:
        """Say, from the worker, that the loop turns and what it is about to do."""
        number = _DOINGS.index(doing)
        now = time.monotonic()
        if self._doing[0] != number:
            # First the moment: who reads in between sees a young old state, and waits.
            self._moments[1] = now
            self._doing[0] = number
        self._moments[0] = now

    @property
    def turned_at(self) -> float:
        """When the loop turned last."""
        return self._moments[0]

    @property
    def doing(self) -> Doing:
        """What the worker does."""
        return _DOINGS[self._doing[0]]

    @property
    def since(self) -> float:
        """Since when it has done nothing else."""
        return self._moments[1]
