"""Templates whose steps are handlers of a test, with a workspace or without."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import select

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.errors import AuthError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs import service
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from tests.support.portal import PEOPLE
from tests.support.run_helpers import Anything

Handler = Callable[..., Any]


def start_steps(template_folder: Path, *steps: tuple[Any, ...], inputs: dict[str, Any] | None = None) -> str:
    """Start a template whose steps are these handlers, each after its use of the workspace, with an ``if`` or without."""
    name = f"made-{uuid.uuid4().hex[:8]}"
    named = []
    for number, (use, handler, *condition) in enumerate(steps):
        action_id = f"test.{name.replace('-', '')}s{number}@v1"
        declared = action(action_id, title="Test", input=Anything, workspace=use or None, max_attempts=1)(handler)
        extension().registry.add(declared, "the tests")
        named.append({"id": f"step-{number}", "name": "A step", "action": action_id, "input": {}})
        named[-1] |= {"if": condition[0]} if condition else {}
    parameters = [{"properties": {"token": {"type": "string", "writeOnly": True}, "name": {"type": "string"}}}]
    spec = {"owner": "team:platform", "type": "service", "parameters": parameters, "steps": named}
    document = {"apiVersion": "portal-actions/v1", "kind": "Template", "metadata": {"name": name, "title": "Made"}}
    (template_folder / f"{name}.yaml").write_text(yaml.safe_dump({**document, "spec": spec}))
    return service.start_template_run(PEOPLE["ada"], name, inputs or {}).run.id


def write(**files: str) -> Handler:
    """A handler that writes files by name; ``__`` in a name stands for a slash."""

    def handler(ctx: Any, **_input: Any) -> None:
        for name, content in files.items():
            place = ctx.workspace.path(name.replace("__", "/"))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content)

    return handler


def fail(_ctx: Any, **_input: Any) -> None:
    raise AuthError("The forge refused the token.")


def look(seen: dict[str, str]) -> Handler:
    """A handler that reads all files into a table."""

    def handler(ctx: Any, **_input: Any) -> None:
        seen.update({one.path: one.content().decode() for one in ctx.workspace.files()})

    return handler


def rows_of(run_id: str) -> list[dict[str, Any]]:
    """The rows of a run's workspace."""
    with reading() as db:
        found = db.rows(select(tables.workspaces).where(tables.workspaces.c.template_run_id == run_id))
    return [dict(row) for row in found]
