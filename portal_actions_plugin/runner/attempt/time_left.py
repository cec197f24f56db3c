"""How long an attempt may take: for its handler, for what the handler has made to say what it is, and for its record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.errors import RemoteError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.process.interruptions import time_limit
from portal_actions_plugin.runs.changes.claims import Claim
from portal_actions_plugin.storage.away import is_away
from portal_actions_plugin.storage.sessions import ride_out

T = TypeVar("T")

TellTime = Callable[[float], None]
"""Called with the seconds that an attempt may still take; infinity when its handler is through."""

GRACE_SECONDS = 3.0
"""How long after its timeout a handler may clean up. Then its parent ends it, whatever it does."""

SPEAK_SECONDS = GRACE_SECONDS - 1
"""How long a handler's result or error may take to say what it is, when the handler's own time is over."""

FRESH = 1 / 3
"""The part of a lease within which a claim needs no second look: nobody may touch its row before all of it is over."""


class TimeLeft:
    """How long an attempt may take, counted from its claim."""

    def __init__(self, claim: Claim, asked_at: float, tell: TellTime) -> None:
        """Count from a claim.

        Args:
            claim: with the attempt's deadline and lease, in seconds from the claim.
            asked_at: just before it was claimed, in seconds of the machine's monotonic clock.
            tell: called for the watch over this process.
        """
        self._seconds = claim.deadline_seconds
        self._deadline = asked_at + self._seconds
        self._surely_ours_until = asked_at + claim.lease_seconds * FRESH
        self._tell = tell

    def start(self) -> None:
        """Let the watch know of the deadline: it holds also while the database is away."""
        # Counted from here, after the claim: a watch that ends this process before the row's own deadline, by however
        # little, would leave a row that looks as if its worker had died.
        self._tell(self._seconds)

    def is_surely_ours(self) -> bool:
        """Whether the claim is so fresh that nobody can have taken the row over since."""
        return time.monotonic() < self._surely_ours_until

    def for_the_handler(self) -> AbstractContextManager[None]:
        """Interrupt a handler that takes too long, in time to clean up; the watch ends what is not to be interrupted."""
        return time_limit(max(self._until_grace(), 0.001))

    def to_speak(self) -> AbstractContextManager[None]:
        """Interrupt what a handler has made, such as an error, when it takes too long to say what it is."""
        return time_limit(max(self._until_grace(), SPEAK_SECONDS))

    def over(self) -> None:
        """Let the watch know that the handler is through: what comes now is only recorded."""
        self._tell(math.inf)

    def _until_grace(self) -> float:
        return self._deadline - GRACE_SECONDS - time.monotonic()


def ride_out_a_lease(work: Callable[[], T]) -> T:
    """Do for a handler what needs the database: it does not fail because that blinks, and has until its lease is over.

    Args:
        work: may be done twice, whole or in part.

    Raises:
        RemoteError: the database was away for longer.
    """
    seconds = extension().config.lease_seconds
    try:
        return ride_out(work, seconds)
    except DBAPIError as error:
        if not is_away(error):
            raise
        # What the database said has SQL in it, and is no fault of the action.
        raise RemoteError(f"The portal's database was away for {seconds:g} s.") from None
