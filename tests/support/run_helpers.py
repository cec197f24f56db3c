"""Small actions and runs for tests of what the runner does with them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from marshmallow import Schema, fields
from sqlalchemy import RowMapping, select, update

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import TemplateRun
from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.changes import claims
from portal_actions_plugin.runs.changes.claims import Claim, StepRef
from portal_actions_plugin.runs.guards import retries
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading, transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.people import Person
from tests.support.portal import PEOPLE

ADA = PEOPLE["ada"]
MARGARET = PEOPLE["margaret"]
HELLO = {"action": "debug.log@v1", "input": {"message": "hello"}}
"""A step of a template."""


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
        return tx.rows(select(tables.action_runs).where(tables.action_runs.c.id == run_id))[0]


def set_columns(run_id: str, **values: Any) -> None:
    with transaction("test") as tx:
        tx.execute(update(tables.action_runs).where(tables.action_runs.c.id == run_id).values(**values))


def claim(run_id: str, token: str, *, attempt: int = 0, lock_key: str | None = None) -> bool:
    with transaction("test") as tx:
        return claims.claim(tx, Claim(StepRef(run_id, None), attempt, token, "test", 30, 60, lock_key))


def perform(run_id: str) -> str:
    """Run the next attempt here and now, and return the token that it had."""
    token = str(uuid.uuid4())
    execute.perform(run_id, Performer(token, "test"))
    return token


def make_due(run_id: str) -> None:
    """Let a run that waits for its next attempt wait no longer."""
    set_columns(run_id, not_before=None)


def is_due_after(run_id: str, seconds: float) -> bool:
    """Whether the next attempt is due so long after the last one, or as much later as runs are spread.

    It is counted from a moment between the last attempt's start and now.
    """
    due, last = columns(run_id)["not_before"], queries.action_run(run_id).attempts[-1]
    with reading() as db:
        now = db.execute(select(now_plus(0))).scalar_one()
    longest = timedelta(seconds=seconds * (1 + retries.JITTER))
    return last.started_at + timedelta(seconds=seconds) <= due <= now + longest


def work_off(limit: int = 50) -> int:
    """Run what is queued, here and now, as a worker's job process would; says how many runs that were."""
    for done in range(limit):
        queued = queries.action_runs(RunFilter(status=("queued",)), limit=100).items
        if not queued:
            return done
        token = str(uuid.uuid4())
        if execute.perform(queued[-1].id, Performer(token, "test")).lock:
            recovery.recover_process(token)  # as its parent does once it is gone: the lock is free then
    raise AssertionError("the queue does not end")


def start(template_folder: Path, *steps: dict[str, Any]) -> TemplateRun:
    """A run of a template with these steps."""
    named = [{"id": f"step-{number}", "name": "A step", **step} for number, step in enumerate(steps)]
    spec = {"owner": "team:platform", "type": "service", "parameters": [], "steps": named}
    template = {"apiVersion": "portal-actions/v1", "kind": "Template", "metadata": {"name": "made", "title": "Made"}}
    (template_folder / "made.yaml").write_text(yaml.safe_dump({**template, "spec": spec}))
    return service.start_template_run(ADA, "made", {}).run


def go_on(run: TemplateRun, may_go_on: Callable[[], bool] = lambda: True) -> str:
    """Perform a run's first step, and go on; the token of the process."""
    token = str(uuid.uuid4())
    execute.perform(run.steps[0].run.id, Performer(token, "test", may_go_on=may_go_on))
    return token


def let_last_step_fail(template_folder: Path) -> None:
    """Let the last step of ``two-steps`` divide by zero when its name is ``orders``."""
    file = template_folder / "two-steps.yaml"
    file.write_text(file.read_text().replace('"goodbye ', '"${{ 1 / (parameters.name | length - 6) }} '))


def fail_a_run(ada: Person, template_folder: Path) -> str:
    """Let a run of ``two-steps`` fail at its last step, and mend the template; the run's address in the API."""
    file = template_folder / "two-steps.yaml"
    good = file.read_text()
    let_last_step_fail(template_folder)
    path: str = ada.post("/api/v1/templates/two-steps/runs", {"inputs": {"name": "orders"}}).headers["Location"]
    work_off()
    file.write_text(good)
    return path
