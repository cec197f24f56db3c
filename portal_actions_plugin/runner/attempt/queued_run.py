"""An action run as its job process needs it: read once, before the claim."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Integer, Uuid, bindparam, or_, select
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.actions.context import RunInfo
from portal_actions_plugin.errors import ActionError, InternalError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import Link, Origin
from portal_actions_plugin.runs.changes.claims import StepRef
from portal_actions_plugin.runs.conditions import THIS_RUN
from portal_actions_plugin.runs.course import Course, with_secrets
from portal_actions_plugin.runs.items import kept
from portal_actions_plugin.runs.items.lists import KeptItem, work_out
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.secrets.sealing import unseal
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.runs.states import FAILED, QUEUED, SUCCESS
from portal_actions_plugin.software_templates import step_rendering
from portal_actions_plugin.software_templates.items import ListError, differing
from portal_actions_plugin.software_templates.spec import ITEMS_OF_A_STEP, Template
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Row, Transaction, single_read
from portal_actions_plugin.storage.statements import CompiledOnce

log = logging.getLogger(__name__)

_run = tables.action_runs.c
_whole = tables.template_runs.c
# These two are compiled once, since each step's way to its handler has them: that saves it 30 to 60 µs.
_QUEUED = CompiledOnce(
    select(
        *(_run.id, _run.template_run_id, _run.template, _run.action, _run.queue, _run.step_id, _run.position),
        *(_run.item, _run.attempt, _run.max_attempts, _run.input, _run.links, _run.secrets, _run.origin),
        *(_run.requested_by, _run.requester_name, _run.entity),
        *(_whole.definition, _whole.inputs, _whole.failed_at_step),
        _whole.status.label("whole_status"),
        _whole.secrets.label("whole_secrets"),
    )
    .join_from(tables.action_runs, tables.template_runs, _whole.id == _run.template_run_id, isouter=True)
    .where(_run.id == THIS_RUN, _run.status == QUEUED, _run.held_back_at.is_(None))
)
_FINISHED_STEPS = CompiledOnce(
    select(_run.step_id, _run.position, _run.status, _run.outputs, _run.error_code, _run.finished_at)
    .where(
        _run.template_run_id == bindparam("template_run", type_=Uuid(as_uuid=False)),
        _run.position < bindparam("before", type_=Integer()),
        or_(_run.status == SUCCESS, _run.status == FAILED),
    )
    .order_by(_run.position, _run.item)
)


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """A queued action run.

    Attributes:
        attempt: how many attempts were made.
        input: as it was given, masked; empty for a step, whose input is rendered.
        sealed: its secret inputs, encrypted; a step's are those of its template run.
        course: the template run that it is a step of; None for a one-off.
        first: whether it is the first step to begin of its template run.
        links: those that earlier attempts have made.
        item: of a step with ``each`` what it goes through; None for all else, and where its list cannot be worked out.
        unreadable: why its template run cannot be read; it has no ``course`` then.
    """

    ref: StepRef
    action: str
    queue: str
    attempt: int
    max_attempts: int
    position: int
    step_id: str | None
    requested_by: str
    requester_name: str
    entity: str | None
    origin: Origin | None
    input: Mapping[str, Any]
    sealed: bytes | None
    course: Course | None
    first: bool
    template: str | None
    links: tuple[Link, ...]
    unreadable: ActionError | None = None
    item: KeptItem | None = None

    def has_lists(self) -> bool:
        """Whether any step of its template run goes through a list."""
        return self.course is not None and any(step.each is not None for step in self.course.template.steps)

    def secrets(self) -> dict[str, Any]:
        """Its secret inputs by name, decrypted; raises ConfigurationError when no key opens them any more."""
        return unseal(self.sealed, extension().config.secret_keys)

    def info(self) -> RunInfo:
        """What the handler may know; its attempt is the one that the claim has just started."""
        return RunInfo(
            id=self.ref.id,
            action=self.action,
            attempt=self.attempt + 1,
            max_attempts=self.max_attempts,
            requested_by=self.requested_by,
            requester_name=self.requester_name,
            step_id=self.step_id,
            template_run_id=self.ref.template_run_id,
            template=self.template,
            entity=self.entity,
            origin=self.origin,
        )

    def opened(self, keys: Sequence[str]) -> QueuedRun:
        """The run with its item as it is, sealed or not; raises ConfigurationError when no key opens it any more."""
        if self.course is None or self.item is None:
            return self
        return replace(self, course=self.course.at_item(self.item.opened(keys)))

    def render_input(self, secrets: Mapping[str, Any]) -> dict[str, Any]:
        """The handler's input, not yet checked: a one-off's as it was given, a step's rendered.

        Args:
            secrets: the secret inputs by name, decrypted.

        Returns:
            The input by field; secret fields are among them.

        Raises:
            ValidationError: an expression of the step cannot be evaluated; names it.
            InternalError: its template run cannot be read any more.
        """
        if self.unreadable:
            raise self.unreadable
        if self.course is None:
            return {**self.input, **secrets}
        context = self.course.context()
        # A step whose `if` could not be evaluated when the step before it ended is queued, and fails here, by name.
        if self.course.template.steps[self.position].each is None:
            self.course.next_step(self.position)
        elif self.item is None:
            work_out(self.course, self.position, secrets)
            raise ListError("The list of this step could not be worked out when it began.", self.position)
        known = with_secrets(context, secrets, _of_the_portal())
        return step_rendering.render_step_input(
            self.course.template, self.position, known, secrets, self.course.status_check()
        )

    def made_of_secrets(self, secrets: Mapping[str, Any], redactor: Redactor) -> Iterator[Any]:
        """What the template has made of secrets and nobody would know for one: a part of one, or one in capitals.

        Args:
            secrets: the secret inputs by name, decrypted.
            redactor: knows the secrets themselves.

        Returns:
            Values of the step's input, to be masked.
        """
        portal = _of_the_portal()
        if self.course is None or not (secrets or portal):
            return
        context, masks = self.course.context(), dict.fromkeys(secrets, MASK)
        if self.course.item:
            yield from differing(self.course.item.context, self.course.item.shown_context)
        masked = (with_secrets(self.course.context_as_shown(), masks, dict.fromkeys(portal, MASK)), masks)
        known, check = with_secrets(context, secrets, portal), self.course.status_check()
        for value, other in step_rendering.made_of_secrets(
            self.course.template, self.position, known, secrets, masked, check
        ):
            if redactor.data(value) != other:
                yield value


def _of_the_portal() -> Mapping[str, str]:
    """The secrets that templates may name as ``environment.secrets``."""
    return extension().config.environment.secrets


def next_queued_run(
    before: QueuedRun, course: Course, step: Mapping[str, Any], item: KeptItem | None = None
) -> QueuedRun:
    """A step's queued run, made when the step before it had succeeded: as ``load_queued_run`` would read it.

    Args:
        before: the run of the step before.
        course: with what that step has made.
        step: the next step's row.
        item: of a step with ``each``, what it goes through.
    """
    return QueuedRun(
        ref=StepRef(step["id"], course.run_id),
        action=step["action"],
        queue=step["queue"],
        attempt=0,
        max_attempts=step["max_attempts"],
        position=step["position"],
        step_id=step["step_id"],
        requested_by=course.requested_by,
        requester_name=course.requester_name,
        entity=course.entity,
        origin=None,
        input={},
        sealed=before.sealed,
        course=course.at_item(item.shown if item else None),
        first=False,
        template=step["template"],
        links=(),
        item=item,
    )


def load_queued_run(run_id: str) -> QueuedRun | None:
    """Read a queued action run, in a read of its own.

    Args:
        run_id: an action run's id.

    Returns:
        The run; None when it is not queued any more, never was, or is held back.

    Raises:
        DBAPIError: the database is away.
    """
    # What finished steps have made does not change any more: it may be read a moment later.
    with single_read() as db:
        return read_queued_run(db, run_id)


def read_queued_run(db: Transaction, run_id: str) -> QueuedRun | None:
    """Read a queued action run within a read or a transaction.

    Args:
        db: where to read.
        run_id: an action run's id.

    Returns:
        The run; None when it is not queued any more, never was, or is held back.
    """
    row = db.row(_QUEUED, {"run": run_id})
    if row is None:
        return None
    is_step = row["template_run_id"] is not None
    course, unreadable = _course_or_why_not(db, row) if is_step else (None, None)
    item = _item(db, course, row) if course else None
    return QueuedRun(
        ref=StepRef(row["id"], row["template_run_id"]),
        action=row["action"],
        queue=row["queue"],
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        position=row["position"],
        step_id=row["step_id"],
        requested_by=row["requested_by"],
        requester_name=row["requester_name"],
        entity=row["entity"],
        origin=Origin(**row["origin"]) if row["origin"] else None,
        input=row["input"] or {},
        sealed=row["whole_secrets"] if is_step else row["secrets"],
        course=course.at_item(item.shown) if course and item else course,
        first=row["whole_status"] == QUEUED,
        template=row["template"],
        links=tuple(Link(**link) for link in row["links"] or ()),
        unreadable=unreadable,
        item=item,
    )


def _item(db: Transaction, course: Course, row: Row) -> KeptItem | None:
    if course.template.steps[row["position"]].each is None:
        return None
    return kept.item(db, course.run_id, row["position"], row["item"] % ITEMS_OF_A_STEP)


def _course_or_why_not(db: Transaction, row: Row) -> tuple[Course | None, ActionError | None]:
    """A snapshot that this version cannot read must end its run with an error, not leave it queued for ever."""
    try:
        return _course(db, row), None
    except SQLAlchemyError:
        raise
    except Exception as error:
        log.exception("the template of run %s cannot be read", row["template_run_id"])
        return None, InternalError(f"The run's template cannot be read any more: {type(error).__name__}.")


def _course(db: Transaction, row: Row) -> Course:
    run_id, position, template = row["template_run_id"], row["position"], Template.from_snapshot(row["definition"])
    # Nothing is finished before the first step.
    finished = db.rows(_FINISHED_STEPS, {"template_run": run_id, "before": position}) if position else ()
    has_lists = any(step.each is not None for step in template.steps[:position])
    lists = [one for one in kept.positions_of(db, run_id) if one < position] if has_lists else ()
    return Course(
        run_id=run_id,
        template=template,
        inputs=row["inputs"],
        requested_by=row["requested_by"],
        requester_name=row["requester_name"],
        entity=row["entity"],
        user_entity=row["definition"].get("user_entity"),
    ).with_steps(finished, lists, row["failed_at_step"])
