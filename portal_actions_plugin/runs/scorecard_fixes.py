"""Scorecard fixes: the host's signal becomes a run, and a second click the same run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import ActionRun, Origin, TemplateRun
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.outage import told
from portal_actions_plugin.signals import scorecard_fix_requested


def listen(app: Flask) -> None:
    """Answer the fix signals that this app sends."""
    scorecard_fix_requested.connect(_on_fix_requested, sender=app)


def _on_fix_requested(app: Flask, **asked: Any) -> ActionRun | TemplateRun:
    with app.app_context(), told():
        return start_fix(
            asked.get("requested_by"),
            Origin(str(asked["entity"]), str(asked["scorecard"]), str(asked["rule"])),
            action=asked.get("action"),
            template=asked.get("template"),
            data=asked.get("input") or {},
        )


def start_fix(
    identity: Identity | None,
    origin: Origin,
    *,
    action: str | None,
    template: str | None,
    data: Mapping[str, Any],
) -> ActionRun | TemplateRun:
    """Start the fix of a failing rule, or return the one that is queued or running for it, whoever started it.

    Raises:
        ValidationError: neither an action nor a template is named, or both are.
        UnauthenticatedError, PermissionDeniedError: nobody asks, or may not start it.
        NotFoundError: there is no such template or action.
        TooManyStartsError: the identity's limit is reached; it names the wait.
    """
    ask = Ask(entity=origin.entity, origin=origin)
    if action and not template:
        return service.start_action_run(identity, action, data, ask).run
    if template and not action:
        return service.start_template_run(identity, template, data, ask).run
    raise ValidationError("A fix names an action or a template, one of them.", fields={"action": ["Name one."]})
