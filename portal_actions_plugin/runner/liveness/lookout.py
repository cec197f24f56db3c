"""A supervisor's lookout over its own workers: who is at work, who has stalled, and who has to be replaced.

A worker that does not turn is replaced once its last lease must have run out. One that stands by while a run waits for
too long is rung for once more; it is replaced when it does not hear that either.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version

from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.liveness.places import Place
from portal_actions_plugin.runner.liveness.pulse import Doing
from portal_actions_plugin.runs.news import ring
from portal_actions_plugin.runs.reading import workers
from portal_actions_plugin.runs.reading.workers import IDLE_SECONDS, MISSING, STOPPING, Sign
from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.sessions import reading, transaction

log = logging.getLogger(__name__)

SAY_AGAIN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class ToReplace:
    """A place whose worker has to be killed, and why."""

    place: Place
    why: str


@dataclass(frozen=True, slots=True)
class _RungFor:
    """A run that has waited in vain, and when it was rung for once more."""

    run_id: str
    at: float


class Lookout:
    """Looks at the places of one supervisor."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._host = socket.gethostname()
        self._supervisor = f"{self._host}:{os.getpid()}"
        self._version = _version()
        self._rung_for: dict[str, _RungFor] = {}
        self._in_vain: set[str] = set()
        self._said_at = float("-inf")

    def forget_predecessors(self) -> None:
        """Forget the workers of supervisors on this machine that are gone: those were killed, and said nothing."""
        try:
            with transaction("predecessors") as tx:
                gone = [name for name in workers.supervisors_on(tx, self._host) if not self._lives(name)]
                if gone:
                    workers.forget_of(tx, gone)
        except DBAPIError as error:
            away.bear(error, log, "the workers of supervisors that are gone cannot be forgotten")

    def _lives(self, supervisor: str) -> bool:
        pid = supervisor.rpartition(":")[2]
        if not pid.isdecimal() or supervisor == self._supervisor:
            return False  # our own process id was somebody else's before
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True
        return True

    def tell(self) -> None:
        """Let everybody know, by the database, which workers are at work. Raises what the database raises."""
        now = time.monotonic()
        with transaction("workers_seen") as tx:
            workers.forget_gone(tx)
            for place in self._places:
                workers.keep(tx, self._sign(place, now))

    def tell_of_those_left(self) -> None:
        """Let everybody know which workers still finish their steps, and forget the others: they were told to stop."""
        now = time.monotonic()
        with transaction("workers_leave") as tx:
            workers.forget(tx, [place.name for place in self._places if not place.pid])
            for place in self._places:
                if place.pid:
                    workers.keep(tx, replace(self._sign(place, now), state=STOPPING))

    def _sign(self, place: Place, now: float) -> Sign:
        pulse = place.pulse
        state, since, turned = (pulse.doing.value, pulse.since, pulse.turned_at)
        if not place.pid:
            state, since, turned = MISSING, place.empty_since, place.empty_since
        return Sign(
            name=place.name,
            queue=place.queue,
            host=self._host,
            pid=place.pid,
            supervisor=self._supervisor,
            version=self._version,
            state=state,
            state_ago=now - since,
            turned_ago=now - turned,
        )

    def say_who_is_missing(self) -> None:
        """Say in the log, once a minute, that there are fewer workers than there should be, when that lasts."""
        now = time.monotonic()
        seconds = extension().config.stall_seconds
        missing = [place for place in self._places if not place.pid and now - place.empty_since >= seconds]
        if not missing or now - self._said_at < SAY_AGAIN_SECONDS:
            return
        self._said_at = now
        there = sum(1 for place in self._places if place.pid)
        each = ", ".join(
            f"{place.name} for {now - place.empty_since:.0f} s (the last one ended with {place.died_with})"
            for place in missing
        )
        log.error("only %d of %d workers are there; missing: %s", there, len(self._places), each)

    def standing_still(self) -> Sequence[ToReplace]:
        """The workers whose loop has not turned for so long that their job process has no lease any more.

        A worker renews the lease of its job process in its own loop, so none outlives that by more than a lease.
        """
        config, now = extension().config, time.monotonic()
        seconds = max(config.stall_seconds * 3 / 4, config.lease_seconds + config.lease_renew_seconds)
        return [
            ToReplace(place, f"its loop has not turned for {now - place.pulse.turned_at:.0f} s")
            for place in self._places
            if place.pid and now - place.pulse.turned_at > seconds
        ]

    def deaf(self) -> Sequence[ToReplace]:
        """The workers that stand by and do not hear. Raises what the database raises."""
        now = time.monotonic()
        idle = [place for place in self._places if self._has_stood_by_since(place, now - IDLE_SECONDS)]
        found: list[ToReplace] = []
        for queue in {place.queue for place in self._places}:
            if since := self._rung_in_vain(queue, any(place.queue == queue for place in idle)):
                found += [
                    ToReplace(place, f"it stands by and does not hear that the run {since.run_id} waits")
                    for place in idle
                    if place.queue == queue and self._has_stood_by_since(place, since.at) and not _is_at_work(place)
                ]
                # Whoever takes their place did not take it either: it is not to be had by killing another one.
                self._in_vain.add(since.run_id)
        return found

    def _has_stood_by_since(self, place: Place, moment: float) -> bool:
        return bool(place.pid) and place.pulse.doing is Doing.STANDING_BY and place.pulse.since <= moment

    def _rung_in_vain(self, queue: str, is_anybody_idle: bool) -> _RungFor | None:  # noqa: FBT001 of one caller
        """The run that was rung for while somebody stood by, and still waits; rings for one that was not yet."""
        with reading() as db:
            waits = workers.waits_in_vain(db, queue, self._in_vain) if is_anybody_idle else None
        if waits is None:
            self._rung_for.pop(queue, None)
            return None
        before, now = self._rung_for.get(queue), time.monotonic()
        if before is None or before.run_id != waits.id:
            log.warning(
                "the run %s waits for %.0f s while workers stand by: waking one", waits.id, waits.waited_seconds
            )
            ring.ring([(waits.id, queue)])
            self._rung_for[queue] = _RungFor(waits.id, now)
            return None
        return before if now - before.at >= IDLE_SECONDS else None


def _is_at_work(place: Place) -> bool:
    """Whether a job process of the worker is on a run, whatever the worker says: nobody may end that."""
    with reading() as db:
        return workers.has_live_lease(db, place.name)


def _version() -> str:
    try:
        return version("portal-actions-plugin")
    except PackageNotFoundError:
        return "unknown"
