"""What a list of runs can be narrowed to."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import BindParameter, Column, ColumnClause, ColumnElement, Select, and_, true

from portal_actions_plugin.runs.text import require_storable
from portal_actions_plugin.sql import checked, folded

CLOCKS_APART_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class RunFilter:
    """What a list is narrowed to; empty means everything. ``q`` is a prefix of an id, name, requester or entity."""

    status: tuple[str, ...] = ()
    action: str | None = None
    template: str | None = None
    requested_by: str | None = None
    entity: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str | None = None


def filtered(statement: Select[Any], row: Any, wanted: RunFilter) -> Select[Any]:
    """Narrow a list to what is wanted, but for ``q``: that is up to ``search``."""
    require_storable(asdict(wanted))
    if wanted.status:
        statement = statement.where(row.status.in_(wanted.status))
    for column, value in (
        (row.template, wanted.template),
        (row.requested_by, wanted.requested_by),
        (row.entity, wanted.entity),
    ):
        if value:
            statement = statement.where(same(column, value))
    if wanted.since:
        statement = statement.where(row.queued_at >= wanted.since, row.id >= first_id(wanted.since))
    if wanted.until:
        statement = statement.where(row.queued_at <= wanted.until)
    return statement


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
    """The same an hour late, above every id of that time."""
    return id_at(moment.timestamp() + CLOCKS_APART_SECONDS)


def id_at(seconds: float) -> str:
    """The smallest UUIDv7 of a moment, in seconds since 1970."""
    return str(uuid.UUID(int=min(max(0, int(seconds * 1000)), 2**48 - 1) << 80))
