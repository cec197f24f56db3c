"""What statements ask of a row of a run: the present moment, which run, whether it is due and since when, or lost."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Uuid, and_, bindparam, func, or_, select

from portal_actions_plugin.runs.states import QUEUED, RUNNING
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sql import now_plus

NOW = now_plus(0)
"""The present moment, by the database's clock."""

THIS_RUN = bindparam("run", type_=Uuid(as_uuid=False))
"""The id of the run that a statement is about: the value ``run``."""

DUE_SINCE = func.coalesce(
    tables.action_runs.c.not_before,
    # A second attempt that is due at once began to wait when the first one ended.
    select(func.max(tables.attempts.c.finished_at))
    .where(tables.attempts.c.action_run_id == tables.action_runs.c.id)
    .scalar_subquery(),
    tables.action_runs.c.queued_at,
)
"""Since when a queued row that is due has been."""


def is_due(action_run: tables.ActionRunColumns) -> ColumnElement[bool]:
    """Whether a queued row's next attempt may begin."""
    return or_(action_run.not_before.is_(None), action_run.not_before <= NOW)


DUE = and_(
    tables.action_runs.c.status == QUEUED, tables.action_runs.c.held_back_at.is_(None), is_due(tables.action_runs.c)
)
"""Action runs that are queued, and whose next attempt may begin; none that is held back for steps of the same person."""

LOST = and_(tables.action_runs.c.status == RUNNING, tables.action_runs.c.lease_expires_at < NOW)
"""Action runs that are running, says their row, and that nobody is known to be on: their lease has lapsed."""
