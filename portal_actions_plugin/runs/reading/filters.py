"""What a list of runs can be narrowed to."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnClause,
    ColumnElement,
    String,
    and_,
    bindparam,
    not_,
    or_,
    select,
    true,
)

from portal_actions_plugin.runs.reading.cursors import about
from portal_actions_plugin.runs.secrets.storable import require_storable
from portal_actions_plugin.software_templates.spec import ITEMS_OF_A_STEP
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sql import Id, UtcDateTime, checked, folded

CLOCKS_APART_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What a list is narrowed to; empty means everything.

    ``action``, ``template``, ``requested_by`` and ``entity`` are names as people see them: an entity's with or without
    kind and namespace, a template's title, a person's. ``q`` has words that all have to begin a visible one. ``folded``
    lists the items of a step as one: the first that the list has.
    """

    status: tuple[str, ...] = ()
    action: str | None = None
    template: str | None = None
    requested_by: str | None = None
    entity: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str | None = None
    folded: bool = False


def bound_to(name: str, wanted: RunFilter) -> str:
    """What the cursors of a narrowed list are bound to.

    Times have no part in it: a page that shows the last day has other bounds each time, and is the same list.
    """
    timeless = asdict(replace(wanted, since=None, until=None, q=(wanted.q or "").strip()))
    if not wanted.folded:
        del timeless["folded"]  # cursors of before it was there stay good
    return about(name, **timeless)


def set_filters(wanted: RunFilter) -> dict[str, Any]:
    """The filters that are set, by their names, but for ``q``: that is up to ``search``. Raises ValidationError.

    One status is ``status``, several are ``statuses``: those are other statements, and only the first is always the same.
    """
    given = asdict(wanted)
    require_storable(given)
    filters = {name: value for name, value in given.items() if value and name != "q"}
    several = filters.pop("status", ())
    if several:
        filters |= {"status": several[0]} if len(several) == 1 else {"statuses": several}
    return filters


def values_of(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The values that go with the conditions of these filters."""
    values = {name: value for name, value in filters.items() if name != FOLDED}
    return {**values, "first_id": first_id(filters["since"])} if "since" in filters else values


FOLDED = "folded"
"""The filter that has no value: what it means depends on the others."""


LISTS = frozenset({"statuses", "actions"})
"""The filters that take several values: their statements are other ones for each number of values."""


def conditions(table: tables.RunTable, names: Iterable[str]) -> list[ColumnElement[bool]]:
    """What rows have to be, for the filters of these names, whatever their values."""
    several = [*names]
    found = [_CONDITIONS[name](table) for name in several if name != FOLDED]
    return [*found, _is_first_item(several)] if FOLDED in several and table is tables.action_runs else found


def _is_first_item(names: Iterable[str]) -> ColumnElement[bool]:
    """Whether an action run is the first of its step that a list has with these filters."""
    run, other = tables.action_runs.c, tables.action_runs.alias()
    differing = [_CONDITIONS[name](other) for name in names if name in _OF_ITEMS]  # by all others, items are alike
    before = (
        select(other.c.id)
        .where(other.c.template_run_id == run.template_run_id, other.c.position == run.position)
        .where(other.c.item < run.item, other.c.step_id == run.step_id, other.c.taken_over_from.is_(None), *differing)
        .correlate(tables.action_runs)
    )
    return or_(run.item % ITEMS_OF_A_STEP == 0, not_(before.exists()))


def same(column: ColumnClause[Any], value: str | BindParameter[str]) -> ColumnElement[bool]:
    """Whether a searched column holds this very value, by the index that it has for prefixes."""
    return and_(is_known(column), folded(column) == folded(value), checked(column == value))


def is_known(column: ColumnClause[Any]) -> ColumnElement[bool]:
    """What the index of a searched column is limited to: SQLite takes it only for who says so."""
    return column.is_not(None) if cast("Column[Any]", column).nullable else true()


def first_id(moment: datetime) -> str:
    """The smallest UUIDv7 of a time, an hour early: ids carry the machines' clocks, ``queued_at`` the database's."""
    return id_at(moment.timestamp() - CLOCKS_APART_SECONDS)


def last_id(moment: datetime) -> str:
    """A UUIDv7 above every id of a time, an hour late: ids carry the machines' clocks, ``queued_at`` the database's."""
    return id_at(moment.timestamp() + CLOCKS_APART_SECONDS)


def id_at(seconds: float) -> str:
    """The smallest UUIDv7 of a moment, in seconds since 1970."""
    return str(uuid.UUID(int=min(max(0, int(seconds * 1000)), 2**48 - 1) << 80))


def _word(name: str) -> BindParameter[str]:
    return bindparam(name, type_=String())


def _of_action(table: tables.RunTable) -> ColumnElement[bool]:
    if table is tables.action_runs:
        return same(tables.action_runs.c.action, _word("action"))
    step = tables.action_runs.c
    return select(step.id).where(step.template_run_id == table.c.id, step.action == _word("action")).exists()


def _of_actions(table: tables.RunTable) -> ColumnElement[bool]:
    step = tables.action_runs.c
    several = step.action.in_(bindparam("actions", type_=String(), expanding=True))
    return select(step.id).where(step.template_run_id == table.c.id, several).exists()


def _since(table: tables.RunTable) -> ColumnElement[bool]:
    since = bindparam("since", type_=UtcDateTime())
    return and_(table.c.queued_at >= since, table.c.id >= bindparam("first_id", type_=Id()))


_OF_ITEMS = frozenset({"status", "statuses", "since", "until"})
"""The filters by which items of one step differ."""

_CONDITIONS: Mapping[str, Callable[[Any], ColumnElement[bool]]] = {
    "status": lambda table: table.c.status == _word("status"),
    "statuses": lambda table: table.c.status.in_(bindparam("statuses", type_=String(), expanding=True)),
    "action": _of_action,
    "actions": _of_actions,
    "template": lambda table: same(table.c.template, _word("template")),
    "requested_by": lambda table: same(table.c.requested_by, _word("requested_by")),
    "requester_name": lambda table: same(table.c.requester_name, _word("requester_name")),
    "entity": lambda table: same(table.c.entity, _word("entity")),
    "since": _since,
    "until": lambda table: table.c.queued_at <= bindparam("until", type_=UtcDateTime()),
}
