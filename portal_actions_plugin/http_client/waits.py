"""How long an answer asks to wait."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal_actions_plugin.http_client.messages import Answer


def named_wait(answer: Answer) -> float | None:
    """The seconds that a ``Retry-After`` names, as such or as a moment of the other side's own clock; None without one."""
    value = answer.header("retry-after").strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    until = moment(value)
    return max(until - (moment(answer.header("date")) or time.time()), 0.0) if until else None


def moment(value: str) -> float | None:
    """Seconds since 1970 of a date as HTTP has it; None when it is none."""
    try:
        return parsedate_to_datetime(value[:100]).timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
