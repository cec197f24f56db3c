"""Whether another attempt follows an error, and when: by the error's code, never blindly."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from sqlalchemy import select

from portal_actions_plugin.errors import ActionError, RateLimitedError, WorkerLostError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction

log = logging.getLogger(__name__)

FACTOR = 3
JITTER = 0.2
"""A computed wait is stretched by up to this part of it, so that many runs do not come back at once."""

LONGEST_SHOWN_WAIT = 10 * 365 * 86_400.0
LONGEST_NAMED_WAIT = 86_400.0
"""Seconds: when the other side names a longer one, the run fails and says when to retry."""

LONGEST_LIMITED = 86_400.0
"""Seconds that a run waits for limits in all: then it fails, and says when to retry."""

UNNAMED_LIMIT_SECONDS = 60.0
"""The wait for a limit that names no time, doubled for each one in a row."""

MOST_JITTER_SECONDS = 60.0
_LEAST_IN_A_ROW, _MOST_IN_A_ROW = 1.0, 600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What limits of other sides a run has met until now.

    Attributes:
        in_a_row: so many attempts ended in one right before this attempt.
        waited_seconds: for all of them.
    """

    in_a_row: int = 0
    waited_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt that did not make it. ``input`` is what the run keeps of it, masked."""

    action: str
    attempt: int
    max_attempts: int
    input: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = Limits()


def next_attempt_in(error: ActionError, tried: Tried) -> float | None:
    """Seconds until the next attempt: what the other side named, else a growing wait with jitter; None when none follows.

    The wait is ``RETRY_SECONDS`` times 3 for each attempt after the first, and at most ``RETRY_MAX_SECONDS``.

    A rate limit refused what was asked, so asking again is safe and counts as no attempt: a run waits for limits for up
    to a day in all. After any other error that passes, and when the worker died, an effect may have happened unseen:
    only what is idempotent is tried again.
    """
    if isinstance(error, RateLimitedError):
        return _after_limit(error, tried.limits)
    if tried.attempt >= tried.max_attempts or not is_idempotent(tried.action, tried.input):
        return None
    if isinstance(error, WorkerLostError):
        return 0.0
    if not error.retryable:
        return None
    named = named_wait(error)
    if named is None:
        return _backoff(tried.attempt)
    return named if named <= LONGEST_NAMED_WAIT else None


def is_idempotent(action_id: str, data: Mapping[str, Any]) -> bool:
    """Whether an action may be repeated with this input after an unknown outcome.

    One that is not installed may not, and neither may one that cannot say so of this input.
    """
    registry = extension().registry
    if action_id not in registry:
        return False
    try:
        return registry.get(action_id).may_be_repeated(data)
    except Exception:
        log.warning("whether %s may be repeated cannot be worked out: it is not", action_id, exc_info=True)
        return False


def uses_up_an_attempt(error: ActionError) -> bool:
    """Whether an attempt that ended like this is one of those that a run has."""
    return not isinstance(error, RateLimitedError)


def say_when_to_retry(error: ActionError, limits: Limits) -> None:
    """Let an error that a run fails with say when a limit has reset, and for how long the run has waited for that."""
    if not isinstance(error, RateLimitedError):
        return
    error.retry_after = _limit_wait(error, limits)
    if hours := round(limits.waited_seconds / 3600):
        error.hint += f" It has waited for limits for {hours} h, and waits for a day in all."


def _limit_wait(error: RateLimitedError, limits: Limits) -> float:
    """The shortest wait for a limit, in seconds: what the other side named, and longer when it refuses again and again."""
    named = named_wait(error)
    if named is None:
        return UNNAMED_LIMIT_SECONDS * 2.0 ** min(limits.in_a_row, 30)
    if not limits.in_a_row:
        return named
    return max(named, min(_LEAST_IN_A_ROW * 2.0 ** min(limits.in_a_row - 1, 30), _MOST_IN_A_ROW))


def limits_before(db: Transaction, run_id: str, attempt: int) -> Limits:
    """Read what limits a run has met before an attempt.

    Args:
        db: where to look.
        run_id: the action run's id.
        attempt: the number of the attempt that has just ended.
    """
    made = tables.attempts.c
    attempts = db.rows(
        select(made.number, made.started_at, made.finished_at, made.error_code)
        .where(made.action_run_id == run_id, made.number <= attempt)
        .order_by(made.number)
    )
    in_a_row, waited = 0, 0.0
    for before, after in pairwise(attempts):
        if before["error_code"] != RateLimitedError.code:
            in_a_row = 0
            continue
        in_a_row += 1
        waited += (after["started_at"] - before["finished_at"]).total_seconds()
    return Limits(in_a_row, max(waited, 0.0))


def named_wait(error: ActionError) -> float | None:
    """The wait that the other side named, in seconds; None when it named none, or nonsense."""
    try:
        seconds = float(error.retry_after)  # type: ignore[arg-type]  # a handler may have put anything there
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_SHOWN_WAIT) if math.isfinite(seconds) else None


def _after_limit(error: RateLimitedError, limits: Limits) -> float | None:
    left = LONGEST_LIMITED - limits.waited_seconds
    wait = _limit_wait(error, limits)
    if wait > left:
        return None
    # Those who wait for the same limit do not come back together, and none of them too early.
    return min(wait + random.random() * min(wait * JITTER, MOST_JITTER_SECONDS), left)


def _backoff(attempt: int) -> float:
    config = extension().config
    # The cap on the exponent keeps the number small enough for a float.
    seconds: float = config.retry_seconds * FACTOR ** min(attempt - 1, 30)
    return min(seconds * (1 + random.random() * JITTER), config.retry_max_seconds)
