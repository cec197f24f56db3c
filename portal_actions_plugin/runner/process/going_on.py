"""Whether a job process may go on with another run: it is not old, not told to end, and as handlers have found it.

How it goes on: ``main.py`` takes what is due in its queue, ``attempt/execute.py`` the next step of a template run.
"""

from __future__ import annotations

import logging
import math
import select
import time
from collections.abc import Sequence

from flask import Flask

from portal_actions_plugin.runner.process.traces import Surroundings, open_files, peak_memory

log = logging.getLogger(__name__)

MAX_RUNS = 500
"""After so many, a fork costs nothing beside them, and what handlers leak bit by bit goes with the process."""

MAX_SECONDS = 20.0
"""Counted from its first run: beside runs that take so long, a fork costs nothing."""

MAX_GROWTH = 64 * 2**20
"""Bytes of memory that a process may gain before it is replaced."""

MAX_OPEN_FILES = 64
"""More than that it may not have open than it had at first."""


class GoingOn:
    """What a job process was before its first run, and whether it still is."""

    def __init__(self, app: Flask, orders: int) -> None:
        """Prepare, in the job process; ``remember`` it once it is set up.

        Args:
            app: whose settings handlers may not change.
            orders: the pipe that the worker closes to end this process.
        """
        self._app = app
        self._orders = orders
        self._claims = 0
        self._began: float | None = None

    def remember(self) -> None:
        """Take the process as it is now for what each run has to find."""
        self._surroundings = Surroundings.of_this_process()
        self._settings = _settings(self._app)
        self._open_files = open_files()
        self._memory = peak_memory()

    def begins(self) -> None:
        """Say that the process begins with what it was told; its time counts from the first."""
        self._began = self._began or time.monotonic()

    def has_claimed(self) -> None:
        """Say that the process has claimed a run."""
        self._claims += 1

    def is_allowed(self) -> bool:
        """Whether the next run may be made in this process, should all of it go well until now."""
        if self._claims >= MAX_RUNS or time.monotonic() - (self._began or math.inf) > MAX_SECONDS:
            return False
        if self._is_dismissed():
            return False
        if changed := self._changed():
            log.info("a handler has left its process changed, which ends with it: %s", ", ".join(changed))
            return False
        return peak_memory() - self._memory <= MAX_GROWTH

    def _is_dismissed(self) -> bool:
        # While this process is at work nobody writes to the pipe: it can be read only when it is closed.
        poll = select.poll()
        poll.register(self._orders, select.POLLIN)
        return bool(poll.poll(0))

    def _changed(self) -> Sequence[str]:
        try:
            changed = Surroundings.of_this_process().changed_since(self._surroundings)
            if _settings(self._app) != self._settings:
                changed.append("the app's settings")
            if open_files() - self._open_files > MAX_OPEN_FILES:
                changed.append("open files")
        except Exception as error:  # noqa: BLE001 even what is asked here can be replaced
            return [f"it cannot be looked at: {type(error).__name__}"]
        return changed


def _settings(app: Flask) -> dict[str, int]:
    """Which objects the app's settings are: no code of theirs is asked."""
    return {name: id(value) for name, value in app.config.items()}
