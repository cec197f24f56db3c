"""How a template run goes on: the context of its expressions, and its next queued row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal_actions_plugin import signals
from portal_actions_plugin.db import Transaction
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs import dispatch, transitions
from portal_actions_plugin.software_templates import plan
from portal_actions_plugin.software_templates.spec import Template


@dataclass(frozen=True, slots=True)
class Course:
    """A template run as its steps see it: who asked for what, and what the finished steps made."""

    run_id: str
    template: Template
    inputs: Mapping[str, Any]
    requested_by: str
    requester_name: str
    entity: str | None = None
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def context(self) -> dict[str, Any]:
        """What expressions may name."""
        return plan.step_context(
            self.inputs,
            self.outputs,
            user={"id": self.requested_by, "ref": self.requested_by, "displayName": self.requester_name},
            context={"runId": self.run_id, "template": self.template.name, "entity": self.entity},
        )

    def next_step(self, position: int) -> int | None:
        """The first step at or after ``position`` whose ``if`` is true; raises ConditionError."""
        return plan.first_or_next(self.template, position, self.context())


def queue_step(tx: Transaction, course: Course, position: int) -> str:
    """Insert a step's queued row, and ring for it and tell of it after the commit."""
    parts = extension()
    step = course.template.steps[position]
    known = parts.registry.get(step.action) if step.action in parts.registry else None
    queue = parts.config.queue_for(step.action, known.queue if known else "default")
    run_id = transitions.queue_action_run(
        tx,
        {
            "template_run_id": course.run_id,
            "template": course.template.name,
            "step_id": step.id,
            "step_name": step.name,
            "position": position,
            "item": 0,
            "action": step.action,
            "queue": queue,
            "max_attempts": known.max_attempts if known else 1,
            "requested_by": course.requested_by,
            "requester_name": course.requester_name,
            "entity": course.entity,
        },
        parts.config.ring_again_seconds,
    )
    dispatch.ring_after_commit(tx, run_id, queue)
    dispatch.tell_after_commit(tx, signals.action_run_queued, run_id)
    return run_id
