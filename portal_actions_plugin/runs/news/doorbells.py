"""When a queued row's doorbell rings again, should the last one have been lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, case, or_, select, update

from portal_actions_plugin.runs.conditions import DUE, NOW, is_due
from portal_actions_plugin.runs.states import QUEUED
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction
from portal_actions_plugin.storage.sql import now_plus


class DueRun(NamedTuple):
    """A queued run that is to be rung for, and the queue it was queued on."""

    id: str
    action: str
    queue: str


_RINGS = (tables.action_runs.c.status == QUEUED, tables.action_runs.c.held_back_at.is_(None))
"""For a run that is held back nobody rings: it would not be begun."""


def take_due(tx: Transaction, limit: int, seconds: float) -> Sequence[DueRun]:
    """Take queued rows whose doorbell is due, oldest first. The wait doubles every time."""
    due = (
        select(tables.action_runs.c.id)
        .where(tables.QUEUED_ROW, tables.action_runs.c.ring_again_at <= NOW)
        .order_by(tables.action_runs.c.ring_again_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = [row["id"] for row in tx.rows(due)]
    taken = tx.execute(
        update(tables.action_runs)
        .where(tables.action_runs.c.id.in_(ids), tables.action_runs.c.status == QUEUED)
        .values(
            rung_at=NOW,
            rings=tables.action_runs.c.rings + 1,
            ring_again_at=now_plus(seconds * _doubling(tables.action_runs.c.rings)),
        )
        .returning(tables.action_runs.c.id, tables.action_runs.c.action, tables.action_runs.c.queue)
    )
    return [DueRun._make(row) for row in taken]


def rings_again_in(tx: Transaction, run_id: str, seconds: float) -> None:
    """Let a queued row's doorbell ring again in so many seconds, or when its next attempt is due."""
    is_early = tables.action_runs.c.not_before > now_plus(seconds)
    tx.changed(
        update(tables.action_runs)
        .where(tables.action_runs.c.id == run_id, *_RINGS)
        .values(rings=1, ring_again_at=case((is_early, tables.action_runs.c.not_before), else_=now_plus(seconds)))
    )


def all_due(tx: Transaction) -> int:
    """Let the doorbells of all due rows ring again: none that rang before is there any more. Says how many."""
    return tx.changed(
        update(tables.action_runs)
        .where(tables.QUEUED_ROW, tables.action_runs.c.ring_again_at > NOW, is_due(tables.action_runs.c))
        .values(rings=1, ring_again_at=NOW)
    )


def route(tx: Transaction, run_id: str, queue: str) -> None:
    """Move a queued row to the queue that its action goes to by now."""
    tx.changed(
        update(tables.action_runs)
        .where(tables.action_runs.c.id == run_id, tables.action_runs.c.status == QUEUED)
        .values(queue=queue)
    )


def lost(tx: Transaction, ids: Sequence[str]) -> None:
    """Let the next sweep ring for these at once: Redis did not take the ring."""
    tx.changed(
        update(tables.action_runs)
        .where(tables.action_runs.c.id.in_(ids), *_RINGS)
        .values(rung_at=None, rings=1, ring_again_at=NOW)
    )


def due_at_once(tx: Transaction, ids: Sequence[str]) -> int:
    """Let the next sweep ring for those of these that are queued, due and not to be rung for yet."""
    return tx.changed(
        update(tables.action_runs)
        .where(
            tables.action_runs.c.id.in_(ids),
            DUE,
            or_(tables.action_runs.c.ring_again_at.is_(None), tables.action_runs.c.ring_again_at > NOW),
        )
        .values(rung_at=None, rings=1, ring_again_at=NOW)
    )


_MAX_DOUBLINGS = 6


def _doubling(rings: ColumnElement[int]) -> ColumnElement[int]:
    """2 to the power of rings, up to a limit, in plain SQL: SQLite may come without power()."""
    return case({n: 2**n for n in range(_MAX_DOUBLINGS)}, value=rings, else_=2**_MAX_DOUBLINGS)
