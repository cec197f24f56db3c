"""Cancels: a run becomes canceled in its row first, and its process is stopped because of that."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, update

from portal_actions_plugin.runs.changes import locks
from portal_actions_plugin.runs.changes.transitions import ENDED, close_attempt, end_template_run, nobody_listens
from portal_actions_plugin.runs.conditions import NOW
from portal_actions_plugin.runs.reading import rows
from portal_actions_plugin.runs.secrets.sealing import WIPED
from portal_actions_plugin.runs.states import ACTIVE, CANCELED, QUEUED
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction


@dataclass(frozen=True, slots=True)
class Canceled:
    """A step or one-off that was canceled, and the lock that it waited for or holds."""

    id: str
    action: str
    lock_key: str | None


def cancel_template_run(tx: Transaction, run_id: str) -> list[Canceled] | None:
    """Cancel an active template run and its active steps; returns the steps, None when it was over already."""
    if not end_template_run(tx, run_id, CANCELED):
        return None
    return cancel_action_runs(tx, tables.action_runs.c.template_run_id == run_id)


def cancel_held_items(tx: Transaction, run_id: str, position: int) -> list[Canceled]:
    """Cancel those items of a step that wait for their turn, since another one has failed. The template run is locked."""
    step = tables.action_runs.c
    return cancel_action_runs(
        tx, and_(step.template_run_id == run_id, step.position == position, step.status == QUEUED)
    )


def cancel_one_off(tx: Transaction, run_id: str) -> list[Canceled]:
    """Cancel an active one-off; empty when it was over already. The row stays claimed: its process is then stopped."""
    return list(
        cancel_action_runs(tx, and_(tables.action_runs.c.id == run_id, tables.action_runs.c.template_run_id.is_(None)))
    )


def cancel_action_runs(tx: Transaction, which: ColumnElement[bool]) -> list[Canceled]:
    """Cancel the active ones of these action runs."""
    canceled = tx.rows(
        update(tables.action_runs)
        .where(which, tables.action_runs.c.status.in_(ACTIVE))
        .values(
            version=tables.action_runs.c.version + 1,
            status=CANCELED,
            finished_at=ENDED,
            lease_expires_at=locks.kept_lease(),
            not_before=None,
            announced_at=NOW if nobody_listens() else None,
            **WIPED,
        )
        .returning(*rows.WRITTEN_COLUMNS)
    )
    for row in canceled:
        tx.keep_in_hand(row)
        close_attempt(tx, row["id"], CANCELED, None)
    return [Canceled(row["id"], row["action"], row["lock_key"]) for row in canceled]
