"""Which queued runs may begin now, whatever has been rung for."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import case, func, select

from portal_actions_plugin.db import Transaction
from portal_actions_plugin.models import WAITS_FOR_NO_LOCK, ActionRunRow
from portal_actions_plugin.runs import locks
from portal_actions_plugin.runs.states import QUEUED, SUCCESS


def among(db: Transaction, ids: Collection[str]) -> set[str]:
    """Those of these runs that are queued and due."""
    still = select(ActionRunRow.id).where(
        ActionRunRow.id.in_(ids), ActionRunRow.status == QUEUED, locks.is_due(ActionRunRow)
    )
    return {row["id"] for row in db.rows(still)}


def oldest(db: Transaction, queue: str, limit: int) -> Sequence[str]:
    """The oldest due runs of a queue. Those that were refused for their lock are left to who frees it and then rings."""
    first = (
        select(ActionRunRow.id)
        .where(WAITS_FOR_NO_LOCK, ActionRunRow.queue == queue, locks.is_due(ActionRunRow))
        .order_by(ActionRunRow.id)
        .limit(limit)
    )
    return [row["id"] for row in db.rows(first)]


def successes(db: Transaction, process_token: str) -> int:
    """How many runs a job process has brought to success."""
    # Not among the conditions: SQLite would rather read all of history's successes by the index of statuses.
    succeeded = func.count(case((ActionRunRow.status == SUCCESS, 1)))
    its = select(succeeded.label("count")).where(ActionRunRow.process_token == process_token)
    return int(db.rows(its)[0]["count"])
