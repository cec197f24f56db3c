"""Every change of a status, beside those of ``claims``. Services, steps, an attempt's record and recovery call these.

A transition that finds its row in another state than it needs changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import (
    Boolean,
    Float,
    Uuid,
    bindparam,
    case,
    func,
    insert,
    select,
    update,
)

from portal_actions_plugin import signals
from portal_actions_plugin.errors import ActionError
from portal_actions_plugin.run_types import Link
from portal_actions_plugin.runs.changes import locks, log_lines
from portal_actions_plugin.runs.changes.claims import (
    LOCK_TEMPLATE_RUN,
    LeaseLostError,
    StepRef,
    is_of,
    lock_template_run,
    of_status,
)
from portal_actions_plugin.runs.changes.log_lines import Line
from portal_actions_plugin.runs.changes.told import Told
from portal_actions_plugin.runs.conditions import NOW, THIS_RUN
from portal_actions_plugin.runs.reading import records, rows
from portal_actions_plugin.runs.secrets.sealing import WIPED
from portal_actions_plugin.runs.states import CANCELED, FAILED, QUEUED, RUNNING, SUCCESS
from portal_actions_plugin.runs.workspaces import generations
from portal_actions_plugin.runs.workspaces.generations import NewGeneration
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction, new_id
from portal_actions_plugin.storage.sql import now_plus, right_now
from portal_actions_plugin.storage.statements import CompiledOnce

_WHOLE = tables.template_runs.c
ENDED = func.coalesce(
    select(_WHOLE.finished_at).where(_WHOLE.id == tables.action_runs.c.template_run_id).scalar_subquery(), right_now()
)
"""When an action run ends: with its template run, which is ended first, where that ends with it. A whole holds its parts."""

_ATTEMPT_ENDED = func.coalesce(
    select(tables.action_runs.c.finished_at).where(tables.action_runs.c.id == THIS_RUN).scalar_subquery(), right_now()
)
"""When an attempt ends: with its run, which is ended first, where that ends with it."""


@dataclass(frozen=True, slots=True)
class Again:
    """Another attempt.

    Attributes:
        outcome: how the last one ended.
        wait_seconds: when the next one is due.
        ring_again_seconds: when a doorbell that was lost rings again.
        free_attempts: 1 when the last one was not its own fault and does not count.
    """

    outcome: str
    wait_seconds: float
    ring_again_seconds: float
    free_attempts: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What a handler made, what it has changed in the workspace, and which lines of its log are not written yet."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    links: Sequence[Link] = ()
    warnings: Sequence[str] = ()
    lines: Sequence[Line] = ()
    workspace: NewGeneration | None = None


@dataclass(frozen=True, slots=True)
class End:
    """How a template run ends when its last step does.

    Attributes:
        outputs: what it gives, masked.
        failed_at_step: the place of the step that failed first; None when none has failed, or nobody knows which.
    """

    outputs: Mapping[str, Any]
    failed_at_step: int | None = None

    def values(self) -> dict[str, object]:
        """The columns that it fills: a run that has failed and gives nothing has no outputs."""
        filled = {"failed_at_step": self.failed_at_step, "outputs": self.outputs or None}
        return {name: value for name, value in filled.items() if value is not None}


# -- the statements of every run -----------------------------------------------------------------------------------------

_token = bindparam("token", type_=Uuid(as_uuid=False))
_IS_ANNOUNCED = case((bindparam("is_announced", type_=Boolean()), NOW))

_ended = LOCK_TEMPLATE_RUN.values(finished_at=right_now(), announced_at=_IS_ANNOUNCED, **WIPED)
_CANCEL_TEMPLATE_RUN = Told.once(_ended, signals.template_run_finished)
_END_TEMPLATE_RUN = Told.once(
    _ended.values(started_at=func.coalesce(tables.template_runs.c.started_at, NOW)), signals.template_run_finished
)

_ACCEPT = CompiledOnce(
    insert(tables.template_runs).values(status=QUEUED, version=1, queued_at=NOW).returning(tables.template_runs)
)
_queued = insert(tables.action_runs).values(
    status=QUEUED,
    version=1,
    attempt=0,
    queued_at=NOW,
    rung_at=NOW,
    rings=1,
    ring_again_at=now_plus(bindparam("ring_again_seconds", type_=Float())),
    lock_held=False,
)
_QUEUE = Told.once(_queued, signals.action_run_queued)
_ACCEPT_ACTION_RUN = CompiledOnce(_queued.returning(*rows.WRITTEN_COLUMNS))
_ended_attempt = (
    update(tables.action_runs)
    .where(tables.action_runs.c.id == THIS_RUN, tables.action_runs.c.status == RUNNING, is_of(_token))
    .values(
        version=tables.action_runs.c.version + 1,
        finished_at=ENDED,
        lease_expires_at=locks.kept_lease(),
        not_before=None,
        announced_at=_IS_ANNOUNCED,
        **WIPED,
    )
)
_END = Told.once(_ended_attempt, signals.action_run_finished)
_CLOSE_ATTEMPT = CompiledOnce(
    update(tables.attempts)
    .where(tables.attempts.c.action_run_id == THIS_RUN, tables.attempts.c.finished_at.is_(None))
    .values(finished_at=_ATTEMPT_ENDED)
)


# -- accepting -------------------------------------------------------------------------------------------------------


def accept_template_run(tx: Transaction, run_id: str, values: Mapping[str, Any]) -> records.TemplateRunRecord:
    """Insert a template run as queued, and give its row: whoever starts it is told without another look at it."""
    return records.template_run_record(tx.rows(_ACCEPT, {"id": run_id, **values})[0])


def accept_action_run(tx: Transaction, values: Mapping[str, Any], ring_again_seconds: float) -> records.ActionRunRecord:
    """Insert a one-off or a first step as queued, its doorbell counted as rung, and give its row.

    Args:
        tx: the transaction of the start.
        values: its columns by name.
        ring_again_seconds: after how many seconds a sweeper rings again for it.
    """
    given = {"id": new_id(), **values, "ring_again_seconds": ring_again_seconds}
    row = tx.rows(_ACCEPT_ACTION_RUN, given)[0]
    tx.keep_in_hand(row)
    return records.action_run_record(row)


def queue_action_run(tx: Transaction, values: Mapping[str, Any], ring_again_seconds: float) -> str:
    """Insert an action run as queued, its doorbell counted as rung, and return its id: ``values`` may say which."""
    row = {"id": new_id(), **values}
    _QUEUE.run(tx, {**row, "ring_again_seconds": ring_again_seconds})
    return str(row["id"])


# -- an attempt ------------------------------------------------------------------------------------------------------


def succeed(
    tx: Transaction, ref: StepRef, process_token: str, result: Result, failed_at_step: int | None = None
) -> None:
    """Record what the handler made.

    Args:
        tx: open.
        ref: of the run.
        process_token: of the process that has made the attempt.
        result: what its handler made.
        failed_at_step: of the last item of a step, the place of that: another item has failed, and now the step has.

    Raises:
        LeaseLostError: the row is not this process's any more.
    """
    lock_template_run(tx, ref, **({} if failed_at_step is None else {"failed_at_step": failed_at_step}))
    _succeed(tx, ref, process_token, result)


def succeed_last(tx: Transaction, ref: StepRef, process_token: str, result: Result, end: End) -> None:
    """Record what the handler of a last step made, and end the template run with it: as failed, where it cleaned up.

    Raises:
        LeaseLostError: the row is not this process's any more, or the template run is over.
    """
    status = SUCCESS if end.failed_at_step is None else FAILED
    values = {"outputs": end.outputs} if status == SUCCESS else end.values()
    if ref.template_run_id is None or not end_template_run(tx, ref.template_run_id, status, **values):
        raise LeaseLostError(ref.id)
    _succeed(tx, ref, process_token, result)


def keep_links(tx: Transaction, run_id: str, process_token: str, links: Sequence[Link]) -> bool:
    """Keep what an attempt has made so far, should it not come to its end; False when it may not go on.

    Also of a run that has been canceled meanwhile: what was in the making then belongs on its receipt.
    """
    kept = tx.row(
        update(tables.action_runs)
        .where(
            tables.action_runs.c.id == run_id,
            is_of(process_token),
            tables.action_runs.c.status.in_((RUNNING, CANCELED)),
        )
        .values(version=tables.action_runs.c.version + 1, links=[asdict(link) for link in links])
        .returning(tables.action_runs.c.status)
    )
    return kept is not None and kept["status"] == RUNNING


def fail(tx: Transaction, ref: StepRef, process_token: str, error: ActionError, result: Result, end: End) -> None:
    """Record a failure, and end the template run with it, as failed.

    Raises:
        LeaseLostError: the row is not this process's any more, or the template run is over.
    """
    if ref.template_run_id and not end_template_run(tx, ref.template_run_id, FAILED, **end.values()):
        raise LeaseLostError(ref.id)
    _fail(tx, ref, process_token, error, result)


def fail_and_go_on(
    tx: Transaction, ref: StepRef, process_token: str, error: ActionError, result: Result, failed_at_step: int
) -> None:
    """Record a failure after which the template run cleans up; ``failed_at_step`` is the place of its first one.

    Raises:
        LeaseLostError: the row is not this process's any more, or the template run is over.
    """
    lock_template_run(tx, ref, failed_at_step=failed_at_step)
    _fail(tx, ref, process_token, error, result)


def fail_item(tx: Transaction, ref: StepRef, process_token: str, error: ActionError, result: Result) -> None:
    """Record the failure of an item while others of its step are running: the step fails with the last of them.

    Raises:
        LeaseLostError: the row is not this process's any more, or the template run is over.
    """
    lock_template_run(tx, ref)
    _fail(tx, ref, process_token, error, result)


def _fail(tx: Transaction, ref: StepRef, process_token: str, error: ActionError, result: Result) -> None:
    _end_attempt(
        tx,
        ref,
        process_token,
        status=FAILED,
        warnings=list(result.warnings),
        error_code=error.code[:32],
        error_message=error.message,
        error_hint=error.hint,
        retry_after=error.retry_after,
    )
    close_attempt(tx, ref.id, FAILED, error)
    log_lines.add_to_ended(tx, result.lines)


def queue_again(
    tx: Transaction, ref: StepRef, process_token: str, error: ActionError, again: Again, lines: Sequence[Line] = ()
) -> str:
    """Put a running row back into the queue for another attempt; returns the queue. Raises LeaseLostError.

    The row keeps its process's token and lock: both are the process's until that is gone.
    """
    lock_template_run(tx, ref)
    rings_by_itself = again.wait_seconds > 0
    queued = tx.row(
        of_status(ref.id, status=RUNNING)
        .where(is_of(process_token))
        .values(
            status=QUEUED,
            max_attempts=tables.action_runs.c.max_attempts + again.free_attempts,
            lease_expires_at=locks.kept_lease(),
            lapse_seen_at=None,
            deadline_at=None,
            progress_done=None,
            progress_total=None,
            not_before=now_plus(again.wait_seconds) if rings_by_itself else None,
            rung_at=None if rings_by_itself else NOW,
            rings=0 if rings_by_itself else 1,
            ring_again_at=now_plus(again.wait_seconds if rings_by_itself else again.ring_again_seconds),
        )
        .returning(tables.action_runs.c.queue, *rows.WRITTEN_COLUMNS)
    )
    if queued is None:
        raise LeaseLostError(ref.id)
    tx.keep_in_hand(queued)
    close_attempt(tx, ref.id, again.outcome, error)
    log_lines.add_to_ended(tx, lines)
    queue: str = queued["queue"]
    return queue


# -- the whole -------------------------------------------------------------------------------------------------------


def end_template_run(tx: Transaction, run_id: str, status: str, **values: object) -> bool:
    """Bring an active template run to its end; False when it was over already."""
    end = _CANCEL_TEMPLATE_RUN if status == CANCELED else _END_TEMPLATE_RUN
    is_announced = not signals.template_run_finished.receivers
    return bool(end.run(tx, {"run": run_id, "status": status, "is_announced": is_announced, **values}))


# -- helpers ---------------------------------------------------------------------------------------------------------


def _succeed(tx: Transaction, ref: StepRef, process_token: str, result: Result) -> None:
    _end_attempt(
        tx,
        ref,
        process_token,
        status=SUCCESS,
        outputs=dict(result.outputs),
        links=[asdict(link) for link in result.links],
        warnings=list(result.warnings),
    )
    close_attempt(tx, ref.id, SUCCESS, None)
    log_lines.add_to_ended(tx, result.lines)
    if result.workspace:
        generations.add(tx, result.workspace)


def _end_attempt(
    tx: Transaction, ref: StepRef, process_token: str, *, retry_after: float | None = None, **values: object
) -> None:
    end = _END
    if retry_after is not None:
        end = Told.anew(_ended_attempt.values(retry_at=now_plus(retry_after)), signals.action_run_finished)
    if not end.run(tx, {"run": ref.id, "token": process_token, "is_announced": nobody_listens(), **values}):
        raise LeaseLostError(ref.id)


def nobody_listens() -> bool:
    """A run that nobody listens for counts as announced: that spares a second commit."""
    return not signals.action_run_finished.receivers


def close_attempt(tx: Transaction, run_id: str, outcome: str, error: ActionError | None) -> None:
    why = {
        "error_code": error.code[:32] if error else None,
        "error_message": error.message if error else None,
    }
    tx.changed(_CLOSE_ATTEMPT, {"run": run_id, "outcome": outcome, **why})
