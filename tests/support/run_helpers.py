"""Small actions and runs for tests of what the runner does with them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy import RowMapping, select, update

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.changes import claims
from portal_actions_plugin.runs.changes.claims import Claim, StepRef
from portal_actions_plugin.storage.sessions import transaction
from portal_actions_plugin.storage.tables import ActionRunRow
from tests.support.portal import PEOPLE

ADA = PEOPLE["ada"]
MARGARET = PEOPLE["margaret"]


class Anything(Schema):
    value = fields.Raw()


def register(*, lock: Any = None, **handlers: Callable[..., Any]) -> None:
    """Register handlers as ``test.<name>@v1``; those whose name begins with ``again`` are idempotent."""
    for name, handler in handlers.items():
        idempotent = name.startswith("again")
        declared = action(f"test.{name}@v1", title=name, input=Anything, idempotent=idempotent, lock=lock)(handler)
        extension().registry.add(declared, "the tests")


def change_action(action_id: str, **values: Any) -> None:
    """Declare an installed action otherwise, such as with a shorter timeout."""
    registry = extension().registry
    registry._actions[action_id] = replace(registry.get(action_id), **values)


def run_one_off(action_id: str, data: dict[str, Any] | None = None) -> str:
    return service.start_action_run(ADA, action_id, data or {}).run.id


def columns(run_id: str) -> RowMapping:
    with transaction("test") as tx:
        return tx.rows(select(ActionRunRow).where(ActionRunRow.id == run_id))[0]


def set_columns(run_id: str, **values: Any) -> None:
    with transaction("test") as tx:
        tx.execute(update(ActionRunRow).where(ActionRunRow.id == run_id).values(**values))


def claim(run_id: str, token: str, *, attempt: int = 0, lock_key: str | None = None) -> bool:
    with transaction("test") as tx:
        return claims.claim(tx, Claim(StepRef(run_id, None), attempt, token, "test", 30, 60, lock_key))


def perform(run_id: str) -> str:
    """Run the next attempt here and now, and return the token that it had."""
    token = str(uuid.uuid4())
    execute.perform(run_id, token, "test")
    return token


def make_due(run_id: str) -> None:
    """Let a run that waits for its next attempt wait no longer."""
    set_columns(run_id, not_before=None)
