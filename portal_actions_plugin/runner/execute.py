"""One attempt of one action run: claim → render the input → call the handler → record the outcome.

Recording the outcome and queueing the template run's next step is one transaction.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy.exc import OperationalError

from portal_actions_plugin import signals
from portal_actions_plugin.actions.context import ActionContext, Recorder
from portal_actions_plugin.actions.registry import Action
from portal_actions_plugin.db import Transaction, transaction
from portal_actions_plugin.errors import ActionError, InternalError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Link
from portal_actions_plugin.runner.job import Job, find_action, load_job
from portal_actions_plugin.runner.recorder import DatabaseRecorder
from portal_actions_plugin.runs import audit, dispatch, transitions
from portal_actions_plugin.runs.audit import AuditEntry
from portal_actions_plugin.runs.secrets import Redactor
from portal_actions_plugin.runs.states import FAILED, SUCCESS
from portal_actions_plugin.runs.steps import Course, queue_step
from portal_actions_plugin.runs.text import MAX_STORED_DEPTH, require_depth
from portal_actions_plugin.runs.transitions import Claim, LeaseLostError, Result
from portal_actions_plugin.scm.base import Author, ScmProvider
from portal_actions_plugin.scm.providers import open_provider
from portal_actions_plugin.software_templates import plan
from portal_actions_plugin.software_templates.loader import read_skeleton
from portal_actions_plugin.software_templates.plan import ConditionError

log = logging.getLogger(__name__)

_RECORD_AGAIN = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries to record an outcome while the database is away; the lease ends it anyway."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What the audit says an outcome is about."""

    requested_by: str
    action: str
    template: str | None


def perform(run_id: str, process_token: str, worker: str) -> None:
    """Run the next attempt of an action run, if it is still due.

    Args:
        run_id: what the doorbell said.
        process_token: this job process's; every write of the attempt carries it.
        worker: the worker's name, for people.
    """
    job = load_job(run_id)
    if job is None or not _claim(job, process_token, worker):
        return
    redactor = Redactor()
    result, error = Result(), None
    try:
        result = _call_handler(job, process_token, redactor)
    except LeaseLostError:
        log.warning("run %s was canceled or taken over: stopping", run_id)
        return
    except _HandlerError as failed:
        result, error = failed.result, _as_action_error(failed.cause, run_id, redactor)
    try:
        _record_whatever_it_is(job, process_token, result, error, redactor)
    except LeaseLostError:
        log.warning("run %s was canceled or taken over: its outcome changes nothing", run_id)


class _HandlerError(Exception):
    """A handler raised; what it had gathered by then is kept."""

    def __init__(self, cause: BaseException, result: Result) -> None:
        self.cause = cause
        self.result = result


# -- claim -----------------------------------------------------------------------------------------------------------


def _claim(job: Job, process_token: str, worker: str) -> bool:
    parts = extension()
    known = job.action in parts.registry
    timeout = parts.registry.get(job.action).timeout if known else parts.config.lease_seconds
    with transaction() as tx:
        claimed = transitions.claim(
            tx, Claim(job.ref, job.attempt, process_token, worker, parts.config.lease_seconds, timeout)
        )
        if claimed:
            dispatch.tell_after_commit(tx, signals.action_run_started, job.ref.id)
            if job.first and job.ref.template_run_id:
                dispatch.tell_template_after_commit(tx, signals.template_run_started, job.ref.template_run_id)
    return claimed


# -- render and call -------------------------------------------------------------------------------------------------


def _call_handler(job: Job, process_token: str, redactor: Redactor) -> Result:
    ctx: ActionContext | None = None
    try:
        action: Action = find_action(job.action)
        secrets = job.secrets()
        redactor.add(list(secrets.values()))
        data = job.render_input(secrets)
        redactor.add([data[name] for name in action.secret_names() if name in data])
        _keep_input(job, process_token, redactor.data(data))
        ctx = _context(job, process_token, secrets, redactor)
        return _gathered(ctx, _checked(action.run(ctx, data)), redactor)
    except LeaseLostError:
        raise
    except BaseException as cause:
        raise _HandlerError(cause, _gathered(ctx, {}, redactor)) from cause


def _keep_input(job: Job, process_token: str, data: Mapping[str, Any]) -> None:
    if job.course is None:
        return
    with transaction() as tx:
        transitions.keep_input(tx, job.ref.id, process_token, data)


def _context(job: Job, process_token: str, secrets: Mapping[str, Any], redactor: Redactor) -> ActionContext:
    hooks = extension().hooks
    return ActionContext(
        run=job.info(),
        recorder=DatabaseRecorder(job, process_token, redactor),
        make_scm=partial(_open_scm, job),
        host_catalog=hooks.catalog,
        host_scorecards=hooks.scorecards,
        secrets={name: str(value) for name, value in secrets.items()},
        read_skeleton=partial(read_skeleton, job.course.template) if job.course else None,
        on_redact=redactor.add,
    )


def _open_scm(job: Job, provider: str, recorder: Recorder) -> ScmProvider:
    _, _, address = job.requested_by.partition(":")
    email = address if "@" in address else "portal-actions@localhost"
    author = Author(job.requester_name or job.requested_by, email)
    return open_provider(provider, config=extension().config, guard=recorder.ensure_ours, author=author)


def _checked(outputs: Mapping[str, Any]) -> dict[str, Any]:
    limit = extension().config.max_output_bytes
    try:
        size = len(json.dumps(outputs, allow_nan=False))
        require_depth(outputs, MAX_STORED_DEPTH)
    except (TypeError, ValueError, RecursionError) as error:
        raise InternalError(f"The action returned outputs that are not JSON: {error}.") from None
    if size > limit:
        raise InternalError(f"The action returned {size} bytes of outputs; {limit} are allowed.")
    return dict(outputs)


def _gathered(ctx: ActionContext | None, outputs: Mapping[str, Any], redactor: Redactor) -> Result:
    if ctx is None:
        return Result()
    links = [Link(redactor.text(str(link.title)), redactor.text(str(link.url))) for link in ctx.links]
    return Result(redactor.data(outputs), links, [redactor.text(str(text)) for text in ctx.warnings])


def _as_action_error(cause: BaseException, run_id: str, redactor: Redactor) -> ActionError:
    if isinstance(cause, ActionError):
        return cause
    # A traceback repeats what was raised, and that may hold a secret.
    trace = redactor.text("".join(traceback.format_exception(cause)))
    log.error("run %s: the handler failed unexpectedly\n%s", run_id, trace)
    return InternalError(f"An unexpected error stopped the action: {type(cause).__name__}: {cause}"[:500])


# -- record ----------------------------------------------------------------------------------------------------------


def _record_whatever_it_is(
    job: Job, process_token: str, result: Result, error: ActionError | None, redactor: Redactor
) -> None:
    """Record an outcome; one that the database will not have is recorded as an error of ours."""
    try:
        _record_again_until_done(partial(_record, job, process_token, result, error, redactor))
    except (LeaseLostError, OperationalError):
        raise
    except Exception as refused:
        log.exception("the outcome of run %s could not be recorded as it is", job.ref.id)
        instead = InternalError(f"The outcome could not be recorded: {type(refused).__name__}.")
        _record_again_until_done(partial(_record, job, process_token, Result(), instead, redactor))


def _record_again_until_done(record: Callable[[], None]) -> None:
    for seconds in _RECORD_AGAIN:
        try:
            return record()
        except OperationalError as error:
            log.warning("the outcome could not be recorded, trying again: %s", error)
            time.sleep(seconds)
    return record()


def _record(job: Job, process_token: str, result: Result, error: ActionError | None, redactor: Redactor) -> None:
    if error:
        error.message, error.hint = redactor.text(str(error.message)), redactor.text(str(error.hint))
        record_failure(job.ref, process_token, error, result, _about(job))
        return
    course = _after(job, result)
    position = _next_position(course, job.position + 1) if course else None
    # Rendered before the transaction: a template's author must not keep other writers waiting.
    outputs = plan.render_output(course.template, course.context()) if course and position is None else {}
    with transaction() as tx:
        transitions.succeed(tx, job.ref, process_token, result)
        _audit_outcome(tx, job.ref, SUCCESS, _about(job))
        dispatch.tell_after_commit(tx, signals.action_run_finished, job.ref.id)
        if course is None:
            return
        if position is None:
            _end_template_run(tx, course, outputs, _about(job))
        else:
            queue_step(tx, course, position)


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
    ref: transitions.StepRef,
    process_token: str,
    error: ActionError,
    result: Result,
    about: Subject,
) -> None:
    """End an attempt, its run, and the template run it is a step of, with an error. Raises LeaseLostError."""
    with transaction() as tx:
        transitions.fail(tx, ref, process_token, error, result)
        _audit_outcome(tx, ref, FAILED, about, error.code)
        dispatch.tell_after_commit(tx, signals.action_run_finished, ref.id)
        if ref.template_run_id:
            _audit_template_outcome(tx, ref.template_run_id, FAILED, about)


def _about(job: Job) -> Subject:
    return Subject(job.requested_by, job.action, job.course.template.name if job.course else None)


def _audit_outcome(
    tx: Transaction, ref: transitions.StepRef, outcome: str, about: Subject, code: str | None = None
) -> None:
    details = {"error_code": code} if code else {}
    entry = AuditEntry(about.requested_by, "action_run.finish", outcome, about.action)
    audit.record(tx, replace(entry, run_id=ref.id, template_run_id=ref.template_run_id, details=details))


def _audit_template_outcome(tx: Transaction, run_id: str, outcome: str, about: Subject) -> None:
    entry = AuditEntry(about.requested_by, "template_run.finish", outcome, about.template or "")
    audit.record(tx, replace(entry, run_id=run_id, template_run_id=run_id))
    dispatch.tell_template_after_commit(tx, signals.template_run_finished, run_id)
