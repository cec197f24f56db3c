"""How an attempt ended, and which step is next: recorded together, with audit and news, in one transaction.

What comes next is the template run's next step, its end, or another attempt.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from portal_actions_plugin import signals
from portal_actions_plugin.errors import ActionError, ActionTimeoutError, InternalError, RateLimitedError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import AuditEntry
from portal_actions_plugin.runner.attempt import bounds
from portal_actions_plugin.runner.attempt.following import (
    Ended,
    Following,
    LastStep,
    Means,
    NextStep,
    OtherItems,
    after_failure,
)
from portal_actions_plugin.runner.attempt.prepare import Claimed, PreparedAttempt
from portal_actions_plugin.runner.attempt.queued_run import QueuedRun
from portal_actions_plugin.runs import audit
from portal_actions_plugin.runs.changes import cancels, claims, locks, slots, transitions
from portal_actions_plugin.runs.changes.claims import LeaseLostError, StepRef
from portal_actions_plugin.runs.changes.log_lines import Line
from portal_actions_plugin.runs.changes.steps import begin_step, queue_beside, queue_step
from portal_actions_plugin.runs.changes.transitions import Again, End, Result
from portal_actions_plugin.runs.course import Failure
from portal_actions_plugin.runs.guards import retries
from portal_actions_plugin.runs.guards.retries import Limits, Tried
from portal_actions_plugin.runs.items import kept
from portal_actions_plugin.runs.items.kept import ItemsChangedError
from portal_actions_plugin.runs.news import ring, tell
from portal_actions_plugin.runs.news.delivery import delivery
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.states import CANCELED, FAILED, SUCCESS
from portal_actions_plugin.storage.away import is_away
from portal_actions_plugin.storage.sessions import Transaction, reading, ride_out

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Subject:
    """What the audit says an outcome is about."""

    requested_by: str
    action: str
    template: str | None


# -- success ---------------------------------------------------------------------------------------------------------


def succeeded(attempt: PreparedAttempt, result: Result, follows: Following) -> None:
    """Record a success, and queue the next step or end the template run with it, in one transaction.

    Args:
        attempt: which has succeeded.
        result: what it has made.
        follows: as ``following`` says of it.

    Raises:
        LeaseLostError: the attempt is not the row's any more; nothing is changed.
    """
    if isinstance(follows, LastStep):
        _ride_out(partial(_succeed_last, attempt, result, follows))
    elif isinstance(follows, NextStep):
        _ride_out(partial(_succeed, attempt, result, follows, partial(queue_step, step=follows.row)))
    else:
        _ride_out(partial(_succeed, attempt, result, follows, _nothing))


def succeeded_and_began(
    attempt: PreparedAttempt, result: Result, step: NextStep, ahead: PreparedAttempt
) -> Claimed | None:
    """Record a success, and queue and claim the next step, in one transaction.

    Args:
        attempt: which has succeeded.
        result: what it has made.
        step: what follows.
        ahead: the attempt of that.

    Returns:
        The next step's attempt; None when its lock is held, so that it is queued alone.

    Raises:
        LeaseLostError: the attempt is not the row's any more; nothing is changed.
        StatementError: the database will not have it, such as for the next step's input; nothing is changed.
    """
    asked_at = time.monotonic()
    claim = partial(begin_step, step=step.row, wish=ahead.claim)
    try:
        is_ours = _ride_out(partial(_succeed, attempt, result, step, claim))
    except LeaseLostError:
        # It is also raised when all was committed and the answer was lost: then the next step is running, for us.
        if not _ride_out(partial(_is_running, ahead)):
            raise
        is_ours = True
    return Claimed(ahead, asked_at) if is_ours else None


def _ride_out(record: Callable[[], T]) -> T:
    return ride_out(record, extension().config.lease_seconds)


def as_long_as_items_change(work: Callable[[], T]) -> T:
    """Work out what follows, and record it; anew each time that another item of the step has ended meanwhile."""
    while True:
        try:
            return work()
        except ItemsChangedError as meanwhile:
            log.debug("another item has ended before run %s was recorded: what follows is worked out anew", meanwhile)


def _succeed(attempt: PreparedAttempt, result: Result, follows: Following, and_then: Callable[[Transaction], T]) -> T:
    with slots.changing("succeed", attempt.run.requested_by) as tx:
        succeed(tx, attempt, result, _newly_failed_at(attempt, follows))
        if follows:
            kept.require_so_still(tx, follows.now)
        done = and_then(tx)
        if isinstance(follows, NextStep):
            _keep_beside(tx, follows)
        return done


def _newly_failed_at(attempt: PreparedAttempt, follows: Following) -> int | None:
    """The place of the step that has failed with its last item, although that has succeeded."""
    if not isinstance(follows, NextStep) or follows.course.failure is None:
        return None
    before = attempt.run.course.failure if attempt.run.course else None
    return None if before else follows.course.failure.position


def _keep_beside(tx: Transaction, follows: NextStep) -> None:
    """Write what comes with a next step: lists that have been worked out, and the items that begin beside its first."""
    kept.keep(tx, follows.course.run_id, follows.lists)
    queue_beside(tx, follows.beside)


def _succeed_last(attempt: PreparedAttempt, result: Result, last: LastStep) -> None:
    with slots.changing("succeed", attempt.run.requested_by) as tx:
        succeed_last(tx, attempt, result, last)
        kept.require_so_still(tx, last.now)
        whole = str(attempt.run.ref.template_run_id)
        kept.keep(tx, whole, last.lists)
        if last.failure is None and attempt.run.has_lists():
            kept.wipe(tx, whole)


def succeed(tx: Transaction, attempt: PreparedAttempt, result: Result, failed_at_step: int | None = None) -> None:
    """Record a success with its audit and its news, within a transaction; what follows it is written there too.

    Args:
        tx: open.
        attempt: which has succeeded.
        result: what it has made.
        failed_at_step: of the last item of a step, the place of that where another item has failed.

    Raises:
        LeaseLostError: the attempt is not the row's any more; nothing is changed.
    """
    transitions.succeed(tx, attempt.run.ref, attempt.claim.process_token, result, failed_at_step)
    _tell_of_success(tx, attempt.run)


def succeed_last(tx: Transaction, attempt: PreparedAttempt, result: Result, last: LastStep) -> None:
    """Record the success of a last step and the end of its template run, with their audit and news, within a transaction.

    Args:
        tx: open.
        attempt: which has succeeded.
        result: what it has made.
        last: how the template run ends.

    Raises:
        LeaseLostError: the attempt is not the row's any more; nothing is changed.
    """
    run = attempt.run
    transitions.succeed_last(tx, run.ref, attempt.claim.process_token, result, _end(last))
    _tell_of_success(tx, run)
    whole, failure = str(run.ref.template_run_id), last.failure
    _audit_template_outcome(tx, whole, FAILED if failure else SUCCESS, _about(run), failure.code if failure else None)


def _tell_of_success(tx: Transaction, run: QueuedRun) -> None:
    _audit_outcome(tx, run.ref, SUCCESS, _about(run))
    tell.tell_after_commit(tx, signals.action_run_finished, run.ref.id)
    delivery().take_along(tx)


def _end(last: LastStep) -> End:
    return End(last.outputs, last.failure.position if last.failure else None)


def _nothing(_tx: Transaction) -> None:
    """Nothing comes after a one-off."""


def _is_running(ahead: PreparedAttempt) -> bool:
    with reading() as db:
        return claims.is_ours(db, ahead.run.ref.id, ahead.claim.process_token)


# -- failure ---------------------------------------------------------------------------------------------------------


def failed(attempt: PreparedAttempt, result: Result, error: ActionError, redactor: Redactor) -> None:
    """Record a failure: queue another attempt where that helps, else end the run; its template run cleans up or ends.

    Args:
        attempt: which has failed.
        result: what it had gathered by then.
        error: why; bounded and masked here.
        redactor: knows what to mask.

    Raises:
        LeaseLostError: the attempt is not the row's any more; nothing is changed.
    """
    run, token = attempt.run, attempt.claim.process_token
    bounds.error(error, redactor)
    limits = _limits_before(run) if isinstance(error, RateLimitedError) else Limits()
    tried = Tried(run.action, run.attempt + 1, run.max_attempts, attempt.kept_input(), limits)
    wait = retries.next_attempt_in(error, tried)
    if wait is None:
        retries.say_when_to_retry(error, limits)

        def record() -> None:
            follows = after_failure(run.course, ended(run), error.code, Means(redactor, run.secrets))
            _ride_out(partial(record_failure, run.ref, token, error, result, _about(run), follows))

        as_long_as_items_change(record)
    else:
        free_attempts = 0 if retries.uses_up_an_attempt(error) else 1
        again = Again(FAILED, wait, extension().config.ring_again_seconds, free_attempts)
        _ride_out(partial(queue_again, run.ref, token, error, again, _about(run), result.lines))


def _limits_before(run: QueuedRun) -> Limits:
    if not run.attempt:
        return Limits()

    def read() -> Limits:
        with reading() as db:
            return retries.limits_before(db, run.ref.id, run.attempt + 1)

    return _ride_out(read)


def unrecordable(attempt: PreparedAttempt, result: Result, refused: Exception, redactor: Redactor) -> None:
    """Record that an outcome could not be recorded as it is, with the lines of its log alone.

    Args:
        attempt: whose outcome it is.
        result: with the lines that are not written yet.
        refused: why it could not be recorded; in the log.
        redactor: knows what to mask.

    Raises:
        LeaseLostError: the attempt is not the row's any more; nothing is changed.
    """
    log.error("the outcome of run %s could not be recorded as it is", attempt.run.ref.id, exc_info=refused)
    instead = InternalError(f"The outcome could not be recorded: {type(refused).__name__}.")
    failed(attempt, Result(lines=result.lines), instead, redactor)


def record_failure(
    ref: StepRef,
    process_token: str,
    error: ActionError,
    result: Result,
    about: Subject,
    follows: Following,
) -> None:
    """End an attempt and its run with an error; the template run that it is a step of ends with it, or cleans up.

    It ends, too, when the database will not have the row of the step that would clean up.

    Args:
        ref: the run.
        process_token: of the process that has made the attempt, or has taken it over.
        error: bounded and masked.
        result: what the handler had gathered by then.
        about: for the audit.
        follows: as ``following`` says of it; a template run that cannot be read ends.

    Raises:
        LeaseLostError: the attempt is not the row's any more; nothing is changed.
        ItemsChangedError: another item of the step has ended, or has begun, since ``follows`` was worked out; nothing is
            changed.
    """
    error.retry_after = retries.named_wait(error)
    try:
        _record_failure(ref, process_token, error, result, about, follows)
    except ItemsChangedError:
        raise
    except Exception as refused:
        if is_away(refused) or not isinstance(follows, NextStep):
            raise
        log.exception("what follows the failure of run %s cannot be queued: its template run ends", ref.id)
        last = LastStep({}, _first_failure(follows), now=follows.now)
        _record_failure(ref, process_token, error, result, about, last)


def _record_failure(
    ref: StepRef, process_token: str, error: ActionError, result: Result, about: Subject, follows: Following
) -> None:
    with slots.changing("fail", about.requested_by) as tx:
        if isinstance(follows, NextStep):
            transitions.fail_and_go_on(tx, ref, process_token, error, result, _first_failure(follows).position)
        elif isinstance(follows, OtherItems):
            transitions.fail_item(tx, ref, process_token, error, result)
        else:
            transitions.fail(tx, ref, process_token, error, result, _end(follows) if follows else End({}))
        _audit_outcome(tx, ref, FAILED, about, error.code)
        tell.tell_after_commit(tx, signals.action_run_finished, ref.id)
        if follows and follows.now:
            kept.require_so_still(tx, follows.now)
            _cancel_held_items(tx, follows.now.place, about)
        if isinstance(follows, NextStep):
            queue_step(tx, follows.row)
            _keep_beside(tx, follows)
        elif ref.template_run_id and not isinstance(follows, OtherItems):
            code = follows.failure.code if follows and follows.failure else error.code
            _audit_template_outcome(tx, ref.template_run_id, FAILED, about, code)
        delivery().take_along(tx)


def _cancel_held_items(tx: Transaction, place: kept.Place, about: Subject) -> None:
    held = cancels.cancel_held_items(tx, place.run_id, place.position)
    for one in held:
        _audit_outcome(tx, StepRef(one.id, place.run_id), CANCELED, about)
        tell.tell_after_commit(tx, signals.action_run_finished, one.id)
    locks.ring_for_next_after_commit(tx, [one.lock_key for one in held if one.lock_key])


def _first_failure(follows: NextStep) -> Failure:
    if follows.course.failure is None:
        raise ValueError("no step has failed, so none can clean up")
    return follows.course.failure


def queue_again(
    ref: StepRef, process_token: str, error: ActionError, again: Again, about: Subject, lines: Sequence[Line] = ()
) -> None:
    """End an attempt with an error and queue the run for the next one.

    Args:
        ref: the run.
        process_token: of the process that has made the attempt, or has taken it over.
        error: bounded and masked.
        again: how the attempt ended, and when the next one is due.
        about: whose run it is.
        lines: of the attempt's log that are not written yet.

    Raises:
        LeaseLostError: the attempt is not the row's any more; nothing is changed.
    """
    wait = again.wait_seconds
    with slots.changing("queue_again", about.requested_by) as tx:
        queue = transitions.queue_again(tx, ref, process_token, error, again, lines)
        if not wait:
            slots.keep(tx, ref.id, about.requested_by)
            ring.ring_first_after_commit(tx, ref.id, queue)
        tell.tell_after_commit(tx, signals.action_run_queued, ref.id)
        delivery().take_along(tx)
    log.warning("run %s is tried again in %.1f s: %s: %s", ref.id, wait, error.code, error.message)


def ended(run: QueuedRun) -> Ended:
    """What has ended with an attempt."""
    return Ended(run.ref.id, run.position, run.item.index if run.item else None)


def timed_out(action: str) -> ActionTimeoutError:
    """The error of an attempt that ran longer than its action may."""
    return ActionTimeoutError(f"{action} ran longer than it may and was ended.")


def _about(run: QueuedRun) -> Subject:
    return Subject(run.requested_by, run.action, run.template)


def _audit_outcome(tx: Transaction, ref: StepRef, outcome: str, about: Subject, code: str | None = None) -> None:
    entry = AuditEntry(about.requested_by, "action_run.finish", outcome, about.action, ref.id, ref.template_run_id)
    audit.record(tx, replace(entry, details={"error_code": code} if code else {}))


def _audit_template_outcome(
    tx: Transaction, run_id: str, outcome: str, about: Subject, code: str | None = None
) -> None:
    entry = AuditEntry(about.requested_by, "template_run.finish", outcome, about.template or "", run_id, run_id)
    audit.record(tx, replace(entry, details={"error_code": code} if code else {}))
    tell.tell_after_commit(tx, signals.template_run_finished, run_id)
