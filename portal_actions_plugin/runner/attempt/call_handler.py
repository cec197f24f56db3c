"""The call of an attempt's handler: what it is given, and what came of it, as it may be kept."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from portal_actions_plugin.actions.context import ActionContext, RunInfo
from portal_actions_plugin.errors import ActionError, InternalError, OutOfMemoryError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.hooks import asking
from portal_actions_plugin.host import Identity, SkeletonFile
from portal_actions_plugin.http_client.guard import HttpRules
from portal_actions_plugin.runner.attempt import bounds, record
from portal_actions_plugin.runner.attempt.forges import open_forge
from portal_actions_plugin.runner.attempt.prepare import HandlerCall, Performer, PreparedAttempt
from portal_actions_plugin.runner.attempt.queued_run import QueuedRun
from portal_actions_plugin.runner.attempt.recorder import DatabaseRecorder
from portal_actions_plugin.runner.attempt.time_left import TimeLeft, ride_out_a_lease
from portal_actions_plugin.runner.attempt.workspaces import AttemptWorkspace
from portal_actions_plugin.runner.process.interruptions import TimeLimitError
from portal_actions_plugin.runner.process.own_process import OwnProcess
from portal_actions_plugin.runner.process.traces import limits_kept
from portal_actions_plugin.runs.changes.claims import LeaseLostError
from portal_actions_plugin.runs.changes.transitions import Result
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.secrets.storable import MAX_STORED_DEPTH, require_depth
from portal_actions_plugin.runs.workspaces.template_files import read_skeleton
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.spec import Template
from portal_actions_plugin.storage.pause_points import reached

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a handler's call.

    Attributes:
        result: what it has made, masked and within bounds; of one that failed, what it had gathered by then.
        error: why it failed; None when it succeeded.
    """

    result: Result
    error: ActionError | None = None


def call_handler(attempt: PreparedAttempt, performer: Performer, time_left: TimeLeft, redactor: Redactor) -> Outcome:
    """Call the handler of an attempt that is claimed, within its time.

    Args:
        attempt: one whose handler cannot be called fails with the reason.
        performer: the process, which ends here and now when the handler has spoilt it.
        time_left: interrupts the handler.
        redactor: masks what it says, and learns what it asks to be masked.

    Raises:
        LeaseLostError: the run was canceled or taken over, and the handler or its recorder has noticed.
    """
    ctx: ActionContext | None = None
    try:
        if isinstance(attempt.call, Exception):
            raise attempt.call
        use = attempt.call.action.workspace
        workspace = AttemptWorkspace(attempt.run, use, performer.working_folder, redactor)
        ctx = replace(_context(attempt, attempt.call, performer, redactor), open_workspace=workspace.opener)
        # This process may have been stopped since the claim, and its row be another's by now.
        if not time_left.is_surely_ours():
            ctx.recorder.ensure_ours()
        with limits_kept(), time_left.for_the_handler():
            reached("handler.before")
            outputs = _call(attempt.call, ctx, performer.ours)
            reached("handler.after")
            changed = workspace.save()
        with time_left.to_speak():
            return Outcome(replace(_gathered(ctx, _checked(outputs), redactor), workspace=changed))
    except LeaseLostError:
        raise
    except BaseException as cause:  # noqa: BLE001 a handler may raise anything, and it is kept as its error
        return _failure(cause, ctx, attempt.run, time_left, redactor)


def _call(call: HandlerCall, ctx: ActionContext, ours: OwnProcess) -> dict[str, object]:
    try:
        outputs = call.action.run(ctx, call.input)
    except BaseException as cause:
        ours.leave_if_not_ours(cause)
        raise
    ours.leave_if_not_ours()
    return outputs


# -- what it is given ------------------------------------------------------------------------------------------------


def _context(attempt: PreparedAttempt, call: HandlerCall, performer: Performer, redactor: Redactor) -> ActionContext:
    given, run = extension().hooks, attempt.run
    return ActionContext(
        run=run.info(),
        recorder=DatabaseRecorder(attempt, performer, redactor),
        make_scm=partial(open_forge, call),
        host_catalog=asking.catalog(given.catalog),
        host_scorecards=asking.scorecards(given.scorecards),
        http=HttpRules.of(extension().config),
        secrets={name: str(value) for name, value in call.secrets.items()},
        read_skeleton=partial(_read_skeleton, run.course.template) if run.course else None,
        on_redact=redactor.add,
        ask_authorizer=partial(_may, run.info()),
        reading=run.course.template.reading if run.course else Reading.BACKSTAGE,
        forge_addresses=extension().config.forge_addresses,
        links=list(run.links),
    )


def _read_skeleton(template: Template, folder: str) -> tuple[SkeletonFile, ...]:
    return ride_out_a_lease(partial(read_skeleton, template, folder))


def _may(info: RunInfo, permission: str, target: str) -> bool:
    """What the host's authorizer says of the requester, whose roles nobody knows any more; no without an authorizer."""
    authorizer = extension().hooks.authorizer
    who = Identity(info.requested_by, info.requester_name)
    return authorizer is not None and asking.may(authorizer, who, permission, target)


# -- what came of it -------------------------------------------------------------------------------------------------


def _checked(outputs: Mapping[str, object]) -> dict[str, object]:
    """The outputs as the database gives them back: a step sees the same whichever process it runs in."""
    limit = extension().config.max_output_bytes
    try:
        written = json.dumps(outputs, allow_nan=False)
        require_depth(outputs, MAX_STORED_DEPTH)
    except (TypeError, ValueError, RecursionError) as error:
        raise InternalError(f"The action returned outputs that are not JSON: {error}.") from None
    if len(written) > limit:
        raise InternalError(f"The action returned {len(written)} bytes of outputs; {limit} are allowed.")
    return dict(json.loads(written))


def _gathered(ctx: ActionContext | None, outputs: Mapping[str, object], redactor: Redactor) -> Result:
    if ctx is None:
        return Result()
    links = bounds.links(ctx.links, redactor)
    return Result(redactor.data(outputs), links, bounds.warnings(ctx.warnings, len(ctx.links), redactor))


def _failure(
    cause: BaseException, ctx: ActionContext | None, run: QueuedRun, time_left: TimeLeft, redactor: Redactor
) -> Outcome:
    """A handler's error as it is kept: its own code says what it is, and may fail at that, or never end."""
    name = type(cause).__name__
    error: ActionError = InternalError(f"An unexpected error stopped the action: {name}: it cannot be shown")
    result = Result()
    try:
        with time_left.to_speak():
            result = _gathered(ctx, {}, redactor)
            error = bounds.error(_as_action_error(cause, run), redactor)
    except BaseException as failed:  # noqa: BLE001 whatever it raises when it is asked
        log.warning("run %s: the error %s cannot be shown: %s", run.ref.id, name, type(failed).__name__)
    return Outcome(result, error)


def _as_action_error(cause: BaseException, run: QueuedRun) -> ActionError:
    if isinstance(cause, ActionError) and not isinstance(cause, InternalError):
        return cause
    if isinstance(cause, TimeLimitError):
        return record.timed_out(run.action)
    # It is asked first: whoever formats a traceback swallows whatever it raises, and the end of its time with that.
    said = _said(cause)
    _tell_of_bug(cause, run.action)
    if isinstance(cause, InternalError):
        return cause
    if isinstance(cause, MemoryError):
        return OutOfMemoryError(f"{run.action} ran out of memory.")
    named = f"{type(cause).__name__}: {said}" if said else type(cause).__name__
    return InternalError(f"An unexpected error stopped the action: {named}")


def _tell_of_bug(cause: BaseException, action: str) -> None:
    """Log a handler's bug such that those of one action are one to who collects them: the run is in its attributes.

    A run with secrets gives its traceback away as masked text alone.
    """
    about = {
        "error_type": type(cause).__qualname__,
        "error_traceback": "".join(traceback.format_exception(cause)),
    }
    log.error("the handler of " + action + " failed unexpectedly", exc_info=cause, extra=about)  # noqa: G003 one message for each


def _said(cause: BaseException) -> str:
    try:
        return str(cause)
    except Exception:  # noqa: BLE001 an error of a library may fail itself when it is asked what it is
        return "it cannot be shown"
