"""How tests wait: for an event, and never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE_SECONDS = 240
"""How long anything is waited for: less than a test may take, so that the test says what did not come."""


def wait_until(true: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait for something to become true, and return it.

    The end is for what never comes. It says nothing of how long a thing may take: a machine can be as slow as it likes.
    So nobody can ask for a short one.
    """
    seconds = max(seconds, PATIENCE_SECONDS)
    deadline = time.monotonic() + seconds
    pause = 0.01
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
    raise AssertionError(f"not within {seconds} s: {true}")
