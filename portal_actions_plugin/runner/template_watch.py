"""A supervisor's watch over templates: new commits of their repositories, and what changed about each of them.

Both are done by a process of their own: a forge may be slow, and a template may take its time to be checked.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from typing import TYPE_CHECKING

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.aside import fork_aside, is_buried
from portal_actions_plugin.upkeep import template_changes, template_pushes, template_repositories

if TYPE_CHECKING:
    from flask import Flask

    from portal_actions_plugin.runner.liveness.watchdog import Watchdog
    from portal_actions_plugin.runner.process.connections import Connections

log = logging.getLogger(__name__)

FIRST_SECONDS = 30.0
"""After which a supervisor without repositories first looks at its folders: what it has to start comes before."""

BETWEEN_PUSHES_SECONDS = 5.0
"""However often a forge tells of pushes, and whoever does so in its place."""

MOST_SECONDS = 900.0
"""A process that takes longer is killed; the next one begins anew."""

_WHAT = "a process that looks after templates"


class TemplateWatch:
    """Forks a process now and then that fetches commits and records changes: one at a time."""

    def __init__(self, app: Flask, connections: Connections, watchdog: Watchdog) -> None:
        """Take what ``Teller`` takes."""
        self._app = app
        self._connections = connections
        self._watchdog = watchdog
        self._has_repositories = bool(extension().config.template_repositories)
        now = time.monotonic()
        self._due_at = now if self._has_repositories else now + FIRST_SECONDS
        self._began = float("-inf")
        self._pid = 0
        self._pushes: int | None = None
        self._is_pushed = False

    def listen(self) -> None:
        """Ask whether a forge has told of a push, within an app context."""
        if not self._has_repositories:
            return
        pushes = template_pushes.count()
        if pushes is not None and pushes != self._pushes:
            if self._pushes is not None:
                self._is_pushed = True
                self._due_at = min(self._due_at, self._began + BETWEEN_PUSHES_SECONDS)
            self._pushes = pushes

    def turn(self) -> None:
        """See to the process, and fork one when it is time."""
        now = time.monotonic()
        if self._pid:
            hangs = now - self._began > MOST_SECONDS
            if hangs:
                log.error("%s took more than %g s: it is killed", _WHAT, MOST_SECONDS)
                os.kill(self._pid, signal.SIGKILL)
            if is_buried(self._pid, 0 if hangs else os.WNOHANG):
                self._pid = 0
        if self._pid or now < self._due_at:
            return
        seconds = extension().config.template_refresh_seconds
        self._began, self._due_at = now, now + seconds
        # A supervisor that was started anew asks no forge again that was just asked.
        older_than = 0.0 if self._is_pushed else seconds / 2
        self._is_pushed = False
        try:
            self._connections.close_all()
            self._pid = fork_aside(lambda: self._look(older_than), _WHAT, self._connections, self._watchdog)
        except (RuntimeError, OSError) as error:
            log.warning("%s cannot be forked; it is tried again: %s", _WHAT, error)

    def end(self) -> None:
        """End the process: what it has not finished, the next one begins anew."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            is_buried(self._pid, 0)
            self._pid = 0

    def _look(self, older_than: float) -> None:
        with self._app.app_context():
            template_repositories.refresh(older_than)
            template_changes.record()
