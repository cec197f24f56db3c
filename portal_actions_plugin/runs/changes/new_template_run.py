"""What a valid start of a template writes: its run, and the step that it begins with, or its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from portal_actions_plugin import signals
from portal_actions_plugin.run_types import AuditEntry, TemplateRun
from portal_actions_plugin.runs import audit
from portal_actions_plugin.runs.changes import existing, transitions
from portal_actions_plugin.runs.changes.steps import prepare_step, queue_first
from portal_actions_plugin.runs.conditions import NOW
from portal_actions_plugin.runs.course import Course
from portal_actions_plugin.runs.items import kept
from portal_actions_plugin.runs.items.lists import Due, StepList
from portal_actions_plugin.runs.news import tell
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.resume import LeftOff
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.states import SUCCESS
from portal_actions_plugin.runs.workspaces import generations
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction, new_id
from portal_actions_plugin.storage.statements import CompiledOnce


@dataclass(frozen=True, slots=True)
class NewTemplateRun:
    """Worked out before the transaction: a template's author must not keep other writers waiting.

    Attributes:
        course: the run as its steps see it.
        values: the template run's columns.
        steps: the rows that it begins with, of a step or of the first items of one; none when there is nothing to do, and
            the run ends at once.
        outputs: the template's, of a run that ends at once.
        begin: of a resumed run, where the run that it resumes left off.
        lists: the lists of steps that have been worked out.
    """

    course: Course
    values: Mapping[str, Any]
    steps: Sequence[Mapping[str, Any]]
    outputs: Mapping[str, Any]
    begin: LeftOff | None
    lists: Sequence[StepList]

    @classmethod
    def of(cls, due: Due, about: Mapping[str, Any], begin: LeftOff | None) -> NewTemplateRun:
        """Work them out.

        Args:
            due: what the run begins with.
            about: the template run's columns that say who asked for it, why, and with which secrets.
            begin: where to resume.
        """
        course = due.course
        template = course.template
        definition = template.snapshot()
        if course.user_entity is not None:
            definition["user_entity"] = dict(course.user_entity)
        values = {
            "template": template.name,
            "title": template.title,
            "template_version": template.version,
            "definition": definition,
            "inputs": course.inputs,
            "resumed_step": template.steps[begin.position].id if begin else None,
            **about,
        }
        if due.position is None:
            return cls(course, values, (), Redactor().data(course.output()), begin, due.lists)
        steps = [prepare_step(one, due.position) for one in due.courses()]
        return cls(course, values, steps, {}, begin, due.lists)

    def write(self, tx: Transaction) -> TemplateRun:
        """Insert the run, the steps that it takes over, and its first step, which is rung and told of after the commit.

        Raises:
            ConflictError: the workspace of the run that it resumes is gone by now.
            NotFoundError: the run that it repeats is gone by now.
        """
        retry_of = self.values["retry_of"]
        if retry_of:
            existing.require_template_run(tx, retry_of)
        row = transitions.accept_template_run(tx, self.course.run_id, self.values)
        if self.begin:
            _take_over_steps(tx, retry_of, self.course.run_id, self.begin.position)
            if self.begin.needs_workspace:
                generations.require_kept(tx, retry_of)
                generations.hand_over(tx, retry_of, self.course.run_id, self.begin.position)
            kept.copy(tx, retry_of, self.course.run_id, self.begin.lists)
        kept.keep(tx, self.course.run_id, self.lists)
        steps = [queue_first(tx, step) for step in self.steps]
        return queries.template_run_within(tx, row["id"]) if self.begin else queries.whole_template_run(tx, row, steps)

    def end(self, tx: Transaction) -> TemplateRun:
        """Bring a run that has nothing to do to its end, as a success."""
        run_id, who = self.course.run_id, self.course.requested_by
        transitions.end_template_run(tx, run_id, SUCCESS, outputs=self.outputs)
        if self.lists or (self.begin and self.begin.lists):
            kept.wipe(tx, run_id)
        audit.record(tx, AuditEntry(who, "template_run.finish", SUCCESS, self.course.template.name, run_id, run_id))
        tell.tell_after_commit(tx, signals.template_run_finished, run_id)
        return queries.template_run_within(tx, run_id)


_TAKEN_OVER = (
    *("template", "step_id", "step_name", "position", "item", "action", "queue", "max_attempts"),
    *("requested_by", "requester_name", "entity", "input", "outputs", "links", "warnings"),
)


_TAKE_OVER = CompiledOnce(
    insert(tables.action_runs).values(
        status=SUCCESS,
        version=1,
        attempt=0,
        rings=0,
        lock_held=False,
        queued_at=NOW,
        finished_at=NOW,
        announced_at=NOW,
    )
)


def _take_over_steps(tx: Transaction, source_id: str, run_id: str, position: int) -> None:
    """Give a resumed template run the finished steps of the run that it resumes. They are not executed again.

    Args:
        tx: the transaction of the start.
        source_id: the run that it resumes.
        run_id: the new run.
        position: where that one left off: what ran after it has cleaned up, and is no part of the new run's course.
    """
    step = tables.action_runs.c
    done = tx.rows(
        select(tables.action_runs)
        .where(step.template_run_id == source_id, step.status == SUCCESS, step.position <= position)
        .order_by(step.id)
    )
    rows = [
        {name: row[name] for name in _TAKEN_OVER}
        | {"id": new_id(), "template_run_id": run_id, "taken_over_from": row["taken_over_from"] or source_id}
        for row in done
    ]
    if rows:
        tx.add(_TAKE_OVER, rows)
