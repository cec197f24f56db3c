"""Reading the audit: in pages, newest first, and whole, oldest first. ``audit`` writes it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import CompoundSelect, Select, select

from portal_actions_plugin.run_types import AuditEntry, Page
from portal_actions_plugin.runs import audit
from portal_actions_plugin.runs.reading import names, rows
from portal_actions_plugin.runs.reading.cursors import about
from portal_actions_plugin.runs.reading.filters import first_id, id_at, last_id
from portal_actions_plugin.runs.reading.paging import Found, Listing, Stretch, first_of, page
from portal_actions_plugin.runs.reading.records import audit_record
from portal_actions_plugin.runs.run_ids import parse_id
from portal_actions_plugin.runs.secrets.storable import require_storable
from portal_actions_plugin.runs.states import OVER, SUCCESS
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import NOTHING, Row, Transaction, reading
from portal_actions_plugin.storage.sql import now_plus

EVENTS = (
    "template_run.start",
    "template_run.retry",
    "template_run.resume",
    "template_run.cancel",
    "template_run.finish",
    "action_run.start",
    "action_run.retry",
    "action_run.cancel",
    "action_run.finish",
    "audit.read",
    *audit.TEMPLATE_EVENTS,
    audit.PRUNE,
)
OUTCOMES = (audit.ACCEPTED, audit.DENIED, audit.RATE_LIMITED, *OVER)

_USUAL = (audit.ACCEPTED, SUCCESS)

ROWS_A_PIECE = 1_000

CLOCKS_APART_SECONDS = 24 * 3600
"""How far the clocks of the machines that run a template run may be apart."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What the audit is narrowed to; empty means everything.

    Attributes:
        run_id: of a template run: the rows of its steps are found as well.
        since, until: when it was first said, for a row that counts repeats.
    """

    actor: str | None = None
    event: str | None = None
    outcome: str | None = None
    target: str | None = None
    run_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def entries(wanted: AuditFilter, *, limit: int, cursor: str | None = None) -> Page:
    """A page of the audit, newest first; raises ValidationError and NotFoundError for what can be no filter."""
    statement = _filtered(wanted)

    def read(db: Transaction, stretch: Stretch) -> Found:
        return stretch.read(db, first_of(statement, tables.audit.c.id, older=stretch.older), NOTHING)

    narrowed = asdict(replace(wanted, since=None, until=None))
    return page(Listing(read, _entries, about("audit", **narrowed)), limit, cursor)


def _entries(_db: Transaction, found: Sequence[Row]) -> list[AuditEntry]:
    return [rows.audit_entry(audit_record(row)) for row in found]


def export(wanted: AuditFilter) -> Iterator[AuditEntry]:
    """The whole audit, oldest first: in pieces, so that neither memory nor a long read stands in anybody's way.

    Raises:
        ValidationError, NotFoundError: the filter cannot be one. Raised when the first entry is asked for.
    """
    statement = _filtered(wanted).order_by(tables.audit.c.id).limit(ROWS_A_PIECE)
    piece = statement
    while True:
        with reading() as db:
            found = [rows.audit_entry(audit_record(row)) for row in db.rows(piece)]
        yield from found
        if len(found) < ROWS_A_PIECE:
            return
        piece = statement.where(tables.audit.c.id > found[-1].id)


def names_of_people(ids: Iterable[str]) -> dict[str, str]:
    """The names of those who are in the audit by their ids, as far as they have started something."""
    return names.names_of_people(ids)


def titles_of_template_runs(ids: Iterable[str]) -> dict[str, str]:
    """The titles of the template runs that are in the audit, by their ids."""
    return names.titles_of_template_runs(ids)


def moment_ago(seconds: int) -> datetime:
    """So many seconds ago, by the database's clock."""
    with reading() as db:
        (row,) = db.rows(select(now_plus(-seconds).label("then")))
    then: datetime = row["then"]
    return then


def _filtered(wanted: AuditFilter) -> Select[Any]:
    require_storable(asdict(wanted))
    statement = select(tables.audit)
    for column, value in (
        (tables.audit.c.actor, wanted.actor),
        (tables.audit.c.event, wanted.event),
        (tables.audit.c.outcome, wanted.outcome),
        (tables.audit.c.target, wanted.target),
    ):
        if value:
            statement = statement.where(column == value)
    if wanted.outcome and wanted.outcome not in _USUAL:
        statement = statement.where(tables.UNUSUAL)
    if wanted.run_id:
        statement = statement.where(tables.audit.c.id.in_(_of_run(parse_id(wanted.run_id))))
    if wanted.since:
        statement = statement.where(tables.audit.c.at >= wanted.since, tables.audit.c.id >= first_id(wanted.since))
    if wanted.until:
        statement = statement.where(tables.audit.c.at <= wanted.until, tables.audit.c.id <= last_id(wanted.until))
    return statement


def _of_run(run_id: str) -> CompoundSelect[Any]:
    """The ids of a run's rows, and of its steps': those were written between its start and its end.

    Ids are in the order of time, give or take the clocks of their makers, so their own index finds both.
    """
    its = select(tables.audit.c.id).where(tables.audit.c.run_id == run_id)
    with reading() as db:
        end = db.row(its.where(tables.audit.c.outcome.in_(OVER)).order_by(tables.audit.c.id.desc()).limit(1))
    of_steps = select(tables.audit.c.id).where(
        tables.audit.c.template_run_id == run_id, tables.audit.c.id >= id_at(_made_at(run_id) - CLOCKS_APART_SECONDS)
    )
    if end:
        of_steps = of_steps.where(tables.audit.c.id <= id_at(_made_at(end["id"]) + CLOCKS_APART_SECONDS))
    return its.union(of_steps)


def _made_at(row_id: str) -> float:
    """When a UUIDv7 was made, in seconds since 1970."""
    return (uuid.UUID(row_id).int >> 80) / 1000
