"""Ages and moments as commands take them: ``90d``, ``2025-11-22``, ``2025-11-22T08:30+01:00``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time

import click

from portal_actions_plugin.settings.values import MAX_DAYS

DAY = 24 * 3600

_AGE = re.compile(r"([1-9][0-9]{0,11})([smhdw])")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_UNIT = {"s": 1, "m": 60, "h": 3600, "d": DAY, "w": 7 * DAY}
_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)


def age(text: str) -> int:
    """Read an age such as ``90d``, in seconds; raises BadParameter."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is not an age: write a whole number and s, m, h, d or w, such as 90d.")
    seconds = int(match[1]) * _UNIT[match[2]]
    if seconds > MAX_DAYS * DAY:
        raise click.BadParameter(f"{text} is too long: write {MAX_DAYS}d or less.")
    return seconds


def first_moment(text: str) -> int | datetime:
    """Read an age in seconds, or a moment, in UTC unless it says otherwise; a day is taken from its start. Raises BadParameter."""
    return _age_or_moment(text, time.min)


def last_moment(text: str) -> int | datetime:
    """Read an age in seconds, or a moment, in UTC unless it says otherwise; a day is taken to its end. Raises BadParameter."""
    return _age_or_moment(text, time.max)


def _age_or_moment(text: str, time_of_day: time) -> int | datetime:
    if _AGE.fullmatch(text.strip()):
        return age(text)
    try:
        moment = datetime.fromisoformat(text.strip())
        if _DAY.fullmatch(text.strip()):
            moment = datetime.combine(moment, time_of_day)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is neither an age nor a time: write 90d, 2025-11-22 or 2025-11-22T08:30."
        ) from None
    if moment < _EARLIEST:
        raise click.BadParameter(f"{text!r} is too early: write {_EARLIEST:%Y-%m-%d} or later.")
    return moment
