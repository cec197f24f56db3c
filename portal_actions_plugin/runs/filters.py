"""What a list of runs can be narrowed to."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, or_

from portal_actions_plugin.models import ActionRunRow
from portal_actions_plugin.runs.text import require_storable

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
    require_storable(asdict(wanted))
    if wanted.status:
        statement = statement.where(row.status.in_(wanted.status))
    for column, value in (
        (row.template, wanted.template),
        (row.requested_by, wanted.requested_by),
        (row.entity, wanted.entity),
    ):
        if value:
            statement = statement.where(column == value)
    if wanted.since:
        statement = statement.where(row.queued_at >= wanted.since, row.id >= first_id(wanted.since))
    if wanted.until:
        statement = statement.where(row.queued_at <= wanted.until)
    if wanted.q:
        statement = statement.where(_starts_with(row, wanted.q.strip()))
    return statement


def first_id(moment: datetime) -> str:
    """The smallest UUIDv7 of a time, an hour early: ids carry the machines' clocks, ``queued_at`` the database's."""
    return id_at(moment.timestamp() - CLOCKS_APART_SECONDS)


def last_id(moment: datetime) -> str:
    """The same an hour late, above every id of that time."""
    return id_at(moment.timestamp() + CLOCKS_APART_SECONDS)


def id_at(seconds: float) -> str:
    """The smallest UUIDv7 of a moment, in seconds since 1970."""
    return str(uuid.UUID(int=min(max(0, int(seconds * 1000)), 2**48 - 1) << 80))


def _starts_with(row: Any, prefix: str) -> Any:
    names = [row.template, row.requested_by, row.requester_name, row.entity]
    if row is ActionRunRow:
        names += [row.step_id, row.action]
    conditions = [name.istartswith(prefix, autoescape=True) for name in names]
    if bounds := _id_range(prefix):
        conditions.append(and_(row.id >= bounds[0], row.id <= bounds[1]))
    return or_(*conditions)


def _id_range(prefix: str) -> tuple[str, str] | None:
    digits = prefix.replace("-", "").lower()
    if not digits or len(digits) > 32 or any(digit not in "0123456789abcdef" for digit in digits):
        return None
    return str(uuid.UUID(digits.ljust(32, "0"))), str(uuid.UUID(digits.ljust(32, "f")))
