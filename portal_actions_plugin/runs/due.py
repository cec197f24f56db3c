"""Which queued runs may begin now, whatever has been rung for."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Integer, String, bindparam, select

from portal_actions_plugin.db import Transaction
from portal_actions_plugin.models import WAITS_FOR_NOBODY, ActionRunRow
from portal_actions_plugin.runs import locks
from portal_actions_plugin.runs.states import QUEUED
from portal_actions_plugin.statements import CompiledOnce


def among(db: Transaction, ids: Collection[str]) -> set[str]:
    """Those of these runs that are queued and due."""
    still = select(ActionRunRow.id).where(
        ActionRunRow.id.in_(ids), ActionRunRow.status == QUEUED, locks.is_due(ActionRunRow)
    )
    return {row["id"] for row in db.rows(still)}


_OLDEST = CompiledOnce(
    select(ActionRunRow.id)
    .where(WAITS_FOR_NOBODY, ActionRunRow.queue == bindparam("of_queue", type_=String()), locks.is_due(ActionRunRow))
    .order_by(ActionRunRow.id)
    .limit(bindparam("most", type_=Integer()))
)


def oldest(db: Transaction, queue: str, limit: int) -> Sequence[str]:
    """The oldest due runs of a queue. Those that were refused, for their lock or their bound, are left to who frees it and then rings."""
    return [row["id"] for row in db.rows(_OLDEST, {"of_queue": queue, "most": limit})]
