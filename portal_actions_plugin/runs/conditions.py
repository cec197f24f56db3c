"""What statements ask of a row of a run: the present moment, which run, whether it is due and since when."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Uuid, bindparam, func, or_, select

from portal_actions_plugin.storage.sql import now_plus
from portal_actions_plugin.storage.tables import ActionRunRow, AttemptRow

NOW = now_plus(0)
"""The present moment, by the database's clock."""

THIS_RUN = bindparam("run", type_=Uuid(as_uuid=False))
"""The id of the run that a statement is about: the value ``run``."""

DUE_SINCE = func.coalesce(
    ActionRunRow.not_before,
    # A second attempt that is due at once began to wait when the first one ended.
    select(func.max(AttemptRow.finished_at)).where(AttemptRow.action_run_id == ActionRunRow.id).scalar_subquery(),
    ActionRunRow.queued_at,
)
"""Since when a queued row that is due has been."""


def is_due(row: Any) -> Any:
    """Whether a queued row's next attempt may begin."""
    return or_(row.not_before.is_(None), row.not_before <= NOW)
