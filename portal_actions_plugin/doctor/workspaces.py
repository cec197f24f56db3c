"""The doctor's look at the store of workspaces: that it takes files, and that it is the one which the others have."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select

from portal_actions_plugin.doctor.findings import Check, Finding, counted, fine, warning
from portal_actions_plugin.doctor.parts import looking
from portal_actions_plugin.errors import ActionError
from portal_actions_plugin.runs.workspaces.stores.opening import store
from portal_actions_plugin.runs.workspaces.stores.postgresql import PostgresStore
from portal_actions_plugin.runs.workspaces.stores.store import RUNS, Shelf
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import new_id

LOOKED_AT = 20
"""Of the kept workspaces, the newest."""

_TRIAL = "doctor"
_MEND = (
    "set PORTAL_ACTIONS_WORKSPACES alike for web processes and workers, to a folder that all machines share or a bucket"
)
_BRING_BACK = "bring them back from the backup of the store; retries of those runs begin with an empty workspace"

_row = tables.workspaces.c
_run = tables.template_runs.c


def _workspaces() -> Iterator[Finding]:
    try:
        kept = store()
        _try_out()
    except ActionError as error:
        message = f"steps that share files fail, and their runs cannot be resumed: {error.message}"
        yield warning(
            "workspaces", message, "correct PORTAL_ACTIONS_WORKSPACES, or the rights of who runs this command"
        )
        return
    other = _kept_elsewhere()
    if other:
        message = (
            f"{counted(sum(other.values()), 'workspace')} of runs are kept in {' and '.join(sorted(other))}, not here"
        )
        yield warning("workspaces", f"{message} ({kept.describe()}): those runs cannot go on or be resumed", _MEND)
    missing, looked_at = _missing()
    if missing and missing == looked_at:
        message = f"{kept.describe()} has no file of the last {counted(looked_at, 'workspace')} that workers have kept"
        yield warning("workspaces", f"{message}: they have another one, or this one was lost", _MEND)
    elif missing:
        message = f"{kept.describe()} has no file of {missing} of the last {counted(looked_at, 'workspace')}"
        yield warning("workspaces", f"{message}: those runs cannot go on or be resumed", _BRING_BACK)
    elif not other:
        yield fine("workspaces", f"{kept.describe()} takes the files that steps share")


def _try_out() -> None:
    """Keep a content, look at it and delete it; in the database the check of its tables has done so."""
    kept = store()
    if isinstance(kept, PostgresStore):
        return
    shelf, name = Shelf(_TRIAL, new_id()), "0" * 64
    kept.put(shelf, [(name, b"the doctor was here")])
    list(kept.get(shelf, [name]))
    kept.clear(shelf)


def _kept_elsewhere() -> dict[str, int]:
    """How many workspaces are kept in which other kind of store."""
    with looking() as db:
        rows = db.rows(
            select(_row.store, func.count().label("n"))
            .where(tables.KEPT, _row.store != store().name)
            .group_by(_row.store)
        )
    return {row["store"]: row["n"] for row in rows}


def _missing() -> tuple[int, int]:
    """Of how many of the newest workspaces there is no file here, and how many were looked at."""
    with looking() as db:
        rows = db.rows(
            select(_row.template_run_id)
            .join_from(tables.workspaces, tables.template_runs, _run.id == _row.template_run_id)
            # One that resumes another may have no content of its own.
            .where(tables.KEPT, _row.store == store().name, _row.size > 0, _run.resumed_step.is_(None))
            .group_by(_row.template_run_id)
            .order_by(_row.template_run_id.desc())
            .limit(LOOKED_AT)
        )
    ids = [row["template_run_id"] for row in rows]
    missing = [run_id for run_id in ids if not store().sizes(Shelf(RUNS, run_id))]
    with looking() as db:  # those that have just been deleted are not
        still = db.rows(select(_row.template_run_id).where(tables.KEPT, _row.template_run_id.in_(missing)).distinct())
    return len(still), len(ids)


CHECK = Check("workspaces", _workspaces, "files that steps share can be kept")
