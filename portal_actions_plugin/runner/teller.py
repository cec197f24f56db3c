"""News of a loop that others depend on: told in a process of its own, which may be killed when a receiver hangs there."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blinker import NamedSignal
from flask import Flask
from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runner.aside import fork_aside, is_buried
from portal_actions_plugin.runner.liveness.watchdog import Watchdog
from portal_actions_plugin.runner.process.connections import Connections
from portal_actions_plugin.runner.process.receivers import TimedDelivery
from portal_actions_plugin.runner.process.shared_memory import CallOfReceiver, SharedDeadline
from portal_actions_plugin.runs.news import announced, tell
from portal_actions_plugin.runs.news.delivery import Delivery, deliver_by
from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import transaction

log = logging.getLogger(__name__)

MOST_AT_ONCE = 4
"""Processes of one loop's. What finds no place waits, or is found by a sweeper again."""

END_SECONDS = 3.0
"""How long a process that ends waits for what is being told."""

_PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class News:
    """A signal that is to be sent: of a run as it was, or of one that is read when it is sent."""

    signal: NamedSignal
    run_id: str
    run: ActionRun | TemplateRun | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What is the same for the same signal of the same run."""
        return self.signal.name, self.run_id


@dataclass(frozen=True, slots=True)
class _Child:
    pid: int
    news: Sequence[News]
    call: CallOfReceiver
    at: SharedDeadline


class Teller(Delivery):
    """Keeps what a loop has to tell, and forks a process that tells it.

    A process that is killed, with whatever it has not told by then, leaves the ends among that to a sweeper.
    """

    def __init__(self, app: Flask, connections: Connections, watchdog: Watchdog) -> None:
        """Prepare.

        Args:
            app: the host's.
            connections: of this process to databases; closed before each fork.
            watchdog: of this process, which has no thread while it forks.
        """
        super().__init__()
        self._app = app
        self._connections = connections
        self._watchdog = watchdog
        self._waiting: list[News] = []
        self._children: list[_Child] = []

    def send(self, signal: NamedSignal, run: ActionRun | TemplateRun) -> None:
        """Keep a signal that this process would send."""
        self._waiting.append(News(signal, run.id, run))

    def keep(self, changes: Sequence[str]) -> None:
        """Remember nothing: who tells of an end writes that, too."""

    def add(self, finished: NamedSignal, run_id: str) -> None:
        """Keep the end of a run that nobody has told, unless it is being told just now."""
        news = News(finished, run_id)
        told = [*self._waiting, *(one for child in self._children for one in child.news)]
        if news.key not in {one.key for one in told}:
            self._waiting.append(news)

    def turn(self) -> None:
        """See to the processes, and fork one when there is something to tell. No other may be forked that watches this."""
        self.look()
        if not self._waiting or len(self._children) >= MOST_AT_ONCE:
            return
        news, self._waiting = self._waiting, []
        try:
            self._connections.close_all()
            self._children.append(self._fork(news))
        except (RuntimeError, OSError) as error:
            log.warning(
                "no process can be forked that tells of %d runs; the next sweep sees to it: %s", len(news), error
            )

    def look(self) -> None:
        """Bury the processes that have ended, and kill one that hangs in a receiver."""
        for child in list(self._children):
            hangs = time.monotonic() > child.at.moment()
            if hangs:
                os.kill(child.pid, signal.SIGKILL)
            if is_buried(child.pid, 0 if hangs else os.WNOHANG):
                self._children.remove(child)
                if hangs:
                    self._leave(child)

    def end(self, turned: Callable[[], None]) -> None:
        """Have all told that waits, and kill the processes that are not through soon: a sweeper sees to the rest.

        Args:
            turned: called now and then, for who watches that this process gets on.
        """
        self.turn()
        give_up = time.monotonic() + END_SECONDS
        while self._children and time.monotonic() < give_up:
            turned()
            self.look()
            time.sleep(_PAUSE_SECONDS)
        for child in self._children:
            os.kill(child.pid, signal.SIGKILL)
            is_buried(child.pid, 0)
        self._children.clear()

    def _leave(self, child: _Child) -> None:
        """A receiver that hangs wherever it is called counts as told: else it would be called for ever."""
        words, change = child.call.words(), child.call.change()
        log.error("%s did not come to an end, and could not be interrupted: its process was killed", words)
        if any(announced.change(announced.kind_of(one.signal), one.run_id) == change for one in child.news):
            try:
                with transaction("announced") as tx:
                    announced.write(tx, [change])
            except DBAPIError as error:
                away.bear(error, log, "that a run's end was told cannot be written")

    def _fork(self, news: Sequence[News]) -> _Child:
        call, deadline = CallOfReceiver(), SharedDeadline()
        way = TimedDelivery(call, deadline)
        reached("fork_teller.before")
        pid = fork_aside(
            lambda: self._tell(news, way), "a process that tells of runs", self._connections, self._watchdog
        )
        return _Child(pid, news, call, deadline)

    def _tell(self, news: Sequence[News], way: Delivery) -> None:
        for one in news:
            self._safely(one, way)

    def _safely(self, news: News, way: Delivery) -> None:
        # A context of its own: what a receiver opens in it is closed with it.
        with self._app.app_context():
            deliver_by(way)
            try:
                _tell_one(news, way)
            except DBAPIError as error:
                away.bear(error, log, "a run cannot be told of")


def _tell_one(news: News, way: Delivery) -> None:
    if news.run is None:
        tell.announce(news.signal, news.run_id)
        return
    way.send(news.signal, news.run)
    if news.signal in announced.FINISHED:
        way.keep([announced.change(announced.kind_of(news.signal), news.run_id)])
