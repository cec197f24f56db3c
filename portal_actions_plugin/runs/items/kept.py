"""The lists of steps with ``each`` as they are kept: written once, copied by a resume, and read item by item."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Integer, Uuid, bindparam, exists, insert, literal, select, update

from portal_actions_plugin.runs.items.lists import KeptItem, StepList
from portal_actions_plugin.runs.states import ACTIVE, FAILED, RUNNING, SUCCESS
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Row, Transaction
from portal_actions_plugin.storage.sql import now_plus
from portal_actions_plugin.storage.statements import CompiledOnce

_list = tables.step_lists.c
_item = tables.step_items.c
_run = tables.action_runs.c
_WHOLE = bindparam("whole", type_=Uuid(as_uuid=False))
_POSITION = bindparam("at_position", type_=Integer())
_FIRST = bindparam("first_number", type_=Integer())

_NEW_LIST = CompiledOnce(insert(tables.step_lists).values(made_at=now_plus(0)))
_NEW_ITEM = CompiledOnce(insert(tables.step_items))
_ONE = CompiledOnce(
    select(_item.item, _item.key, _item.value, _item.sealed_value).where(
        _item.template_run_id == _WHOLE, _item.position == _POSITION, _item.item == bindparam("index", type_=Integer())
    )
)
_OF_ITEM = (_run.template_run_id == _WHOLE, _run.position == _POSITION, _run.item == _FIRST + _item.item)
_to_do = (
    select(_item.item, _item.key, _item.value, _item.sealed_value)
    .where(_item.template_run_id == _WHOLE, _item.position == _POSITION, _item.runs)
    .order_by(_item.item)
    .limit(bindparam("most", type_=Integer()))
)
_UNBEGUN = CompiledOnce(_to_do.where(_item.item > bindparam("after", type_=Integer()), ~exists().where(*_OF_ITEM)))
_UNFINISHED = CompiledOnce(_to_do.where(~exists().where(*_OF_ITEM, _run.status == SUCCESS)))
_OF_STEP = (_run.template_run_id == _WHOLE, _run.position == _POSITION)
_OTHERS = CompiledOnce(
    select(_run.status, _run.error_code)
    .where(*_OF_STEP, _run.id != bindparam("besides", type_=Uuid(as_uuid=False)), _run.status != SUCCESS)
    .order_by(_run.finished_at, _run.item)
)
_MADE = CompiledOnce(select(_run.item, _run.outputs).where(*_OF_STEP, _run.status == SUCCESS))
_LISTS = CompiledOnce(select(_list.position).where(_list.template_run_id == _WHOLE))


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands that has ended.

    Attributes:
        run_id: the template run's id.
        position: its step's index.
        first_number: the ``item`` of the action run of its step's first item.
        item: its index in the list.
        own_id: the id of its action run.
        at_a_time: so many items of the step are done at a time.
    """

    run_id: str
    position: int
    first_number: int
    item: int
    own_id: str
    at_a_time: int


@dataclass(frozen=True, slots=True)
class ItemsNow:
    """How it is with the other items of a step, when one of them has ended.

    Attributes:
        place: of the one that has ended.
        next: the first that has not begun; None when all have.
        others: whether any other is queued or running.
        others_running: whether any other is running.
        failure_code: of the other that has failed first; None when none has.
    """

    place: Place
    next: KeptItem | None
    others: bool = False
    others_running: bool = False
    failure_code: str | None = None


def items_now(db: Transaction, place: Place) -> ItemsNow:
    """How it is with the items of a step. Where one is done at a time, no other is at work, and none has failed."""
    found = unbegun(db, place, most=1)
    following = found[0] if found else None
    if place.at_a_time == 1:
        return ItemsNow(place, following)
    of_step = {"whole": place.run_id, "at_position": place.position, "besides": place.own_id}
    others = db.rows(_OTHERS, of_step)
    failed = next((row["error_code"] or "" for row in others if row["status"] == FAILED), None)
    statuses = {row["status"] for row in others}
    return ItemsNow(place, following, not statuses.isdisjoint(ACTIVE), RUNNING in statuses, failed)


class ItemsChangedError(Exception):
    """Another item of the step has ended since it was worked out what follows this one: work it out anew."""


def require_so_still(tx: Transaction, before: ItemsNow | None) -> None:
    """Raise ItemsChangedError where it is not so any more with a step's items. The template run is locked."""
    if before is not None and items_now(tx, before.place) != before:
        raise ItemsChangedError(before.place.own_id)


def keep(tx: Transaction, run_id: str, lists: Sequence[StepList]) -> None:
    """Write the lists of a template run's steps."""
    for made in lists:
        place = {"template_run_id": run_id, "position": made.position}
        tx.changed(_NEW_LIST, {**place, "items": len(made.items)})
        rows = [
            {**place, **_columns(KeptItem.of(item, sealed)), "runs": item.runs}
            for item, sealed in zip(made.items, made.sealed, strict=True)
        ]
        if rows:
            tx.add(_NEW_ITEM, rows)


def _columns(item: KeptItem) -> dict[str, Any]:
    return {"item": item.index, "key": item.key, "value": item.value, "sealed_value": item.sealed}


def copy(tx: Transaction, source_id: str, run_id: str, positions: Collection[int]) -> None:
    """Give a resumed template run the lists of these steps as they were worked out for the run that it resumes."""
    for table in (tables.step_lists, tables.step_items):
        columns = [column for column in table.columns if column.name != "template_run_id"]
        kept = select(literal(run_id, Uuid(as_uuid=False)), *columns).where(
            table.c.template_run_id == source_id, table.c.position.in_(positions)
        )
        names = ["template_run_id", *(column.name for column in columns)]
        tx.execute(insert(table).from_select(names, kept))


def wipe(tx: Transaction, run_id: str) -> None:
    """Delete what is sealed of a template run's lists: it has succeeded, and nobody resumes it."""
    sealed = (tables.step_items.c.template_run_id == run_id, tables.step_items.c.sealed_value.is_not(None))
    tx.execute(update(tables.step_items).where(*sealed).values(sealed_value=None))


def positions_of(db: Transaction, run_id: str) -> frozenset[int]:
    """The places of those steps of a template run whose lists have been worked out."""
    return frozenset(row["position"] for row in db.rows(_LISTS, {"whole": run_id}))


def item(db: Transaction, run_id: str, position: int, index: int) -> KeptItem | None:
    """One item of a step's list; None when that was not worked out."""
    row = db.row(_ONE, {"whole": run_id, "at_position": position, "index": index})
    return None if row is None else _kept(row)


def unbegun(db: Transaction, place: Place, *, most: int) -> list[KeptItem]:
    """The first items of a step after this one that have no action run yet, ``most`` at most."""
    values = {"whole": place.run_id, "at_position": place.position, "first_number": place.first_number}
    return [_kept(row) for row in db.rows(_UNBEGUN, {**values, "after": place.item, "most": most})]


def unfinished(db: Transaction, run_id: str, position: int, first_number: int, most: int) -> list[KeptItem]:
    """The first items of a step that have not succeeded.

    Args:
        db: where to read.
        run_id: the template run's id.
        position: the step's index.
        first_number: the ``item`` of the action run of the step's first item.
        most: how many at most.
    """
    values = {"whole": run_id, "at_position": position, "first_number": first_number, "most": most}
    return [_kept(row) for row in db.rows(_UNFINISHED, values)]


def made_by_others(db: Transaction, run_id: str, position: int) -> dict[int, Mapping[str, Any]]:
    """What the items of a step have made that have succeeded, by the ``item`` of their action runs."""
    rows = db.rows(_MADE, {"whole": run_id, "at_position": position})
    return {row["item"]: row["outputs"] or {} for row in rows}


def _kept(row: Row) -> KeptItem:
    return KeptItem(row["item"], row["key"], row["value"], row["sealed_value"])
