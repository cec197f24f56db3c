"""The audit: a row for every accepted start, denial, limit, cancel and outcome, in the change's own transaction.

Nobody else writes the table; ``retention`` deletes what is old. Once it is committed, a row is a line in the log too.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, TextClause, insert, select, update

from portal_actions_plugin.control_characters import escaped
from portal_actions_plugin.run_types import AuditEntry
from portal_actions_plugin.runs.conditions import NOW
from portal_actions_plugin.runs.secrets.storable import storable
from portal_actions_plugin.runs.secrets.token_shapes import mask_tokens
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction, new_id
from portal_actions_plugin.storage.sql import checked, now_plus
from portal_actions_plugin.storage.statements import CompiledOnce

log = logging.getLogger("portal_actions_plugin.audit")

ACCEPTED = "accepted"
DENIED = "denied"
RATE_LIMITED = "rate_limited"

REPEAT_SECONDS = 60
MAX_REFUSAL_ROWS = 20
PRUNE = "prune"
TEMPLATE_ADD = "template.add"
TEMPLATE_CHANGE = "template.change"
TEMPLATE_REFUSE = "template.refuse"
TEMPLATE_REMOVE = "template.remove"
TEMPLATE_EVENTS = (TEMPLATE_ADD, TEMPLATE_CHANGE, TEMPLATE_REFUSE, TEMPLATE_REMOVE)
"""What happens to the definition of a template."""

PORTAL = "portal-actions"
"""Who does what nobody has asked for."""

_ADD = CompiledOnce(insert(tables.audit).values(at=NOW, last_at=NOW, count=1))


def record(tx: Transaction, entry: AuditEntry) -> str:
    """Add a row, and return its id. Its line in the log waits for the commit: what is undone is not told."""
    entry_id = new_id()
    tx.changed(
        _ADD,
        {
            "id": entry_id,
            "actor": entry.actor,
            "event": entry.event,
            "outcome": entry.outcome,
            "target": _target(entry),
            "run_id": entry.run_id,
            "template_run_id": entry.template_run_id,
            "details": dict(entry.details) or None,
        },
    )
    tx.tell_after_rings(partial(_log, entry))
    return entry_id


def template_events(tx: Transaction, names: Sequence[str]) -> list[AuditEntry]:
    """What has happened to the definitions of some templates, oldest first."""
    rows = tx.rows(
        select(tables.audit.c.target, tables.audit.c.event, tables.audit.c.outcome, tables.audit.c.details)
        .where(
            tables.audit.c.actor == PORTAL,
            checked(tables.audit.c.target.in_([_target_of(name) for name in names])),
            checked(tables.audit.c.event.in_(TEMPLATE_EVENTS)),
        )
        .order_by(tables.audit.c.id)
    )
    by_target = {_target_of(name): name for name in names}
    return [
        AuditEntry(PORTAL, row["event"], row["outcome"], by_target[row["target"]], details=row["details"] or {})
        for row in rows
    ]


def amend_prune(tx: Transaction, entry_id: str, details: Mapping[str, Any]) -> None:
    """Say on a prune's row how much is gone by now, since a prune takes several transactions."""
    own = update(tables.audit).where(tables.audit.c.id == entry_id, tables.audit.c.event == PRUNE)
    tx.changed(own.values(details=dict(details), last_at=NOW))


def record_refusal(tx: Transaction, entry: AuditEntry) -> None:
    """Add a denial or a limit, or count it on the row of the same one within the last minute.

    Who is refused for ever new names, which can be made up without end, adds ``MAX_REFUSAL_ROWS`` a minute; what
    comes then is counted on the newest row of the event.
    """
    # One refusal of an actor at a time, or two at once would both add a row.
    tx.lock(f"audit:{entry.actor}")
    recent = (tables.REFUSED, tables.audit.c.actor == entry.actor, tables.audit.c.last_at > now_plus(-REPEAT_SECONDS))
    alike = (*recent, tables.audit.c.event == entry.event, tables.audit.c.outcome == entry.outcome)
    if _count_on_newest(tx, *alike, tables.audit.c.target == _target(entry)):
        return
    refusals = select(tables.audit.c.id).where(*recent).limit(MAX_REFUSAL_ROWS)
    if len(tx.rows(refusals)) == MAX_REFUSAL_ROWS and _count_on_newest(tx, *alike):
        return
    record(tx, entry)


def _count_on_newest(tx: Transaction, *conditions: ColumnElement[bool] | TextClause) -> bool:
    newest = select(tables.audit.c.id).where(*conditions).order_by(tables.audit.c.id.desc()).limit(1).scalar_subquery()
    again = update(tables.audit).where(tables.audit.c.id == newest)
    return bool(tx.changed(again.values(count=tables.audit.c.count + 1, last_at=NOW)))


def _target(entry: AuditEntry) -> str:
    """A target can be whatever somebody wrote into a path."""
    return _target_of(entry.target)


def _target_of(name: str) -> str:
    return mask_tokens(storable(name))[:255]


def _log(entry: AuditEntry) -> None:
    actor, target = escaped(entry.actor), escaped(_target(entry))
    log.log(
        logging.WARNING if entry.outcome in (DENIED, RATE_LIMITED) else logging.INFO,
        "%s %s: %s by %s",
        entry.event,
        entry.outcome,
        target,
        actor,
        # Prefixed: a record has names of its own, and a host or a worker may give it more.
        extra={
            "audit_event": entry.event,
            "audit_outcome": entry.outcome,
            "audit_actor": actor,
            "audit_target": target,
            "audit_run_id": entry.run_id,
            "audit_template_run_id": entry.template_run_id,
            "audit_details": dict(entry.details),
        },
    )
