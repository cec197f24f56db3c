"""Deleting workspaces: at once when a run has succeeded, else when they have been kept for long enough."""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, literal, select, update

from portal_actions_plugin.runs.states import CANCELED, FAILED
from portal_actions_plugin.runs.workspaces.stores.opening import store
from portal_actions_plugin.runs.workspaces.stores.store import RUNS, Shelf
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction, single_write, transaction
from portal_actions_plugin.storage.sql import right_now

_row = tables.workspaces.c
_whole = tables.template_runs.c


def forget(run_id: str) -> None:
    """Delete a run's workspace with all that says that there was one.

    Raises:
        RemoteError: its store does not answer; nothing is deleted, or a part.
    """
    store().clear(Shelf(RUNS, run_id))
    with single_write("workspace_forget") as tx:
        tx.execute(delete(tables.workspaces).where(_row.template_run_id == run_id))


def empty(run_id: str) -> bool:
    """Delete the contents of an ended run's workspace; its row says from then on that they are gone.

    Args:
        run_id: of a template run that has failed or was canceled.

    Returns:
        Whether they are deleted: not while a run that resumes it needs them.

    Raises:
        RemoteError: the store does not answer; the row says that they are gone, and upkeep deletes them.
    """
    with transaction("workspace_empty") as tx:
        if not _may_be_emptied(tx, run_id):
            return False
        tx.execute(
            update(tables.workspaces)
            .where(_row.template_run_id == run_id, tables.KEPT)
            .values(emptied_at=right_now(), manifest=None, sealed_manifest=None, sealed_key=None)
        )
    store().clear(Shelf(RUNS, run_id))
    return True


def _may_be_emptied(tx: Transaction, run_id: str) -> bool:
    # Who resumes it holds the row meanwhile: see ``existing.require_template_run``.
    run = tx.row(select(_whole.status).where(_whole.id == run_id).with_for_update())
    if run is None or run["status"] not in (FAILED, CANCELED):
        return False
    return tx.row(select(literal(1).label("resumed")).where(_is_resumed_from(run_id))) is None


def _is_resumed_from(run_id: str) -> ColumnElement[bool]:
    """Whether the workspace of a run that resumes this one may refer to its contents. A mere retry has all of its own.

    Of a chain, each run keeps the one before it: none goes before all that were resumed from it have no workspace.
    """
    again, kept = tables.template_runs.alias(), tables.workspaces.alias()
    return (
        select(again.c.id)
        .join(kept, kept.c.template_run_id == again.c.id)
        .where(again.c.retry_of == run_id, again.c.resumed_step.is_not(None), kept.c.emptied_at.is_(None))
        .exists()
    )
