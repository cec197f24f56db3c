"""What becomes of the runs of a job process that has died: tried again where that is safe, else WORKER_LOST.

- A job process dies: its worker sees that at once (``prefork.py``) and calls ``recover_process``.
- A worker dies: the kernel ends its job process with it, and its supervisor starts another worker. Nobody renews the
  leases of what was running; a sweeper sees that they have lapsed, twice, and calls ``recover_lapsed``.
- A supervisor or a machine dies: as with a worker. The sweeper is another machine's, or that of the next start.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence

from blinker import NamedSignal
from sqlalchemy import and_, or_, select

from portal_actions_plugin import signals
from portal_actions_plugin.errors import ActionError, InternalError, WorkerLostError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.attempt.following import Ended, Following, Means, after_failure
from portal_actions_plugin.runner.attempt.record import (
    Subject,
    as_long_as_items_change,
    queue_again,
    record_failure,
    timed_out,
)
from portal_actions_plugin.runs.changes import claims, locks
from portal_actions_plugin.runs.changes.claims import LeaseLostError, StepRef
from portal_actions_plugin.runs.changes.left_over import cancel_left_over
from portal_actions_plugin.runs.changes.transitions import Again, Result
from portal_actions_plugin.runs.conditions import NOW
from portal_actions_plugin.runs.guards.retries import Tried, is_idempotent, next_attempt_in
from portal_actions_plugin.runs.news import announced, doorbells
from portal_actions_plugin.runs.resume import course_of, secrets_of
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.states import LOST, RUNNING
from portal_actions_plugin.software_templates.spec import ITEMS_OF_A_STEP
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Row, reading, transaction
from portal_actions_plugin.storage.sql import now_plus

log = logging.getLogger(__name__)

# A lease that had lapsed before the deadline tells of a worker that was stopped, not of a handler that was slow.
_LATE = and_(
    tables.action_runs.c.deadline_at < NOW,
    or_(
        tables.action_runs.c.lapse_seen_at.is_(None),
        tables.action_runs.c.lapse_seen_at >= tables.action_runs.c.deadline_at,
    ),
)

_LOST_ROWS = select(
    tables.action_runs.c.id,
    tables.action_runs.c.template_run_id,
    tables.action_runs.c.position,
    tables.action_runs.c.item,
    tables.action_runs.c.action,
    tables.action_runs.c.template,
    tables.action_runs.c.attempt,
    tables.action_runs.c.max_attempts,
    tables.action_runs.c.requested_by,
    tables.action_runs.c.process_token,
    tables.action_runs.c.lock_key,
    tables.action_runs.c.input,
    _LATE.label("late"),
).where(tables.action_runs.c.status == RUNNING)


def recover_process(process_token: str) -> None:
    """Deal with what a job process that has died has left: free its locks, and try again or fail what it was running.

    Args:
        process_token: of a process that is known to be gone, with all that it had started.
    """
    for row in _left_by(process_token):
        error = timed_out(row["action"]) if row["late"] else _worker_lost(row)
        _recover(row, process_token, error, next_attempt_in(error, _tried(row)))


def hand_back(process_token: str) -> None:
    """Free the locks and queue the runs of a process that was ended because its worker has to stop: that uses up no attempt.

    Args:
        process_token: of a process that is known to be gone, with all that it had started.
    """
    for row in _left_by(process_token):
        error = WorkerLostError(f"The worker was stopped during attempt {row['attempt']} of {row['action']}.")
        again = is_idempotent(row["action"], row["input"] or {})
        _recover(row, process_token, error, 0.0 if again else None, free_attempts=1)


def begin_again(process_token: str, told: str) -> None:
    """Queue what a process had claimed and not begun: it was ended while it called a receiver of the host's.

    That uses up no attempt, unless the receiver was told of that very run: it may hang whenever the run is claimed.

    Args:
        process_token: of a process that is known to be gone, with all that it had started.
        told: the run that the receiver was called with, as news name it.
    """
    for row in _left_by(process_token):
        error = WorkerLostError(f"Attempt {row['attempt']} of {row['action']} was ended before its handler began.")
        own = {announced.change(announced.ACTION_RUN, row["id"])}
        own |= {announced.change(announced.TEMPLATE_RUN, row["template_run_id"] or "")}
        if told not in own:
            _recover(row, process_token, error, 0.0, free_attempts=1)
        else:
            again = row["attempt"] < row["max_attempts"]
            _recover(row, process_token, error, 0.0 if again else None)


def untold_of(process_token: str) -> list[tuple[NamedSignal, str]]:
    """The ends that a process had recorded and not told, by the signal that is to be sent of each.

    Args:
        process_token: of a process that is gone.
    """
    step, whole = tables.action_runs.c, tables.template_runs.c
    of_it = step.process_token == process_token
    steps = select(step.id).where(of_it, step.announced_at.is_(None), step.finished_at.is_not(None))
    wholes = select(whole.id).where(
        whole.announced_at.is_(None),
        whole.finished_at.is_not(None),
        whole.id.in_(select(step.template_run_id).where(of_it)),
    )
    with reading() as db:
        found = [(signals.action_run_finished, row["id"]) for row in db.rows(steps)]
        return found + [(signals.template_run_finished, row["id"]) for row in db.rows(wholes)]


def fail_spoilt(process_token: str) -> None:
    """Fail what a process was running whose handler has closed or replaced the descriptors that it records with.

    Args:
        process_token: of a process that is known to be gone, with all that it had started.
    """
    for row in _left_by(process_token):
        _recover(row, process_token, _spoilt(row), None)


def ring_soon(run_id: str) -> None:
    """Let a row's doorbell ring again before long: the last one was heard by a process that did nothing about it."""
    with transaction("ring_soon") as tx:
        doorbells.rings_again_in(tx, run_id, extension().config.ring_again_seconds)


def lapsed(grace_seconds: float, limit: int) -> Sequence[Row]:
    """The running rows whose lease has lapsed, and was seen to be so long enough ago: their worker or machine has died.

    Args:
        grace_seconds: how long ago that was seen first.
        limit: how many rows at most.

    Returns:
        Rows for ``recover_lapsed``.
    """
    with reading() as db:
        return db.rows(
            _LOST_ROWS.where(
                tables.action_runs.c.lease_expires_at < NOW,
                tables.action_runs.c.lapse_seen_at < now_plus(-grace_seconds),
            ).limit(limit)
        )


def recover_lapsed(row: Row) -> None:
    """Take a row and its lock away from a process that has not renewed its lease, and try it again or fail it.

    Args:
        row: one of ``lapsed``; when it was renewed or dealt with meanwhile, nothing is changed.
    """
    token = str(uuid.uuid4())
    try:
        with transaction("take_over") as tx:
            claims.take_over(tx, _ref(row), row["process_token"], token)
            locks.ring_for_next_after_commit(tx, [row["lock_key"]] if row["lock_key"] else [])
    except LeaseLostError:
        return _leave_or_end(row)
    # Its deadline may be over by now as well, but what ended it is that its worker was gone.
    error = _worker_lost(row)
    return _recover(row, token, error, next_attempt_in(error, _tried(row)))


def _leave_or_end(row: Row) -> None:
    with transaction("take_over") as tx:
        if not cancel_left_over(tx, [row["id"]]):
            log.info("run %s is alive after all, or dealt with", row["id"])


def _left_by(process_token: str) -> Sequence[Row]:
    with transaction("free_locks") as tx:
        locks.ring_for_next_after_commit(tx, locks.free_of(tx, process_token))
        return tx.rows(_LOST_ROWS.where(tables.action_runs.c.process_token == process_token))


def _recover(row: Row, process_token: str, error: ActionError, wait: float | None, free_attempts: int = 0) -> None:
    try:
        about = Subject(row["requested_by"], row["action"], row["template"])
        if wait is None:

            def record() -> None:
                record_failure(_ref(row), process_token, error, Result(), about, _following(row, error))

            as_long_as_items_change(record)
        else:
            again = Again(LOST, wait, extension().config.ring_again_seconds, free_attempts)
            queue_again(_ref(row), process_token, error, again, about)
    except LeaseLostError:
        log.info("run %s was dealt with by somebody else", row["id"])


def _following(row: Row, error: ActionError) -> Following:
    whole = row["template_run_id"]
    if whole is None or (course := course_of(whole)) is None:
        return None
    is_item = course.template.steps[row["position"]].each is not None
    ended = Ended(row["id"], row["position"], row["item"] % ITEMS_OF_A_STEP if is_item else None)
    return after_failure(course, ended, error.code, Means(Redactor(), lambda: secrets_of(whole)))


def _ref(row: Row) -> StepRef:
    return StepRef(row["id"], row["template_run_id"])


def _tried(row: Row) -> Tried:
    return Tried(row["action"], row["attempt"], row["max_attempts"], row["input"] or {})


def _worker_lost(row: Row) -> WorkerLostError:
    return WorkerLostError(f"The worker died during attempt {row['attempt']} of {row['action']}.")


def _spoilt(row: Row) -> InternalError:
    return InternalError(
        f"{row['action']} has closed or replaced files of its process that are not its own, so what came of it is not "
        "known.",
        hint="Tell your platform team: a handler may close what it has opened, and nothing else.",
    )
