"""The items of steps with ``each``, as people see them: counted, and those in full that anybody has to look at."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, select

from portal_actions_plugin.run_types import ActionRun, ItemRun, StepItems
from portal_actions_plugin.runs.conditions import LOST
from portal_actions_plugin.runs.items.names import item_name
from portal_actions_plugin.runs.reading import rows
from portal_actions_plugin.runs.reading.records import ItemRecord, item_record
from portal_actions_plugin.runs.states import (
    ACTIVE,
    CANCELED,
    FAILED,
    NOT_RUN,
    PENDING,
    QUEUED,
    RUNNING,
    SKIPPED,
    SUCCESS,
)
from portal_actions_plugin.software_templates.spec import ITEMS_OF_A_STEP
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction
from portal_actions_plugin.storage.sql import Id

IN_FULL = 20
"""So many items of a step are shown with all that is known of them: those that failed, and those at work."""

_list = tables.step_lists.c
_item = tables.step_items.c
_run = tables.action_runs.c


@dataclass(frozen=True, slots=True)
class Counted:
    """What is known of the items of one step, by numbers.

    Attributes:
        total: of the list.
        skipped: those that the step's ``if`` left out.
        by_status: of those that have begun.
        started_at: when the first of them began.
        finished_at: when the last one ended, so far.
    """

    total: int
    skipped: int
    by_status: Mapping[str, int]
    started_at: datetime | None
    finished_at: datetime | None

    def counts(self, run_status: str) -> dict[str, int]:
        """How many items there are of each status, the steps' words among them."""
        left = self.total - self.skipped - sum(self.by_status.values())
        found = {**self.by_status, SKIPPED: self.skipped, PENDING if run_status in ACTIVE else NOT_RUN: left}
        return {status: count for status, count in found.items() if count}

    def status(self) -> str:
        """What the step is as a whole: one that has nothing to go through has succeeded."""
        for status in (RUNNING, QUEUED):
            if self.by_status.get(status):
                return RUNNING if self.started_at else status
        return next((status for status in (FAILED, CANCELED) if self.by_status.get(status)), SUCCESS)


def has_lists(definition: Mapping[str, Any]) -> bool:
    """Whether a step of a template, as a run keeps it, goes through a list."""
    return any("each" in step for step in definition["steps"])


def counted(db: Transaction, run_id: str) -> dict[int, Counted]:
    """The items of a template run's steps, by the places of those whose lists have been worked out."""
    return {place[1]: found for place, found in counted_of(db, {run_id}).items()}


def counted_of(db: Transaction, run_ids: Collection[str]) -> dict[tuple[str, int], Counted]:
    """The same of several template runs, by the id of the run and the place of the step."""
    if not run_ids:
        return {}
    totals = {
        (row["template_run_id"], row["position"]): row["total"]
        for row in db.rows(
            select(_list.template_run_id, _list.position, tables.step_lists.c["items"].label("total")).where(
                _list.template_run_id.in_(run_ids)
            )
        )
    }
    if not totals:
        return {}
    ids, positions = {place[0] for place in totals}, {place[1] for place in totals}
    skipped = db.rows(
        select(_item.template_run_id, _item.position, func.count().label("count"))
        .where(_item.template_run_id.in_(ids), _item.position.in_(positions), ~_item.runs)
        .group_by(_item.template_run_id, _item.position)
    )
    begun = db.rows(
        select(
            *(_run.template_run_id, _run.position, _run.status, func.count().label("count")),
            *(func.min(_run.started_at).label("began"), func.max(_run.finished_at).label("ended")),
        )
        .where(_run.template_run_id.in_(ids), _run.position.in_(positions))
        .group_by(_run.template_run_id, _run.position, _run.status)
    )
    left_out = {(row["template_run_id"], row["position"]): row["count"] for row in skipped}
    return {
        place: _counted(total, left_out.get(place, 0), [row for row in begun if _place(row) == place])
        for place, total in totals.items()
    }


def _place(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["template_run_id"], row["position"]


def _counted(total: int, skipped: int, begun: Sequence[Mapping[str, Any]]) -> Counted:
    return Counted(
        total,
        skipped,
        {row["status"]: row["count"] for row in begun},
        min((row["began"] for row in begun if row["began"]), default=None),
        max((row["ended"] for row in begun if row["ended"]), default=None),
    )


def rows_in_full(db: Transaction, run_id: str, positions: Iterable[int]) -> list[ItemRecord]:
    """The items of these steps that anybody has to look at: of each step those that failed, then those at work."""
    found: list[ItemRecord] = []
    of_run = rows.select_action_runs().add_columns(_run.item.label("number")).where(_run.template_run_id == run_id)
    for position in positions:
        for statuses in ((FAILED,), ACTIVE):
            which = of_run.where(_run.position == position, _run.status.in_(statuses))
            found += map(item_record, db.rows(which.order_by(_run.item).limit(IN_FULL)))
    return found


def one_in_full(run_id: str) -> Select[Any]:
    """The statement that reads an action run of this template run; ``run_id`` goes with it, which is that one's id."""
    wanted = bindparam("run_id", type_=Id())
    of_run = rows.select_action_runs().add_columns(_run.item.label("number"))
    return of_run.where(_run.id == wanted, _run.template_run_id == run_id)


def items_of(
    db: Transaction,
    run_id: str,
    position: int,
    run_status: str,
    *,
    after: int = -1,
    limit: int,
    statuses: Sequence[str] = (),
) -> list[ItemRun]:
    """Items of a step in their order, each with what became of it.

    Args:
        db: where to read.
        run_id: the template run's id.
        position: the step's index.
        run_status: the template run's: an item that has not begun is pending, or was not run.
        after: the index of the last item that is known already.
        limit: how many at most.
        statuses: of action runs, when only these are wanted.
    """
    first = first_number(db, run_id, position)
    joined = tables.step_items.outerjoin(
        tables.action_runs,
        and_(_run.template_run_id == run_id, _run.position == position, _run.item == _item.item + first),
    )
    wanted = select(
        *(_item.item, _item.key, _item.value, _item.runs, _run.id, _run.status, _run.started_at, _run.finished_at),
        *(_run.error_code, _run.error_message, _run.taken_over_from, LOST.label("worker_lost")),
    ).select_from(joined)
    wanted = wanted.where(_item.template_run_id == run_id, _item.position == position, _item.item > after)
    if statuses:
        wanted = wanted.where(_run.status.in_(statuses))
    return [_item_run(row, run_status) for row in db.rows(wanted.order_by(_item.item).limit(limit))]


def first_number(db: Transaction, run_id: str, position: int) -> int:
    """The ``item`` of the action run of a step's first item; 0 while none has begun."""
    row = db.row(select(_run.item).where(_run.template_run_id == run_id, _run.position == position).limit(1))
    return row["item"] // ITEMS_OF_A_STEP * ITEMS_OF_A_STEP if row else 0


def _item_run(row: Mapping[str, Any], run_status: str) -> ItemRun:
    unbegun = PENDING if run_status in ACTIVE else NOT_RUN
    return ItemRun(
        index=row["item"],
        key=row["key"],
        name=item_name(row["item"], row["key"], row["value"]),
        value=row["value"],
        status=row["status"] or (unbegun if row["runs"] else SKIPPED),
        run_id=row["id"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        error_code=row["error_code"],
        error_message=row["error_message"],
        taken_over_from=row["taken_over_from"],
        worker_lost=bool(row["worker_lost"]),
    )


def with_names(
    db: Transaction, run_id: str, found: Sequence[ItemRecord], runs: Mapping[str, ActionRun]
) -> dict[int, list[ActionRun]]:
    """Items as people see them, by the place of their step.

    Args:
        db: where to read.
        run_id: the template run's id.
        found: of ``rows_in_full``.
        runs: those rows as action runs, by their ids.
    """
    shown: dict[int, list[ActionRun]] = {row["position"]: [] for row in found}
    for position, of_step in shown.items():
        numbers = {row["id"]: row["number"] % ITEMS_OF_A_STEP for row in found if row["position"] == position}
        those = and_(_item.template_run_id == run_id, _item.position == position, _item.item.in_(numbers.values()))
        kept = db.rows(select(_item.item, _item.key, _item.value).where(those))
        named = {row["item"]: (row["key"], item_name(row["item"], row["key"], row["value"])) for row in kept}
        for one, number in numbers.items():
            key, name = named.get(number, (None, None))
            of_step.append(replace(runs[one], item_key=key, item_name=name))
    return shown


def step_items(counted: Counted, run_status: str, shown: Sequence[ActionRun] = ()) -> StepItems:
    """The items of a step as people see them; ``run_status`` is the template run's."""
    return StepItems(
        total=counted.total,
        status=counted.status(),
        counts=counted.counts(run_status),
        started_at=counted.started_at,
        finished_at=counted.finished_at,
        shown=tuple(shown),
    )
