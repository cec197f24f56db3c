"""How long workspaces are kept, and what deletes them."""

from __future__ import annotations

from sqlalchemy import delete

from portal_actions_plugin.runs.workspaces.stores.opening import store
from portal_actions_plugin.runs.workspaces.stores.store import RUNS, Shelf
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import single_write


def forget(run_id: str) -> None:
    """Delete a run's workspace with all that says that there was one.

    Raises:
        RemoteError: its store does not answer; nothing is deleted, or a part.
    """
    store().clear(Shelf(RUNS, run_id))
    with single_write("workspace_forget") as tx:
        tx.execute(delete(tables.workspaces).where(tables.workspaces.c.template_run_id == run_id))
