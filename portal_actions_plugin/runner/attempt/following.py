"""What follows a step that has ended: the next one, after a failure one that cleans up, or the end of the template run.

Worked out before the transaction that records it: others must not wait for what a template's author wrote.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal_actions_plugin.runs.changes.steps import prepare_step
from portal_actions_plugin.runs.course import Course, Failure
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.software_templates.step_rendering import ConditionError
from portal_actions_plugin.storage.away import is_away

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NextStep:
    """The step of the template run that follows.

    Attributes:
        course: the template run, with what the steps until now have made.
        row: the step's row, to be queued or begun.
    """

    course: Course
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LastStep:
    """That no step follows: the template run ends.

    Attributes:
        outputs: the template run's, masked.
        failure: what it ends with; None when it ends as a success.
    """

    outputs: Mapping[str, Any]
    failure: Failure | None = None


Following = NextStep | LastStep | None
"""What follows; nothing when the run is a one-off, or its template run cannot be read."""


def after_success(
    course: Course | None, ended: Mapping[str, Any], outputs: Mapping[str, Any], redactor: Redactor
) -> Following:
    """What follows a step that has succeeded.

    Args:
        course: of the template run, as it was when the step began; None for a one-off.
        ended: of the step, ``position`` and ``step_id``.
        outputs: what it has made.
        redactor: masks the outputs of a template run that ends.
    """
    if course is None:
        return None
    return _from(course.after_success(ended["step_id"], outputs), ended["position"] + 1, redactor)


def after_failure(course: Course | None, ended: Mapping[str, Any], code: str, redactor: Redactor) -> Following:
    """What follows a step that has failed: a step whose ``if`` calls ``always()`` or ``failure()``, or the end.

    Whatever is in the way of that but a database that is away: the run has failed, and must be able to end.

    Args:
        course: as for ``after_success``; None also when it cannot be read any more.
        ended: as for ``after_success``.
        code: of its error.
        redactor: masks the outputs of a template run that ends.
    """
    if course is None:
        return None
    failed = course.after_failure(ended["step_id"], Failure(ended["position"], code))
    try:
        return _from(failed, ended["position"] + 1, redactor)
    except Exception as error:
        if is_away(error):
            raise
        log.exception("what follows the failure of the template run %s cannot be worked out", course.run_id)
        return LastStep({}, failed.failure)


def _from(course: Course, position: int, redactor: Redactor) -> NextStep | LastStep:
    try:
        following = course.next_step(position)
    except ConditionError as error:
        following = error.position  # it is queued, and fails with that when it begins
    if following is None:
        return LastStep(redactor.data(course.output()), course.failure)
    return NextStep(course, prepare_step(course, following))
