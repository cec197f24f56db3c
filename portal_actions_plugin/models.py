"""The tables. They never leave ``runs/``: everybody else gets the frozen types of ``host.py``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Mapped, mapped_column

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


class Base(DeclarativeBase):
    """Our own metadata: no table of the host's is ever in it."""

    metadata = MetaData(naming_convention=_NAMING)
    type_annotation_map = {  # noqa: RUF012 SQLAlchemy's own hook
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql"),
        list[Any]: JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql"),
        bytes: LargeBinary(),
    }


def _id(*args: Any, **kw: Any) -> Any:
    return mapped_column(Id(), *args, **kw)


def _word(length: int = 255, **kw: Any) -> Any:
    return mapped_column(String(length), **kw)


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

    id: Mapped[str] = _id(primary_key=True)
    template: Mapped[str] = _word()
    title: Mapped[str] = mapped_column(Text)
    template_version: Mapped[str] = _word(64)
    definition: Mapped[dict[str, Any]]
    inputs: Mapped[dict[str, Any]]
    secrets: Mapped[bytes | None]
    status: Mapped[str] = _word(16)
    version: Mapped[int] = mapped_column(Integer, default=1)
    requested_by: Mapped[str] = _word()
    requester_name: Mapped[str] = mapped_column(Text)
    entity: Mapped[str | None] = _word()
    origin: Mapped[dict[str, Any] | None]
    dedupe_key: Mapped[str | None] = _word(64)
    retry_of: Mapped[str | None] = _id()
    resumed_step: Mapped[str | None] = _word()
    outputs: Mapped[dict[str, Any] | None]
    queued_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    announced_at: Mapped[datetime | None]


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

    id: Mapped[str] = _id(primary_key=True)
    template_run_id: Mapped[str | None] = _id(ForeignKey(f"{PREFIX}template_runs.id", ondelete="CASCADE"))
    template: Mapped[str | None] = _word()
    step_id: Mapped[str | None] = _word()
    step_name: Mapped[str | None] = mapped_column(Text)
    position: Mapped[int] = mapped_column(Integer, default=0)
    item: Mapped[int] = mapped_column(Integer, default=0)
    action: Mapped[str] = _word()
    queue: Mapped[str] = _word(64)
    status: Mapped[str] = _word(16)
    version: Mapped[int] = mapped_column(Integer, default=1)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    max_attempts: Mapped[int]
    requested_by: Mapped[str] = _word()
    requester_name: Mapped[str] = mapped_column(Text)
    entity: Mapped[str | None] = _word()
    origin: Mapped[dict[str, Any] | None]
    dedupe_key: Mapped[str | None] = _word(64)
    retry_of: Mapped[str | None] = _id()
    taken_over_from: Mapped[str | None] = _id()
    input: Mapped[dict[str, Any] | None]
    secrets: Mapped[bytes | None]
    outputs: Mapped[dict[str, Any] | None]
    links: Mapped[list[Any] | None]
    warnings: Mapped[list[Any] | None]
    progress_done: Mapped[int | None]
    progress_total: Mapped[int | None]
    error_code: Mapped[str | None] = _word(32)
    error_message: Mapped[str | None] = mapped_column(Text)
    error_hint: Mapped[str | None] = mapped_column(Text)
    retry_at: Mapped[datetime | None]
    queued_at: Mapped[datetime]
    not_before: Mapped[datetime | None]
    rung_at: Mapped[datetime | None]
    rings: Mapped[int] = mapped_column(Integer, default=1)
    ring_again_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    announced_at: Mapped[datetime | None]
    process_token: Mapped[str | None] = _id()
    worker: Mapped[str | None] = _word()
    lease_expires_at: Mapped[datetime | None]
    lapse_seen_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    lock_key: Mapped[str | None] = _word()
    lock_held: Mapped[bool] = mapped_column(Boolean, default=False)


SEARCHED: dict[type[ActionRunRow] | type[TemplateRunRow], tuple[InstrumentedAttribute[Any], ...]] = {
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

    action_run_id: Mapped[str] = _id(ForeignKey(f"{PREFIX}action_runs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = _word(16)
    error_code: Mapped[str | None] = _word(32)
    error_message: Mapped[str | None] = mapped_column(Text)
    worker: Mapped[str] = _word()


class LogLineRow(Base):
    """A line of an action run's log."""

    __tablename__ = f"{PREFIX}log_lines"

    action_run_id: Mapped[str] = _id(ForeignKey(f"{PREFIX}action_runs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    attempt: Mapped[int]
    at: Mapped[datetime]
    level: Mapped[str] = _word(16)
    message: Mapped[str] = mapped_column(Text)


class CheckpointRow(Base):
    """A finished part of an action run, kept over attempts and readable by the runs that retry it."""

    __tablename__ = f"{PREFIX}checkpoints"

    action_run_id: Mapped[str] = _id(ForeignKey(f"{PREFIX}action_runs.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = _word(primary_key=True)
    value: Mapped[dict[str, Any]]
    made_at: Mapped[datetime]


class IdempotencyKeyRow(Base):
    """Which run an identity's key started, and a keyed hash of what was asked."""

    __tablename__ = f"{PREFIX}idempotency_keys"

    requested_by: Mapped[str] = _word(primary_key=True)
    key: Mapped[str] = _word(primary_key=True)
    fingerprint: Mapped[str] = _word(64)
    kind: Mapped[str] = _word(16)
    run_id: Mapped[str] = _id(index=True)
    made_at: Mapped[datetime]


class AuditRow(Base):
    """Who did what to what, and how it ended. Rows are added, and deleted by age only; ``count`` counts repeats within a minute."""

    __tablename__ = f"{PREFIX}audit"
    __table_args__ = (
        Index(None, "actor", "id"),
        Index(None, "outcome", "id"),
        Index(None, "run_id"),
        Index(f"ix_{PREFIX}audit_refusals", "outcome", "last_at", sqlite_where=REFUSED, postgresql_where=REFUSED),
    )

    id: Mapped[str] = _id(primary_key=True)
    at: Mapped[datetime]
    last_at: Mapped[datetime]
    actor: Mapped[str] = _word()
    event: Mapped[str] = _word(64)
    outcome: Mapped[str] = _word(32)
    target: Mapped[str] = _word()
    run_id: Mapped[str | None] = _id()
    template_run_id: Mapped[str | None] = _id()
    details: Mapped[dict[str, Any] | None]
    count: Mapped[int] = mapped_column(Integer, default=1)


class WorkerRow(Base):
    """A worker that its supervisor has seen alive."""

    __tablename__ = f"{PREFIX}workers"

    name: Mapped[str] = _word(primary_key=True)
    queue: Mapped[str] = _word(64)
    host: Mapped[str] = _word()
    pid: Mapped[int]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(index=True)


class MetricSumRow(Base):
    """What a metric has come to over everything up to the watermark: it stays when the runs go."""

    __tablename__ = f"{PREFIX}metric_sums"

    metric: Mapped[str] = _word(64, primary_key=True)
    subject: Mapped[str] = _word(primary_key=True)
    detail: Mapped[str] = _word(32, primary_key=True)
    value: Mapped[float] = mapped_column(Double)


class MetricWatermarkRow(Base):
    """Up to when everything is in the sums: one row, as soon as anything is."""

    __tablename__ = f"{PREFIX}metric_watermark"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    summed_until: Mapped[datetime]
