"""What a template run has done, cleaned up and left undone, as its page says it while it can be canceled and at its end."""

from __future__ import annotations

from dataclasses import dataclass

from portal_actions_plugin.run_types import Step, TemplateRun
from portal_actions_plugin.runs.states import ACTIVE, CANCELED, FAILED, NOT_RUN, PENDING, SUCCESS


@dataclass(frozen=True, slots=True)
class Receipt:
    """The steps of a template run, by what there is to say of them.

    Attributes:
        failed: the one that failed first; None while none has.
        done: those that succeeded, up to the failure.
        broken: those that failed or were canceled after they had begun, up to the failure.
        cleaned: those that succeeded after it.
        uncleaned: those that failed or were canceled after it.
        cleaning: the one that is at it, or queued for it.
        to_clean: those that may still run after it.
        left: those that were never reached.
    """

    failed: Step | None
    done: tuple[Step, ...]
    broken: tuple[Step, ...]
    cleaned: tuple[Step, ...]
    uncleaned: tuple[Step, ...]
    cleaning: tuple[Step, ...]
    to_clean: tuple[Step, ...]
    left: tuple[Step, ...]


def receipt_of(run: TemplateRun) -> Receipt:
    """Sort the steps of a run; it has its steps."""
    failed_at = _failed_at(run)
    own, after = run.steps[: failed_at + 1], run.steps[failed_at + 1 :]
    return Receipt(
        failed=run.steps[failed_at] if failed_at < len(run.steps) else None,
        done=_of(own, SUCCESS),
        broken=tuple(step for step in _of(own, FAILED, CANCELED) if step.items or (step.run and step.run.attempt)),
        cleaned=_of(after, SUCCESS),
        uncleaned=_of(after, FAILED, CANCELED),
        cleaning=_of(after, *ACTIVE),
        to_clean=_of(after, PENDING),
        left=_of(run.steps, NOT_RUN),
    )


def _failed_at(run: TemplateRun) -> int:
    """The place of the step that failed first: those that clean up come after it. Past the end where none has."""
    places = (place for place, step in enumerate(run.steps) if step.status == FAILED)
    return next(places, len(run.steps)) if run.failed_at_step is not None else len(run.steps)


def _of(steps: tuple[Step, ...], *statuses: str) -> tuple[Step, ...]:
    return tuple(step for step in steps if step.status in statuses)
