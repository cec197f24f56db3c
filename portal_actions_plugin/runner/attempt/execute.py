"""The way of one attempt: prepare → claim → call its handler → record how it ended, and prepare the next step's.

Read it with ``prepare``, which makes all that an attempt needs, and ``record``, which says how it ended and what follows.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy.exc import DBAPIError, StatementError

from portal_actions_plugin import signals
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.attempt import record, run_logs, workspaces
from portal_actions_plugin.runner.attempt.call_handler import Outcome, call_handler
from portal_actions_plugin.runner.attempt.following import LastStep, Means, NextStep, after_success
from portal_actions_plugin.runner.attempt.prepare import Claimed, Performer, PreparedAttempt, prepare
from portal_actions_plugin.runner.attempt.queued_run import QueuedRun, load_queued_run, next_queued_run
from portal_actions_plugin.runner.attempt.time_left import TimeLeft
from portal_actions_plugin.runs.changes import claims, locks, slots
from portal_actions_plugin.runs.changes.claims import LeaseLostError
from portal_actions_plugin.runs.changes.transitions import Result
from portal_actions_plugin.runs.news import tell
from portal_actions_plugin.runs.news.delivery import delivery
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.away import is_away
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import Transaction, ride_out, transaction

log = logging.getLogger(__name__)

RECEIVERS_SECONDS = 0.5
"""What news take before a handler begins is a part of its time, as long as it is no more than that."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What a run leaves to its process.

    Attributes:
        trouble: whether anything that the process has claimed did not come to success.
        lock: whether the run holds a lock, for somebody to free when the process is gone.
    """

    trouble: bool = False
    lock: bool = False


@dataclass(frozen=True, slots=True)
class _Made:
    """What has become of an attempt.

    Attributes:
        success: whether it is recorded as one.
        ahead: the next step's attempt, when the process goes on with it and has claimed it.
    """

    success: bool = False
    ahead: Claimed | None = None


def perform(run_id: str, performer: Performer, redactor: Redactor | None = None) -> Aftermath:
    """Make the next attempt of an action run, if it is still due, and the steps after it, as long as that is allowed.

    Args:
        run_id: what the doorbell said.
        performer: this job process. Whether it may go on is asked just before the success of a step that holds no lock
            is recorded; when it says so, the next step is claimed along with that, and made here and now.
        redactor: learns what to mask, for who has more to say when the attempt is over.

    Raises:
        DBAPIError: the database was away for longer than a lease.
    """
    run = ride_out(lambda: load_queued_run(run_id), extension().config.lease_seconds)
    if run is None:
        return Aftermath()
    redactor = redactor or Redactor()
    try:
        with run_logs.speaking(redactor, _marks(run)):
            attempt = ride_out(partial(prepare, run, performer, redactor), extension().config.lease_seconds)
            claimed = _claim(attempt)
            if claimed is None:
                return Aftermath()
            performer.spoken.all_written()
            made = _make(claimed, performer, redactor)
        while made.ahead:
            claimed = made.ahead
            with run_logs.speaking(redactor, _marks(claimed.attempt.run)):
                made = _make(claimed, performer, redactor)
    finally:
        performer.working_folder.remove()
    return Aftermath(trouble=not made.success, lock=claimed.attempt.claim.lock_key is not None)


def _marks(run: QueuedRun) -> Mapping[str, object]:
    """What every log record of the attempt carries."""
    return {
        "run_id": run.ref.id,
        "template_run_id": run.ref.template_run_id,
        "step_id": run.step_id,
        "action": run.action,
        "attempt": run.attempt + 1,
        "requested_by": run.requested_by,
    }


# -- claim -----------------------------------------------------------------------------------------------------------


def _claim(attempt: PreparedAttempt) -> Claimed | None:
    """Claim a prepared attempt; with a refusal in place of its input when the database will not have that."""
    asked_at = time.monotonic()
    try:
        is_ours = _ride_out(partial(_claim_once, attempt))
    except StatementError as why:
        if is_away(why):
            raise
        attempt = attempt.refused(why)
        is_ours = _ride_out(partial(_claim_once, attempt))
    return Claimed(attempt, asked_at) if is_ours else None


def _ride_out(work: Callable[[], bool]) -> bool:
    return ride_out(work, extension().config.lease_seconds)


def _claim_once(attempt: PreparedAttempt) -> bool:
    run, wish = attempt.run, attempt.claim
    with transaction("claim") as tx:
        slots.lock(tx, run.requested_by)
        if not slots.is_free(tx, run.ref.id, run.requested_by) and _is_held_back(tx, attempt):
            return False
        claimed = claims.claim(tx, wish)
        if not claimed and wish.lock_key is not None:
            locks.wait_for(tx, run.ref.id, wish.lock_key)
            slots.give_up(tx, run.ref.id, run.requested_by)
        if claimed:
            tell.tell_after_commit(tx, signals.action_run_started, run.ref.id)
            if run.first and run.ref.template_run_id:
                tell.tell_after_commit(tx, signals.template_run_started, run.ref.template_run_id)
        delivery().take_along(tx)
    return claimed


def _is_held_back(tx: Transaction, attempt: PreparedAttempt) -> bool:
    """Hold a run back; where it was next in line for a lock, somebody else is now. False when it is not to be claimed anyway."""
    run, key = attempt.run, attempt.claim.lock_key
    if not slots.hold_back(tx, run.ref.id, run.requested_by, run.queue):
        return False
    locks.ring_for_next_after_commit(tx, [key] if key else [])
    return True


# -- call and record -------------------------------------------------------------------------------------------------


def _make(claimed: Claimed, performer: Performer, redactor: Redactor) -> _Made:
    """Make an attempt and record how it ended; what was claimed along with that is to be made next."""
    run = claimed.attempt.run
    try:
        claimed = _with_all_its_time(claimed)
    except LeaseLostError:
        log.warning("run %s was canceled or taken over before its handler began", run.ref.id)
        return _Made()
    time_left = TimeLeft(claimed.attempt.claim, claimed.asked_at, performer.tell)
    time_left.start()
    try:
        outcome = call_handler(claimed.attempt, performer, time_left, redactor)
    except LeaseLostError:
        log.warning("run %s was canceled or taken over: stopping", run.ref.id)
        return _Made()
    finally:
        time_left.over()
    reached("record.before")
    try:
        return _record(claimed.attempt, performer, outcome, redactor)
    except LeaseLostError:
        log.warning("run %s was canceled or taken over: its outcome changes nothing", run.ref.id)
    finally:
        performer.ours.leave_if_not_ours()  # a host's receiver may have forked
    return _Made()


def _with_all_its_time(claimed: Claimed) -> Claimed:
    """An attempt whose time begins now, when the host's receivers have taken theirs since it was claimed.

    Raises:
        LeaseLostError: it is not this process's any more.
    """
    asked_at = time.monotonic()
    if asked_at - claimed.asked_at < RECEIVERS_SECONDS:
        return claimed

    def count_anew() -> None:
        with transaction("count_anew") as tx:
            claims.count_anew(tx, claimed.attempt.claim)

    ride_out(count_anew, extension().config.lease_seconds)
    return Claimed(claimed.attempt, asked_at)


def _record(attempt: PreparedAttempt, performer: Performer, outcome: Outcome, redactor: Redactor) -> _Made:
    """Record how an attempt ended; what the database will not have is recorded as an error of ours.

    Raises:
        LeaseLostError: the attempt is not the row's any more; nothing is changed.
    """
    result = replace(outcome.result, lines=performer.spoken.waiting())
    try:
        if outcome.error is None:
            recorded = record.as_long_as_items_change(partial(_record_success, attempt, performer, result, redactor))
            made = _Made(success=True, ahead=recorded)
            if recorded or (result.workspace and result.workspace.is_newly_sealed):
                # No other process can be writing the very same contents again: the next step is this one's, or the
                # names are others now.
                workspaces.forget_replaced(result.workspace)
        else:
            record.failed(attempt, result, outcome.error, redactor)
            made = _Made()
    except Exception as refused:
        if is_away(refused):
            raise
        record.unrecordable(attempt, result, refused, redactor)
        made = _Made()
    performer.spoken.all_written()
    return made


def _record_success(
    attempt: PreparedAttempt, performer: Performer, result: Result, redactor: Redactor
) -> Claimed | None:
    """Record a success and what follows it; the next step's attempt, when that is claimed along with it."""
    run = attempt.run
    follows = after_success(run.course, record.ended(run), result.outputs, Means(redactor, run.secrets))
    if isinstance(follows, NextStep) and attempt.claim.lock_key is None and performer.may_go_on():
        ahead = _prepare_ahead(run, follows, performer, redactor)
        if ahead:
            try:
                return record.succeeded_and_began(attempt, result, follows, ahead)
            except StatementError as refused:
                if is_away(refused):
                    raise
                # Most likely it is the next step's input. That step is queued alone, and says so when it fails.
                words = "the step after run %s is not claimed along: %s"
                log.warning(words, run.ref.id, type(refused).__name__)
    record.succeeded(attempt, result, follows)
    if isinstance(follows, LastStep) and follows.failure is None:
        workspaces.forget_finished(run)
    return None


def _prepare_ahead(
    before: QueuedRun, step: NextStep, performer: Performer, redactor: Redactor
) -> PreparedAttempt | None:
    """The next step's attempt; None while its lock cannot be worked out: it is queued alone then, and waits for that."""
    try:
        return prepare(next_queued_run(before, step.course, step.row, step.item), performer, redactor)
    except DBAPIError as error:
        away.bear(error, log, "the step after a run is not prepared along")
        return None
