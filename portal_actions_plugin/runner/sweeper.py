"""What every few seconds makes good: doorbells that were lost, leases that ran out, signals that never went out.

Any number of sweepers may run at once, anywhere: every step they take is a guarded UPDATE.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import RowMapping, select
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin import signals
from portal_actions_plugin.db import now_plus, reading, transaction
from portal_actions_plugin.errors import ActionError, ActionTimeoutError, WorkerLostError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.models import ActionRunRow, TemplateRunRow
from portal_actions_plugin.runner.execute import Subject, record_failure
from portal_actions_plugin.runs import dispatch, transitions
from portal_actions_plugin.runs.states import OVER, RUNNING
from portal_actions_plugin.runs.transitions import LeaseLostError, Result, StepRef

log = logging.getLogger(__name__)

T = TypeVar("T")

RINGS_A_PASS = 200
ANNOUNCE_AFTER_SECONDS = 15
"""How long a finished run's own process has to send its signals."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one pass did."""

    rung: int
    lapsed: int
    announced: int


def sweep() -> Swept:
    """Do one pass."""
    return Swept(_safely(_ring_again) or 0, _safely(_act_on_lapses) or 0, _safely(_announce) or 0)


def _safely(part: Callable[[], T]) -> T | None:
    """Do one part of a pass: one row that cannot be dealt with must not keep the others waiting."""
    try:
        return part()
    except SQLAlchemyError as error:
        log.warning("this part of the sweep has to wait for the database: %s", error)
    except Exception:
        log.exception("this part of the sweep failed; the next pass tries again")
    return None


# -- doorbells -------------------------------------------------------------------------------------------------------


def _ring_again() -> int:
    with transaction() as tx:
        due = transitions.ring_again(tx, RINGS_A_PASS, extension().config.ring_again_seconds)
    if due:
        log.info("ringing again for %d queued runs", len(due))
        dispatch.ring(due)
    return len(due)


# -- leases ----------------------------------------------------------------------------------------------------------

_LOST_COLUMNS = (
    ActionRunRow.id,
    ActionRunRow.template_run_id,
    ActionRunRow.action,
    ActionRunRow.template,
    ActionRunRow.queue,
    ActionRunRow.attempt,
    ActionRunRow.max_attempts,
    ActionRunRow.requested_by,
    ActionRunRow.process_token,
    (ActionRunRow.deadline_at < now_plus(0)).label("late"),
)


def _act_on_lapses() -> int:
    """Note fresh lapses, and act on those that were noted long enough ago and still stand."""
    grace = extension().config.lapse_grace_seconds
    with transaction() as tx:
        transitions.note_lapses(tx)
        second_look = tx.rows(
            select(*_LOST_COLUMNS)
            .where(
                ActionRunRow.status == RUNNING,
                ActionRunRow.lease_expires_at < now_plus(0),
                ActionRunRow.lapse_seen_at < now_plus(-grace),
            )
            .limit(RINGS_A_PASS)
        )
    for row in second_look:
        _safely(partial(_recover_lapsed, row))
    return len(second_look)


def _recover_lapsed(row: RowMapping) -> None:
    """Take the row away from its process, if that has not renewed meanwhile, and deal with it."""
    ref, token = StepRef(row["id"], row["template_run_id"]), str(uuid.uuid4())
    try:
        with transaction() as tx:
            transitions.take_over(tx, ref, row["process_token"], token)
    except LeaseLostError:
        return log.info("run %s is alive after all, or dealt with", row["id"])
    # Its deadline may be over by now as well, but what ended it is that its worker was gone.
    return _recover(row, token, _worker_lost(row))


def recover_process(process_token: str) -> None:
    """Deal with what a job process that is known to be gone has left running."""
    with reading() as db:
        rows = db.rows(
            select(*_LOST_COLUMNS).where(ActionRunRow.process_token == process_token, ActionRunRow.status == RUNNING)
        )
    for row in rows:
        late = ActionTimeoutError(f"{row['action']} ran longer than it may and was ended.")
        _recover(row, process_token, late if row["late"] else _worker_lost(row))


def _recover(row: RowMapping, process_token: str, error: ActionError) -> None:
    ref = StepRef(row["id"], row["template_run_id"])
    try:
        if isinstance(error, WorkerLostError) and _may_repeat(row):
            _queue_again(ref, row, process_token, error)
        else:
            about = Subject(row["requested_by"], row["action"], row["template"])
            record_failure(ref, process_token, error, Result(), about)
    except LeaseLostError:
        log.info("run %s was dealt with by somebody else", row["id"])


def _worker_lost(row: RowMapping) -> WorkerLostError:
    return WorkerLostError(f"The worker died during attempt {row['attempt']} of {row['action']}.")


def _may_repeat(row: RowMapping) -> bool:
    registry = extension().registry
    idempotent = row["action"] in registry and registry.get(row["action"]).idempotent
    return bool(idempotent and row["attempt"] < row["max_attempts"])


def _queue_again(ref: StepRef, row: RowMapping, process_token: str, error: ActionError) -> None:
    log.warning("run %s lost its worker in attempt %s: queued again", ref.id, row["attempt"])
    with transaction() as tx:
        transitions.queue_again(tx, ref, process_token, error, extension().config.ring_again_seconds)
        dispatch.ring_after_commit(tx, ref.id, row["queue"])
        dispatch.tell_after_commit(tx, signals.action_run_queued, ref.id)


# -- signals ---------------------------------------------------------------------------------------------------------


def _announce() -> int:
    """Send the finished signals of runs whose process died between its commit and its signals."""
    action_runs = _unannounced(ActionRunRow)
    template_runs = _unannounced(TemplateRunRow)
    for run_id in action_runs:
        _safely(partial(dispatch.announce_action_run, run_id))
    for run_id in template_runs:
        _safely(partial(dispatch.announce_template_run, run_id))
    return len(action_runs) + len(template_runs)


def _unannounced(row: Any) -> list[str]:
    with reading() as db:
        found = db.rows(
            select(row.id)
            .where(
                row.status.in_(OVER),
                row.announced_at.is_(None),
                row.finished_at < now_plus(-ANNOUNCE_AFTER_SECONDS),
            )
            .order_by(row.finished_at)
            .limit(RINGS_A_PASS)
        )
    return [run["id"] for run in found]
