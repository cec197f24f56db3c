"""What belongs to the portal as a whole, and outlives its runs: audit, workers, keys, sums."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Double, Index, Integer, LargeBinary, String, Table, TypedColumns

from portal_actions_plugin.storage.sql import Id, UtcDateTime
from portal_actions_plugin.storage.tables.common import JSON_DATA, PREFIX, metadata, partial_index
from portal_actions_plugin.storage.tables.conditions import REFUSED, UNUSUAL


class IdempotencyKeyColumns(TypedColumns):
    """Which run an identity's key started, and a keyed hash of what was asked."""

    requested_by: Column[str] = Column(String(255), primary_key=True)
    key: Column[str] = Column(String(255), primary_key=True)
    fingerprint: Column[str] = Column(String(64))
    kind: Column[str] = Column(String(16))
    run_id: Column[str] = Column(Id(), index=True)
    made_at: Column[datetime] = Column(UtcDateTime())


idempotency_keys = Table(
    f"{PREFIX}idempotency_keys",
    metadata,
    IdempotencyKeyColumns,
)


class AuditColumns(TypedColumns):
    """Who did what to what, and how it ended. Rows are added, and deleted by age only; ``count`` counts repeats within a minute."""

    id: Column[str] = Column(Id(), primary_key=True)
    at: Column[datetime] = Column(UtcDateTime())
    last_at: Column[datetime] = Column(UtcDateTime())
    actor: Column[str] = Column(String(255))
    event: Column[str] = Column(String(64))
    outcome: Column[str] = Column(String(32))
    target: Column[str] = Column(String(255))
    run_id: Column[str | None] = Column(Id())
    template_run_id: Column[str | None] = Column(Id())
    details: Column[Any | None] = Column(JSON_DATA)
    count: Column[int] = Column(Integer(), default=1)


audit = Table(
    f"{PREFIX}audit",
    metadata,
    AuditColumns,
    Index(None, "actor", "id"),
    partial_index(None, "outcome", "id", where=UNUSUAL),
    Index(None, "run_id"),
    partial_index(f"ix_{PREFIX}audit_refusals", "outcome", "last_at", where=REFUSED),
)


class TemplateFileColumns(TypedColumns):
    """The files of a template that its steps name, as they were when runs of it were started: stored once for all of these.

    Piece 0 says of which template they are, and since when no run was started with them. ``content`` is in the other
    pieces, where contents are kept in PostgreSQL; ``store`` names where they are else.
    """

    key: Column[str] = Column(String(64), primary_key=True)
    piece: Column[int] = Column(Integer(), primary_key=True, autoincrement=False)
    template: Column[str | None] = Column(String(255))
    store: Column[str | None] = Column(String(32))
    used_at: Column[datetime | None] = Column(UtcDateTime())
    content: Column[bytes | None] = Column(LargeBinary())


template_files = Table(
    f"{PREFIX}template_files",
    metadata,
    TemplateFileColumns,
)


class WorkerColumns(TypedColumns):
    """A worker that its supervisor has seen alive."""

    name: Column[str] = Column(String(255), primary_key=True)
    queue: Column[str] = Column(String(64))
    host: Column[str] = Column(String(255))
    pid: Column[int] = Column(Integer())
    started_at: Column[datetime] = Column(UtcDateTime())
    seen_at: Column[datetime] = Column(UtcDateTime(), index=True)
    version: Column[str | None] = Column(String(64))
    supervisor: Column[str | None] = Column(String(255))
    state: Column[str | None] = Column(String(16))
    state_since: Column[datetime | None] = Column(UtcDateTime())


workers = Table(
    f"{PREFIX}workers",
    metadata,
    WorkerColumns,
)


class SearchTermColumns(TypedColumns):
    """A word, folded, and a value of a column that it stands in. Words that begin alike stand together."""

    word: Column[str] = Column(String(255).with_variant(String(255, collation="C"), "postgresql"), primary_key=True)
    field: Column[str] = Column(String(64), primary_key=True)
    value: Column[str] = Column(String(255), primary_key=True)


search_terms = Table(
    f"{PREFIX}search_terms",
    metadata,
    SearchTermColumns,
    sqlite_with_rowid=False,  # SQLite then keeps the rows in their primary key, where it else keeps both
)


class ForgePauseColumns(TypedColumns):
    """Until when nobody calls a forge with a credential, which is kept as a hash; ``refusals`` in a row make it longer.

    ``pace_ms`` is how far apart its calls are since it was refused, and ``next_at`` when the next one has its turn.
    """

    installation: Column[str] = Column(String(255), primary_key=True)
    credential: Column[str] = Column(String(64), primary_key=True)
    until: Column[datetime] = Column(UtcDateTime())
    refusals: Column[int] = Column(Integer(), default=1)
    pace_ms: Column[int | None] = Column(Integer())
    next_at: Column[datetime | None] = Column(UtcDateTime())


forge_pauses = Table(
    f"{PREFIX}forge_pauses",
    metadata,
    ForgePauseColumns,
)


class DatabaseIdentityColumns(TypedColumns):
    """Which database this is, in one row: names that several portals share on one Redis carry it.

    ``oldest_code`` is the oldest revision whose code still lives with these tables: whoever knows it may work with them.
    """

    id: Column[int] = Column(Integer(), primary_key=True, autoincrement=False)
    identity: Column[str] = Column(Id())
    made_at: Column[datetime] = Column(UtcDateTime())
    oldest_code: Column[str] = Column(String(32))


database_identity = Table(
    f"{PREFIX}database_identity",
    metadata,
    DatabaseIdentityColumns,
)


class MetricSumColumns(TypedColumns):
    """What a metric has come to over everything up to the watermark: it stays when the runs go."""

    metric: Column[str] = Column(String(64), primary_key=True)
    subject: Column[str] = Column(String(255), primary_key=True)
    detail: Column[str] = Column(String(32), primary_key=True)
    value: Column[float] = Column(Double())


metric_sums = Table(
    f"{PREFIX}metric_sums",
    metadata,
    MetricSumColumns,
)


class MetricWatermarkColumns(TypedColumns):
    """Up to when everything is in the sums: one row, as soon as anything is."""

    id: Column[int] = Column(Integer(), primary_key=True, autoincrement=False)
    summed_until: Column[datetime] = Column(UtcDateTime())


metric_watermark = Table(
    f"{PREFIX}metric_watermark",
    metadata,
    MetricWatermarkColumns,
)
