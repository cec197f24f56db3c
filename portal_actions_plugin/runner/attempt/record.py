"""How an attempt ended: recorded with its audit and its news, and with what comes next, in one transaction.

What comes next is the template run's next step, its end, or another attempt.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError, StatementError

from portal_actions_plugin import signals
from portal_actions_plugin.errors import ActionError, ActionTimeoutError, InternalError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import AuditEntry
from portal_actions_plugin.runner.attempt import bounds
from portal_actions_plugin.runner.attempt.prepare import Attempt, Claimed, Doer, prepare
from portal_actions_plugin.runner.attempt.queued_run import Job, next_job
from portal_actions_plugin.runs import audit
from portal_actions_plugin.runs.changes import claims, transitions
from portal_actions_plugin.runs.changes.claims import LeaseLostError, StepRef
from portal_actions_plugin.runs.changes.log_lines import Line
from portal_actions_plugin.runs.changes.steps import begin_step, prepare_step, queue_step
from portal_actions_plugin.runs.changes.transitions import Again, Result
from portal_actions_plugin.runs.course import Course
from portal_actions_plugin.runs.guards import retries
from portal_actions_plugin.runs.guards.retries import Tried
from portal_actions_plugin.runs.news import ring, tell
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.states import FAILED, SUCCESS
from portal_actions_plugin.software_templates import step_rendering
from portal_actions_plugin.software_templates.step_rendering import ConditionError
from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.away import is_away
from portal_actions_plugin.storage.sessions import Transaction, reading, ride_out, transaction

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Subject:
    """What the audit says an outcome is about."""

    requested_by: str
    action: str
    template: str | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What has become of an attempt.

    Attributes:
        success: whether it is recorded as one.
        ahead: the next step's attempt, when the process may go on with it and has claimed it.
    """

    success: bool = False
    ahead: Claimed | None = None


def record(attempt: Attempt, doer: Doer, result: Result, error: ActionError | None, redactor: Redactor) -> Recorded:
    """Record how an attempt ended; what the database will not have is recorded as an error of ours.

    Raises:
        LeaseLostError: the attempt is not the row's any more; nothing is changed.
    """
    result = replace(result, lines=doer.spoken.waiting())
    try:
        if error is None:
            recorded = Recorded(success=True, ahead=_succeeded(attempt, doer, result, redactor))
        else:
            _failed(attempt, result, error, redactor)
            recorded = Recorded()
    except Exception as refused:
        if is_away(refused):
            raise
        log.exception("the outcome of run %s could not be recorded as it is", attempt.job.ref.id)
        instead = InternalError(f"The outcome could not be recorded: {type(refused).__name__}.")
        _failed(attempt, Result(lines=result.lines), instead, redactor)
        recorded = Recorded()
    doer.spoken.all_written()
    return recorded


def _ride_out(record: Callable[[], T]) -> T:
    return ride_out(record, extension().config.lease_seconds)


def _failed(attempt: Attempt, result: Result, error: ActionError, redactor: Redactor) -> None:
    job, token = attempt.job, attempt.claim.process_token
    bounds.error(error, redactor)
    wait = retries.next_attempt_in(error, Tried(job.action, job.attempt + 1, job.max_attempts, attempt.kept_input()))
    if wait is None:
        _ride_out(partial(record_failure, job.ref, token, error, result, _about(job)))
    else:
        again = Again(FAILED, wait, extension().config.ring_again_seconds)
        _ride_out(partial(queue_again, job.ref, token, error, again, result.lines))


def _succeeded(attempt: Attempt, doer: Doer, result: Result, redactor: Redactor) -> Claimed | None:
    job, course = attempt.job, _after(attempt.job, result)
    if course is None:
        _ride_out(partial(_succeed, attempt, result, _nothing))
        return None
    position = _next_position(course, job.position + 1)
    if position is None:
        outputs = redactor.data(step_rendering.render_output(course.template, course.context()))
        _ride_out(partial(_succeed_last, attempt, result, outputs))
        return None
    step = prepare_step(course, position)
    may_go_on = attempt.claim.lock_key is None and doer.may_go_on()
    if ahead := _prepared(next_job(job, course, step), doer, redactor) if may_go_on else None:
        try:
            return _go_on(attempt, result, step, ahead)
        except StatementError as refused:
            if is_away(refused):
                raise
            # Most likely it is the next step's input. That step is queued alone, and says so when it fails.
            log.warning("the step after run %s is not claimed along: %s", job.ref.id, type(refused).__name__)
    _ride_out(partial(_succeed, attempt, result, partial(queue_step, step=step)))
    return None


def _prepared(job: Job, doer: Doer, redactor: Redactor) -> Attempt | None:
    """The next step's attempt; None while its lock cannot be worked out: it is queued alone then, and waits for that."""
    try:
        return prepare(job, doer, redactor)
    except DBAPIError as error:
        away.bear(error, log, "the step after a run is not prepared along")
        return None


def _succeed(attempt: Attempt, result: Result, and_then: Callable[[Transaction], T]) -> T:
    with transaction("succeed") as tx:
        succeed(tx, attempt, result)
        return and_then(tx)


def _succeed_last(attempt: Attempt, result: Result, outputs: Mapping[str, Any]) -> None:
    with transaction("succeed") as tx:
        succeed_last(tx, attempt, result, outputs)


def succeed(tx: Transaction, attempt: Attempt, result: Result) -> None:
    """Record a success with its audit and its news. Raises LeaseLostError."""
    transitions.succeed(tx, attempt.job.ref, attempt.claim.process_token, result)
    _tell_of_success(tx, attempt.job)


def succeed_last(tx: Transaction, attempt: Attempt, result: Result, outputs: Mapping[str, Any]) -> None:
    """Record the success of a last step and of its template run, likewise."""
    job = attempt.job
    transitions.succeed_last(tx, job.ref, attempt.claim.process_token, result, outputs)
    _tell_of_success(tx, job)
    _audit_template_outcome(tx, str(job.ref.template_run_id), SUCCESS, _about(job))


def _tell_of_success(tx: Transaction, job: Job) -> None:
    _audit_outcome(tx, job.ref, SUCCESS, _about(job))
    tell.tell_after_commit(tx, signals.action_run_finished, job.ref.id)


def _nothing(_tx: Transaction) -> None:
    """Nothing comes after a one-off."""


def _go_on(attempt: Attempt, result: Result, step: Mapping[str, Any], ahead: Attempt) -> Claimed | None:
    """Record a success, and queue and claim the next step along with it."""
    asked_at = time.monotonic()
    claim = partial(begin_step, step=step, wish=ahead.claim)
    try:
        is_ours = _ride_out(partial(_succeed, attempt, result, claim))
    except LeaseLostError:
        # It is also raised when all was committed and the answer was lost: then the next step is running, for us.
        if not _ride_out(partial(_is_running, ahead)):
            raise
        is_ours = True
    return Claimed(ahead, asked_at) if is_ours else None


def _is_running(ahead: Attempt) -> bool:
    with reading() as db:
        return claims.is_ours(db, ahead.job.ref.id, ahead.claim.process_token)


def _after(job: Job, result: Result) -> Course | None:
    if job.course is None or job.step_id is None:
        return None
    return replace(job.course, outputs={**job.course.outputs, job.step_id: result.outputs})


def _next_position(course: Course, position: int) -> int | None:
    try:
        return course.next_step(position)
    except ConditionError as error:
        return error.position


def record_failure(
    ref: StepRef,
    process_token: str,
    error: ActionError,
    result: Result,
    about: Subject,
) -> None:
    """End an attempt, its run, and the template run it is a step of, with an error. Raises LeaseLostError."""
    error.retry_after = retries.named_wait(error)
    with transaction("fail") as tx:
        transitions.fail(tx, ref, process_token, error, result)
        _audit_outcome(tx, ref, FAILED, about, error.code)
        tell.tell_after_commit(tx, signals.action_run_finished, ref.id)
        if ref.template_run_id:
            _audit_template_outcome(tx, ref.template_run_id, FAILED, about, error.code)


def queue_again(ref: StepRef, process_token: str, error: ActionError, again: Again, lines: Sequence[Line] = ()) -> None:
    """End an attempt and queue the next one. Raises LeaseLostError."""
    wait = again.wait_seconds
    log.warning("run %s is tried again in %.1f s: %s: %s", ref.id, wait, error.code, error.message)
    with transaction("queue_again") as tx:
        queue = transitions.queue_again(tx, ref, process_token, error, again, lines)
        if not wait:
            ring.ring_after_commit(tx, ref.id, queue)
        tell.tell_after_commit(tx, signals.action_run_queued, ref.id)


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
    tell.tell_after_commit(tx, signals.template_run_finished, run_id)


def _cause(code: str | None) -> dict[str, str]:
    return {"error_code": code} if code else {}
