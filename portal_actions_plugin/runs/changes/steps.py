"""How a template run goes on: the context of its expressions, and its next queued row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portal_actions_plugin import signals
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.changes import claims, slots, transitions
from portal_actions_plugin.runs.changes.claims import Claim
from portal_actions_plugin.runs.course import Course
from portal_actions_plugin.runs.news import ring, tell
from portal_actions_plugin.runs.reading.records import ActionRunRecord
from portal_actions_plugin.storage.sessions import Transaction, new_id


def prepare_step(course: Course, position: int) -> dict[str, Any]:
    """Work out the row of a step, or of the item of it that the run is at. Done before the transaction: a template's author must not keep other writers waiting."""
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
        "item": course.template.first_item(position) + (course.item.index if course.item else 0),
        "action": step.action,
        "queue": parts.config.queue_for(step.action, known.queue if known else "default"),
        "max_attempts": known.max_attempts if known else 1,
        "lock_key": course.lock_key(position, known) if known else None,
        "requested_by": course.requested_by,
        "requester_name": course.requester_name,
        "entity": course.entity,
    }


def queue_first(tx: Transaction, values: Mapping[str, Any]) -> ActionRunRecord:
    """Insert what a start begins with as a queued row, ring for it and tell of it after the commit, and give the row."""
    row = transitions.accept_action_run(tx, values, extension().config.ring_again_seconds)
    ring.ring_after_commit(tx, row["id"], values["queue"])
    tell.tell_after_commit(tx, signals.action_run_queued, row["id"])
    return row


def queue_steps(tx: Transaction, steps: Sequence[Mapping[str, Any]]) -> None:
    """Queue what follows a step: the next one, or the first items of it. The first keeps the slot of the step before."""
    queue_step(tx, steps[0])
    queue_beside(tx, steps[1:])


def queue_beside(tx: Transaction, steps: Sequence[Mapping[str, Any]]) -> None:
    """Queue items that begin beside another one: each needs a slot of its own."""
    for step in steps:
        _queue(tx, step)


def queue_step(tx: Transaction, step: Mapping[str, Any]) -> str:
    """Insert the queued row of a step that follows another one, and ring for it and tell of it after the commit.

    It keeps the slot of the step before, where its identity may have so many and no more.
    """
    return _queue(tx, {**step, **slots.kept_token(step["requested_by"])})


def _queue(tx: Transaction, step: Mapping[str, Any]) -> str:
    run_id = transitions.queue_action_run(tx, step, extension().config.ring_again_seconds)
    ring.ring_first_after_commit(tx, run_id, step["queue"])
    tell.tell_after_commit(tx, signals.action_run_queued, run_id)
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
    tell.tell_after_commit(tx, signals.action_run_queued, step["id"])
    if claimed:
        tell.tell_after_commit(tx, signals.action_run_started, step["id"])
    else:
        ring.ring_first_after_commit(tx, step["id"], step["queue"])
    return claimed
