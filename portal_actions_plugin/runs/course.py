"""A template run as its steps see it: what expressions may name, which step is next, and what a step would lock."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal_actions_plugin.actions.registry import Action
from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.software_templates import step_rendering
from portal_actions_plugin.software_templates.outputs import rendering
from portal_actions_plugin.software_templates.spec import Template

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Course:
    """A template run as its steps see it: who asked for what, and what the finished steps made.

    Attributes:
        user_entity: what the host's catalog has of who asked, where the template names it.
    """

    run_id: str
    template: Template
    inputs: Mapping[str, Any]
    requested_by: str
    requester_name: str
    entity: str | None = None
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    user_entity: Mapping[str, Any] | None = None

    def context(self) -> dict[str, Any]:
        """What expressions may name."""
        return step_rendering.step_context(
            self.inputs,
            self.outputs,
            user={
                "id": self.requested_by,
                "ref": self.requested_by,
                "displayName": self.requester_name,
                **({} if self.user_entity is None else {"entity": dict(self.user_entity)}),
            },
            context={
                "runId": self.run_id,
                "template": self.template.name,
                "entity": self.entity,
                "task": {"id": self.run_id},  # what Backstage calls it
            },
            environment={"parameters": dict(extension().config.environment.parameters)},
        )

    def output(self) -> dict[str, Any]:
        """What the run gives that has succeeded. Never raises."""
        return rendering.render_output(self.template, self.context())

    def output_after_failure(self) -> dict[str, Any]:
        """What the run gives that has failed. Never raises."""
        return rendering.render_output_after_failure(self.template, self.context())

    def next_step(self, position: int) -> int | None:
        """The first step at or after ``position`` whose ``if`` is true; raises ConditionError."""
        return step_rendering.next_step(self.template, position, self.context())

    def lock_key(self, position: int, action: Action) -> str | None:
        """What only one run may write while this step runs; None when nothing is locked.

        Secrets play no part in it. A step whose key cannot be worked out fails when it is run, and says why.

        Args:
            position: the step's index in the template.
            action: the step's.
        """
        if action.lock is None:
            return None
        masks = dict.fromkeys(self.template.secret_names | self.template.requester_secrets, MASK)
        context = self.context()
        known = with_secrets(context, masks, dict.fromkeys(extension().config.environment.secrets, MASK))
        try:
            data = step_rendering.render_step_input(self.template, position, known, masks)
        except ValidationError:
            return None
        return lock_key_of(action, data)


def with_secrets(
    context: Mapping[str, Any], secrets: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    """What the expressions of a step's input may name: ``context`` with secrets among its parameters and environment.

    Args:
        context: as ``Course.context`` gives it.
        secrets: the run's secret inputs by name.
        environment: the portal's secrets by name.
    """
    return {
        **context,
        "parameters": {**context["parameters"], **secrets},
        "environment": {**context["environment"], "secrets": dict(environment)},
    }


def lock_key_of(action: Action, data: Mapping[str, Any]) -> str | None:
    """What only one run may write, for an input; None also when that cannot be worked out.

    Then the run is queued all the same, and fails when its attempt begins, where the error has its name.
    """
    try:
        return action.lock_key(data)
    except Exception:
        if _takes(action, data):
            log.warning("the lock of %s cannot be worked out", action.id, exc_info=True)
        return None


def _takes(action: Action, data: Mapping[str, Any]) -> bool:
    """Whether an action's schema takes an input: where it does not, what its other functions say of it is no bug."""
    try:
        action.load_input(data)
    except Exception:  # noqa: BLE001 the attempt says which
        return False
    return True
