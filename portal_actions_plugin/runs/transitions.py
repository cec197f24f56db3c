"""Every guarded UPDATE. Service, execute and sweeper call these; nobody else writes a status.

A transition of a step locks its template run first, in a guarded UPDATE of its own: so a cancel and a finish
can never pass each other. A transition that finds its row in another state than it needs changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import and_, case, func, insert, or_, select, update
from sqlalchemy.sql.dml import Update

from portal_actions_plugin import signals
from portal_actions_plugin.db import Transaction, new_id, now_plus
from portal_actions_plugin.errors import ActionError
from portal_actions_plugin.host import Link
from portal_actions_plugin.models import ActionRunRow, AttemptRow, TemplateRunRow
from portal_actions_plugin.runs.states import ACTIVE, CANCELED, FAILED, LOST, QUEUED, RUNNING, SUCCESS

NOW = now_plus(0)


class LeaseLostError(Exception):
    """This attempt is not the row's any more: it was canceled, or another process has taken it over."""


@dataclass(frozen=True, slots=True)
class StepRef:
    """Enough to change an action run: its id, and the template run that has to be locked first."""

    id: str
    template_run_id: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A job process's wish to run an action run's next attempt."""

    ref: StepRef
    attempt: int
    process_token: str
    worker: str
    lease_seconds: float
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """What a handler made."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    links: Sequence[Link] = ()
    warnings: Sequence[str] = ()


# -- accepting -------------------------------------------------------------------------------------------------------


def accept_template_run(tx: Transaction, run_id: str, values: Mapping[str, Any]) -> None:
    """Insert a template run as queued."""
    tx.execute(insert(TemplateRunRow).values(id=run_id, status=QUEUED, version=1, queued_at=NOW, **values))


def queue_action_run(tx: Transaction, values: Mapping[str, Any], ring_again_seconds: float) -> str:
    """Insert an action run as queued, its doorbell counted as rung, and return its id."""
    run_id = new_id()
    tx.execute(
        insert(ActionRunRow).values(
            id=run_id,
            status=QUEUED,
            version=1,
            attempt=0,
            queued_at=NOW,
            rung_at=NOW,
            rings=1,
            ring_again_at=now_plus(ring_again_seconds),
            lock_held=False,
            **values,
        )
    )
    return run_id


# -- an attempt ------------------------------------------------------------------------------------------------------


def claim(tx: Transaction, wish: Claim) -> bool:
    """Make a queued row this process's running one; False when somebody else has it, or it is over."""
    if wish.ref.template_run_id and not _lock_template_run(
        tx, wish.ref.template_run_id, status=RUNNING, started_at=func.coalesce(TemplateRunRow.started_at, NOW)
    ):
        return False
    claimed = tx.changed(
        _action_run(wish.ref.id, status=QUEUED)
        .where(
            ActionRunRow.attempt == wish.attempt,
            or_(ActionRunRow.not_before.is_(None), ActionRunRow.not_before <= NOW),
        )
        .values(
            status=RUNNING,
            attempt=wish.attempt + 1,
            process_token=wish.process_token,
            worker=wish.worker,
            started_at=func.coalesce(ActionRunRow.started_at, NOW),
            deadline_at=now_plus(wish.timeout_seconds),
            lease_expires_at=now_plus(min(wish.lease_seconds, wish.timeout_seconds)),
            lapse_seen_at=None,
            not_before=None,
        )
    )
    if not claimed:
        return False
    tx.execute(
        insert(AttemptRow).values(
            action_run_id=wish.ref.id, number=wish.attempt + 1, started_at=NOW, worker=wish.worker
        )
    )
    return True


def renew(tx: Transaction, process_token: str, lease_seconds: float) -> int:
    """Renew the lease of every running row of a job process, never past its deadline; says how many it still has."""
    ahead = now_plus(lease_seconds)
    return tx.changed(
        update(ActionRunRow)
        .where(ActionRunRow.process_token == process_token, ActionRunRow.status == RUNNING)
        .values(
            lease_expires_at=case((ActionRunRow.deadline_at < ahead, ActionRunRow.deadline_at), else_=ahead),
            lapse_seen_at=None,
        )
    )


def keep_input(tx: Transaction, run_id: str, process_token: str, data: Mapping[str, Any]) -> None:
    """Keep the input that a step's attempt was rendered, for people to read. Raises LeaseLostError."""
    ours = _action_run(run_id, status=RUNNING).where(ActionRunRow.process_token == process_token)
    if not tx.changed(ours.values(input=dict(data))):
        raise LeaseLostError(run_id)


def succeed(tx: Transaction, ref: StepRef, process_token: str, result: Result) -> None:
    """Record what the handler made. Raises LeaseLostError when the row is not this process's any more."""
    if ref.template_run_id and not _lock_template_run(tx, ref.template_run_id):
        raise LeaseLostError(ref.id)
    _end_attempt(
        tx,
        ref,
        process_token,
        status=SUCCESS,
        outputs=dict(result.outputs),
        links=[asdict(link) for link in result.links],
        warnings=list(result.warnings),
    )
    _close_attempt(tx, ref.id, SUCCESS, None)


def fail(tx: Transaction, ref: StepRef, process_token: str, error: ActionError, result: Result) -> None:
    """Record a failure, and end the template run with it. Raises LeaseLostError as ``succeed`` does."""
    if ref.template_run_id and not end_template_run(tx, ref.template_run_id, FAILED):
        raise LeaseLostError(ref.id)
    _end_attempt(
        tx,
        ref,
        process_token,
        status=FAILED,
        links=[asdict(link) for link in result.links],
        warnings=list(result.warnings),
        error_code=error.code[:32],
        error_message=error.message,
        error_hint=error.hint,
    )
    _close_attempt(tx, ref.id, FAILED, error)


def queue_again(tx: Transaction, ref: StepRef, process_token: str, error: ActionError, ring_again: float) -> None:
    """Put a running row whose worker is gone back into the queue. Raises LeaseLostError as ``succeed`` does."""
    if ref.template_run_id and not _lock_template_run(tx, ref.template_run_id):
        raise LeaseLostError(ref.id)
    changed = tx.changed(
        _action_run(ref.id, status=RUNNING)
        .where(ActionRunRow.process_token == process_token)
        .values(
            status=QUEUED,
            process_token=None,
            lease_expires_at=None,
            lapse_seen_at=None,
            deadline_at=None,
            rung_at=NOW,
            rings=1,
            ring_again_at=now_plus(ring_again),
        )
    )
    if not changed:
        raise LeaseLostError(ref.id)
    _close_attempt(tx, ref.id, LOST, error)


def take_over(tx: Transaction, ref: StepRef, process_token: str, new_token: str) -> None:
    """Take a running row whose lease has lapsed from its process. Raises LeaseLostError when it is not lapsed."""
    if ref.template_run_id and not _lock_template_run(tx, ref.template_run_id):
        raise LeaseLostError(ref.id)
    lapsed = _action_run(ref.id, status=RUNNING).where(
        ActionRunRow.process_token == process_token, ActionRunRow.lease_expires_at < NOW
    )
    if not tx.changed(lapsed.values(process_token=new_token)):
        raise LeaseLostError(ref.id)


# -- the whole -------------------------------------------------------------------------------------------------------


def end_template_run(tx: Transaction, run_id: str, status: str, **values: Any) -> bool:
    """Bring an active template run to its end; False when it was over already."""
    if status != CANCELED:
        values["started_at"] = func.coalesce(TemplateRunRow.started_at, NOW)
    return _lock_template_run(
        tx,
        run_id,
        status=status,
        finished_at=NOW,
        secrets=None,
        announced_at=_announced(signals.template_run_finished),
        **values,
    )


def cancel_template_run(tx: Transaction, run_id: str) -> list[str] | None:
    """Cancel an active template run and its active steps; returns the steps' ids, None when it was over already."""
    if not end_template_run(tx, run_id, CANCELED):
        return None
    return _cancel_action_runs(tx, ActionRunRow.template_run_id == run_id)


def cancel_one_off(tx: Transaction, run_id: str) -> bool:
    """Cancel an active one-off; False when it was over already. The row stays claimed: its process is then stopped."""
    return bool(_cancel_action_runs(tx, and_(ActionRunRow.id == run_id, ActionRunRow.template_run_id.is_(None))))


# -- the sweeper's ---------------------------------------------------------------------------------------------------


def note_lapses(tx: Transaction) -> int:
    """Take a first look at leases that have run out; renewing one forgets the look."""
    return tx.changed(
        update(ActionRunRow)
        .where(
            ActionRunRow.status == RUNNING, ActionRunRow.lease_expires_at < NOW, ActionRunRow.lapse_seen_at.is_(None)
        )
        .values(lapse_seen_at=NOW)
    )


def ring_again(tx: Transaction, limit: int, seconds: float) -> Sequence[tuple[str, str]]:
    """Take queued rows whose doorbell is due, oldest first; returns (id, queue). The wait doubles with every ring."""
    due = (
        select(ActionRunRow.id)
        .where(ActionRunRow.status == QUEUED, ActionRunRow.ring_again_at <= NOW)
        .order_by(ActionRunRow.ring_again_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = [row["id"] for row in tx.rows(due)]
    taken = tx.rows(
        update(ActionRunRow)
        .where(ActionRunRow.id.in_(ids), ActionRunRow.status == QUEUED)
        .values(
            rung_at=NOW,
            rings=ActionRunRow.rings + 1,
            ring_again_at=now_plus(seconds * _doubling(ActionRunRow.rings)),
        )
        .returning(ActionRunRow.id, ActionRunRow.queue)
    )
    return [(row["id"], row["queue"]) for row in taken]


def doorbell_lost(tx: Transaction, ids: Sequence[str]) -> None:
    """Let the next sweep ring for these at once: Redis did not take the ring."""
    tx.changed(
        update(ActionRunRow)
        .where(ActionRunRow.id.in_(ids), ActionRunRow.status == QUEUED)
        .values(rung_at=None, rings=1, ring_again_at=NOW)
    )


def announced(tx: Transaction, row: type[ActionRunRow] | type[TemplateRunRow], run_id: str) -> None:
    """Remember that a finished run's signals went out."""
    tx.changed(update(row).where(row.id == run_id, row.announced_at.is_(None)).values(announced_at=NOW))


# -- helpers ---------------------------------------------------------------------------------------------------------

_MAX_DOUBLINGS = 6


def _doubling(rings: Any) -> Any:
    """2 to the power of rings, up to a limit, in plain SQL: SQLite may come without power()."""
    return case({n: 2**n for n in range(1, _MAX_DOUBLINGS)}, value=rings, else_=2**_MAX_DOUBLINGS)


def _announced(signal: Any) -> Any:
    """A run that nobody listens for counts as announced: that spares a second commit."""
    return None if signal.receivers else NOW


def _lock_template_run(tx: Transaction, run_id: str, **values: Any) -> bool:
    return bool(
        tx.changed(
            update(TemplateRunRow)
            .where(TemplateRunRow.id == run_id, TemplateRunRow.status.in_(ACTIVE))
            .values(version=TemplateRunRow.version + 1, **values)
        )
    )


def _action_run(run_id: str, *, status: str) -> Update:
    return (
        update(ActionRunRow)
        .where(ActionRunRow.id == run_id, ActionRunRow.status == status)
        .values(version=ActionRunRow.version + 1)
    )


def _end_attempt(tx: Transaction, ref: StepRef, process_token: str, **values: Any) -> None:
    ended = tx.changed(
        _action_run(ref.id, status=RUNNING)
        .where(ActionRunRow.process_token == process_token)
        .values(
            finished_at=NOW,
            secrets=None,
            lease_expires_at=None,
            announced_at=_announced(signals.action_run_finished),
            **values,
        )
    )
    if not ended:
        raise LeaseLostError(ref.id)


def _close_attempt(tx: Transaction, run_id: str, outcome: str, error: ActionError | None) -> None:
    tx.execute(
        update(AttemptRow)
        .where(AttemptRow.action_run_id == run_id, AttemptRow.finished_at.is_(None))
        .values(
            finished_at=NOW,
            outcome=outcome,
            error_code=error.code[:32] if error else None,
            error_message=error.message if error else None,
        )
    )


def _cancel_action_runs(tx: Transaction, which: Any) -> list[str]:
    rows = tx.rows(
        update(ActionRunRow)
        .where(which, ActionRunRow.status.in_(ACTIVE))
        .values(
            version=ActionRunRow.version + 1,
            status=CANCELED,
            finished_at=NOW,
            secrets=None,
            lease_expires_at=None,
            announced_at=_announced(signals.action_run_finished),
        )
        .returning(ActionRunRow.id)
    )
    ids = [row["id"] for row in rows]
    for run_id in ids:
        _close_attempt(tx, run_id, CANCELED, None)
    return ids
