"""Whether another attempt follows an error, and when: by the error's code, never blindly."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal_actions_plugin.errors import ActionError, RateLimitedError, WorkerLostError
from portal_actions_plugin.extension import extension

log = logging.getLogger(__name__)

FACTOR = 3
JITTER = 0.2
"""A computed wait is stretched by up to this part of it, so that many runs do not come back at once."""

LONGEST_SHOWN_WAIT = 10 * 365 * 86_400.0
LONGEST_NAMED_WAIT = 86_400.0
"""Seconds: when the other side names a longer one, the run fails and says when to retry."""


@dataclass(frozen=True, slots=True)
class Tried:
    """An attempt that did not make it. ``input`` is what the run keeps of it, masked."""

    action: str
    attempt: int
    max_attempts: int
    input: Mapping[str, Any] = field(default_factory=dict)


def next_attempt_in(error: ActionError, tried: Tried) -> float | None:
    """Seconds until the next attempt: what the other side named, else a growing wait with jitter; None when none follows.

    The wait is ``RETRY_SECONDS`` times 3 for each attempt after the first, and at most ``RETRY_MAX_SECONDS``.

    A rate limit refused what was asked, so asking again is safe. After any other error that passes, and when the
    worker died, an effect may have happened unseen: only what is idempotent is tried again.
    """
    if tried.attempt >= tried.max_attempts:
        return None
    if not isinstance(error, RateLimitedError) and not is_idempotent(tried.action, tried.input):
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


def named_wait(error: ActionError) -> float | None:
    """The wait that the other side named, in seconds; None when it named none, or nonsense."""
    try:
        seconds = float(error.retry_after)  # type: ignore[arg-type]  # a handler may have put anything there
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_SHOWN_WAIT) if math.isfinite(seconds) else None


def _backoff(attempt: int) -> float:
    config = extension().config
    # The cap on the exponent keeps the number small enough for a float.
    seconds: float = config.retry_seconds * FACTOR ** min(attempt - 1, 30)
    return min(seconds * (1 + random.random() * JITTER), config.retry_max_seconds)
