"""What every few seconds makes good: doorbells that were lost, leases that ran out, signals that never went out,
and what search is found by.

Any number of sweepers may run at once, anywhere: every step they take is a guarded UPDATE.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from blinker import NamedSignal
from redis.exceptions import RedisError
from sqlalchemy import select

from portal_actions_plugin import signals
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runner.doorbells import old_queues
from portal_actions_plugin.runs.changes import claims, locks, slots
from portal_actions_plugin.runs.changes.left_over import cancel_left_over
from portal_actions_plugin.runs.dictionary.catch_up import catch_up
from portal_actions_plugin.runs.news import doorbells, ring, tell
from portal_actions_plugin.runs.news.redis_names import NamespaceUnknownError, redis_names
from portal_actions_plugin.runs.states import OVER
from portal_actions_plugin.storage import away, tables
from portal_actions_plugin.storage.sessions import Transaction, reading, transaction
from portal_actions_plugin.storage.sql import checked, now_plus

log = logging.getLogger(__name__)

T = TypeVar("T")

Announce = Callable[[NamedSignal, str], None]
"""Tells that a run has finished, by its signal and its id."""

RINGS_A_PASS = 200
ANNOUNCE_AFTER_LEASES = 2
"""How long a finished run's own process has to send its signals, and to write that it did: a minute, as leases are by default.

It writes so along with something else, and at the latest when its lease is renewed."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one pass did: doorbells rung, lapsed leases acted on, ends told; and the parts that could not be done."""

    rung: int
    lapsed: int
    announced: int
    failed: tuple[str, ...] = ()


class _RefusedError(Exception):
    """What a part was about to do was not taken."""


def _nobody() -> None:
    """Tell nobody: nobody watches."""


def sweep(turned: Callable[[], None] = _nobody, announce: Announce = tell.announce) -> Swept:
    """Do one pass: ring again for what is due, act on lapsed leases, send signals that never went out, learn words.

    Args:
        turned: called before each part and each row of a part, for who watches that the pass gets on.
        announce: what tells of an end: here and now, or later, where others depend on who sweeps.

    Returns:
        What was done. A part that failed is named, and does not keep the others from being done; nothing is raised.
    """
    parts: dict[str, Callable[[], int]] = {
        "wake-ups": _ring_again,
        "leases": partial(_act_on_lapses, turned),
        "held back": partial(slots.pass_on_all, RINGS_A_PASS),
        "signals": partial(_announce, turned, announce),
        "search": catch_up,
    }
    done: dict[str, int | None] = {}
    for name, part in parts.items():
        turned()
        done[name] = _safely(part)
    failed = tuple(name for name, count in done.items() if count is None)
    return Swept(done["wake-ups"] or 0, done["leases"] or 0, done["signals"] or 0, failed)


def _safely(part: Callable[[], T]) -> T | None:
    """Do one part of a pass: one row that cannot be dealt with must not keep the others waiting."""
    try:
        return part()
    except _RefusedError as error:
        log.warning("this part of the sweep is for the next pass: %s", error)
    except Exception as error:
        if away.is_away(error):
            away.bear(error, log, "a part of the sweep has to wait for the database")
        else:
            log.exception("this part of the sweep failed; the next pass tries again")
    return None


# -- doorbells -------------------------------------------------------------------------------------------------------


def _ring_again() -> int:
    _notice_that_redis_forgot()
    old_queues.bring_over()
    with transaction("ring_again") as tx:
        due = doorbells.take_due(tx, RINGS_A_PASS, extension().config.ring_again_seconds)
        left_over = cancel_left_over(tx, [run.id for run in due]) if due else set()
        routed = [(run.id, _route(tx, run)) for run in due if run.id not in left_over]
    if routed:
        log.info("waking workers again for %d queued runs", len(routed))
    if (rung := ring.ring(routed)) < len(routed):
        raise _RefusedError(f"Redis took {rung} of {len(routed)} wake-ups")
    return rung


def _notice_that_redis_forgot() -> None:
    """When Redis has come back without its data, and so without our doorbells, let all of them ring again."""
    try:
        sign_of_life = redis_names().sign_of_life
        if extension().redis.exists(sign_of_life):
            return
        with transaction("redis_forgot") as tx:
            doorbells.all_due(tx)
        # Not before the commit: should this process die in between, the next sweep does it again.
        extension().redis.set(sign_of_life, "1")
    except (RedisError, OSError, NamespaceUnknownError) as error:
        log.debug("Redis cannot be asked whether it has forgotten: %s", error)


def _route(tx: Transaction, run: doorbells.DueRun) -> str:
    """The queue that a row's action goes to by now: on the one it was queued for, nobody may be working any more."""
    parts = extension()
    queue = run.queue
    if run.action in parts.registry:
        action = parts.registry.get(run.action)
        wanted = parts.config.queue_for(action.id, action.queue)
        if wanted != queue:
            doorbells.route(tx, run.id, wanted)
            return wanted
    return queue


# -- leases ----------------------------------------------------------------------------------------------------------


def _act_on_lapses(turned: Callable[[], None]) -> int:
    """Note fresh lapses, and act on those that were noted long enough ago and still stand."""
    grace = extension().config.lapse_grace_seconds
    with transaction("note_lapses") as tx:
        claims.note_lapses(tx)
        locks.ring_for_next_after_commit(tx, locks.free_lapsed(tx, grace))
    second_look = recovery.lapsed(grace, RINGS_A_PASS)
    for row in second_look:
        turned()
        _safely(partial(recovery.recover_lapsed, row))
    return len(second_look)


# -- signals ---------------------------------------------------------------------------------------------------------


def _announce(turned: Callable[[], None], announce: Announce) -> int:
    """Send the finished signals of runs whose process died between its commit and its signals."""
    action_runs = _unannounced(tables.action_runs)
    template_runs = _unannounced(tables.template_runs)
    for run_id in action_runs:
        turned()
        _safely(partial(announce, signals.action_run_finished, run_id))
    for run_id in template_runs:
        turned()
        _safely(partial(announce, signals.template_run_finished, run_id))
    return len(action_runs) + len(template_runs)


def _unannounced(table: tables.RunTable) -> list[str]:
    seconds = ANNOUNCE_AFTER_LEASES * extension().config.lease_seconds
    with reading() as db:
        found = db.rows(
            select(table.c.id)
            .where(
                tables.TO_ANNOUNCE,
                checked(table.c.status.in_(OVER)),
                table.c.finished_at < now_plus(-seconds),
            )
            # The former is always NULL: but the order is the index's then, and PostgreSQL does not read all that ended.
            .order_by(table.c.announced_at, table.c.finished_at)
            .limit(RINGS_A_PASS)
        )
    return [run["id"] for run in found]
