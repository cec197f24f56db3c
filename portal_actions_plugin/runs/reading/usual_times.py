"""How long steps and one-offs usually take, for a page to measure one of them against."""

from __future__ import annotations

from statistics import median
from typing import Any

from sqlalchemy import ColumnClause, Integer, Select, String, Subquery, bindparam, func, or_, select

from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runs.reading.filters import same
from portal_actions_plugin.runs.states import SUCCESS
from portal_actions_plugin.software_templates.spec import ITEMS_OF_A_STEP
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from portal_actions_plugin.storage.sql import Id, UtcDateTime, milliseconds_between

LAST = 20
"""The usual time is the median of so many successful runs."""

FEWEST = 3
"""Fewer successes than this make no habit."""

MAX_ROWS = 2_000
"""How far back a search goes: a step that never succeeds must not cost a walk over the whole history."""

Kind = tuple[str | None, str]
"""What is compared: the id of a step, None for a one-off, and its action."""


def usual_times(run: ActionRun | TemplateRun, of: str | None = None) -> dict[Kind, int]:
    """The usual milliseconds of a one-off, or of each step of a template run; none where too little is known.

    Only what had ended when the run was queued counts. So what a run is measured against does not change while somebody
    looks at it, and the run itself is no part of it.

    Args:
        run: what is measured.
        of: the id of whose runs count; None for all people's.
    """
    if isinstance(run, TemplateRun):
        # Twice as many as are needed when all goes well: some steps fail, are skipped or are not reached.
        statement, word, rows = _OF_TEMPLATE, run.template, 2 * LAST * len(run.steps)
        if any(one.items for one in run.steps):
            rows = MAX_ROWS  # those of items are among them
    else:
        statement, word, rows = _OF_ACTION, run.action, MAX_ROWS
    values = {"word": word, "run_id": run.id, "queued_at": run.queued_at, "rows": min(rows, MAX_ROWS), "of": of}
    times: dict[Kind, list[int]] = {}
    with reading() as db:
        for row in db.rows(statement, values):
            times.setdefault((row["step_id"], row["action"]), []).append(row["ms"])
    return {kind: round(median(several)) for kind, several in times.items() if len(several) >= FEWEST}


_of = bindparam("of", type_=String())


def _last_successes(column: ColumnClause[Any], *, of_steps: bool) -> Select[Any]:
    recent = _recent(column)
    kind = (recent.c.step_id, recent.c.action)
    took = milliseconds_between(recent.c.started_at, recent.c.finished_at)
    place = func.row_number().over(partition_by=kind, order_by=recent.c.id.desc())
    last = (
        select(*kind, took.label("ms"), place.label("place"))
        .where(
            recent.c.status == SUCCESS,
            recent.c.finished_at <= bindparam("queued_at", type_=UtcDateTime()),
            recent.c.started_at.is_not(None),  # a step that was taken over ran elsewhere
            recent.c.item % ITEMS_OF_A_STEP == 0,  # of a step with hundreds of items the first one speaks for all
            or_(_of.is_(None), recent.c.requested_by == _of),
            recent.c.step_id.is_not(None) if of_steps else recent.c.step_id.is_(None),
        )
        .subquery()
    )
    return select(last.c.step_id, last.c.action, last.c.ms).where(last.c.place <= LAST)


def _recent(column: ColumnClause[Any]) -> Subquery:
    """What an index finds newest first, and no more of it than a page has time for."""
    step = tables.action_runs.c
    return (
        select(
            step.id,
            step.step_id,
            step.item,
            step.action,
            step.status,
            step.started_at,
            step.finished_at,
            step.requested_by,
        )
        .where(same(column, bindparam("word", type_=String())), step.id < bindparam("run_id", type_=Id()))
        .order_by(step.id.desc())
        .limit(bindparam("rows", type_=Integer()))
        .subquery()
    )


_OF_TEMPLATE = _last_successes(tables.action_runs.c.template, of_steps=True)
_OF_ACTION = _last_successes(tables.action_runs.c.action, of_steps=False)
