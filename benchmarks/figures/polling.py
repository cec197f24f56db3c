"""How long open pages wait for an answer while many of them poll, each at the pace of the pages' own script."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from benchmarks.client import Client
from benchmarks.effort import Effort, Values
from benchmarks.figures.statistics import percentile
from benchmarks.portal import person
from benchmarks.rig import Rig

WORKERS = 1
QUICK_SHARE = 0.1
"""So many pages have somebody at them who moves the mouse. The others have been still for long."""

START_EVERY_SECONDS = 2.0
"""Somebody starts a template run this often while the portal is busy: the counts on every list change with it."""

_QUICK = {"moving": 1.0, "still": 1.5}
_SLOW = 10.0
_STATE = 35
"""So much of an ETag is another one when something has changed; the rest only when the page was renewed."""

_LONG_AGO = 1000.0
_CONNECTIONS = 16
_WARM_SECONDS = 12.0
_ROUND_SECONDS = 10.0


def measure(rig: Rig, effort: Effort) -> Values:
    """Milliseconds from when a request was due to the end of its answer, the share of 304, and requests a second."""
    with rig.web() as web, rig.workers(WORKERS):
        found: dict[str, list[float]] = {}
        for name, starts in (("polling", False), ("polling a busy portal", True)):
            with _Crowd(web.address, effort.pages, starts=starts) as crowd:
                time.sleep(_WARM_SECONDS)
                rounds = [crowd.answers_of(_ROUND_SECONDS) for _ in range(1 if starts else effort.rounds)]
            found |= {f"{name}, {what}": values for what, values in _summary(rounds).items()}
        return found


def _summary(rounds: Sequence[Sequence[_Heard]]) -> dict[str, list[float]]:
    times = [[answer.milliseconds for answer in answers] for answers in rounds]
    return {
        "p50": [percentile(of_round, 50) for of_round in times],
        "p95": [percentile(of_round, 95) for of_round in times],
        "requests a second": [len(of_round) / _ROUND_SECONDS for of_round in times],
        "% unchanged": [100 * sum(one.status == 304 for one in answers) / len(answers) for answers in rounds],
    }


@dataclass(order=True)
class _Open:
    """A page in somebody's browser; ``stirred`` is when something last changed or somebody moved, as in the script."""

    due: float
    path: str = field(compare=False)
    number: int = field(compare=False)
    attended: bool = field(compare=False)
    stirred: float = field(compare=False)
    state: str = field(compare=False, default="")
    live: str = field(compare=False, default="still")

    def pause(self, now: float) -> float:
        """As the script has it."""
        if self.attended:
            self.stirred = now
        return min(_SLOW, max(_QUICK[self.live], (now - self.stirred) / 30))


@dataclass(frozen=True)
class _Heard:
    at: float
    milliseconds: float
    status: int


class _Crowd:
    """So many open pages, asked for over few connections, as a proxy does."""

    def __init__(self, address: str, pages: int, *, starts: bool) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._heard: list[_Heard] = []
        self._over = threading.Event()
        self._trouble: list[BaseException] = []
        now = time.monotonic()
        self._pages = [self._opened(number, now, pages) for number in range(pages)]
        heapq.heapify(self._pages)
        self._threads = [threading.Thread(target=self._poll) for _ in range(_CONNECTIONS)]
        if starts:
            self._threads.append(threading.Thread(target=self._start_runs))

    def __enter__(self) -> _Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self._trouble:
            raise self._trouble[0]

    def answers_of(self, seconds: float) -> list[_Heard]:
        """What was heard within so many seconds from now."""
        with self._lock:
            self._heard = []
        self._over.wait(seconds)
        with self._lock:
            return sorted(self._heard, key=lambda one: one.at)

    def _opened(self, number: int, now: float, pages: int) -> _Open:
        attended = number < pages * QUICK_SHARE
        if attended:
            path = "/actions"
        else:
            path = (f"/actions?requested_by={quote(person(number))}", "/actions?status=failed")[number % 2]
        return _Open(now + random.uniform(0, _SLOW), path, number, attended, now - _LONG_AGO)

    def _poll(self) -> None:
        client = Client(self._address)
        try:
            while not self._over.is_set():
                if page := self._next():
                    self._ask(client, page)
        except BaseException as error:  # noqa: BLE001 it is raised where the program waits
            self._trouble.append(error)
            self._over.set()

    def _next(self) -> _Open | None:
        with self._lock:
            wait = self._pages[0].due - time.monotonic() if self._pages else 0.01
            if wait <= 0:
                return heapq.heappop(self._pages)
        self._over.wait(min(wait, 0.01))
        return None

    def _ask(self, client: Client, page: _Open) -> None:
        headers = {"If-None-Match": page.state} if page.state else {}
        answer = client.ask("GET", page.path, page.number, headers=headers)
        if answer.status not in (200, 304):
            raise SystemExit(f"{page.path} was answered {answer.status}: {answer.body[:500]!r}")
        now = time.monotonic()
        if answer.status == 200:
            tag = answer.headers["ETag"]
            if page.state and page.state[:_STATE] != tag[:_STATE]:
                page.stirred = now
            page.state = tag
            page.live = "moving" if b'data-pa-live="moving"' in answer.body else "still"
        heard = _Heard(now, (now - page.due) * 1000, answer.status)
        page.due = now + page.pause(now)
        with self._lock:
            self._heard.append(heard)
            heapq.heappush(self._pages, page)

    def _start_runs(self) -> None:
        client = Client(self._address)
        while not self._over.wait(START_EVERY_SECONDS):
            client.start(0)
