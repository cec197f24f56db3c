"""Whose a row is: claims, leases, and the lock that every transition of a step begins with.

A transition of a step locks its template run first, in a guarded UPDATE of its own: so a cancel and a finish
can never pass each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Float,
    and_,
    bindparam,
    case,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.dml import Update

from portal_actions_plugin import signals
from portal_actions_plugin.runs.changes import locks
from portal_actions_plugin.runs.changes.told import Told
from portal_actions_plugin.runs.conditions import LOST, NOW, THIS_RUN, is_due
from portal_actions_plugin.runs.states import ACTIVE, QUEUED, RUNNING
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction
from portal_actions_plugin.storage.sql import checked, now_plus, right_now
from portal_actions_plugin.storage.statements import CompiledOnce


class LeaseLostError(BaseException):
    """This attempt is not the row's any more: it was canceled, or another process has taken it over.

    Not an ``Exception``, so that a handler that catches everything does not go on for nobody.
    """


@dataclass(frozen=True, slots=True)
class StepRef:
    """Enough to change an action run: its id, and the template run that has to be locked first."""

    id: str
    template_run_id: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A job process's wish to run an action run's next attempt.

    Attributes:
        input: what the attempt's handler gets, masked, for people to read; None leaves what the row has.
        input_fingerprint: of that, so that a retry knows whether it does the same; None when nobody knows.
    """

    ref: StepRef
    attempt: int
    process_token: str
    worker: str
    lease_seconds: float
    deadline_seconds: float
    lock_key: str | None = None
    input: Mapping[str, Any] | None = None
    input_fingerprint: str | None = None


# -- the statements of every run -----------------------------------------------------------------------------------------

LOCK_TEMPLATE_RUN = (
    update(tables.template_runs)
    .where(tables.template_runs.c.id == THIS_RUN, tables.template_runs.c.status.in_(ACTIVE))
    .values(version=tables.template_runs.c.version + 1)
)
_LOCK = CompiledOnce(LOCK_TEMPLATE_RUN)
_START_TEMPLATE_RUN = Told.once(
    LOCK_TEMPLATE_RUN.values(status=RUNNING, started_at=func.coalesce(tables.template_runs.c.started_at, NOW)),
    signals.template_run_started,
)
_CLAIM = (
    update(tables.action_runs)
    .where(tables.action_runs.c.id == THIS_RUN, tables.action_runs.c.status == QUEUED)
    .where(tables.action_runs.c.attempt == bindparam("attempts_made"))
    .where(is_due(tables.action_runs.c), tables.action_runs.c.held_back_at.is_(None))
    .where(not_(tables.action_runs.c.lock_held))
    .values(
        version=tables.action_runs.c.version + 1,
        status=RUNNING,
        started_at=func.coalesce(tables.action_runs.c.started_at, right_now()),
        deadline_at=now_plus(bindparam("deadline_seconds", type_=Float())),
        lease_expires_at=now_plus(bindparam("lease_seconds", type_=Float())),
        lapse_seen_at=None,
        not_before=None,
    )
)
_CLAIM_WITHOUT_LOCK = Told.once(_CLAIM, signals.action_run_started)
_BEGIN = Told.once(
    insert(tables.action_runs).values(
        status=RUNNING,
        version=1,
        attempt=1,
        queued_at=NOW,
        # A process that goes on has ended the step before in this very transaction.
        started_at=right_now(),
        deadline_at=now_plus(bindparam("deadline_seconds", type_=Float())),
        lease_expires_at=now_plus(bindparam("lease_seconds", type_=Float())),
        rings=0,
        lock_held=False,
    ),
    signals.action_run_queued,
    signals.action_run_started,
)
_BEGIN_ATTEMPT = CompiledOnce(insert(tables.attempts).values(started_at=right_now()))


def lock_template_run(tx: Transaction, ref: StepRef, **values: object) -> None:
    """Let no other transition of a step's template run pass by, and write these columns of it; raises LeaseLostError when it is over."""
    if ref.template_run_id and not tx.changed(_LOCK, {"run": ref.template_run_id, **values}):
        raise LeaseLostError(ref.id)


def of_status(run_id: str, *, status: str) -> Update:
    """A change of an action run that has this status, and of no other."""
    return (
        update(tables.action_runs)
        .where(tables.action_runs.c.id == run_id, tables.action_runs.c.status == status)
        .values(version=tables.action_runs.c.version + 1)
    )


def is_of(process_token: str | BindParameter[str]) -> ColumnElement[bool]:
    """That an action run is a process's: a row that was found by its id is checked for it.

    A process has had hundreds of rows, and PostgreSQL would read them all to find that one.
    """
    return checked(tables.action_runs.c.process_token == process_token)


class _RefusedError(Exception):
    """A claim came too late, or too early."""


def claim(tx: Transaction, wish: Claim) -> bool:
    """Make a queued row this process's running one, and hold its lock.

    False when somebody else has the row, it is over or not due, its lock is held, or an older due row wants the lock.
    A claim that is made again, since nobody knows whether it was committed, is true again.
    """
    if wish.lock_key is None:
        # Whoever was faster has started the template run too: nothing but its version is another one.
        return _claim(tx, wish) or is_ours(tx, wish.ref.id, wish.process_token)
    try:
        # A refusal, found out by us or by the unique index on held locks, undoes all of the claim and nothing else.
        with tx.savepoint():
            if not _claim(tx, wish):
                raise _RefusedError
    except (_RefusedError, IntegrityError):
        return is_ours(tx, wish.ref.id, wish.process_token)
    return True


def claim_queued(tx: Transaction, wish: Claim) -> bool:
    """Claim a step and its lock in the transaction that has just queued it, and has its template run locked.

    False when its lock is held, or an older due row wants it.
    """
    try:
        with tx.savepoint():
            return _claim_row(tx, wish)
    except IntegrityError:
        return False


def begin_action_run(tx: Transaction, values: Mapping[str, Any], wish: Claim) -> None:
    """Insert a step that nobody else can want, since it needs no lock, as this process's running one.

    It queues and claims in one statement. The transaction has the template run locked.
    """
    _BEGIN.run(tx, {**values, **_claimed(wish)})
    _begin_attempt(tx, wish)


def _claim(tx: Transaction, wish: Claim) -> bool:
    if wish.ref.template_run_id and not _START_TEMPLATE_RUN.run(tx, {"run": wish.ref.template_run_id}):
        return False
    return _claim_row(tx, wish)


def _claim_row(tx: Transaction, wish: Claim) -> bool:
    claim = _CLAIM_WITHOUT_LOCK
    if wish.lock_key is not None:
        claim = Told.anew(_CLAIM.where(*locks.is_free(wish.lock_key)), signals.action_run_started)
    claimed = claim.run(
        tx,
        {
            "run": wish.ref.id,
            "attempts_made": wish.attempt,
            "attempt": wish.attempt + 1,
            "lock_key": wish.lock_key,
            "lock_held": wish.lock_key is not None,
            **_claimed(wish),
        },
    )
    if claimed:
        _begin_attempt(tx, wish)
    return bool(claimed)


def _claimed(wish: Claim) -> dict[str, Any]:
    return {
        "process_token": wish.process_token,
        "worker": wish.worker,
        "deadline_seconds": wish.deadline_seconds,
        "lease_seconds": min(wish.lease_seconds, wish.deadline_seconds),
        "input_fingerprint": wish.input_fingerprint,
        **({} if wish.input is None else {"input": dict(wish.input)}),
    }


def _begin_attempt(tx: Transaction, wish: Claim) -> None:
    tx.changed(_BEGIN_ATTEMPT, {"action_run_id": wish.ref.id, "number": wish.attempt + 1, "worker": wish.worker})


def is_ours(tx: Transaction, run_id: str, process_token: str) -> bool:
    """Whether a row is this process's running one."""
    return tx.row(_owned(run_id, process_token)) is not None


def renew(tx: Transaction, process_token: str, lease_seconds: float) -> int:
    """Renew the lease on every row that a job process runs or holds a lock for; says how many those are.

    Never past a running row's deadline.
    """
    ahead = now_plus(lease_seconds)
    is_late = and_(tables.action_runs.c.status == RUNNING, tables.action_runs.c.deadline_at < ahead)
    return tx.changed(
        update(tables.action_runs)
        .where(
            tables.action_runs.c.process_token == process_token,
            or_(tables.action_runs.c.status == RUNNING, tables.action_runs.c.lock_held),
        )
        .values(
            lease_expires_at=case((is_late, tables.action_runs.c.deadline_at), else_=ahead),
            lapse_seen_at=None,
        )
    )


def count_anew(tx: Transaction, wish: Claim) -> None:
    """Let the time of an attempt that is claimed, and whose handler has not begun, count from now. Raises LeaseLostError."""
    ours = of_status(wish.ref.id, status=RUNNING).where(is_of(wish.process_token))
    lease = min(wish.lease_seconds, wish.deadline_seconds)
    if not tx.changed(ours.values(deadline_at=now_plus(wish.deadline_seconds), lease_expires_at=now_plus(lease))):
        raise LeaseLostError(wish.ref.id)


def take_over(tx: Transaction, ref: StepRef, process_token: str, new_token: str) -> None:
    """Take a running row whose lease has lapsed, and its lock, from its process.

    Raises LeaseLostError when it is not lapsed.
    """
    lock_template_run(tx, ref)
    lapsed = of_status(ref.id, status=RUNNING).where(is_of(process_token), tables.action_runs.c.lease_expires_at < NOW)
    if not tx.changed(lapsed.values(process_token=new_token, lock_held=False)):
        raise LeaseLostError(ref.id)


def note_lapses(tx: Transaction) -> int:
    """Take a first look at leases that have run out; renewing one forgets the look."""
    return tx.changed(
        update(tables.action_runs)
        .where(
            LOST,
            tables.action_runs.c.lapse_seen_at.is_(None),
        )
        .values(lapse_seen_at=NOW)
    )


def _owned(run_id: str, process_token: str) -> Any:
    return select(tables.action_runs.c.id).where(
        tables.action_runs.c.id == run_id, tables.action_runs.c.status == RUNNING, is_of(process_token)
    )
