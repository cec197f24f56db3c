"""When a queued row's doorbell rings again, should the last one have been lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, or_, select, update

from portal_actions_plugin.runs.conditions import NOW, is_due
from portal_actions_plugin.runs.states import QUEUED
from portal_actions_plugin.storage.sessions import Row, Transaction
from portal_actions_plugin.storage.sql import now_plus
from portal_actions_plugin.storage.tables import QUEUED_ROW, ActionRunRow


def take_due(tx: Transaction, limit: int, seconds: float) -> Sequence[Row]:
    """Take queued rows whose doorbell is due, oldest first; their id, action and queue. The wait doubles every time."""
    due = (
        select(ActionRunRow.id)
        .where(QUEUED_ROW, ActionRunRow.ring_again_at <= NOW)
        .order_by(ActionRunRow.ring_again_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = [row["id"] for row in tx.rows(due)]
    return tx.rows(
        update(ActionRunRow)
        .where(ActionRunRow.id.in_(ids), ActionRunRow.status == QUEUED)
        .values(
            rung_at=NOW,
            rings=ActionRunRow.rings + 1,
            ring_again_at=now_plus(seconds * _doubling(ActionRunRow.rings)),
        )
        .returning(ActionRunRow.id, ActionRunRow.action, ActionRunRow.queue)
    )


def rings_again_in(tx: Transaction, run_id: str, seconds: float) -> None:
    """Let a queued row's doorbell ring again in so many seconds, or when its next attempt is due."""
    is_early = ActionRunRow.not_before > now_plus(seconds)
    tx.changed(
        update(ActionRunRow)
        .where(ActionRunRow.id == run_id, ActionRunRow.status == QUEUED)
        .values(rings=1, ring_again_at=case((is_early, ActionRunRow.not_before), else_=now_plus(seconds)))
    )


def all_due(tx: Transaction) -> int:
    """Let the doorbells of all due rows ring again: none that rang before is there any more. Says how many."""
    return tx.changed(
        update(ActionRunRow)
        .where(QUEUED_ROW, ActionRunRow.ring_again_at > NOW, is_due(ActionRunRow))
        .values(rings=1, ring_again_at=NOW)
    )


def route(tx: Transaction, run_id: str, queue: str) -> None:
    """Move a queued row to the queue that its action goes to by now."""
    tx.changed(update(ActionRunRow).where(ActionRunRow.id == run_id, ActionRunRow.status == QUEUED).values(queue=queue))


def lost(tx: Transaction, ids: Sequence[str]) -> None:
    """Let the next sweep ring for these at once: Redis did not take the ring."""
    tx.changed(
        update(ActionRunRow)
        .where(ActionRunRow.id.in_(ids), ActionRunRow.status == QUEUED)
        .values(rung_at=None, rings=1, ring_again_at=NOW)
    )


def due_at_once(tx: Transaction, ids: Sequence[str]) -> int:
    """Let the next sweep ring for those of these that are queued, due and not to be rung for yet."""
    return tx.changed(
        update(ActionRunRow)
        .where(
            ActionRunRow.id.in_(ids),
            ActionRunRow.status == QUEUED,
            is_due(ActionRunRow),
            or_(ActionRunRow.ring_again_at.is_(None), ActionRunRow.ring_again_at > NOW),
        )
        .values(rung_at=None, rings=1, ring_again_at=NOW)
    )


_MAX_DOUBLINGS = 6


def _doubling(rings: Any) -> Any:
    """2 to the power of rings, up to a limit, in plain SQL: SQLite may come without power()."""
    return case({n: 2**n for n in range(_MAX_DOUBLINGS)}, value=rings, else_=2**_MAX_DOUBLINGS)
