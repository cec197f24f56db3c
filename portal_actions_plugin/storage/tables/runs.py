"""The two tables of runs, and what their lists are searched by."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    TypedColumns,
    UniqueConstraint,
    text,
)

from portal_actions_plugin.storage.sql import Id, UtcDateTime, folded
from portal_actions_plugin.storage.tables.common import JSON_DATA, PREFIX, metadata, of_template_run, partial_index
from portal_actions_plugin.storage.tables.conditions import (
    ACTIVE_FIX,
    ENDED,
    HELD_BACK,
    IS_RETRY,
    QUEUED_ROW,
    TO_ANNOUNCE,
    WAITS_FOR_NOBODY,
    WANTS_LOCK,
)


class TemplateRunColumns(TypedColumns):
    """One execution of a template. ``version`` grows with every transition of the run or of a step of it."""

    id: Column[str] = Column(Id(), primary_key=True)
    template: Column[str] = Column(String(255))
    title: Column[str] = Column(Text())
    template_version: Column[str] = Column(String(64))
    definition: Column[Any] = Column(JSON_DATA)
    inputs: Column[Any] = Column(JSON_DATA)
    secrets: Column[bytes | None] = Column(LargeBinary())
    status: Column[str] = Column(String(16))
    version: Column[int] = Column(Integer(), default=1)
    requested_by: Column[str] = Column(String(255))
    requester_name: Column[str] = Column(Text())
    entity: Column[str | None] = Column(String(255))
    origin: Column[Any | None] = Column(JSON_DATA)
    dedupe_key: Column[str | None] = Column(String(64))
    retry_of: Column[str | None] = Column(Id())
    resumed_step: Column[str | None] = Column(String(255))
    outputs: Column[Any | None] = Column(JSON_DATA)
    queued_at: Column[datetime] = Column(UtcDateTime())
    started_at: Column[datetime | None] = Column(UtcDateTime())
    finished_at: Column[datetime | None] = Column(UtcDateTime())
    announced_at: Column[datetime | None] = Column(UtcDateTime())
    failed_at_step: Column[int | None] = Column(Integer())


template_runs = Table(
    f"{PREFIX}template_runs",
    metadata,
    TemplateRunColumns,
    Index(None, "status", "id"),
    Index(None, "requested_by", "queued_at"),
    partial_index(None, "retry_of", where=IS_RETRY),
    partial_index(f"uq_{PREFIX}template_runs_active_dedupe_key", "dedupe_key", unique=True, where=ACTIVE_FIX),
    partial_index(
        f"ix_{PREFIX}template_runs_to_announce",
        "announced_at",  # always NULL: else SQLite takes the index of all that have ended, and reads them
        "finished_at",
        where=TO_ANNOUNCE,
    ),
    partial_index(None, "finished_at", where=ENDED),
)


class ActionRunColumns(TypedColumns):
    """One execution of one action: a step of a template run, or a one-off."""

    id: Column[str] = Column(Id(), primary_key=True)
    template_run_id: Column[str | None] = Column(Id(), of_template_run())
    template: Column[str | None] = Column(String(255))
    step_id: Column[str | None] = Column(String(255))
    step_name: Column[str | None] = Column(Text())
    position: Column[int] = Column(Integer(), default=0)
    item: Column[int] = Column(Integer(), default=0)
    action: Column[str] = Column(String(255))
    queue: Column[str] = Column(String(64))
    status: Column[str] = Column(String(16))
    version: Column[int] = Column(Integer(), default=1)
    attempt: Column[int] = Column(Integer(), default=0)
    max_attempts: Column[int] = Column(Integer())
    requested_by: Column[str] = Column(String(255))
    requester_name: Column[str] = Column(Text())
    entity: Column[str | None] = Column(String(255))
    origin: Column[Any | None] = Column(JSON_DATA)
    dedupe_key: Column[str | None] = Column(String(64))
    retry_of: Column[str | None] = Column(Id())
    taken_over_from: Column[str | None] = Column(Id())
    input: Column[Any | None] = Column(JSON_DATA)
    secrets: Column[bytes | None] = Column(LargeBinary())
    outputs: Column[Any | None] = Column(JSON_DATA)
    links: Column[Any | None] = Column(JSON_DATA)
    warnings: Column[Any | None] = Column(JSON_DATA)
    progress_done: Column[int | None] = Column(Integer())
    progress_total: Column[int | None] = Column(Integer())
    error_code: Column[str | None] = Column(String(32))
    error_message: Column[str | None] = Column(Text())
    error_hint: Column[str | None] = Column(Text())
    retry_at: Column[datetime | None] = Column(UtcDateTime())
    queued_at: Column[datetime] = Column(UtcDateTime())
    not_before: Column[datetime | None] = Column(UtcDateTime())
    rung_at: Column[datetime | None] = Column(UtcDateTime())
    rings: Column[int] = Column(Integer(), default=1)
    ring_again_at: Column[datetime | None] = Column(UtcDateTime())
    started_at: Column[datetime | None] = Column(UtcDateTime())
    finished_at: Column[datetime | None] = Column(UtcDateTime())
    announced_at: Column[datetime | None] = Column(UtcDateTime())
    process_token: Column[str | None] = Column(Id())
    worker: Column[str | None] = Column(String(255))
    lease_expires_at: Column[datetime | None] = Column(UtcDateTime())
    lapse_seen_at: Column[datetime | None] = Column(UtcDateTime())
    deadline_at: Column[datetime | None] = Column(UtcDateTime())
    lock_key: Column[str | None] = Column(String(255))
    lock_held: Column[bool] = Column(Boolean(), default=False)
    input_fingerprint: Column[str | None] = Column(String(64))
    held_back_at: Column[datetime | None] = Column(UtcDateTime())


action_runs = Table(
    f"{PREFIX}action_runs",
    metadata,
    ActionRunColumns,
    UniqueConstraint("template_run_id", "step_id", "item"),  # goes with a later migration, which copies the table
    Index(f"uq_{PREFIX}action_runs_place", "template_run_id", "position", "item", unique=True),
    Index(None, "status", "id"),
    partial_index(None, "retry_of", where=IS_RETRY),
    partial_index(
        f"ix_{PREFIX}action_runs_one_offs", "requested_by", "queued_at", where=text("template_run_id IS NULL")
    ),
    partial_index(
        f"ix_{PREFIX}action_runs_to_ring",
        "status",  # always the same: else SQLite reads and sorts all that are queued
        "ring_again_at",
        where=QUEUED_ROW,
    ),
    partial_index(f"ix_{PREFIX}action_runs_ready", "queue", "id", where=WAITS_FOR_NOBODY),
    partial_index(f"ix_{PREFIX}action_runs_held_back", "requested_by", "id", where=HELD_BACK),
    partial_index(f"ix_{PREFIX}action_runs_process_token", "process_token", where=text("process_token IS NOT NULL")),
    partial_index(
        f"ix_{PREFIX}action_runs_to_announce",
        "announced_at",  # always NULL: else SQLite takes the index of all that have ended, and reads them
        "finished_at",
        where=TO_ANNOUNCE,
    ),
    partial_index(None, "finished_at", where=ENDED),
    partial_index(f"uq_{PREFIX}action_runs_active_dedupe_key", "dedupe_key", unique=True, where=ACTIVE_FIX),
    Index(
        f"uq_{PREFIX}action_runs_held_lock_key",
        "lock_key",
        unique=True,
        sqlite_where=text("lock_held = 1"),  # as queries say it: SQLite matches the text, not the sense
        postgresql_where=text("lock_held"),
    ),
    partial_index(
        f"ix_{PREFIX}action_runs_lock_queue",
        "status",  # always the same, as in the index of doorbells
        "lock_key",
        where=WANTS_LOCK,
    ),
)


RunTable = Table[ActionRunColumns] | Table[TemplateRunColumns]
"""The table of either kind of run."""

SEARCHED: dict[RunTable, tuple[Column[str] | Column[str | None], ...]] = {
    template_runs: (
        template_runs.c.template,
        template_runs.c.requested_by,
        template_runs.c.requester_name,
        template_runs.c.entity,
    ),
    action_runs: (
        action_runs.c.template,
        action_runs.c.step_id,
        action_runs.c.action,
        action_runs.c.requested_by,
        action_runs.c.requester_name,
        action_runs.c.entity,
    ),
}
"""What lists of runs are narrowed to, by a prefix or by the whole word; the index of each is in the lists' order."""

for _table, _words in SEARCHED.items():
    for _searched in _words:
        # An empty word is none to be found by, and not worth the writing.
        _known = text(f"{_searched.key} IS NOT NULL") if _searched.nullable else None
        partial_index(f"ix_{_table.name}_{_searched.key}", folded(_searched), _table.c.id, where=_known)
