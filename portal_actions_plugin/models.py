"""The tables. They never leave ``runs/``: everybody else gets the frozen types of ``host.py``."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, TypeVar

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnClause,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from portal_actions_plugin.sql import Id, UtcDateTime, folded

PREFIX = "portal_actions_"
VERSION_TABLE = f"{PREFIX}alembic_version"

_ACTIVE = text("status IN ('queued', 'running')")
_ENDED = text("finished_at IS NOT NULL")
_IS_RETRY = text("retry_of IS NOT NULL")
REFUSED = text("outcome IN ('denied', 'rate_limited')")
"""Of the audit. Queries say it with these very words, or SQLite does not use the index."""

WAITS_FOR_NO_LOCK = text("status = 'queued' AND lock_key IS NULL")
"""Of action runs, likewise."""

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


T = TypeVar("T")


class _TableOf(type):
    """What lets a statement take a class of rows for its table."""

    __table__: Table

    def __clause_element__(cls) -> Table:
        return cls.__table__


class Base(metaclass=_TableOf):
    """Rows of a table whose columns are the class's attributes, in our own metadata: no table of the host's is ever in it.

    SQLAlchemy's ORM gives such classes too. Nobody here needs its sessions and objects, and it costs 60 ms of each start,
    7 MB of each process, and time whenever a statement is made.
    """

    metadata = MetaData(naming_convention=_NAMING)
    __tablename__: ClassVar[str]
    __table_args__: ClassVar[tuple[Index | UniqueConstraint, ...]] = ()

    def __init_subclass__(cls) -> None:
        columns = {name: value for name, value in vars(cls).items() if isinstance(value, Column)}
        for name, column in columns.items():
            column.name = column.key = name
        cls.__table__ = Table(cls.__tablename__, cls.metadata, *columns.values(), *cls.__table_args__)


def _column(kind: TypeEngine[T], *args: Any, **kw: Any) -> ColumnClause[T]:
    return Column(kind, *args, nullable=False, **kw)


def _optional(column: ColumnClause[T]) -> ColumnClause[T | None]:
    """The same column, which may be NULL."""
    found: Any = column
    found.nullable = True
    return found  # type: ignore[no-any-return]


def _id(*args: Any, **kw: Any) -> ColumnClause[str]:
    return _column(Id(), *args, **kw)


def _word(length: int = 255, **kw: Any) -> ColumnClause[str]:
    return _column(String(length), **kw)


def _text() -> ColumnClause[str]:
    return _column(Text())


def _integer(**kw: Any) -> ColumnClause[int]:
    return _column(Integer(), **kw)


def _moment(**kw: Any) -> ColumnClause[datetime]:
    return _column(UtcDateTime(), **kw)


def _json() -> ColumnClause[Any]:
    return _column(JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql"))


def _bytes() -> ColumnClause[bytes]:
    return _column(LargeBinary())


class TemplateRunRow(Base):
    """One execution of a template. ``version`` grows with every transition of the run or of a step of it."""

    __tablename__ = f"{PREFIX}template_runs"
    __table_args__ = (
        Index(None, "status", "id"),
        Index(None, "requested_by", "queued_at"),
        Index(None, "retry_of", sqlite_where=_IS_RETRY, postgresql_where=_IS_RETRY),
        Index(
            f"uq_{PREFIX}template_runs_active_dedupe_key",
            "dedupe_key",
            unique=True,
            sqlite_where=_ACTIVE,
            postgresql_where=_ACTIVE,
        ),
        Index(
            f"ix_{PREFIX}template_runs_to_announce",
            "finished_at",
            sqlite_where=text("announced_at IS NULL"),
            postgresql_where=text("announced_at IS NULL"),
        ),
        Index(None, "finished_at", sqlite_where=_ENDED, postgresql_where=_ENDED),
    )

    id = _id(primary_key=True)
    template = _word()
    title = _text()
    template_version = _word(64)
    definition = _json()
    inputs = _json()
    secrets = _optional(_bytes())
    status = _word(16)
    version = _integer(default=1)
    requested_by = _word()
    requester_name = _text()
    entity = _optional(_word())
    origin = _optional(_json())
    dedupe_key = _optional(_word(64))
    retry_of = _optional(_id())
    resumed_step = _optional(_word())
    outputs = _optional(_json())
    queued_at = _moment()
    started_at = _optional(_moment())
    finished_at = _optional(_moment())
    announced_at = _optional(_moment())


class ActionRunRow(Base):
    """One execution of one action: a step of a template run, or a one-off."""

    __tablename__ = f"{PREFIX}action_runs"
    __table_args__ = (
        UniqueConstraint("template_run_id", "step_id", "item"),
        Index(None, "status", "id"),
        Index(None, "retry_of", sqlite_where=_IS_RETRY, postgresql_where=_IS_RETRY),
        Index(
            f"ix_{PREFIX}action_runs_one_offs",
            "requested_by",
            "queued_at",
            sqlite_where=text("template_run_id IS NULL"),
            postgresql_where=text("template_run_id IS NULL"),
        ),
        Index(
            f"ix_{PREFIX}action_runs_to_ring",
            "ring_again_at",
            sqlite_where=text("status = 'queued'"),
            postgresql_where=text("status = 'queued'"),
        ),
        Index(
            f"ix_{PREFIX}action_runs_due",
            "queue",
            "id",
            sqlite_where=WAITS_FOR_NO_LOCK,
            postgresql_where=WAITS_FOR_NO_LOCK,
        ),
        Index(
            f"ix_{PREFIX}action_runs_leases",
            "lease_expires_at",
            sqlite_where=text("status = 'running'"),
            postgresql_where=text("status = 'running'"),
        ),
        Index(
            f"ix_{PREFIX}action_runs_process_token",
            "process_token",
            sqlite_where=text("process_token IS NOT NULL"),
            postgresql_where=text("process_token IS NOT NULL"),
        ),
        Index(
            f"ix_{PREFIX}action_runs_to_announce",
            "finished_at",
            sqlite_where=text("announced_at IS NULL"),
            postgresql_where=text("announced_at IS NULL"),
        ),
        Index(None, "finished_at", sqlite_where=_ENDED, postgresql_where=_ENDED),
        Index(
            f"uq_{PREFIX}action_runs_active_dedupe_key",
            "dedupe_key",
            unique=True,
            sqlite_where=_ACTIVE,
            postgresql_where=_ACTIVE,
        ),
        Index(
            f"uq_{PREFIX}action_runs_held_lock_key",
            "lock_key",
            unique=True,
            sqlite_where=text("lock_held = 1"),  # as queries say it: SQLite matches the text, not the sense
            postgresql_where=text("lock_held"),
        ),
        Index(
            f"ix_{PREFIX}action_runs_lock_queue",
            "lock_key",
            "id",
            sqlite_where=text("status = 'queued' AND lock_key IS NOT NULL"),
            postgresql_where=text("status = 'queued' AND lock_key IS NOT NULL"),
        ),
    )

    id = _id(primary_key=True)
    template_run_id = _optional(_id(ForeignKey(f"{PREFIX}template_runs.id", ondelete="CASCADE")))
    template = _optional(_word())
    step_id = _optional(_word())
    step_name = _optional(_text())
    position = _integer(default=0)
    item = _integer(default=0)
    action = _word()
    queue = _word(64)
    status = _word(16)
    version = _integer(default=1)
    attempt = _integer(default=0)
    max_attempts = _integer()
    requested_by = _word()
    requester_name = _text()
    entity = _optional(_word())
    origin = _optional(_json())
    dedupe_key = _optional(_word(64))
    retry_of = _optional(_id())
    taken_over_from = _optional(_id())
    input = _optional(_json())
    secrets = _optional(_bytes())
    outputs = _optional(_json())
    links = _optional(_json())
    warnings = _optional(_json())
    progress_done = _optional(_integer())
    progress_total = _optional(_integer())
    error_code = _optional(_word(32))
    error_message = _optional(_text())
    error_hint = _optional(_text())
    retry_at = _optional(_moment())
    queued_at = _moment()
    not_before = _optional(_moment())
    rung_at = _optional(_moment())
    rings = _integer(default=1)
    ring_again_at = _optional(_moment())
    started_at = _optional(_moment())
    finished_at = _optional(_moment())
    announced_at = _optional(_moment())
    process_token = _optional(_id())
    worker = _optional(_word())
    lease_expires_at = _optional(_moment())
    lapse_seen_at = _optional(_moment())
    deadline_at = _optional(_moment())
    lock_key = _optional(_word())
    lock_held = _column(Boolean(), default=False)


SEARCHED: dict[type[ActionRunRow] | type[TemplateRunRow], tuple[ColumnClause[Any], ...]] = {
    TemplateRunRow: (
        TemplateRunRow.template,
        TemplateRunRow.requested_by,
        TemplateRunRow.requester_name,
        TemplateRunRow.entity,
    ),
    ActionRunRow: (
        ActionRunRow.template,
        ActionRunRow.step_id,
        ActionRunRow.action,
        ActionRunRow.requested_by,
        ActionRunRow.requester_name,
        ActionRunRow.entity,
    ),
}
"""What lists of runs are narrowed to, by a prefix or by the whole word; the index of each is in the lists' order."""

for _row, _words in SEARCHED.items():
    for _searched in _words:
        # An empty word is none to be found by, and not worth the writing.
        _known = text(f"{_searched.key} IS NOT NULL") if _row.__table__.c[_searched.key].nullable else None
        Index(
            f"ix_{_row.__tablename__}_{_searched.key}",
            folded(_searched),
            _row.id,
            sqlite_where=_known,
            postgresql_where=_known,
        )


class AttemptRow(Base):
    """One try of an action run; ``outcome`` is None while it lasts."""

    __tablename__ = f"{PREFIX}attempts"
    __table_args__ = (Index(None, "finished_at", sqlite_where=_ENDED, postgresql_where=_ENDED),)

    action_run_id = _id(ForeignKey(f"{PREFIX}action_runs.id", ondelete="CASCADE"), primary_key=True)
    number = _integer(primary_key=True, autoincrement=False)
    started_at = _moment()
    finished_at = _optional(_moment())
    outcome = _optional(_word(16))
    error_code = _optional(_word(32))
    error_message = _optional(_text())
    worker = _word()


class LogLineRow(Base):
    """A line of an action run's log."""

    __tablename__ = f"{PREFIX}log_lines"

    action_run_id = _id(ForeignKey(f"{PREFIX}action_runs.id", ondelete="CASCADE"), primary_key=True)
    seq = _integer(primary_key=True, autoincrement=False)
    attempt = _integer()
    at = _moment()
    level = _word(16)
    message = _text()


class CheckpointRow(Base):
    """A finished part of an action run, kept over attempts and readable by the runs that retry it."""

    __tablename__ = f"{PREFIX}checkpoints"

    action_run_id = _id(ForeignKey(f"{PREFIX}action_runs.id", ondelete="CASCADE"), primary_key=True)
    key = _word(primary_key=True)
    value = _json()
    made_at = _moment()


class IdempotencyKeyRow(Base):
    """Which run an identity's key started, and a keyed hash of what was asked."""

    __tablename__ = f"{PREFIX}idempotency_keys"

    requested_by = _word(primary_key=True)
    key = _word(primary_key=True)
    fingerprint = _word(64)
    kind = _word(16)
    run_id = _id(index=True)
    made_at = _moment()


class AuditRow(Base):
    """Who did what to what, and how it ended. Rows are added, and deleted by age only; ``count`` counts repeats within a minute."""

    __tablename__ = f"{PREFIX}audit"
    __table_args__ = (
        Index(None, "actor", "id"),
        Index(None, "outcome", "id"),
        Index(None, "run_id"),
        Index(f"ix_{PREFIX}audit_refusals", "outcome", "last_at", sqlite_where=REFUSED, postgresql_where=REFUSED),
    )

    id = _id(primary_key=True)
    at = _moment()
    last_at = _moment()
    actor = _word()
    event = _word(64)
    outcome = _word(32)
    target = _word()
    run_id = _optional(_id())
    template_run_id = _optional(_id())
    details = _optional(_json())
    count = _integer(default=1)


class WorkerRow(Base):
    """A worker that its supervisor has seen alive."""

    __tablename__ = f"{PREFIX}workers"

    name = _word(primary_key=True)
    queue = _word(64)
    host = _word()
    pid = _integer()
    started_at = _moment()
    seen_at = _moment(index=True)


class MetricSumRow(Base):
    """What a metric has come to over everything up to the watermark: it stays when the runs go."""

    __tablename__ = f"{PREFIX}metric_sums"

    metric = _word(64, primary_key=True)
    subject = _word(primary_key=True)
    detail = _word(32, primary_key=True)
    value: ColumnClause[float] = _column(Double())


class MetricWatermarkRow(Base):
    """Up to when everything is in the sums: one row, as soon as anything is."""

    __tablename__ = f"{PREFIX}metric_watermark"

    id = _integer(primary_key=True, autoincrement=False)
    summed_until = _moment()
