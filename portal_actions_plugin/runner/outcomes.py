"""How an attempt ended: recorded with its audit and its news, and with what comes next, in one transaction.

What comes next is the template run's next step, its end, or another attempt.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from portal_actions_plugin import signals
from portal_actions_plugin.db import Transaction, reading, ride_out, transaction
from portal_actions_plugin.errors import ActionError, ActionTimeoutError, InternalError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.models import ActionRunRow
from portal_actions_plugin.runner import bounds
from portal_actions_plugin.runner.job import Job
from portal_actions_plugin.runs import audit, dispatch, retries, transitions
from portal_actions_plugin.runs.audit import AuditEntry
from portal_actions_plugin.runs.redaction import Redactor
from portal_actions_plugin.runs.retries import Tried
from portal_actions_plugin.runs.secrets import mask_error
from portal_actions_plugin.runs.states import FAILED, SUCCESS
from portal_actions_plugin.runs.steps import Course, prepare_step, queue_step
from portal_actions_plugin.runs.transitions import Again, LeaseLostError, Result, StepRef
from portal_actions_plugin.software_templates import plan
from portal_actions_plugin.software_templates.plan import ConditionError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Subject:
    """What the audit says an outcome is about."""

    requested_by: str
    action: str
    template: str | None


def record(job: Job, process_token: str, result: Result, error: ActionError | None, redactor: Redactor) -> None:
    """Record how an attempt ended; what the database will not have is recorded as an error of ours.

    Raises:
        LeaseLostError: the attempt is not the row's any more; nothing is changed.
    """
    try:
        _ride_out(partial(_record, job, process_token, result, error, redactor))
    except (LeaseLostError, OperationalError):
        raise
    except Exception as refused:
        log.exception("the outcome of run %s could not be recorded as it is", job.ref.id)
        instead = InternalError(f"The outcome could not be recorded: {type(refused).__name__}.")
        _ride_out(partial(_record, job, process_token, Result(), instead, redactor))


def _ride_out(record: Callable[[], None]) -> None:
    ride_out(record, extension().config.lease_seconds)


def _record(job: Job, process_token: str, result: Result, error: ActionError | None, redactor: Redactor) -> None:
    if error:
        mask_error(error, redactor)
        error.message, error.hint = bounds.error_text(error.message), bounds.error_text(error.hint)
        tried = Tried(job.action, job.attempt + 1, job.max_attempts, _kept_input(job))
        wait = retries.next_attempt_in(error, tried)
        if wait is None:
            record_failure(job.ref, process_token, error, result.warnings, _about(job))
        else:
            again = Again(FAILED, wait, extension().config.ring_again_seconds)
            queue_again(job.ref, process_token, error, again)
        return
    course = _after(job, result)
    position = _next_position(course, job.position + 1) if course else None
    step = prepare_step(course, position) if course and position is not None else None
    outputs = redactor.data(plan.render_output(course.template, course.context())) if course and step is None else {}
    with transaction("succeed") as tx:
        transitions.succeed(tx, job.ref, process_token, result)
        _audit_outcome(tx, job.ref, SUCCESS, _about(job))
        dispatch.tell_after_commit(tx, signals.action_run_finished, job.ref.id)
        if course is None:
            return
        if step is None:
            _end_template_run(tx, course, outputs, _about(job))
        else:
            queue_step(tx, step)


def _kept_input(job: Job) -> Mapping[str, Any]:
    """What the run keeps of its input: a step's is rendered, and kept, after the job was read."""
    if job.course is None:
        return job.input
    with reading() as db:
        row = db.row(select(ActionRunRow.input).where(ActionRunRow.id == job.ref.id))
    return (row["input"] if row else None) or {}


def _after(job: Job, result: Result) -> Course | None:
    if job.course is None or job.step_id is None:
        return None
    return replace(job.course, outputs={**job.course.outputs, job.step_id: result.outputs})


def _next_position(course: Course, position: int) -> int | None:
    try:
        return course.next_step(position)
    except ConditionError as error:
        return error.position


def _end_template_run(tx: Transaction, course: Course, outputs: Mapping[str, Any], about: Subject) -> None:
    if not transitions.end_template_run(tx, course.run_id, SUCCESS, outputs=outputs):
        raise LeaseLostError(course.run_id)
    _audit_template_outcome(tx, course.run_id, SUCCESS, about)


def record_failure(
    ref: StepRef,
    process_token: str,
    error: ActionError,
    warnings: Sequence[str],
    about: Subject,
) -> None:
    """End an attempt, its run, and the template run it is a step of, with an error. Raises LeaseLostError."""
    error.retry_after = retries.named_wait(error)
    with transaction("fail") as tx:
        transitions.fail(tx, ref, process_token, error, warnings)
        _audit_outcome(tx, ref, FAILED, about, error.code)
        dispatch.tell_after_commit(tx, signals.action_run_finished, ref.id)
        if ref.template_run_id:
            _audit_template_outcome(tx, ref.template_run_id, FAILED, about, error.code)


def queue_again(ref: StepRef, process_token: str, error: ActionError, again: Again) -> None:
    """End an attempt and queue the next one. Raises LeaseLostError."""
    wait = again.wait_seconds
    log.warning("run %s is tried again in %.1f s: %s: %s", ref.id, wait, error.code, error.message)
    with transaction("queue_again") as tx:
        queue = transitions.queue_again(tx, ref, process_token, error, again)
        if not wait:
            dispatch.ring_after_commit(tx, ref.id, queue)
        dispatch.tell_after_commit(tx, signals.action_run_queued, ref.id)


def timed_out(action: str) -> ActionTimeoutError:
    """The error of an attempt that ran longer than its action may."""
    return ActionTimeoutError(f"{action} ran longer than it may and was ended.")


def _about(job: Job) -> Subject:
    return Subject(job.requested_by, job.action, job.template)


def _audit_outcome(tx: Transaction, ref: StepRef, outcome: str, about: Subject, code: str | None = None) -> None:
    entry = AuditEntry(about.requested_by, "action_run.finish", outcome, about.action, ref.id, ref.template_run_id)
    audit.record(tx, replace(entry, details=_cause(code)))


def _audit_template_outcome(
    tx: Transaction, run_id: str, outcome: str, about: Subject, code: str | None = None
) -> None:
    entry = AuditEntry(about.requested_by, "template_run.finish", outcome, about.template or "", run_id, run_id)
    audit.record(tx, replace(entry, details=_cause(code)))
    dispatch.tell_template_after_commit(tx, signals.template_run_finished, run_id)


def _cause(code: str | None) -> dict[str, str]:
    return {"error_code": code} if code else {}
