"""The doctor's look at whose turn it is: queues that do not move, and runs held back for steps of the same person."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import and_

from portal_actions_plugin.doctor.findings import Check, Finding, counted, critical, duration, fine
from portal_actions_plugin.doctor.parts import looking
from portal_actions_plugin.doctor.runs import SLOW_SECONDS, affected
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.changes import slots
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sql import now_plus
from portal_actions_plugin.upkeep.still_queues import StillQueue, still_queues

_SETTING = "PORTAL_ACTIONS_MAX_RUNNING_PER_IDENTITY"


def _queues() -> Iterator[Finding]:
    with looking() as db:
        still = still_queues(db)
    # Where nobody is at work, the look at workers says why.
    for queue in (queue for queue in still if queue.running):
        message = (
            f"the queue {queue.queue} has not moved for {duration(queue.seconds)}: the run {queue.waiting} is due, and "
            f"{queue.most} of {counted(queue.running, 'step')} at work there belong to {queue.whose}"
        )
        yield critical("moving", message, _mend(queue))


def _mend(queue: StillQueue) -> str:
    more = f"flask actions worker --queue {queue.queue}, beside those that are there"
    if queue.most > 1 and extension().config.max_running_per_identity is None:
        return f"{more}; {_SETTING} keeps one person from having them all"
    return more


def _held_back() -> Iterator[Finding]:
    with looking() as db:
        held = affected(db, tables.action_runs, and_(tables.HELD_BACK), tables.action_runs.c.held_back_at)
        waiting = tables.action_runs.c.requested_by.in_(slots.with_a_free_slot(db))
        long = tables.action_runs.c.held_back_at < now_plus(-SLOW_SECONDS)
        in_vain = affected(
            db, tables.action_runs, and_(waiting, long, tables.HELD_BACK), tables.action_runs.c.held_back_at
        )
    if in_vain:
        message = f"nobody lets {in_vain.runs} go that no other step of the same person holds back any more"
        yield critical("held back", f"{message} (for longest: {in_vain.oldest})", "flask actions sweep")
    elif held:
        bound = extension().config.max_running_per_identity
        yield fine("held back", f"{held.runs} until another step of the same person ends: {_SETTING} is {bound}")


CHECKS = (
    Check("moving", _queues, "every queue on which something is due moves"),
    Check("held back", _held_back, "no run is held back for steps of the same person"),
)
