"""Workers as everybody sees them: who is alive, who has stalled and why, and which run waits in vain.

Every age is by the database's clock. A worker is alive when its loop has turned lately, not when its process exists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, delete, func, insert, not_, or_, select, update

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.conditions import DUE_SINCE, NOW, is_due
from portal_actions_plugin.runs.states import RUNNING
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Row, Transaction
from portal_actions_plugin.storage.sql import milliseconds_between, now_plus

MISSING = "missing"
"""The state of a place that has no worker, though its supervisor was told to have one there."""

STANDING_BY = "standing_by"
"""The state of a worker that says of itself that it waits for a doorbell."""

STOPPING = "stopping"
"""The state of a worker that was told to stop, and finishes its step."""

IDLE_SECONDS = 10
"""A worker has stood by for at least so long before it can be said to be deaf: a busy one stands by now and then."""

FORGET_SECONDS = 3600
GONE_SECONDS = 600
"""A worker that was not seen for longer was most likely given up, such as with its machine, and is no news any more."""


@dataclass(frozen=True, slots=True)
class Stalled:
    """A worker that should be at work and is not.

    Attributes:
        name: its place, as attempts name it.
        queue: the queue that it should work on.
        host: the machine that it is on.
        pid: its process; 0 where there is none.
        seconds: for how long.
        waiting: the run that waits for it though it stands by, if that is how it is known.
        is_missing: whether there is no worker at its place at all.
    """

    name: str
    queue: str
    host: str
    pid: int
    seconds: float
    waiting: str | None
    is_missing: bool


@dataclass(frozen=True, slots=True)
class Sign:
    """What a supervisor says of a place. The moments are seconds ago, by the machine's monotonic clock.

    Attributes:
        name: of the place.
        queue: that its worker hears.
        host: the machine.
        pid: the worker's process; 0 where there is none.
        supervisor: its machine and process.
        version: of the plugin.
        state: what the worker says that it does, or ``MISSING``.
        state_ago: since when.
        turned_ago: when its loop turned last; of a missing one, when the last one died.
    """

    name: str
    queue: str
    host: str
    pid: int
    supervisor: str
    version: str
    state: str
    state_ago: float
    turned_ago: float


def alive_seconds() -> float:
    """How long ago a worker's loop may have turned for it to count as alive."""
    return extension().config.stall_seconds / 2


def is_alive() -> ColumnElement[bool]:
    """The condition of a worker whose loop has turned lately."""
    return was_seen_within(alive_seconds())


def was_seen_within(seconds: float) -> ColumnElement[bool]:
    """The condition of a worker whose loop has turned within so many seconds, as its supervisor has seen it."""
    return tables.workers.c.seen_at > now_plus(-seconds)


def alive_by_queue(db: Transaction) -> Counter[str]:
    """How many workers that are alive each queue has."""
    rows = db.rows(
        select(tables.workers.c.queue, func.count().label("n")).where(is_alive()).group_by(tables.workers.c.queue)
    )
    return Counter({row["queue"]: row["n"] for row in rows})


def stalled(db: Transaction) -> Sequence[Stalled]:
    """The workers that should be at work and are not: not seen lately, not there, or standing by while a run waits."""
    waiting = _waiting_by_queue(db)
    gone = and_(not_(is_alive()), was_seen_within(GONE_SECONDS))
    deaf = and_(is_alive(), _stands_by(), tables.workers.c.queue.in_(list(waiting)))
    rows = db.rows(
        select(
            *(
                tables.workers.c.name,
                tables.workers.c.queue,
                tables.workers.c.host,
                tables.workers.c.pid,
                tables.workers.c.state,
            ),
            gone.label("gone"),
            milliseconds_between(tables.workers.c.seen_at, NOW).label("unseen"),
        )
        .where(or_(gone, deaf))
        .order_by(tables.workers.c.name)
    )
    return [_stalled(row, waiting) for row in rows]


def _stalled(row: Row, waiting: dict[str, tuple[str, float]]) -> Stalled:
    is_gone = bool(row["gone"])
    run_id, waited = (None, 0.0) if is_gone else waiting[row["queue"]]
    return Stalled(
        row["name"],
        row["queue"],
        row["host"],
        row["pid"],
        row["unseen"] / 1000 if is_gone else waited,
        run_id,
        is_gone and row["state"] == MISSING,
    )


def _stands_by() -> ColumnElement[bool]:
    """That a worker had stood by for a while when its supervisor last looked, and can be heard of."""
    return and_(
        tables.workers.c.state == STANDING_BY,
        milliseconds_between(tables.workers.c.state_since, tables.workers.c.seen_at) >= IDLE_SECONDS * 1000,
    )


def _waiting_by_queue(db: Transaction) -> dict[str, tuple[str, float]]:
    """Of each queue the run that has waited in vain for longest, and for how many seconds."""
    found: dict[str, tuple[str, float]] = {}
    for queue in [row["queue"] for row in db.rows(select(tables.workers.c.queue).distinct())]:
        if run := waits_in_vain(db, queue):
            found[queue] = (run.id, run.waited_seconds)
    return found


class WaitingRun(NamedTuple):
    """A run that is due, and for how long it has been."""

    id: str
    waited_seconds: float


def waits_in_vain(db: Transaction, queue: str, besides: Collection[str] = ()) -> WaitingRun | None:
    """The oldest run of a queue that needs no lock and has been due for too long; None when there is none.

    Args:
        db: where to look.
        queue: the queue's name.
        besides: the ids of runs that are not meant.
    """
    row = db.row(
        select(tables.action_runs.c.id, milliseconds_between(DUE_SINCE, NOW).label("waited"))
        .where(tables.WAITS_FOR_NOBODY, tables.action_runs.c.queue == queue, is_due(tables.action_runs.c))
        .where(now_plus(-extension().config.stall_seconds) > DUE_SINCE, tables.action_runs.c.id.not_in(besides))
        .order_by(tables.action_runs.c.id)
        .limit(1)
    )
    return WaitingRun(row["id"], row["waited"] / 1000) if row else None


def has_live_lease(db: Transaction, worker: str) -> bool:
    """Whether a job process of this worker runs something and is known to be on it."""
    live = select(tables.action_runs.c.id).where(
        tables.action_runs.c.status == RUNNING,
        tables.action_runs.c.worker == worker,
        tables.action_runs.c.lease_expires_at > NOW,
    )
    return db.row(live.limit(1)) is not None


# -- what a supervisor writes ----------------------------------------------------------------------------------------


def keep(tx: Transaction, sign: Sign) -> None:
    """Keep what a supervisor says of one of its places."""
    values = {
        "queue": sign.queue,
        "pid": sign.pid,
        "supervisor": sign.supervisor,
        "version": sign.version,
        "state": sign.state,
        "state_since": now_plus(-sign.state_ago),
        "seen_at": now_plus(-sign.turned_ago),
    }
    if not tx.changed(update(tables.workers).where(tables.workers.c.name == sign.name).values(**values)):
        tx.execute(insert(tables.workers).values(name=sign.name, host=sign.host, started_at=NOW, **values))


def forget(tx: Transaction, names: Sequence[str]) -> None:
    """Forget workers that were stopped."""
    tx.changed(delete(tables.workers).where(tables.workers.c.name.in_(names)))


def forget_gone(tx: Transaction) -> int:
    """Forget the workers that nobody has seen for an hour; says how many those are."""
    return tx.changed(delete(tables.workers).where(tables.workers.c.seen_at < now_plus(-FORGET_SECONDS)))


def supervisors_on(db: Transaction, host: str) -> Sequence[str]:
    """The supervisors that workers of a machine are kept of."""
    rows = db.rows(
        select(tables.workers.c.supervisor)
        .where(tables.workers.c.host == host, tables.workers.c.supervisor.is_not(None))
        .distinct()
    )
    return [row["supervisor"] for row in rows]


def forget_of(tx: Transaction, supervisors: Sequence[str]) -> None:
    """Forget the workers of supervisors that are known to be gone."""
    tx.changed(delete(tables.workers).where(tables.workers.c.supervisor.in_(supervisors)))
