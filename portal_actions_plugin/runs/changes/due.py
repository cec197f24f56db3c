"""Which queued runs may begin now, whatever has been rung for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Integer, String, bindparam, select

from portal_actions_plugin.runs.conditions import DUE, is_due
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction
from portal_actions_plugin.storage.statements import CompiledOnce


def known(db: Transaction, ids: Collection[str]) -> Mapping[str, bool]:
    """Those of these runs that there are, and whether each is queued and due."""
    rows = db.rows(select(tables.action_runs.c.id, DUE.label("is_due")).where(tables.action_runs.c.id.in_(ids)))
    return {row["id"]: bool(row["is_due"]) for row in rows}


# Compiled once, since a job process reads it between one step and the next.
_OLDEST = CompiledOnce(
    select(tables.action_runs.c.id)
    .where(
        tables.WAITS_FOR_NOBODY,
        tables.action_runs.c.queue == bindparam("of_queue", type_=String()),
        is_due(tables.action_runs.c),
    )
    .order_by(tables.action_runs.c.id)
    .limit(bindparam("most", type_=Integer()))
)


def oldest(db: Transaction, queue: str, limit: int) -> Sequence[str]:
    """The oldest due runs of a queue. Those that were refused, for their lock or their bound, are left to who frees it and then rings."""
    return [row["id"] for row in db.rows(_OLDEST, {"of_queue": queue, "most": limit})]
