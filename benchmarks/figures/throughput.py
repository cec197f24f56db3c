"""How many template runs of three steps end in success a second, while the queue is never empty and never long."""

from __future__ import annotations

import threading
import time

from benchmarks.client import Client
from benchmarks.effort import Effort, Values
from benchmarks.portal import THREE_STEPS
from benchmarks.rig import Rig, wait_for

WORKERS = 2
BACKLOG = 40
"""How many template runs are on their way at any time."""

_SUBMITTERS = 2
_LOOK_SECONDS = 0.1
_WARM_SECONDS = 120.0
_DRAIN_SECONDS = 120.0
ACTIVE = "SELECT count(*) FROM portal_actions_template_runs WHERE status IN ('queued', 'running')"
_NOW = {"sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f000', 'now')", "postgresql": "SELECT clock_timestamp()"}


def measure(rig: Rig, effort: Effort) -> Values:
    """Runs a second, a value for each round, and how many runs were accepted but did not succeed in the end.

    The first and the last round also stand by themselves: a median does not show a rate that falls.
    """
    with rig.web() as web, rig.workers(WORKERS):
        return load(rig, web.address, effort)


def load(rig: Rig, address: str, effort: Effort, template: str = THREE_STEPS) -> Values:
    """The same with web and workers that run already."""
    rates = []
    with _Backlog(rig, address, template) as backlog:
        # The first ones all begin at once: only when as many have ended do runs end as fast as they begin.
        wait_for(lambda: backlog.ended >= BACKLOG, _WARM_SECONDS)
        for _ in range(effort.rounds):
            since = rig.number(_NOW[rig.kind])
            time.sleep(effort.seconds)
            until = rig.number(_NOW[rig.kind])
            rates.append(_succeeded(rig, since, until) / effort.seconds)
    return {
        "runs a second": rates,
        "runs a second, first round": rates[:1],
        "runs a second, last round": rates[-1:],
        "lost runs": [len(backlog.posted) - _successes(rig, backlog.posted)],
    }


class _Backlog:
    """Keeps so many runs on their way. ``posted`` has the ids of all that were accepted, ``ended`` counts those over."""

    def __init__(self, rig: Rig, address: str, template: str) -> None:
        self._rig = rig
        self._address = address
        self._template = template
        self._seeded = rig.number(ACTIVE)
        self._room = threading.Semaphore(BACKLOG)
        self._over = threading.Event()
        self._trouble: list[BaseException] = []
        self._threads = [threading.Thread(target=self._submit, args=[first]) for first in range(_SUBMITTERS)]
        self._threads.append(threading.Thread(target=self._make_room))
        self.posted: list[str] = []
        self.ended = 0

    def __enter__(self) -> _Backlog:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Start no more, and wait until all have ended."""
        self._over.set()
        self._room.release(_SUBMITTERS)
        for thread in self._threads:
            thread.join()
        if self._trouble:
            raise self._trouble[0]
        wait_for(lambda: self._rig.number(ACTIVE) == self._seeded, _DRAIN_SECONDS)

    def _submit(self, number: int) -> None:
        client = Client(self._address)
        try:
            while self._room.acquire() and not self._over.is_set():
                self.posted.append(client.start(number, self._template)[0])
                number += _SUBMITTERS
        except BaseException as error:  # noqa: BLE001 it is raised where the program waits
            self._trouble.append(error)

    def _make_room(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            accepted = len(self.posted)
            ended = accepted - (self._rig.number(ACTIVE) - self._seeded)
            if ended > self.ended:
                self._room.release(ended - self.ended)
                self.ended = ended


def _succeeded(rig: Rig, since: object, until: object) -> int:
    found = rig.number(
        "SELECT count(*) FROM portal_actions_template_runs "
        "WHERE status = 'success' AND finished_at >= :since AND finished_at < :until",
        since=since,
        until=until,
    )
    return int(found)


def _successes(rig: Rig, posted: list[str]) -> int:
    """How many of these runs succeeded: they are the newest."""
    found = rig.number(
        "SELECT count(*) FROM portal_actions_template_runs WHERE id >= :oldest AND status = 'success'",
        oldest=rig.id(min(posted)),
    )
    return int(found)
