"""One attempt of one action run: claim → render the input → call the handler; ``outcomes`` then records how it ended."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from portal_actions_plugin import signals
from portal_actions_plugin.actions.context import ActionContext, Recorder
from portal_actions_plugin.actions.http_guard import HttpRules
from portal_actions_plugin.actions.registry import Action
from portal_actions_plugin.db import ride_out, transaction
from portal_actions_plugin.errors import ActionError, ConfigurationError, InternalError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.pause_points import reached
from portal_actions_plugin.runner import bounds, outcomes, run_logs
from portal_actions_plugin.runner.job import Job, find_action, load_job
from portal_actions_plugin.runner.processes import TimeLimitError, time_limit
from portal_actions_plugin.runner.recorder import DatabaseRecorder
from portal_actions_plugin.runs import dispatch, locks, transitions
from portal_actions_plugin.runs.redaction import Redactor
from portal_actions_plugin.runs.text import MAX_STORED_DEPTH, require_depth
from portal_actions_plugin.runs.transitions import Claim, LeaseLostError, Result
from portal_actions_plugin.scm.base import Author, ScmProvider
from portal_actions_plugin.scm.providers import open_provider
from portal_actions_plugin.software_templates.loader import read_skeleton

log = logging.getLogger(__name__)

TellTime = Callable[[float], None]

GRACE_SECONDS = 3.0
"""How long after its timeout a handler may clean up. Then its parent ends it, whatever it does."""


def _nobody(_seconds: float) -> None:
    """Tell nobody: nobody watches."""


def _never() -> bool:
    """Go on with nothing: the next step is rung for."""
    return False


def perform(
    run_id: str,
    process_token: str,
    worker: str,
    tell: TellTime = _nobody,
    redactor: Redactor | None = None,
    may_go_on: Callable[[], bool] = _never,  # noqa: ARG001 the branch that costs attempts less makes use of it
) -> bool:
    """Run the next attempt of an action run, if it is still due.

    Args:
        run_id: what the doorbell said.
        process_token: this job process's; every write of the attempt carries it.
        worker: the worker's name, for people.
        tell: called with the seconds that the attempt may still take, as soon as it is claimed, and with infinity when
            its handler is through: what comes then is only recorded.
        redactor: learns what to mask, for who has more to say when the attempt is over.
        may_go_on: asked whether this process may make the next step, too.

    Returns:
        Whether the run holds a lock, for somebody to free when this process is gone.
    """
    job = ride_out(lambda: load_job(run_id), extension().config.lease_seconds)
    if job is None:
        return False
    redactor = redactor or Redactor()
    with run_logs.speaking(redactor, _marks(job)):
        return _perform(job, _wish(job, process_token, worker), tell, redactor)


def _perform(job: Job, claim: Claim, tell: TellTime, redactor: Redactor) -> bool:
    time_left = TimeLeft(claim.deadline_seconds, tell)
    if not ride_out(lambda: _claim(job, claim), extension().config.lease_seconds):
        return False
    time_left.start()
    _attempt(job, claim, time_left, redactor)
    return claim.lock_key is not None


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


def _attempt(job: Job, claim: Claim, time_left: TimeLeft, redactor: Redactor) -> None:
    result, error = Result(), None
    try:
        result = _call_handler(job, claim, time_left, redactor)
    except LeaseLostError:
        log.warning("run %s was canceled or taken over: stopping", job.ref.id)
        return
    except _HandlerError as failed:
        result, error = failed.result, _as_action_error(failed.cause, job)
    try:
        outcomes.record(job, claim.process_token, result, error, redactor)
    except LeaseLostError:
        log.warning("run %s was canceled or taken over: its outcome changes nothing", job.ref.id)


class TimeLeft:
    """How long an attempt may take, counted from its claim."""

    def __init__(self, deadline_seconds: float, tell: TellTime) -> None:
        self._deadline = time.monotonic() + deadline_seconds
        self._tell = tell

    def start(self) -> None:
        """Let the watch know of the deadline: it holds also while the database is away."""
        self._tell(self._deadline - time.monotonic())

    @contextmanager
    def for_the_handler(self) -> Iterator[None]:
        """Interrupt what takes too long, in time to clean up; the watch ends what is not to be interrupted."""
        try:
            with time_limit(max(self._deadline - GRACE_SECONDS - time.monotonic(), 0.001)):
                yield
        finally:
            self._tell(math.inf)


class _HandlerError(Exception):
    """A handler raised; what it had gathered by then is kept."""

    def __init__(self, cause: BaseException, result: Result) -> None:
        self.cause = cause
        self.result = result


# -- claim -----------------------------------------------------------------------------------------------------------


def _wish(job: Job, process_token: str, worker: str) -> Claim:
    lease = extension().config.lease_seconds
    deadline = _timeout(job) + GRACE_SECONDS
    return Claim(job.ref, job.attempt, process_token, worker, lease, deadline, job.lock_key())


def _timeout(job: Job) -> float:
    parts = extension()
    timeout: float = find_action(job.action).timeout if job.action in parts.registry else parts.config.lease_seconds
    return timeout


def _claim(job: Job, claim: Claim) -> bool:
    with transaction("claim") as tx:
        claimed = transitions.claim(tx, claim)
        if not claimed and claim.lock_key is not None:
            locks.wait_for(tx, job.ref.id, claim.lock_key)
        if claimed:
            dispatch.tell_after_commit(tx, signals.action_run_started, job.ref.id)
            if job.first and job.ref.template_run_id:
                dispatch.tell_template_after_commit(tx, signals.template_run_started, job.ref.template_run_id)
    return claimed


# -- render and call -------------------------------------------------------------------------------------------------


def _call_handler(job: Job, claim: Claim, time_left: TimeLeft, redactor: Redactor) -> Result:
    ctx: ActionContext | None = None
    try:
        action: Action = find_action(job.action)
        secrets = job.secrets()
        redactor.add(list(secrets.values()))
        data = job.render_input(secrets)
        redactor.add(list(job.made_of_secrets(secrets, redactor)))
        _require_lock(action, data, claim.lock_key)
        redactor.add([data[name] for name in action.secret_names() if name in data])
        _keep_input(job, claim.process_token, redactor.data(data))
        ctx = _context(job, claim.process_token, secrets, redactor)
        # This process may have been stopped since the claim, and its row be another's by now.
        ctx.recorder.ensure_ours()
        with time_left.for_the_handler():
            reached("handler.before")
            outputs = action.run(ctx, data)
            reached("handler.after")
        return _gathered(ctx, _checked(outputs), redactor)
    except LeaseLostError:
        raise
    except BaseException as cause:
        raise _HandlerError(cause, _gathered(ctx, {}, redactor)) from cause


def _require_lock(action: Action, data: Mapping[str, Any], held: str | None) -> None:
    """Let no handler run without the lock that its real input asks for."""
    try:
        needed = action.lock_key(data)
    except Exception:
        # Most likely the input is wrong, and then that is what to say.
        action.load_input(data)
        raise
    if needed != held:
        raise ConfigurationError(
            f"The lock of {action.id} is not the same for the input that was queued and the one that was rendered.",
            hint="Tell your platform team: a lock may depend on the input alone, and not on a secret.",
        )


def _keep_input(job: Job, process_token: str, data: Mapping[str, Any]) -> None:
    if job.course is None:
        return

    def write() -> None:
        with transaction("keep_input") as tx:
            transitions.keep_input(tx, job.ref.id, process_token, data)

    ride_out(write, extension().config.lease_seconds)


def _context(job: Job, process_token: str, secrets: Mapping[str, Any], redactor: Redactor) -> ActionContext:
    hooks = extension().hooks
    return ActionContext(
        run=job.info(),
        recorder=DatabaseRecorder(job, process_token, redactor),
        make_scm=partial(_open_scm, job),
        host_catalog=hooks.catalog,
        host_scorecards=hooks.scorecards,
        http=HttpRules.of(extension().config),
        secrets={name: str(value) for name, value in secrets.items()},
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
    links = bounds.links(ctx.links, redactor)
    return Result(redactor.data(outputs), links, bounds.warnings(ctx.warnings, len(ctx.links), redactor))


def _as_action_error(cause: BaseException, job: Job) -> ActionError:
    if isinstance(cause, ActionError):
        return cause
    if isinstance(cause, TimeLimitError):
        return outcomes.timed_out(job.action)
    log.error("run %s: the handler failed unexpectedly", job.ref.id, exc_info=cause)
    return InternalError(f"An unexpected error stopped the action: {type(cause).__name__}: {_said(cause)}")


def _said(cause: BaseException) -> str:
    try:
        return str(cause)
    except Exception:  # noqa: BLE001 an error of a library may fail itself when it is asked what it is
        return "it cannot be shown"
