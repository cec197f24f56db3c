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

LOST = "lost"
"""The outcome of an attempt whose worker died; never a status."""


def unrun_step_status(position: int, last_started: int, run_status: str) -> str:
    """What a step without an action run shows as.

    Steps run in order, so one before the last started step was skipped by its ``if``.

    Args:
        position: the step's place, from 0.
        last_started: the place of the last step that has an action run, -1 when none has.
        run_status: the template run's status.
    """
    if position < last_started or run_status == SUCCESS:
        return SKIPPED
    return PENDING if run_status in ACTIVE else NOT_RUN
