"""How many of an identity's starts may be refused: checking what cannot be taken costs as much as what can.

Each web process counts for itself and in memory, so that a refusal never writes: who sends nonsense must not make work.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from portal_actions_plugin.errors import PortalActionsError, RateLimitedError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.settings.values import RateLimit

FACTOR = 10
"""So many times the limit of starts may be refused in its period."""

MAX_IDENTITIES = 10_000
"""Whose refusals a process remembers: those who were refused last."""


class TooManyRefusalsError(RateLimitedError):
    """Too many starts were refused in too short a time."""


class Refusals:
    """When whose starts were refused, in one process. Any of its threads may ask."""

    def __init__(self, rate: RateLimit) -> None:
        self._count = rate.count * FACTOR
        self._rate = rate
        self._lock = threading.Lock()
        self._of: OrderedDict[str, deque[float]] = OrderedDict()

    def require_room(self, identity_id: str) -> None:
        """Refuse before anything is looked at.

        Raises:
            TooManyRefusalsError: names the wait, in seconds.
        """
        with self._lock:
            times = self._of.get(identity_id)
            if times is None or len(times) < self._count:
                return
            wait = times[0] + self._rate.seconds - time.monotonic()
        if wait > 0:
            raise TooManyRefusalsError(
                f"{self._count} of your starts were refused in the last {self._rate.period}.",
                hint=f"Wait {math.ceil(wait)} s, and correct what is refused before you send it again.",
                retry_after=wait,
            )

    def note(self, identity_id: str) -> None:
        """Remember that a start was refused."""
        with self._lock:
            times = self._of.setdefault(identity_id, deque(maxlen=self._count))
            times.append(time.monotonic())
            self._of.move_to_end(identity_id)
            if len(self._of) > MAX_IDENTITIES:
                self._of.popitem(last=False)


@contextmanager
def counted(identity_id: str) -> Iterator[None]:
    """Count what refuses a start, and let none begin whose asker had too many refused.

    Raises:
        TooManyRefusalsError: before the start is looked at.
        PortalActionsError: what refuses it.
    """
    refusals = _of_this_process()
    refusals.require_room(identity_id)
    try:
        yield
    except RateLimitedError:
        raise  # it is counted where starts are
    except PortalActionsError:
        refusals.note(identity_id)
        raise


def _of_this_process() -> Refusals:
    parts = extension()
    return cast("Refusals", parts.kept.setdefault("refusals", Refusals(parts.config.rate_limit)))
