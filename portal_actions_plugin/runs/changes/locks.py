"""One writer per lock key: who may take a lock, who waits for it, and when it is free again.

A lock is its process's until that is known to be gone, also when its row has left ``running``: a canceled handler may
still be writing. So a row that holds one keeps its process's token and lease.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, not_, select, tuple_, update

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.conditions import NOW, is_due
from portal_actions_plugin.runs.news import ring
from portal_actions_plugin.runs.states import QUEUED, RUNNING
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction
from portal_actions_plugin.storage.sql import now_plus

log = logging.getLogger(__name__)


def is_free(key: str | None) -> Sequence[Any]:
    """What a claim demands of the row it updates: nobody holds the key, and no older due row wants it."""
    if key is None:
        return ()
    other = tables.action_runs.alias().c
    held = select(other.id).where(other.lock_key == key, other.lock_held).exists()
    first = (
        select(other.id)
        .where(
            tables.WANTS_LOCK,  # of the other: of tables with the same columns, a subquery's own comes first
            other.lock_key == key,
            other.held_back_at.is_(None),  # it waits for a slot, which this one may have
            is_due(other),
            tuple_(other.queued_at, other.id) < tuple_(tables.action_runs.c.queued_at, tables.action_runs.c.id),
        )
        .correlate(tables.action_runs)
        .exists()
    )
    return (not_(held), not_(first))


def kept_lease() -> Any:
    """What a row that leaves ``running`` keeps of its lease: as long as it holds a lock, all of it."""
    return case((tables.action_runs.c.lock_held, tables.action_runs.c.lease_expires_at))


def wait_for(tx: Transaction, run_id: str, key: str) -> None:
    """Keep what a refused row waits for: who frees the lock rings for the next in line."""
    tx.changed(
        update(tables.action_runs)
        .where(tables.action_runs.c.id == run_id, tables.action_runs.c.status == QUEUED)
        .values(lock_key=key)
    )


def free_of(tx: Transaction, process_token: str) -> Sequence[str]:
    """Free the locks of a process that is known to be gone; returns their keys."""
    return _free(tx, tables.action_runs.c.process_token == process_token)


def free_lapsed(tx: Transaction, grace_seconds: float) -> Sequence[str]:
    """Free the locks of rows that are not running any more, whose process has let its lease lapse; returns their keys."""
    return _free(
        tx,
        and_(tables.action_runs.c.status != RUNNING, tables.action_runs.c.lease_expires_at < now_plus(-grace_seconds)),
    )


def _free(tx: Transaction, whose: ColumnElement[bool]) -> Sequence[str]:
    freed = tx.rows(
        update(tables.action_runs)
        .where(tables.action_runs.c.lock_held, whose)
        .values(
            lock_held=False,
            lease_expires_at=case((tables.action_runs.c.status == RUNNING, tables.action_runs.c.lease_expires_at)),
        )
        .returning(tables.action_runs.c.lock_key)
    )
    return [row["lock_key"] for row in freed]


def take_next_in_line(tx: Transaction, key: str, ring_again_seconds: float) -> tuple[str, str] | None:
    """Take the oldest due row that wants a lock, to ring for it; its (id, queue).

    It may have waited long, and its doorbell ring seldom by now; from here on it rings as that of a fresh row.
    """
    first = (
        select(tables.action_runs.c.id)
        .where(
            tables.WANTS_LOCK,
            tables.action_runs.c.lock_key == key,
            tables.action_runs.c.held_back_at.is_(None),
            is_due(tables.action_runs.c),
        )
        .order_by(tables.action_runs.c.queued_at, tables.action_runs.c.id)
        .limit(1)
        .scalar_subquery()
    )
    row = tx.row(
        update(tables.action_runs)
        .where(tables.action_runs.c.id == first, tables.action_runs.c.status == QUEUED)
        .values(rung_at=NOW, rings=1, ring_again_at=now_plus(ring_again_seconds))
        .returning(tables.action_runs.c.id, tables.action_runs.c.queue)
    )
    return (row["id"], row["queue"]) if row else None


def ring_for_next_after_commit(tx: Transaction, keys: Sequence[str]) -> None:
    """Ring for whoever is next in line for each of these locks, which are free now."""
    for key in keys:
        if waiting := take_next_in_line(tx, key, extension().config.ring_again_seconds):
            ring.ring_first_after_commit(tx, *waiting)
