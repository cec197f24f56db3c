"""Queues that do not move: something is due on them for long, and nothing has begun or ended there meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select

from portal_actions_plugin.runs.conditions import DUE_SINCE, NOW, is_due
from portal_actions_plugin.runs.states import RUNNING
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction
from portal_actions_plugin.storage.sql import milliseconds_between, now_plus

STILL_SECONDS = 600

LOOKED_AT = 1_000
"""So many due runs at the head of a queue are looked at: those behind them wait for less, and there may be any number."""

_run = tables.action_runs.c


@dataclass(frozen=True, slots=True)
class StillQueue:
    """A queue that does not move.

    Attributes:
        queue: its name.
        waiting: the run that is due there and needs nothing but a worker.
        seconds: for how long it has been.
        running: how many steps run there; 0 where nobody works.
        most: how many of those are one identity's.
        whose: that identity.
    """

    queue: str
    waiting: str
    seconds: float
    running: int
    most: int
    whose: str | None


def still_queues(db: Transaction) -> Sequence[StillQueue]:
    """The queues that have not moved for ten minutes, though something is due.

    A backlog that is worked on is none, and neither is what waits for a lock or is held back.
    """
    return list(_found(db))


def _found(db: Transaction) -> Iterator[StillQueue]:
    for row in db.rows(select(_run.queue).where(tables.WAITS_FOR_NOBODY).distinct().order_by(_run.queue)):
        queue: str = row["queue"]
        head = select(_run.id).where(tables.WAITS_FOR_NOBODY, _run.queue == queue, is_due(_run))
        waiting = db.row(
            select(_run.id, milliseconds_between(DUE_SINCE, NOW).label("waited"))
            .where(_run.id.in_(select(head.order_by(_run.id).limit(LOOKED_AT).subquery().c.id)))
            .where(now_plus(-STILL_SECONDS) > DUE_SINCE)
            .order_by(_run.id)
            .limit(1)
        )
        if waiting and not _has_moved(db, queue):
            running, most, whose = _at_work(db, queue)
            yield StillQueue(queue, waiting["id"], waiting["waited"] / 1000, running, most, whose)


def _has_moved(db: Transaction, queue: str) -> bool:
    lately = now_plus(-STILL_SECONDS)
    began = select(_run.id).where(_run.status == RUNNING, _run.queue == queue, _run.started_at > lately)
    ended = select(_run.id).where(tables.ENDED, _run.finished_at > lately, _run.queue == queue)
    return bool(db.row(select(or_(began.exists(), ended.exists()).label("moved")))["moved"])  # type: ignore[index]


def _at_work(db: Transaction, queue: str) -> tuple[int, int, str | None]:
    rows = db.rows(
        select(_run.requested_by, func.count().label("n"))
        .where(_run.status == RUNNING, _run.queue == queue)
        .group_by(_run.requested_by)
        .order_by(func.count().desc(), _run.requested_by)
    )
    if not rows:
        return 0, 0, None
    return sum(row["n"] for row in rows), rows[0]["n"], rows[0]["requested_by"]
