"""The statuses of runs, and what people see of steps that have no action run."""

from __future__ import annotations

QUEUED = "queued"
RUNNING = "running"
SUCCESS = "success"
FAILED = "failed"
CANCELED = "canceled"

STATUSES = (QUEUED, RUNNING, SUCCESS, FAILED, CANCELED)
ACTIVE = (QUEUED, RUNNING)
OVER = (SUCCESS, FAILED, CANCELED)

PENDING = "pending"
SKIPPED = "skipped"
NOT_RUN = "not_run"

CLEANING_UP = "cleaning_up"
"""What people see of a template run that has failed and still cleans up; its status is ``running`` meanwhile."""

LOST = "lost"
"""The outcome of an attempt whose worker died; never a status."""


def unrun_step_status(position: int, last_started: int, run_status: str) -> str:
    """What a step without an action run shows as, while no step before it has failed.

    Steps run in order, so one before the last started step was skipped by its ``if``.

    Args:
        position: the step's place, from 0.
        last_started: the place of the last step that has an action run, -1 when none has.
        run_status: the template run's status.
    """
    if position < last_started or run_status == SUCCESS:
        return SKIPPED
    return PENDING if run_status in ACTIVE else NOT_RUN


def unrun_cleanup_status(position: int, last_started: int, run_status: str) -> str:
    """What a step without an action run shows as that may run after the failure of one before it; see ``unrun_step_status``.

    The run fails in the end: then each of them has been asked whether it runs.
    """
    return SKIPPED if run_status == FAILED else unrun_step_status(position, last_started, run_status)
