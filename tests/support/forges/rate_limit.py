"""How many requests a double takes in a time of one credential."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

    requests: int
    seconds: float = 1.0


class RateLimiter:
    """Counts what each credential has asked for, by the double's own clock; no rate lets everything through.

    Attributes:
        rate: a test may set it at any time.
    """

    def __init__(self, rate: Rate | None = None, *, now: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._now = now
        self._lock = threading.Lock()
        self._taken: dict[str, deque[float]] = defaultdict(deque)
        self._refused: dict[str, int] = defaultdict(int)

    def take(self, credential: str) -> int | None:
        """Count a request, or refuse it.

        Returns:
            None when it may pass; otherwise after how many whole seconds the next one may.
        """
        with self._lock:
            if (rate := self.rate) is None:
                return None
            now, taken = self._now(), self._taken[credential]
            while taken and taken[0] <= now - rate.seconds:
                taken.popleft()
            if len(taken) < rate.requests:
                taken.append(now)
                return None
            self._refused[credential] += 1
            return max(1, math.ceil(taken[0] + rate.seconds - now))

    def refused(self, credential: str | None = None) -> int:
        """How many requests were refused, of one credential or of all."""
        with self._lock:
            return self._refused[credential] if credential is not None else sum(self._refused.values())
