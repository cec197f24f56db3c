"""How long an answer asks to wait."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal_actions_plugin.http_client.messages import Answer


def named_wait(answer: Answer) -> float | None:
    """The seconds that a ``Retry-After`` names, as such or as a moment of the other side's own clock; None without one."""
    return wait_of(answer.header("retry-after"), moment(answer.header("date")))


def wait_of(retry_after: str, now: float | None) -> float | None:
    """The seconds that the value of a ``Retry-After`` names; None when it names none.

    Args:
        retry_after: the header's value; empty for none.
        now: the other side's own time, in seconds since 1970; None when it named none.
    """
    value = retry_after.strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    until = moment(value)
    return max(until - (now or time.time()), 0.0) if until else None


def moment(value: str) -> float | None:
    """Seconds since 1970 of a date as HTTP has it; None when it is none."""
    try:
        return parsedate_to_datetime(value[:100]).timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
