"""Whether an answer is a limit of the other side, and how long it asks to wait."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal_actions_plugin.http_client.messages import Answer

_REMAINING = ("x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining")
_RESET = ("x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset", "x-ratelimit-reset-after")
_EARLIEST_MOMENT = 10**9
"""A reset from here on is a moment in seconds since 1970, else a number of seconds from now: both are in use."""


def is_limit(answer: Answer) -> bool:
    """Whether an answer refuses for want of patience, and not of a permission: some say so with 403."""
    if answer.status == 429:
        return True
    return answer.status == 403 and (bool(answer.header("retry-after")) or _first(answer, _REMAINING) == "0")


def limit_wait(answer: Answer) -> float | None:
    """The seconds that a limit names in ``Retry-After`` or by its reset, the longer one of both; None when in neither."""
    waits = [wait for wait in (named_wait(answer), _reset_wait(answer)) if wait is not None]
    return max(waits, default=None)


def _reset_wait(answer: Answer) -> float | None:
    value = _first(answer, _RESET)
    try:
        seconds = float(value[:20])
    except ValueError:
        return None
    if seconds >= _EARLIEST_MOMENT:
        seconds -= moment(answer.header("date")) or time.time()
    return max(seconds, 0.0) if isfinite(seconds) else None


def _first(answer: Answer, names: tuple[str, ...]) -> str:
    return next((value.strip() for name in names if (value := answer.header(name))), "")


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
