"""The doctor's look at runs: those that wait, and those whose process is gone with its lease, lock and signals.

Every age is by the database's clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, not_, select

from portal_actions_plugin.doctor.findings import (
    Check,
    Finding,
    counted,
    critical,
    duration,
    warning,
)
from portal_actions_plugin.doctor.parts import looking
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner import sweeper
from portal_actions_plugin.runs.conditions import DUE, DUE_SINCE, LOST, NOW
from portal_actions_plugin.runs.reading import workers
from portal_actions_plugin.runs.states import ACTIVE, OVER, RUNNING
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction
from portal_actions_plugin.storage.sql import now_plus

SLOW_SECONDS = 60

SWEEPS = 5
"""So many have to go by before what a sweeper sees to counts as left undone."""

STUCK_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Affected:
    """The rows that something is wrong with: how many, the one that it is wrong with for longest, and how long."""

    count: int
    id: str
    seconds: float

    @property
    def runs(self) -> str:
        return counted(self.count, "run")

    @property
    def oldest(self) -> str:
        return f"{self.id}, {duration(self.seconds)} ago"


def affected(
    db: Transaction, table: tables.RunTable, which: ColumnElement[bool], since: ColumnElement[datetime | None]
) -> Affected | None:
    """Find the rows of a table that a condition holds for.

    Args:
        db: where to look.
        table: of action runs or of template runs.
        which: the condition.
        since: the moment since when it holds for a row; NULL counts as just now.

    Returns:
        How many those are, and the one that it holds for longest; None when there are none.
    """
    row = db.row(
        select(table.c.id, since.label("since"), NOW.label("now"), func.count().over().label("count"))
        .where(which)
        .order_by(since, table.c.id)
        .limit(1)
    )
    if row is None:
        return None
    waited = (row["now"] - row["since"]).total_seconds() if row["since"] else 0.0
    return Affected(row["count"], row["id"], waited)


# -- runs that wait --------------------------------------------------------------------------------------------------


def _is_held() -> ColumnElement[bool]:
    """Whether a row waits for a lock whose holder is at work: its turn comes, however long that takes."""
    other = tables.action_runs.alias().c
    return (
        select(other.id)
        .where(other.lock_key == tables.action_runs.c.lock_key, other.lock_held, other.lease_expires_at >= NOW)
        .correlate(tables.action_runs)
        .exists()
    )


def _oldest() -> Iterator[Finding]:
    with looking() as db:
        late = affected(db, tables.action_runs, and_(DUE, not_(_is_held())), DUE_SINCE)
        patient = affected(db, tables.action_runs, and_(DUE, _is_held()), DUE_SINCE)
        late_for = _holder(db, late.id) if late else None
        patient_for = _holder(db, patient.id) if patient else None
    if late and late.seconds >= SLOW_SECONDS:
        reason = "its queue has no free worker, or its wake-up was lost, which --fix sends again"
        if late_for:
            reason = f"it waits for a lock that the run {late_for} holds, whose process is gone"
        say = critical if late.seconds >= STUCK_SECONDS else warning
        yield say("waiting", f"{_due(late)}: {reason}", f"flask actions show {late_for or late.id}")
    if patient and patient.seconds >= SLOW_SECONDS:
        message = f"{_due(patient)}: it waits for a lock that the run {patient_for} holds, which is at work"
        yield warning("waiting", message, f"flask actions show {patient_for or patient.id}")


def _due(late: Affected) -> str:
    return f"the run {late.id} has been due for {duration(late.seconds)}"


def _holder(db: Transaction, run_id: str) -> str | None:
    other = tables.action_runs.alias().c
    row = db.row(
        select(other.id)
        .join(tables.action_runs, tables.action_runs.c.lock_key == other.lock_key)
        .where(tables.action_runs.c.id == run_id, other.lock_held)
    )
    return row["id"] if row else None


FORGOTTEN = and_(DUE, tables.action_runs.c.ring_again_at.is_(None))
"""Due rows whose doorbell will never ring again, whoever sweeps."""


def _nobody_sweeps(db: Transaction) -> str:
    """Why a sweep has not done it yet: every worker's supervisor sweeps."""
    return "no sweeper has got to them yet" if workers.alive_by_queue(db) else "no sweeper is alive"


def _doorbells() -> Iterator[Finding]:
    with looking() as db:
        forgotten = affected(db, tables.action_runs, FORGOTTEN, DUE_SINCE)
        overdue = and_(DUE, tables.action_runs.c.ring_again_at < now_plus(-SLOW_SECONDS))
        unheard = affected(db, tables.action_runs, overdue, tables.action_runs.c.ring_again_at)
        nobody = _nobody_sweeps(db)
    if forgotten:
        message = f"nobody will ever wake a worker for {forgotten.runs} (due for longest: {forgotten.oldest})"
        yield critical("wake-ups", message, "flask actions doctor --fix")
    if unheard:
        message = f"nobody wakes a worker for {unheard.runs} (wanted for longest: {unheard.oldest}): {nobody}"
        yield critical("wake-ups", message, "flask actions sweep")


# -- runs whose process is gone --------------------------------------------------------------------------------------


def _leases() -> Iterator[Finding]:
    grace = extension().config.lapse_grace_seconds
    with looking() as db:
        found = affected(db, tables.action_runs, LOST, tables.action_runs.c.lease_expires_at)
        nobody = _nobody_sweeps(db)
    if not found:
        return
    message = f"the worker of {found.runs} is lost (lease ran out: {found.oldest})"
    if found.seconds < grace + SLOW_SECONDS:
        yield warning("leases", f"{message}: a sweeper is about to act on it", "flask actions sweep")
    else:
        message += f", {nobody}: one pass takes note, another one {grace:g} s later acts"
        yield critical("leases", message, "flask actions sweep")


def _time_limits() -> Iterator[Finding]:
    grace = extension().config.lapse_grace_seconds
    late = and_(tables.action_runs.c.status == RUNNING, tables.action_runs.c.deadline_at < now_plus(-grace))
    with looking() as db:
        found = affected(db, tables.action_runs, late, tables.action_runs.c.deadline_at)
    if found:
        message = f"{found.runs} still running after the time limit (over: {found.oldest}): no worker has ended it"
        say = critical if found.seconds >= grace + SLOW_SECONDS else warning
        yield say("time limits", message, "flask actions sweep")


def _locks() -> Iterator[Finding]:
    grace = extension().config.lapse_grace_seconds
    left = and_(
        tables.action_runs.c.lock_held,
        tables.action_runs.c.status != RUNNING,
        tables.action_runs.c.lease_expires_at < now_plus(-grace),
    )
    with looking() as db:
        found = affected(db, tables.action_runs, left, tables.action_runs.c.lease_expires_at)
    if found:
        message = f"a lock is still held by {found.runs} whose process is gone (lease ran out: {found.oldest})"
        say = critical if found.seconds >= grace + SLOW_SECONDS else warning
        yield say("locks", message, "flask actions sweep")


# -- the rest --------------------------------------------------------------------------------------------------------


def _signals() -> Iterator[Finding]:
    config = extension().config
    # By then sweepers that live have told them.
    late = sweeper.ANNOUNCE_AFTER_LEASES * config.lease_seconds + SWEEPS * config.sweep_seconds
    for table, what in ((tables.action_runs, "action run"), (tables.template_runs, "template run")):
        silent = and_(table.c.status.in_(OVER), table.c.announced_at.is_(None), table.c.finished_at < now_plus(-late))
        with looking() as db:
            found = affected(db, table, silent, table.c.finished_at)
        if found:
            message = (
                f"the portal was not told that {counted(found.count, what)} came to an end (finished: {found.oldest})"
            )
            yield warning("signals", message, "flask actions sweep")


def _actions() -> Iterator[Finding]:
    known = [action.id for action in extension().registry]
    with looking() as db:
        rows = db.rows(
            select(tables.action_runs.c.action, func.count().label("n"))
            .where(tables.action_runs.c.status.in_(ACTIVE), tables.action_runs.c.action.not_in(known))
            .group_by(tables.action_runs.c.action)
            .order_by(tables.action_runs.c.action)
        )
    for row in rows:
        message = (
            f"{counted(row['n'], 'active run')} of {row['action']}, which is not installed here: a worker fails it"
        )
        yield warning("actions", message, f"install the package that brings {row['action']}, and start workers anew")


CHECKS = (
    Check("waiting", _oldest, f"no run has been due for more than {SLOW_SECONDS} s"),
    Check("wake-ups", _doorbells, "workers are woken for every run that is due"),
    Check("leases", _leases, "every running run has its worker"),
    Check("time limits", _time_limits, "no run is past its time limit"),
    Check("locks", _locks, "no lock is held by a process that is gone"),
    Check("signals", _signals, "the portal was told of every run that is over"),
    Check("actions", _actions, "every active run's action is installed here"),
)
