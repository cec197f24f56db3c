"""Puts into the dictionary what is there already: values of runs from before it, and of processes of an older version.

It goes through the distinct values of each column, not through the runs: an index that has the values in order gives the
next one after any, however many runs have the same. Each pass takes one batch, and a round through all of them begins
anew a while after the last one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from sqlalchemy import Column, ColumnElement, Integer, Select, String, bindparam, select

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.dictionary import terms
from portal_actions_plugin.runs.dictionary.values import STEP_NAME, TITLE, Seen, seen_in
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading, transaction
from portal_actions_plugin.storage.sql import ONE, folded

VALUES_A_BATCH = 1_000
PAUSE_SECONDS = 900
"""From the end of a round to the next. What an older version writes meanwhile is found among the newest runs only."""


@dataclass(frozen=True, slots=True)
class _Shelf:
    """A column whose values are gone through, and what else the newest row of each value tells."""

    column: Column[Any]
    beside: Column[Any] | None
    seen: Callable[[str, Any], Iterable[Seen]]


def _plain(column: Column[Any]) -> _Shelf:
    return _Shelf(column, None, lambda value, _: seen_in(column.key, value))


def _of_definition(name: str, definition: Any) -> Iterator[Seen]:
    """What is seen of runs of a template, by its newest one."""
    yield from seen_in("template", name)
    yield from seen_in(TITLE, name, definition["title"])
    for step in definition["steps"]:
        yield from seen_in("step_id", step["id"])
        yield from seen_in(STEP_NAME, step["id"], step["name"])
        yield from seen_in("action", step["action"])


def _of_step(step_id: str, name: str | None) -> Iterator[Seen]:
    yield from seen_in("step_id", step_id)
    yield from seen_in(STEP_NAME, step_id, name or "")


_OF_TEMPLATE_RUNS, _OF_ACTION_RUNS = tables.template_runs.c, tables.action_runs.c
SHELVES = (
    _Shelf(_OF_TEMPLATE_RUNS.template, _OF_TEMPLATE_RUNS.definition, _of_definition),
    _Shelf(_OF_ACTION_RUNS.step_id, _OF_ACTION_RUNS.step_name, _of_step),
    _plain(_OF_ACTION_RUNS.action),
    _plain(_OF_TEMPLATE_RUNS.requested_by),
    _plain(_OF_TEMPLATE_RUNS.requester_name),
    _plain(_OF_TEMPLATE_RUNS.entity),
    _plain(_OF_ACTION_RUNS.requested_by),
    _plain(_OF_ACTION_RUNS.requester_name),
    _plain(_OF_ACTION_RUNS.entity),
)
"""In the order in which a round goes through them."""


@dataclass(slots=True)
class _Round:
    """How far a process has come: on which shelf, after which value; and when it may begin anew."""

    shelf: int = 0
    after: str = ""
    rest_until: float = field(default=float("-inf"))


def catch_up() -> int:
    """Put the next batch of values into the dictionary, if it is time.

    Returns:
        How many of them were new.
    """
    place = cast("_Round", extension().kept.setdefault(f"{__name__}.round", _Round()))
    if time.monotonic() < place.rest_until:
        return 0
    shelf = SHELVES[place.shelf]
    with reading() as db:
        values: Sequence[Any] = db.execute(
            _next_values(place.shelf), {"after": place.after, "many": VALUES_A_BATCH}
        ).all()
        found = [one for _, value, beside in values for one in shelf.seen(value, beside)]
        new = terms.missing(db, found)
    if new:
        with transaction("search_terms") as tx:
            terms.write(tx, new)
    if len(values) == VALUES_A_BATCH:
        place.after = values[-1][0]
    else:
        place.shelf, place.after = (place.shelf + 1) % len(SHELVES), ""
        if place.shelf == 0:
            place.rest_until = time.monotonic() + PAUSE_SECONDS
    return len(new)


@cache
def _next_values(shelf: int) -> Select[Any]:
    """The next distinct values after one, folded and as one of them is written, with what its newest run tells."""
    column, beside = SHELVES[shelf].column, SHELVES[shelf].beside
    first = select(_first_after(column, bindparam("after", type_=String())).label("value")).cte(recursive=True)
    following = select(_first_after(column, first.c.value)).where(first.c.value.is_not(None))
    distinct = first.union_all(following)
    some = (
        select(distinct.c.value)
        .where(distinct.c.value.is_not(None))
        .limit(bindparam("many", type_=Integer()))
        .subquery()
    )
    return select(
        some.c.value,
        _newest(column, some.c.value).label("written"),
        (_newest(beside, some.c.value, column) if beside is not None else some.c.value).label("beside"),
    )


def _first_after(column: Column[Any], value: ColumnElement[Any]) -> ColumnElement[Any]:
    """The first value of a column after one, by the index that has them in order."""
    next_one = select(folded(column)).where(folded(column) > value)
    if column.nullable:
        next_one = next_one.where(column.is_not(None))
    return next_one.order_by(folded(column)).limit(ONE).scalar_subquery()


def _newest(wanted: Column[Any], value: ColumnElement[Any], by: Column[Any] | None = None) -> ColumnElement[Any]:
    """A column of the newest run that has a value, by the same index."""
    column = wanted if by is None else by
    of_value = select(wanted).where(folded(column) == value)
    if column.nullable:
        of_value = of_value.where(column.is_not(None))
    return of_value.order_by(column.table.c.id.desc()).limit(ONE).scalar_subquery()
