"""Whether an answer is a limit of the other side, and how long it asks to wait."""

from __future__ import annotations

import re
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
_EARLIEST_IN_MILLISECONDS = 10**12
"""From here on it is one in milliseconds."""
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
"""HTTP has whole seconds only; some say them more exactly."""
_POLICIES = "ratelimit"
"""The header of the newer drafts of the IETF, which has all in one: ``limit=10, remaining=0, reset=44`` or
``"default";r=0;t=44, "daily";r=5;t=3600``."""
_POLICY = re.compile(r"\b(?P<what>remaining|reset|r|t)\s*=\s*(?P<number>\d{1,12})\b")


def is_limit(answer: Answer) -> bool:
    """Whether an answer refuses for want of patience, and not of a permission: some say so with 403."""
    if answer.status == 429:
        return True
    is_used_up = _first(answer, _REMAINING) == "0" or _policies_wait(answer) is not None
    return answer.status == 403 and (bool(answer.header("retry-after")) or is_used_up)


def limit_wait(answer: Answer) -> float | None:
    """The seconds that a limit names in ``Retry-After`` or by its reset, the longer one of both; None when in neither."""
    named = (named_wait(answer), _reset_wait(answer), _policies_wait(answer))
    return max((wait for wait in named if wait is not None), default=None)


def _policies_wait(answer: Answer) -> float | None:
    """The longest wait of the policies in ``RateLimit`` that are used up; None when none is."""
    found = answer.header(_POLICIES)[:1_000]
    # Each policy of the newest draft has a part of its own; in the one before, the header has one policy over all parts.
    parts = found.split(",") if ";" in found else [found]
    policies = [{said["what"][0:3]: float(said["number"]) for said in _POLICY.finditer(part)} for part in parts]
    used_up = [one for one in policies if one.get("r", one.get("rem")) == 0]
    waits = [one.get("t", one.get("res")) for one in used_up]
    return max((wait for wait in waits if wait is not None), default=None)


def _reset_wait(answer: Answer) -> float | None:
    value = _first(answer, _RESET)
    try:
        seconds = float(value[:20])
    except ValueError:
        return None
    if seconds >= _EARLIEST_IN_MILLISECONDS:
        seconds /= 1_000
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
    if _SECONDS.fullmatch(value):
        return float(value[:12])
    until = moment(value)
    return max(until - (now or time.time()), 0.0) if until else None


def moment(value: str) -> float | None:
    """Seconds since 1970 of a date as HTTP has it; None when it is none."""
    try:
        return parsedate_to_datetime(value[:100]).timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
