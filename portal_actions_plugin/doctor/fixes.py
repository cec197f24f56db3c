"""What ``--fix`` mends: a doorbell too many harms nobody, and the rest is what every supervisor does anyway.

It upgrades no table, touches no running row whose lease is in force, and starts no process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import and_, case, or_, select
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.doctor.findings import counted
from portal_actions_plugin.doctor.parts import is_loaded, is_ready, limit_statements, looking
from portal_actions_plugin.doctor.queues import stranded
from portal_actions_plugin.doctor.runs import FORGOTTEN, STUCK_SECONDS
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.process.interruptions import TimeLimitError, time_limit
from portal_actions_plugin.runner.sweeper import RINGS_A_PASS, sweep
from portal_actions_plugin.runs.conditions import DUE, DUE_SINCE, LOST
from portal_actions_plugin.runs.news import doorbells
from portal_actions_plugin.runs.reading import workers
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.away import said
from portal_actions_plugin.storage.sessions import Transaction, transaction
from portal_actions_plugin.storage.sql import now_plus

log = logging.getLogger(__name__)

LONGEST_WAIT = 30
"""Seconds that ``--fix`` waits for the second look at a lapsed lease; nobody likes to wait longer."""

PART_SECONDS = 60
"""How long each part of it may take: a sweep of many rows takes its time, but nothing may hang."""


@dataclass(frozen=True, slots=True)
class Fix:
    """One thing that ``--fix`` did, or could not do."""

    sentence: str
    is_done: bool = True


def mend() -> Iterator[Fix]:
    """Mend what is safe, and say what was done, as it is done. Raises nothing."""
    try:
        yield from _mend()
    except SQLAlchemyError as error:
        yield Fix(f"no more: the database failed: {said(error)}")
    except TimeLimitError:
        yield _could_not(f"go on: it took longer than {PART_SECONDS:g} s")
    except Exception as error:
        log.exception("what is wrong could not be fixed")
        yield _could_not(f"go on: {type(error).__name__}: {said(error)}")


def _mend() -> Iterator[Fix]:
    # No limit is open at a yield: whoever listens would be interrupted.
    if not is_loaded():
        yield Fix("nothing: the plugin is not loaded")
        return
    with time_limit(PART_SECONDS):
        ready = is_ready()
    if not ready:
        yield Fix("nothing: the database is away, or its tables are not up to date")
        return
    with time_limit(PART_SECONDS):
        gone, woken = _prepared()
    if gone:
        yield Fix(f"forgot {counted(gone, 'worker')} that nobody has seen for an hour")
    if woken:
        yield Fix(f"made {counted(woken, 'wake-up')} due")
    yield _swept()
    with time_limit(PART_SECONDS):
        lapsed = _lapsed()
    if not lapsed:
        return
    grace = extension().config.lapse_grace_seconds
    if grace > LONGEST_WAIT:
        yield Fix(f"took note of {counted(lapsed, 'lapsed lease')}: run it again after {grace:g} s")
        return
    # The first look only takes note: a process that was merely stopped for a while renews its lease meanwhile.
    yield Fix(f"took note of {counted(lapsed, 'lapsed lease')}: looking again after {grace:g} s")
    time.sleep(grace + 0.5)
    yield _swept()


def _could_not(sentence: str) -> Fix:
    return Fix(f"could not {sentence}", is_done=False)


def _prepared() -> tuple[int, int]:
    """Let the sweep find what it would not; says how many workers were forgotten, and doorbells made due."""
    with transaction("doctor_mends") as tx:
        limit_statements(tx)
        return workers.forget_gone(tx), doorbells.due_at_once(tx, _unrung(tx))


def _unrung(tx: Transaction) -> list[str]:
    """The due rows whose doorbell will not ring, rings on a queue that nobody hears, or has rung in vain for long.

    Those that nobody else ever rings for come first.
    """
    hopeless = or_(FORGOTTEN, stranded(workers.alive_by_queue(tx)))
    in_vain = and_(DUE, now_plus(-STUCK_SECONDS) > DUE_SINCE)
    rows = tx.rows(
        select(tables.action_runs.c.id)
        .where(or_(hopeless, in_vain))
        .order_by(case((hopeless, 0), else_=1), tables.action_runs.c.id)
        .limit(RINGS_A_PASS)
    )
    return [row["id"] for row in rows]


def _swept() -> Fix:
    with time_limit(PART_SECONDS):
        done = sweep()
    if failed := done.failed:
        return _could_not(f"do all of the sweep: {', '.join(failed)}")
    rung, lapsed, told = counted(done.rung, "run"), counted(done.lapsed, "lapsed lease"), counted(done.announced, "run")
    return Fix(f"swept: woke workers for {rung}, acted on {lapsed}, announced {told}")


def _lapsed() -> int:
    with looking() as db:
        return len(db.rows(select(tables.action_runs.c.id).where(LOST)))
