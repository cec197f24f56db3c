"""What becomes of a write whose answer was lost: it is looked up, since it may have happened, and never just repeated."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

from portal_actions_plugin.errors import ActionError, RateLimitedError
from portal_actions_plugin.scm.remote.answers import LostAnswerError

LOOK_UP_SECONDS = 10.0
"""Forges are eventually consistent: what a write has made may be 404 for a while."""
FIRST_PAUSE_SECONDS = 0.5

T = TypeVar("T")


def write_once(write: Callable[[], T], look_up: Callable[[], T | None], *, log: Callable[[str], None]) -> T:
    """Write, and find out what has happened when the answer is lost.

    Args:
        write: makes the write and reads its answer; it is called once.
        look_up: what the write has made or changed, None while that is not to be seen. It is called again and again.
        log: gets a line about each lost answer.

    Raises:
        LostAnswerError: nothing was to be seen. Whoever tries again looks first: it may still appear.
        ActionError: what ``write`` raises otherwise.
    """
    try:
        return write()
    except LostAnswerError as error:
        lost = error
    log(f"The answer was lost, so it is looked up whether it has happened: {lost.message}")
    found = _looked_up(look_up, lost)
    if found is None:
        raise lost
    log("It has happened.")
    return found


def _looked_up(look_up: Callable[[], T | None], lost: LostAnswerError) -> T | None:
    end = monotonic() + LOOK_UP_SECONDS
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            if (found := look_up()) is not None:
                return found
        except RateLimitedError as limit:
            # Not passed on: a rate limit says that nothing has happened, and this write may have.
            lost.retry_after = limit.retry_after
            return None
        except ActionError as error:
            # A forge that loses answers may refuse the next ones, too.
            if not error.retryable:
                return None
        if (left := end - monotonic()) <= 0:
            return None
        sleep(min(pause, left))
        pause *= 2
