"""Keeping a run from retention while a transaction builds on it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.storage.sessions import Transaction
from portal_actions_plugin.storage.tables import ActionRunRow, TemplateRunRow


def require_template_run(tx: Transaction, run_id: str) -> None:
    """Keep a template run from being pruned until this transaction ends; raises NotFoundError when it is gone."""
    _require(tx, TemplateRunRow, run_id)


def require_action_run(tx: Transaction, run_id: str) -> None:
    """Keep an action run from being pruned until this transaction ends; raises NotFoundError when it is gone."""
    _require(tx, ActionRunRow, run_id)


def _require(tx: Transaction, row: Any, run_id: str) -> None:
    if tx.row(select(row.id).where(row.id == run_id).with_for_update(read=True, key_share=True)) is None:
        raise NotFoundError(f"The run {run_id} is gone: it was old enough to be deleted.", hint="Start anew instead.")
