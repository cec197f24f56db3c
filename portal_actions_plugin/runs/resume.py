"""Where a run that ended badly left off: what a resumed run starts from."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.errors import ConfigurationError, ConflictError, ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import TemplateRun
from portal_actions_plugin.runs.course import Course
from portal_actions_plugin.runs.items import kept
from portal_actions_plugin.runs.items.lists import Due, KeptItem, Secrets, what_is_due
from portal_actions_plugin.runs.run_ids import no_run
from portal_actions_plugin.runs.secrets.sealing import unseal
from portal_actions_plugin.runs.states import SUCCESS
from portal_actions_plugin.runs.workspaces import handover, template_files
from portal_actions_plugin.software_templates.places import Key
from portal_actions_plugin.software_templates.skeletons.names import may_take_files
from portal_actions_plugin.software_templates.spec import Template
from portal_actions_plugin.software_templates.step_rendering import ConditionError
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Row, reading

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.runs.workspaces.generations import Generation
    from portal_actions_plugin.software_templates.expressions.references import References
    from portal_actions_plugin.software_templates.languages import Language

log = logging.getLogger(__name__)

_RETRY = "Retry instead: that takes the template as it is now."

_OF_THE_DEFINITION = (ValidationError.code, ConfigurationError.code)
"""What a step ends with again for as long as it is given the same."""


@dataclass(frozen=True, slots=True)
class LeftOff:
    """The template as it was, the place of the step that did not make it, and what the finished steps made.

    Attributes:
        lists: the places of the steps whose lists the resumed run takes over.
        items: of a step with ``each``, the first of its items that did not make it: so many as are done at a time.
        workspace: what the resumed run takes over of the folder that the steps share, where one that is left uses it.
    """

    template: Template
    position: int
    outputs: Mapping[str, Mapping[str, Any]]
    lists: frozenset[int] = frozenset()
    items: Sequence[KeptItem] = ()
    workspace: Generation | None = None

    @property
    def needs_workspace(self) -> bool:
        """Whether a step that is left to do uses the folder that the steps share."""
        return uses_workspace(self.template, self.position)


def left_off(run_id: str) -> LeftOff:
    """Read where a failed or canceled template run left off.

    Raises:
        ConflictError: every step of it is done, or those that are left need a workspace that is gone.
        ConfigurationError: no key opens what the steps that are left need, or their workspace is kept in another store.
        RemoteError: the store of workspaces does not answer.
        NotFoundError: it is gone by now.
    """
    whole, steps, lists = _as_left(run_id)
    unfinished = [step["position"] for step in steps if step["status"] != SUCCESS]
    if not unfinished:
        raise ConflictError(
            "Every step of this run is done: there is nothing to resume.", hint="Retry the run instead."
        )
    position = min(unfinished)
    taken = frozenset(one for one in lists if one <= position)
    done = [step for step in steps if step["position"] < position]
    course = _course(run_id, whole).with_steps(done, taken - {position}, None)
    items = _unfinished(run_id, course.template, position) if position in taken else ()
    for item in items:
        unseal(item.sealed, extension().config.secret_keys)
    begin = LeftOff(course.template, position, course.outputs, taken, items)
    return replace(begin, workspace=handover.of_source(run_id, position)) if begin.needs_workspace else begin


def _unfinished(run_id: str, template: Template, position: int) -> Sequence[KeptItem]:
    with reading() as db:
        at_a_time = template.steps[position].concurrency
        return kept.unfinished(db, run_id, position, template.first_item(position), at_a_time)


def uses_workspace(template: Template, position: int = 0) -> bool:
    """Whether a step of a template uses the folder that the steps share: any at or after a position."""
    registry = extension().registry
    actions = {step.action for step in template.steps[position:]}
    return any(registry.get(action).workspace for action in actions if action in registry)


def course_of(run_id: str) -> Course | None:
    """A template run as its steps see it, read outside of its process; None when it cannot be read any more.

    Raises:
        SQLAlchemyError: the database is away.
    """
    try:
        whole, steps, lists = _as_left(run_id)
        return _course(run_id, whole).with_steps(steps, lists, whole["failed_at_step"])
    except SQLAlchemyError:
        raise
    except Exception:  # such as a definition that another version has kept
        log.exception("the template of run %s cannot be read", run_id)
        return None


def secrets_of(run_id: str) -> dict[str, Any]:
    """A template run's secret inputs by name, decrypted; raises ConfigurationError when no key opens them any more."""
    sealed = tables.template_runs.c.secrets
    with reading() as db:
        row = db.row(select(sealed).where(tables.template_runs.c.id == run_id))
    return unseal(row["secrets"] if row else None, extension().config.secret_keys)


def _as_left(run_id: str) -> tuple[Row, Sequence[Row], frozenset[int]]:
    """A template run, those of its steps that have begun, by their places, and the places of those that have lists."""
    whole_run = tables.template_runs.c
    with reading() as db:
        whole = db.row(
            select(
                whole_run.definition,
                whole_run.inputs,
                whole_run.requested_by,
                whole_run.requester_name,
                whole_run.entity,
                whole_run.failed_at_step,
            ).where(whole_run.id == run_id)
        )
        if whole is None:
            raise no_run("template run", run_id)
        steps = db.rows(
            select(
                tables.action_runs.c.step_id,
                tables.action_runs.c.position,
                tables.action_runs.c.status,
                tables.action_runs.c.outputs,
                tables.action_runs.c.error_code,
                tables.action_runs.c.finished_at,
            )
            .where(tables.action_runs.c.template_run_id == run_id)
            .order_by(tables.action_runs.c.position, tables.action_runs.c.item)
        )
        lists = kept.positions_of(db, run_id)
    return whole, steps, lists


def _course(run_id: str, whole: Row) -> Course:
    return Course(
        run_id=run_id,
        template=Template.from_snapshot(whole["definition"]),
        inputs=whole["inputs"],
        requested_by=whole["requested_by"],
        requester_name=whole["requester_name"],
        entity=whole["entity"],
        user_entity=whole["definition"].get("user_entity"),
    )


def left_empty_of(run: TemplateRun) -> frozenset[Key]:
    """The places where a run has no input although its template had a default: who started it left them empty."""
    definition = tables.template_runs.c.definition
    with reading() as db:
        found = db.row(select(definition).where(tables.template_runs.c.id == run.id))
    if found is None:
        raise no_run("template run", run.id)
    try:
        return Template.from_snapshot(found["definition"]).input_check.left_empty(run.inputs)
    except (KeyError, TypeError):
        return frozenset()  # kept by another version: a retry does not need it, and a resume says so itself


def fails_again(begin: LeftOff, error_code: str) -> bool:
    """Whether a step that ended so would end so again in a resumed run: it is given the very same as before.

    What is asked for again, a secret, may be another one: then nobody knows.
    """
    step, secret = begin.template.steps[begin.position], begin.template.secret_names
    if error_code not in _OF_THE_DEFINITION:
        return False
    if begin.template.requester_secrets_of(begin.position):
        return False
    return not any(
        secret & (found.parameters | found.secrets) or "environment" in found.names
        for found in _references(step.open_to_secrets, begin.template.language)
    )


def _references(value: JsonValue, language: Language) -> Iterator[References]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, str):
        yield from language.references(value)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _references(inner, language)


def first_step(begin: LeftOff, current: Template, course: Course) -> int | None:
    """The step that a resumed run begins at, None when all that are left are skipped.

    Raises:
        ConflictError: it cannot go on with the template as it was; a retry can with the one of now.
    """
    _require_same(begin, current, course)
    try:
        return course.next_step(begin.position)
    except ConditionError as error:
        raise _cannot_go_on(error) from None


def first_due(begin: LeftOff, current: Template, course: Course, secrets: Secrets) -> Due:
    """What a resumed run begins with: the items that are left of the step that did not make it, or a step.

    Args:
        begin: where the run left off that it resumes.
        current: the template as it is now.
        course: the resumed run.
        secrets: gives its secrets.

    Raises:
        ConflictError: as of ``first_step``.
    """
    _require_same(begin, current, course)
    if begin.items:
        return Due(course, begin.position, begin.items)
    due = what_is_due(course, begin.position, secrets)
    if due.error:
        raise _cannot_go_on(due.error)
    return due


def _require_same(begin: LeftOff, current: Template, course: Course) -> None:
    """Refuse to go on where what the run began with cannot be had as it was."""
    if any(map(may_take_files, begin.template.steps[begin.position :])):
        template_files.require_there(begin.template, current)
    if names := sorted((current.secret_names - begin.template.secret_names) & set(course.inputs)):
        raise ConflictError(f"{', '.join(names)} is a secret by now, and this run kept it readable.", hint=_RETRY)


def _cannot_go_on(error: ConditionError) -> ConflictError:
    return ConflictError(f"This run cannot go on with the template as it was: {error.message}", hint=_RETRY)
