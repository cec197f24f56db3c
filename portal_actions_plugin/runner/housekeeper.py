"""What a supervisor has looked after in a process of its own: a store of workspaces may take long, or never answer."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable

from flask import Flask
from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.runner.aside import fork_aside, is_buried
from portal_actions_plugin.runner.liveness.watchdog import Watchdog
from portal_actions_plugin.runner.process.connections import Connections
from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.upkeep import kept_workspaces

log = logging.getLogger(__name__)

FIRST_SECONDS = 60.0
"""After its supervisor's start: by then workers are at work."""

OFTEN_SECONDS = 60.0
"""How often the age and the total of workspaces are looked at, while there are any."""

SELDOM_SECONDS = 3600.0
"""How often all that is on the store is looked through."""

LONGEST_SECONDS = 600.0
"""After that a process is killed: what it has not done is for the next one."""


class Housekeeper:
    """Forks a process now and then that looks after workspaces."""

    def __init__(self, app: Flask, connections: Connections, watchdog: Watchdog) -> None:
        """Prepare.

        Args:
            app: the host's.
            connections: of this process to databases; closed before each fork.
            watchdog: of this process, which has no thread while it forks.
        """
        self._app = app
        self._connections = connections
        self._watchdog = watchdog
        self._pid = 0
        self._began = 0.0
        now = time.monotonic()
        self._often_at = self._seldom_at = now + FIRST_SECONDS

    def turn(self) -> None:
        """See to the process, and fork one when it is time. No other may be forked that watches this."""
        if self._pid:
            self._look()
            return
        now = time.monotonic()
        if now < self._often_at:
            return
        self._often_at = now + OFTEN_SECONDS
        thoroughly = now >= self._seldom_at
        if thoroughly:
            self._seldom_at = now + SELDOM_SECONDS
        elif not self._is_anything_kept():
            return
        try:
            self._connections.close_all()
            self._fork(kept_workspaces.tidy_thoroughly if thoroughly else kept_workspaces.tidy)
        except (RuntimeError, OSError) as error:
            log.warning("no process can be forked that looks after workspaces: %s", error)

    def end(self) -> None:
        """Kill the process: what it has not done is for the next one."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._is_gone(0)

    def _is_anything_kept(self) -> bool:
        with self._app.app_context():
            try:
                return kept_workspaces.is_anything_kept()
            except DBAPIError as error:
                away.bear(error, log, "workspaces cannot be looked after")
                return False

    def _look(self) -> None:
        if not self._is_gone(os.WNOHANG) and time.monotonic() - self._began > LONGEST_SECONDS:
            log.warning("looking after workspaces took over %g s: its process is killed", LONGEST_SECONDS)
            self.end()

    def _is_gone(self, options: int) -> bool:
        gone = is_buried(self._pid, options)
        if gone:
            self._pid = 0
        return gone

    def _fork(self, work: Callable[[], object]) -> None:
        self._began = time.monotonic()
        reached("fork_housekeeper.before")
        what = "a process that looks after workspaces"
        self._pid = fork_aside(lambda: self._work(work), what, self._connections, self._watchdog)

    def _work(self, work: Callable[[], object]) -> None:
        with self._app.app_context():
            try:
                work()
            except DBAPIError as error:
                away.bear(error, log, "workspaces cannot be looked after")
