"""Keeping a run from retention while a transaction builds on it."""

from __future__ import annotations

from sqlalchemy import select

from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction


def require_template_run(tx: Transaction, run_id: str) -> None:
    """Keep a template run from being pruned until this transaction ends; raises NotFoundError when it is gone."""
    _require(tx, tables.template_runs, run_id)


def require_action_run(tx: Transaction, run_id: str) -> None:
    """Keep an action run from being pruned until this transaction ends; raises NotFoundError when it is gone."""
    _require(tx, tables.action_runs, run_id)


def _require(tx: Transaction, table: tables.RunTable, run_id: str) -> None:
    if tx.row(select(table.c.id).where(table.c.id == run_id).with_for_update(read=True, key_share=True)) is None:
        raise NotFoundError(f"The run {run_id} is gone: it was old enough to be deleted.", hint="Start anew instead.")
