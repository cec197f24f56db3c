"""One attempt of one action run: render the input → claim → call the handler; ``outcomes`` then records how it ended."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy.exc import StatementError

from portal_actions_plugin import hooks, signals
from portal_actions_plugin.actions.context import ActionContext, Recorder
from portal_actions_plugin.actions.http_client.guard import HttpRules
from portal_actions_plugin.actions.registry import Action
from portal_actions_plugin.errors import ActionError, InternalError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.attempt import bounds, record, run_logs
from portal_actions_plugin.runner.attempt.prepare import GRACE_SECONDS, Attempt, Claimed, Doer, prepare
from portal_actions_plugin.runner.attempt.queued_run import Job, find_action, load_job
from portal_actions_plugin.runner.attempt.record import Recorded
from portal_actions_plugin.runner.attempt.recorder import DatabaseRecorder
from portal_actions_plugin.runner.process.forking import TimeLimitError, time_limit
from portal_actions_plugin.runner.process.own_process import OwnProcess
from portal_actions_plugin.runner.process.shared_memory import SpokenLines
from portal_actions_plugin.runner.process.traces import limits_kept
from portal_actions_plugin.runs.changes import claims, locks
from portal_actions_plugin.runs.changes.claims import LeaseLostError
from portal_actions_plugin.runs.changes.transitions import Result
from portal_actions_plugin.runs.news import tell
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.secrets.storable import MAX_STORED_DEPTH, require_depth
from portal_actions_plugin.scm.base import Author, ScmProvider
from portal_actions_plugin.scm.providers import open_provider
from portal_actions_plugin.software_templates.loader import read_skeleton
from portal_actions_plugin.storage.away import is_away
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import ride_out, transaction

log = logging.getLogger(__name__)

TellTime = Callable[[float], None]

SPEAK_SECONDS = GRACE_SECONDS - 1
"""How long a handler's result or error may take to say what it is, when the handler's own time is over."""

FRESH = 1 / 3
"""The part of a lease within which a claim needs no second look: nobody may touch its row before all of it is over."""


def _nobody(_seconds: float) -> None:
    """Tell nobody: nobody watches."""


def _never() -> bool:
    """Go on with nothing: the next step is rung for."""
    return False


@dataclass(frozen=True, slots=True)
class Left:
    """What a run leaves to its process.

    Attributes:
        trouble: whether anything that it has claimed did not come to success.
        lock: whether it holds a lock, for somebody to free when it is gone.
    """

    trouble: bool = False
    lock: bool = False


def perform(
    run_id: str,
    process_token: str,
    worker: str,
    tell: TellTime = _nobody,
    redactor: Redactor | None = None,
    may_go_on: Callable[[], bool] = _never,
    spoken: SpokenLines | None = None,
    ours: OwnProcess | None = None,
) -> Left:
    """Run the next attempt of an action run, if it is still due, and the steps after it, as long as that is allowed.

    Args:
        run_id: what the doorbell said.
        process_token: this job process's; every write of the attempt carries it.
        worker: the worker's name, for people.
        tell: called with the seconds that the attempt may still take, as soon as it is claimed, and with infinity when
            its handler is through: what comes then is only recorded.
        redactor: learns what to mask, for who has more to say when the attempt is over.
        may_go_on: asked just before the success of a step that holds no lock is recorded; when it says so, the next
            step is claimed along with that, and made here and now.
        spoken: where lines wait that handlers say in quick succession, for whoever watches over this process.
        ours: knows whether a handler has left this process what it was.

    Returns:
        What it leaves behind.
    """
    job = ride_out(lambda: load_job(run_id), extension().config.lease_seconds)
    if job is None:
        return Left()
    redactor = redactor or Redactor()
    doer = Doer(process_token, worker, may_go_on, spoken or SpokenLines(), ours or OwnProcess())
    with run_logs.speaking(redactor, _marks(job)):
        claimed = _claim(ride_out(partial(prepare, job, doer, redactor), extension().config.lease_seconds))
        if claimed is None:
            return Left()
        doer.spoken.all_written()
        made = _make(claimed, doer, tell, redactor)
    while made.ahead:
        claimed = made.ahead
        with run_logs.speaking(redactor, _marks(claimed.attempt.job)):
            made = _make(claimed, doer, tell, redactor)
    return Left(trouble=not made.success, lock=claimed.attempt.claim.lock_key is not None)


def _marks(job: Job) -> dict[str, Any]:
    """What every log record of the attempt carries."""
    return {
        "run_id": job.ref.id,
        "template_run_id": job.ref.template_run_id,
        "step_id": job.step_id,
        "action": job.action,
        "attempt": job.attempt + 1,
        "requested_by": job.requested_by,
    }


def _make(claimed: Claimed, doer: Doer, tell: TellTime, redactor: Redactor) -> Recorded:
    """Make an attempt and record how it ended; what was claimed along with that is to be made next."""
    job = claimed.attempt.job
    time_left = TimeLeft(claimed, tell)
    time_left.start()
    result, error = Result(), None
    try:
        result = _call_handler(claimed.attempt, doer, time_left, redactor)
    except LeaseLostError:
        log.warning("run %s was canceled or taken over: stopping", job.ref.id)
        return Recorded()
    except _HandlerError as failed:
        result, error = failed.result, failed.error
    finally:
        time_left.over()
    reached("record.before")
    try:
        return record.record(claimed.attempt, doer, result, error, redactor)
    except LeaseLostError:
        log.warning("run %s was canceled or taken over: its outcome changes nothing", job.ref.id)
    finally:
        doer.ours.leave_if_not_ours()  # a host's receiver may have forked
    return Recorded()


class TimeLeft:
    """How long an attempt may take, counted from its claim."""

    def __init__(self, claimed: Claimed, tell: TellTime) -> None:
        self._seconds = claimed.attempt.claim.deadline_seconds
        self._deadline = claimed.asked_at + self._seconds
        self._surely_ours_until = claimed.asked_at + claimed.attempt.claim.lease_seconds * FRESH
        self._tell = tell

    def start(self) -> None:
        """Let the watch know of the deadline: it holds also while the database is away."""
        # Counted from here, after the claim: a watch that ends this process before the row's own deadline, by however
        # little, would leave a row that looks as if its worker had died.
        self._tell(self._seconds)

    def is_surely_ours(self) -> bool:
        """Whether the claim is so fresh that nobody can have taken the row over since."""
        return time.monotonic() < self._surely_ours_until

    def for_the_handler(self) -> AbstractContextManager[None]:
        """Interrupt what takes too long, in time to clean up; the watch ends what is not to be interrupted."""
        return time_limit(max(self._until_grace(), 0.001))

    def to_speak(self) -> AbstractContextManager[None]:
        """Interrupt likewise what a handler has made and is now asked what it says, such as an error."""
        return time_limit(max(self._until_grace(), SPEAK_SECONDS))

    def over(self) -> None:
        """Let the watch know that the handler is through: what comes now is only recorded."""
        self._tell(math.inf)

    def _until_grace(self) -> float:
        return self._deadline - GRACE_SECONDS - time.monotonic()


class _HandlerError(Exception):
    """A handler failed; what it had gathered by then is kept."""

    def __init__(self, error: ActionError, result: Result) -> None:
        self.error = error
        self.result = result


# -- claim -----------------------------------------------------------------------------------------------------------


def _claim(attempt: Attempt) -> Claimed | None:
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


def _claim_once(attempt: Attempt) -> bool:
    job, wish = attempt.job, attempt.claim
    with transaction("claim") as tx:
        claimed = claims.claim(tx, wish)
        if not claimed and wish.lock_key is not None:
            locks.wait_for(tx, job.ref.id, wish.lock_key)
        if claimed:
            tell.tell_after_commit(tx, signals.action_run_started, job.ref.id)
            if job.first and job.ref.template_run_id:
                tell.tell_after_commit(tx, signals.template_run_started, job.ref.template_run_id)
    return claimed


# -- call ------------------------------------------------------------------------------------------------------------


def _call_handler(attempt: Attempt, doer: Doer, time_left: TimeLeft, redactor: Redactor) -> Result:
    ctx: ActionContext | None = None
    try:
        if attempt.refusal:
            raise attempt.refusal
        action: Action = find_action(attempt.job.action)
        ctx = _context(attempt, doer, redactor)
        # This process may have been stopped since the claim, and its row be another's by now.
        if not time_left.is_surely_ours():
            ctx.recorder.ensure_ours()
        with limits_kept(), time_left.for_the_handler():
            reached("handler.before")
            outputs = _run(action, ctx, attempt, doer.ours)
            reached("handler.after")
        with time_left.to_speak():
            return _gathered(ctx, _checked(outputs), redactor)
    except LeaseLostError:
        raise
    except BaseException as cause:
        raise _told(cause, ctx, attempt.job, time_left, redactor) from cause


def _run(action: Action, ctx: ActionContext, attempt: Attempt, ours: OwnProcess) -> Any:
    try:
        outputs = action.run(ctx, attempt.data)
    except BaseException as cause:
        ours.leave_if_not_ours(cause)
        raise
    ours.leave_if_not_ours()
    return outputs


def _told(
    cause: BaseException, ctx: ActionContext | None, job: Job, time_left: TimeLeft, redactor: Redactor
) -> _HandlerError:
    """A handler's error as it is kept: its own code says what it is, and may fail at that, or never end."""
    name = type(cause).__name__
    error: ActionError = InternalError(f"An unexpected error stopped the action: {name}: it cannot be shown")
    result = Result()
    try:
        with time_left.to_speak():
            result = _gathered(ctx, {}, redactor)
            error = bounds.error(_as_action_error(cause, job), redactor)
    except BaseException as failed:  # noqa: BLE001 whatever it raises when it is asked
        log.warning("run %s: the error %s cannot be shown: %s", job.ref.id, name, type(failed).__name__)
    return _HandlerError(error, result)


def _context(attempt: Attempt, doer: Doer, redactor: Redactor) -> ActionContext:
    given, job = extension().hooks, attempt.job
    return ActionContext(
        run=job.info(),
        recorder=DatabaseRecorder(job, doer, redactor),
        make_scm=partial(_open_scm, job),
        host_catalog=hooks.catalog(given.catalog),
        host_scorecards=hooks.scorecards(given.scorecards),
        http=HttpRules.of(extension().config),
        secrets={name: str(value) for name, value in attempt.secrets.items()},
        read_skeleton=partial(read_skeleton, job.course.template) if job.course else None,
        on_redact=redactor.add,
        links=list(job.links),
    )


def _open_scm(job: Job, provider: str, recorder: Recorder) -> ScmProvider:
    _, _, address = job.requested_by.partition(":")
    email = address if "@" in address else "portal-actions@localhost"
    author = Author(job.requester_name or job.requested_by, email)
    return open_provider(provider, config=extension().config, guard=recorder.ensure_ours, author=author)


def _checked(outputs: Mapping[str, Any]) -> dict[str, Any]:
    limit = extension().config.max_output_bytes
    try:
        written = json.dumps(outputs, allow_nan=False)
        require_depth(outputs, MAX_STORED_DEPTH)
    except (TypeError, ValueError, RecursionError) as error:
        raise InternalError(f"The action returned outputs that are not JSON: {error}.") from None
    if len(written) > limit:
        raise InternalError(f"The action returned {len(written)} bytes of outputs; {limit} are allowed.")
    # As the database gives them back: a step sees the same whichever process it runs in.
    return dict(json.loads(written))


def _gathered(ctx: ActionContext | None, outputs: Mapping[str, Any], redactor: Redactor) -> Result:
    if ctx is None:
        return Result()
    links = bounds.links(ctx.links, redactor)
    return Result(redactor.data(outputs), links, bounds.warnings(ctx.warnings, len(ctx.links), redactor))


def _as_action_error(cause: BaseException, job: Job) -> ActionError:
    if isinstance(cause, ActionError):
        return cause
    if isinstance(cause, TimeLimitError):
        return record.timed_out(job.action)
    # It is asked first: whoever formats a traceback swallows whatever it raises, and the end of its time with that.
    said = _said(cause)
    log.error("run %s: the handler failed unexpectedly", job.ref.id, exc_info=cause)
    return InternalError(f"An unexpected error stopped the action: {type(cause).__name__}: {said}")


def _said(cause: BaseException) -> str:
    try:
        return str(cause)
    except Exception:  # noqa: BLE001 an error of a library may fail itself when it is asked what it is
        return "it cannot be shown"
