"""The time as a forge has it, which need not be ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime


class ForgeClock:
    """A clock that runs as fast as ours and may be ahead of it or behind.

    Attributes:
        skew: how far it is ahead; negative when it is behind. A test may set it at any time.
    """

    def __init__(self, skew: timedelta = timedelta(0)) -> None:
        self.skew = skew

    def now(self) -> datetime:
        """The moment, with its time zone, in whole seconds as forges say it."""
        return (datetime.now(UTC) + self.skew).replace(microsecond=0)

    def http_date(self) -> str:
        """The moment as a ``Date`` header says it."""
        return format_datetime(self.now(), usegmt=True)

    def text(self) -> str:
        """The moment as ``2026-01-31T12:00:00Z``."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
