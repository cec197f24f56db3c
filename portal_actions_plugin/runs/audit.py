"""The audit: a row for every accepted start, denial, limit, cancel and outcome, in the change's own transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from portal_actions_plugin.db import Transaction, new_id, now_plus
from portal_actions_plugin.models import AuditRow
from portal_actions_plugin.runs.text import storable

ACCEPTED = "accepted"
DENIED = "denied"
RATE_LIMITED = "rate_limited"

REPEAT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to what, and how it ended.

    Attributes:
        event: ``template_run.start``, ``action_run.start``, ``….retry``, ``….cancel``, ``….finish``, ``audit.read`` or
            ``prune``.
        outcome: ``accepted``, ``denied``, ``rate_limited``, or the status that a run ended with.
        target: a template name, an action id or a run id.
    """

    actor: str
    event: str
    outcome: str
    target: str
    run_id: str | None = None
    template_run_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    at: datetime | None = None
    last_at: datetime | None = None
    count: int = 1


def record(tx: Transaction, entry: AuditEntry) -> str:
    """Add a row, and return its id."""
    entry_id = new_id()
    tx.execute(
        insert(AuditRow).values(
            id=entry_id,
            at=now_plus(0),
            last_at=now_plus(0),
            actor=entry.actor,
            event=entry.event,
            outcome=entry.outcome,
            target=_target(entry),
            run_id=entry.run_id,
            template_run_id=entry.template_run_id,
            details=dict(entry.details) or None,
            count=1,
        )
    )
    return entry_id


def amend(tx: Transaction, entry_id: str, details: Mapping[str, Any]) -> None:
    """Say on a row how far it has come by now, for work of several transactions."""
    tx.changed(update(AuditRow).where(AuditRow.id == entry_id).values(details=dict(details), last_at=now_plus(0)))


def record_refusal(tx: Transaction, entry: AuditEntry) -> None:
    """Add a denial or a limit, or count it on the row of the same one within the last minute."""
    # One refusal of an actor at a time, or two at once would both add a row.
    tx.lock(f"audit:{entry.actor}")
    same = (
        select(AuditRow.id)
        .where(
            AuditRow.actor == entry.actor,
            AuditRow.event == entry.event,
            AuditRow.outcome == entry.outcome,
            AuditRow.target == _target(entry),
            AuditRow.last_at > now_plus(-REPEAT_SECONDS),
        )
        .order_by(AuditRow.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    again = update(AuditRow).where(AuditRow.id == same).values(count=AuditRow.count + 1, last_at=now_plus(0))
    if not tx.changed(again):
        record(tx, entry)


def _target(entry: AuditEntry) -> str:
    """A target can be whatever somebody wrote into a path."""
    return storable(entry.target)[:255]
