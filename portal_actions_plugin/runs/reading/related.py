"""The runs that other runs name, and the retries of runs: each as in a list."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Integer, Select, bindparam, select

from portal_actions_plugin.run_types import ActionRun, TemplateRun
from portal_actions_plugin.runs.reading import rows
from portal_actions_plugin.runs.reading.queries import listed_action_runs, listed_template_runs
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from portal_actions_plugin.storage.sql import Id

_run_id = bindparam("run_id", type_=Id())
_run_ids = bindparam("run_ids", type_=Id(), expanding=True)
_limit = bindparam("limit", type_=Integer())

_ACTION_RUNS_BY_ID = rows.select_action_runs().where(tables.action_runs.c.id.in_(_run_ids))
_TEMPLATE_RUNS_BY_ID = rows.select_template_runs().where(tables.template_runs.c.id.in_(_run_ids))
_RETRIES_OF_ACTION_RUN = (
    rows.select_action_runs()
    .where(tables.action_runs.c.retry_of == _run_id)
    .order_by(tables.action_runs.c.id.desc())
    .limit(_limit)
)
_RETRIES_OF_TEMPLATE_RUN = (
    rows.select_template_runs()
    .where(tables.template_runs.c.retry_of == _run_id)
    .order_by(tables.template_runs.c.id.desc())
    .limit(_limit)
)


def _retry_ids(table: tables.RunTable) -> Select[Any]:
    again = table.c
    columns: tuple[Any, ...] = (again.retry_of, again.id)
    return select(*columns).where(again.retry_of.in_(_run_ids)).order_by(again.id.desc())


_RETRY_IDS_OF_TEMPLATE_RUNS = _retry_ids(tables.template_runs)
_RETRY_IDS_OF_ACTION_RUNS = _retry_ids(tables.action_runs)


def action_runs_by_id(run_ids: Collection[str]) -> list[ActionRun]:
    """Those of these action runs that there are, as in a list."""
    if not run_ids:
        return []
    with reading() as db:
        return listed_action_runs(db, db.rows(_ACTION_RUNS_BY_ID, {"run_ids": list(run_ids)}))


def template_runs_by_id(run_ids: Collection[str]) -> list[TemplateRun]:
    """Those of these template runs that there are, as in a list."""
    if not run_ids:
        return []
    with reading() as db:
        return listed_template_runs(db, db.rows(_TEMPLATE_RUNS_BY_ID, {"run_ids": list(run_ids)}))


def retries_of(run: ActionRun | TemplateRun, *, limit: int) -> list[ActionRun] | list[TemplateRun]:
    """The retries of a run, newest first, as in a list."""
    values = {"run_id": run.id, "limit": limit}
    with reading() as db:
        if isinstance(run, TemplateRun):
            return listed_template_runs(db, db.rows(_RETRIES_OF_TEMPLATE_RUN, values))
        return listed_action_runs(db, db.rows(_RETRIES_OF_ACTION_RUN, values))


def retry_ids(template_run_ids: Collection[str], action_run_ids: Collection[str]) -> dict[str, list[str]]:
    """The ids of the retries of each of these runs that has any, newest first, by the run's."""
    asked = ((_RETRY_IDS_OF_TEMPLATE_RUNS, template_run_ids), (_RETRY_IDS_OF_ACTION_RUNS, action_run_ids))
    with reading() as db:
        rows_of = [db.rows(statement, {"run_ids": list(ids)}) for statement, ids in asked if ids]
    retries: dict[str, list[str]] = {}
    for row in (row for found in rows_of for row in found):
        retries.setdefault(row["retry_of"], []).append(row["id"])
    return retries
