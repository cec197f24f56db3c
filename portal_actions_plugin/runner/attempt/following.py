"""What follows a step that has ended: the next one, after a failure one that cleans up, or the end of the template run.

Of a step with ``each``, what has ended is one of its items: then its next item follows, and after the last what comes
after the step. Worked out before the transaction that records it: others must not wait for what a template's author wrote.
Where items are done at a time, it is asked there once more whether it still is so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.changes.steps import prepare_step
from portal_actions_plugin.runs.course import Course, Failure
from portal_actions_plugin.runs.items import kept
from portal_actions_plugin.runs.items.kept import ItemsNow
from portal_actions_plugin.runs.items.lists import KeptItem, Secrets, StepList, what_is_due
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.storage.away import is_away
from portal_actions_plugin.storage.sessions import Transaction, ride_out, single_read

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ended:
    """What has ended: a step, or an item of one.

    Attributes:
        run_id: the id of its action run.
        position: of its step, by its index in the template.
        item: its index in its step's list; None for a step without one.
    """

    run_id: str
    position: int
    item: int | None = None


@dataclass(frozen=True, slots=True)
class NextStep:
    """The step of the template run that follows, or the next item of the same one.

    Attributes:
        course: the template run, with what the steps until now have made.
        row: the step's row, to be queued or begun; of a step with items the first one's.
        item: that item.
        beside: the rows of those that begin at the same time.
        lists: what is to be kept with it.
        now: how it was with the items of the step that has ended, which has to be so still; None where it cannot change.
    """

    course: Course
    row: Mapping[str, Any]
    item: KeptItem | None = None
    beside: Sequence[Mapping[str, Any]] = ()
    lists: Sequence[StepList] = ()
    now: ItemsNow | None = None


@dataclass(frozen=True, slots=True)
class LastStep:
    """That no step follows: the template run ends.

    Attributes:
        outputs: the template run's, masked.
        failure: what it ends with; None when it ends as a success.
        lists: as of a next step.
        now: as of a next step.
    """

    outputs: Mapping[str, Any]
    failure: Failure | None = None
    lists: Sequence[StepList] = ()
    now: ItemsNow | None = None


@dataclass(frozen=True, slots=True)
class OtherItems:
    """That other items of the step are at work: what follows is up to the last of them.

    Attributes:
        now: as of a next step.
    """

    now: ItemsNow


Following = NextStep | LastStep | OtherItems | None
"""What follows; nothing when the run is a one-off, or its template run cannot be read."""


@dataclass(frozen=True, slots=True)
class Means:
    """What it takes to work out what follows.

    Attributes:
        redactor: masks the outputs of a template run that ends.
        secrets: gives the run's secrets, when they are needed.
    """

    redactor: Redactor
    secrets: Secrets = field(repr=False)


def after_success(course: Course | None, ended: Ended, outputs: Mapping[str, Any], means: Means) -> Following:
    """What follows a step, or an item of one, that has succeeded.

    Args:
        course: of the template run, as it was when the step began; None for a one-off.
        ended: what has.
        outputs: what it has made.
        means: what it takes.
    """
    if course is None:
        return None
    step = course.template.steps[ended.position]
    if ended.item is None:
        return _from(course.after_success(step.id, outputs), ended.position + 1, means)
    now = _items_now(course, ended)
    at_a_time = now if step.concurrency > 1 else None
    if now.failure_code is not None and not now.others:
        failed = course.after_failure(step.id, Failure(ended.position, now.failure_code))
        return _from(failed, ended.position + 1, means, at_a_time)
    if now.failure_code is not None or (now.next is None and now.others):
        return OtherItems(now)
    if now.next:
        item = now.next
        return NextStep(course, prepare_step(course.at_item(item.shown), ended.position), item, now=at_a_time)
    made = _read(lambda db: kept.made_by_others(db, course.run_id, ended.position))
    made[ended.item + course.template.first_item(ended.position)] = outputs
    of_items = [made[number] for number in sorted(made)]
    return _from(course.after_items(step.id, of_items), ended.position + 1, means, at_a_time)


def after_failure(course: Course | None, ended: Ended, code: str, means: Means) -> Following:
    """What follows a step that has failed: a step whose ``if`` calls ``always()`` or ``failure()``, or the end.

    Whatever is in the way of that but a database that is away: the run has failed, and must be able to end.

    Args:
        course: as for ``after_success``; None also when it cannot be read any more.
        ended: what has failed.
        code: of its error.
        means: what it takes.
    """
    if course is None:
        return None
    step, now = course.template.steps[ended.position], None
    if ended.item is not None and step.concurrency > 1:
        now = _items_now(course, ended)
        if now.others_running:
            return OtherItems(now)
    first = code if now is None or now.failure_code is None else now.failure_code
    failed = course.after_failure(step.id, Failure(ended.position, first))
    try:
        return _from(failed, ended.position + 1, means, now)
    except Exception as error:
        if is_away(error):
            raise
        log.exception("what follows the failure of the template run %s cannot be worked out", course.run_id)
        return LastStep({}, failed.failure, now=now)


def _items_now(course: Course, ended: Ended) -> ItemsNow:
    return _read(lambda db: kept.items_now(db, _place(course, ended)))


def _read(what: Callable[[Transaction], T]) -> T:
    def read() -> T:
        with single_read() as db:
            return what(db)

    return ride_out(read, extension().config.lease_seconds)


def _place(course: Course, ended: Ended) -> kept.Place:
    template = course.template
    return kept.Place(
        run_id=course.run_id,
        position=ended.position,
        first_number=template.first_item(ended.position),
        item=ended.item or 0,
        own_id=ended.run_id,
        at_a_time=template.steps[ended.position].concurrency,
    )


def _from(course: Course, position: int, means: Means, now: ItemsNow | None = None) -> NextStep | LastStep:
    due = what_is_due(course, position, means.secrets)
    if due.position is None:
        return LastStep(means.redactor.data(due.course.output()), course.failure, due.lists, now)
    # A step about which something cannot be worked out is queued, and fails with that when it begins.
    rows = [prepare_step(one, due.position) for one in due.courses()]
    item = due.items[0] if due.items else None
    return NextStep(due.course, rows[0], item, rows[1:], due.lists, now)
