"""What a search sends to the database: its sources of rows, each in the order of the list.

A statement depends on nothing but its kind, and is made once for each: making one takes longer than running it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnClause,
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    literal,
    select,
    true,
    union_all,
)

from portal_actions_plugin.runs.dictionary.values import TITLE
from portal_actions_plugin.runs.reading.filters import conditions, is_known, last_id
from portal_actions_plugin.runs.reading.list_statements import KEPT, ListKind, kept, narrowed
from portal_actions_plugin.runs.reading.paging import START, beyond, first_of, in_order
from portal_actions_plugin.runs.reading.search.matching import SHOWN
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Statement
from portal_actions_plugin.storage.sql import (
    ONE,
    Id,
    after_in_index,
    before_in_index,
    checked,
    down_the_index,
    folded,
    up_the_index,
)
from portal_actions_plugin.storage.statements import CompiledOnce

_MANY = bindparam("many", type_=Integer())
_STATUS = bindparam("status", type_=String())

BUNCHES = (1, 2, 4, 8, 16, 32)
"""A statement takes so many values of a column: fewer are filled up, or each number would be another statement."""


@dataclass(frozen=True, slots=True)
class SourceKind:
    """What the statement of a source of rows depends on: all but the values.

    Attributes:
        kind: of the list. Its filters are looked at in each row, and lead to none.
        one_status: whether the rows come from the index of the one status that is wanted.
        titled: whether the titles of runs are read as well.
        led: whether values or ids lead to the rows; else they are all rows.
        bunches: how many values of which columns do.
        ids: whether what begins with an id leads to rows as well.
    """

    kind: ListKind
    one_status: bool
    titled: bool
    led: bool = False
    bunches: tuple[tuple[str, int], ...] = ()
    ids: bool = False


LED_BY = ("template", "step_id", "action", "requested_by", "requester_name", "entity")
"""The columns whose indexes lead to runs."""


def bunch(values: Mapping[str, Sequence[str]]) -> tuple[tuple[str, int], ...]:
    """How many values of each column a statement takes, for at least one of each."""
    return tuple(
        (name, next(size for size in BUNCHES if size >= len(several))) for name, several in sorted(values.items())
    )


def bunch_values(values: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The parameters of such a statement; the last value fills it up."""
    return {
        _parameter(name, place): values[name][min(place, len(values[name]) - 1)]
        for name, size in bunch(values)
        for place in range(size)
    }


def bounds(filters: Mapping[str, Any]) -> dict[str, str]:
    """What goes with the filters of time: between which ids their runs are."""
    return {"last_id": last_id(filters["until"])} if "until" in filters else {}


def _parameter(name: str, place: int) -> str:
    return f"{name}_{place}"


def _id(name: str) -> BindParameter[str]:
    return bindparam(name, type_=Id())


@lru_cache(maxsize=KEPT)
def rows_of(source: SourceKind) -> Statement:
    """The first rows of a source beyond the start: both ids, what is seen in them, and whether the filters hold."""
    return kept(_rows_of(source), source.kind)


def _rows_of(source: SourceKind) -> Select[Any]:
    table = source.kind.table
    statement = select(table.c.id, *_shown(source), _holds(source.kind).label("holds"))
    if not source.led:
        return first_of(_within(statement, source), table.c.id, _MANY, older=source.kind.older)
    if len(source.bunches) == 1 and source.bunches[0][1] == 1 and not source.ids:
        return _of_value(statement, source, source.bunches[0][0], 0)
    found = statement.where(table.c.id.in_(select(_ids_of(source).c.id)))
    return in_order(found, table.c.id, older=source.kind.older)


def _ids_of(source: SourceKind) -> Any:
    """The first ids that the values lead to, each found by its index."""
    table, older = source.kind.table, source.kind.older
    ids = select(table.c.id)
    parts = [_of_value(ids, source, name, place) for name, size in source.bunches for place in range(size)]
    if source.ids:
        own = table.c.id.between(_id("first_own_id"), _id("last_own_id"))
        parts.append(first_of(_within(ids.where(own), source), table.c.id, _MANY, older=older))
        if table is tables.action_runs:
            its = tables.action_runs.c.template_run_id.between(_id("first_own_id"), _id("last_own_id"))
            parts.append(_within(ids.where(its, beyond(table.c.id, older=older)), source))
    # Else a database may think it better to walk in the order of ids until there are enough of them.
    found = union_all(*(select(part.subquery().c.id) for part in parts)).cte().prefix_with("MATERIALIZED")
    distinct = in_order(select(found.c.id).distinct(), found.c.id, older=older).limit(_MANY)
    return distinct.cte().prefix_with("MATERIALIZED")


def _of_value(statement: Select[Any], source: SourceKind, name: str, place: int) -> Select[Any]:
    """The first rows that have a value, in the order of its index."""
    table, older = source.kind.table, source.kind.older
    column: ColumnClause[Any] = table.c[name]
    in_index, in_its_order = (before_in_index, down_the_index) if older else (after_in_index, up_the_index)
    value = folded(bindparam(_parameter(name, place), type_=String()))
    rows = statement.where(is_known(column), in_index(folded(column), table.c.id, value, START))
    return _within(rows, source).order_by(in_its_order(folded(column), table.c.id)).limit(_MANY)


def _within(statement: Select[Any], source: SourceKind) -> Select[Any]:
    """What the filters say about ids: none beyond is looked at."""
    key = source.kind.table.c.id
    if "since" in source.kind.filters:
        statement = statement.where(key >= _id("first_id"))
    if "until" in source.kind.filters:
        statement = statement.where(key <= _id("last_id"))
    if source.one_status:
        statement = statement.where(source.kind.table.c.status == _STATUS)
    return statement


def _shown(source: SourceKind) -> list[ColumnElement[Any]]:
    table = source.kind.table
    of_run = table.c.template_run_id if table is tables.action_runs else literal(None)
    return [of_run.label("template_run_id"), *(_column(table, name, source.titled) for name in SHOWN)]


def _column(table: tables.RunTable, name: str, titled: bool) -> ColumnElement[Any]:  # noqa: FBT001 of a source's kind
    """What is seen by this name in a run, or nothing: titles of steps are their template runs'."""
    if name in table.c:
        return table.c[name]
    if name == TITLE and titled:
        of_run = tables.template_runs.c
        its = of_run.id == tables.action_runs.c.template_run_id
        return select(of_run.title).where(its).scalar_subquery().label(TITLE)
    return literal(None).label(name)


def _holds(kind: ListKind) -> ColumnElement[bool]:
    executed = [tables.action_runs.c.taken_over_from.is_(None)] if kind.table is tables.action_runs else []
    return checked(and_(true(), *executed, *conditions(kind.table, kind.filters)))


@lru_cache(maxsize=KEPT)
def whole_rows(kind: ListKind) -> Select[Any]:
    """The runs that were found, whole, for ``Stretch.read``."""
    unfiltered = ListKind(kind.table, (), kind.older)
    found = kind.table.c.id.in_(bindparam("found", type_=Id(), expanding=True))
    return first_of(narrowed(unfiltered).where(found), kind.table.c.id, older=kind.older)


@lru_cache
def any_of_ids(table: tables.RunTable) -> CompiledOnce:
    """A row where any id of these is there."""
    return CompiledOnce(_any_of_ids(table))


def _any_of_ids(table: tables.RunTable) -> Select[Any] | CompoundSelect[Any]:
    between = _id("first_own_id"), _id("last_own_id")
    own = select(table.c.id).where(table.c.id.between(*between)).limit(ONE)
    if table is not tables.action_runs:
        return own
    step = tables.action_runs.c
    its = select(step.id).where(step.template_run_id.between(*between)).limit(ONE)
    return union_all(*(select(part.subquery().c.id) for part in (own, its)))
