"""What ``--fix`` mends: a doorbell too many harms nobody, and the rest is what every supervisor does anyway.

It upgrades no table, touches no running row whose lease is in force, and starts no process.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from sqlalchemy import and_, or_, select
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.db import Transaction, now_plus, transaction
from portal_actions_plugin.extension import extension
from portal_actions_plugin.models import ActionRunRow
from portal_actions_plugin.runner.doctor.findings import counted, said
from portal_actions_plugin.runner.doctor.parts import is_ready, limit_statements, looking
from portal_actions_plugin.runner.doctor.rows import (
    DUE,
    DUE_SINCE,
    FORGOTTEN,
    STUCK_SECONDS,
    stranded,
    workers_by_queue,
)
from portal_actions_plugin.runner.supervisor import forget_gone
from portal_actions_plugin.runner.sweeper import RINGS_A_PASS, sweep
from portal_actions_plugin.runs import doorbells
from portal_actions_plugin.runs.states import RUNNING

LONGEST_WAIT = 30
"""Seconds that ``--fix`` waits for the second look at a lapsed lease; nobody likes to wait longer."""


def mend() -> Iterator[str]:
    """Mend what is safe, and say what was done, as it is done."""
    try:
        if not is_ready():
            yield "nothing: the database is away, or its tables are not up to date"
            return
        yield from _mend()
    except SQLAlchemyError as error:
        yield f"no more: the database failed: {said(error)}"


def _mend() -> Iterator[str]:
    with transaction("doctor_mends") as tx:
        limit_statements(tx)
        gone = forget_gone(tx)
        woken = doorbells.due_at_once(tx, _unrung(tx))
    if gone:
        yield f"forgot {counted(gone, 'worker')} that nobody has seen for an hour"
    if woken:
        yield f"made {counted(woken, 'doorbell')} due"
    yield _swept()
    if not (lapsed := _lapsed()):
        return
    grace = extension().config.lapse_grace_seconds
    if grace > LONGEST_WAIT:
        yield f"took note of {counted(lapsed, 'lapsed lease')}: run it again after {grace:g} s"
        return
    # The first look only takes note: a process that was merely stopped for a while renews its lease meanwhile.
    yield f"took note of {counted(lapsed, 'lapsed lease')}: looking again after {grace:g} s"
    time.sleep(grace + 0.5)
    yield _swept()


def _unrung(tx: Transaction) -> list[str]:
    """The due rows whose doorbell will not ring, rings on a queue that nobody hears, or has rung in vain for long."""
    in_vain = and_(DUE, now_plus(-STUCK_SECONDS) > DUE_SINCE)
    rows = tx.rows(
        select(ActionRunRow.id)
        .where(or_(FORGOTTEN, stranded(workers_by_queue(tx)), in_vain))
        .order_by(ActionRunRow.id)
        .limit(RINGS_A_PASS)
    )
    return [row["id"] for row in rows]


def _swept() -> str:
    done = sweep()
    rung, lapsed, told = counted(done.rung, "run"), counted(done.lapsed, "lapsed lease"), counted(done.announced, "run")
    return f"swept: rang for {rung}, acted on {lapsed}, announced {told}"


def _lapsed() -> int:
    with looking() as db:
        return len(
            db.rows(
                select(ActionRunRow.id).where(
                    ActionRunRow.status == RUNNING, ActionRunRow.lease_expires_at < now_plus(0)
                )
            )
        )
