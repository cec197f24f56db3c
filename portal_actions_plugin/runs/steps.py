"""How a template run goes on: the context of its expressions, and its next queued row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal_actions_plugin import signals
from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs import claims, dispatch, locks, transitions
from portal_actions_plugin.runs.claims import Claim
from portal_actions_plugin.runs.token_shapes import MASK
from portal_actions_plugin.software_templates import plan
from portal_actions_plugin.software_templates.spec import Template
from portal_actions_plugin.storage.sessions import Row, Transaction, new_id


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

    def lock_key(self, position: int) -> str | None:
        """What only one run may write while this step runs; None when nothing is locked.

        Secrets play no part in it. A step whose key cannot be worked out fails when it is run, and says why.
        """
        registry = extension().registry
        action = self.template.steps[position].action
        if action not in registry or registry.get(action).lock is None:
            return None
        masks = dict.fromkeys(self.template.secret_names, MASK)
        context = self.context()
        known = {**context, "parameters": {**context["parameters"], **masks}}
        try:
            data = plan.render_step_input(self.template, position, known, masks)
        except ValidationError:
            return None
        return locks.key_of(registry.get(action), data)


def prepare_step(course: Course, position: int) -> dict[str, Any]:
    """Work out a step's row. Done before the transaction: a template's author must not keep other writers waiting."""
    parts = extension()
    step = course.template.steps[position]
    known = parts.registry.get(step.action) if step.action in parts.registry else None
    return {
        "id": new_id(),
        "template_run_id": course.run_id,
        "template": course.template.name,
        "step_id": step.id,
        "step_name": step.name,
        "position": position,
        "item": 0,
        "action": step.action,
        "queue": parts.config.queue_for(step.action, known.queue if known else "default"),
        "max_attempts": known.max_attempts if known else 1,
        "lock_key": course.lock_key(position),
        "requested_by": course.requested_by,
        "requester_name": course.requester_name,
        "entity": course.entity,
    }


def queue_first(tx: Transaction, values: Mapping[str, Any]) -> Row:
    """Insert what a start begins with as a queued row, ring for it and tell of it after the commit, and give the row."""
    row = transitions.accept_action_run(tx, values, extension().config.ring_again_seconds)
    _ring_and_tell(tx, row["id"], values["queue"])
    return row


def queue_step(tx: Transaction, step: Mapping[str, Any]) -> str:
    """Insert a prepared step's queued row, and ring for it and tell of it after the commit."""
    run_id = transitions.queue_action_run(tx, step, extension().config.ring_again_seconds)
    _ring_and_tell(tx, run_id, step["queue"])
    return run_id


def begin_step(tx: Transaction, step: Mapping[str, Any], wish: Claim) -> bool:
    """Insert a prepared step's row as queued and claimed, by the process that has made it due; nobody is rung for.

    Where its lock is not free, the row is queued alone, and rung for as any.
    """
    if wish.lock_key is None:
        claims.begin_action_run(tx, step, wish)
        claimed = True
    else:
        transitions.queue_action_run(tx, step, extension().config.ring_again_seconds)
        claimed = claims.claim_queued(tx, wish)
    dispatch.tell_after_commit(tx, signals.action_run_queued, step["id"])
    if claimed:
        dispatch.tell_after_commit(tx, signals.action_run_started, step["id"])
    else:
        dispatch.ring_after_commit(tx, step["id"], step["queue"])
    return claimed


def _ring_and_tell(tx: Transaction, run_id: str, queue: str) -> None:
    dispatch.ring_after_commit(tx, run_id, queue)
    dispatch.tell_after_commit(tx, signals.action_run_queued, run_id)
