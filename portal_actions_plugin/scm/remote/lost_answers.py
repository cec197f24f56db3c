"""What becomes of a write whose answer was lost: it is looked up, since it may have happened, and never just repeated."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

from portal_actions_plugin.errors import ActionError, RemoteError
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
    try:
        found = look_for(look_up)
    except ActionError as error:
        # Not passed on: a rate limit says that nothing has happened, and this write may have.
        lost.retry_after = error.retry_after
        raise lost from None
    if found is None:
        raise lost
    log("It has happened.")
    return found


def write_again(write: Callable[[], T], *, log: Callable[[str], None]) -> T:
    """Write what may be written twice, as a state that is set: when the answer is lost, once more.

    Raises:
        LostAnswerError: the second answer was lost, too.
        ActionError: what ``write`` raises otherwise.
    """
    try:
        return write()
    except LostAnswerError as lost:
        log(f"The answer was lost, so the same is written again: {lost.message}")
        return write()


def look_for(look_up: Callable[[], T | None]) -> T | None:
    """Look for what a forge has done and may not show yet.

    Args:
        look_up: what it looks for, None while that is not to be seen. It is called again and again for some seconds.

    Raises:
        RateLimitedError: it may not be asked any more for a while.
        ActionError: what ``look_up`` raises and will not pass; a RemoteError that stays to the end.
    """
    end = monotonic() + LOOK_UP_SECONDS
    pause = FIRST_PAUSE_SECONDS
    while True:
        found, failed = None, None
        try:
            found = look_up()
        except RemoteError as error:
            failed = error  # a forge that loses an answer may lose the next ones, too
        left = end - monotonic()
        if failed and left <= 0:
            raise failed
        if found is not None or left <= 0:
            return found
        sleep(min(pause, left))
        pause *= 2
