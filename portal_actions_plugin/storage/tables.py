"""The tables. They never leave ``runs/``: everybody else gets the frozen types of ``host.py``."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnClause,
    ForeignKey,
    Index,
    UniqueConstraint,
    text,
)

import portal_actions_plugin.storage.side_tables  # noqa: F401 whoever has these tables has those in the metadata too
from portal_actions_plugin.storage.columns import (
    PREFIX,
    WITHOUT_ROWID,
    Base,
    column,
    identifier,
    integer,
    json_data,
    long_text,
    moment,
    optional,
    sealed,
    word,
)
from portal_actions_plugin.storage.sql import folded

VERSION_TABLE = f"{PREFIX}alembic_version"

_ENDED = text("finished_at IS NOT NULL")
_IS_RETRY = text("retry_of IS NOT NULL")
REFUSED = text("outcome IN ('denied', 'rate_limited')")
"""Of the audit. Queries say it with these very words, or SQLite does not use the index."""

UNUSUAL = text("outcome NOT IN ('accepted', 'success')")
"""Of the audit, likewise: what is usual is soon found without an index, and every run would write to it."""

ACTIVE_FIX = text("status IN ('queued', 'running') AND dedupe_key IS NOT NULL")
"""Of both kinds of run, likewise."""

TO_ANNOUNCE = text("announced_at IS NULL AND finished_at IS NOT NULL")
"""Of both kinds of run, likewise. A run that ends announced is never in it."""

QUEUED_ROW = text("status = 'queued'")
"""Of action runs, likewise."""

WANTS_LOCK = text("status = 'queued' AND lock_key IS NOT NULL")
"""Of action runs, likewise."""

NO_SUCCESS = text("outcome <> 'success'")
"""Of attempts, likewise: a success is told by its run."""

WAITS_FOR_NOBODY = text("status = 'queued' AND lock_key IS NULL AND held_back_at IS NULL")
"""Of action runs, likewise."""

HELD_BACK = text("status = 'queued' AND held_back_at IS NOT NULL")
"""Of action runs, likewise."""


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
            sqlite_where=ACTIVE_FIX,
            postgresql_where=ACTIVE_FIX,
        ),
        Index(
            f"ix_{PREFIX}template_runs_to_announce",
            "announced_at",  # always NULL: else SQLite takes the index of all that have ended, and reads them
            "finished_at",
            sqlite_where=TO_ANNOUNCE,
            postgresql_where=TO_ANNOUNCE,
        ),
        Index(None, "finished_at", sqlite_where=_ENDED, postgresql_where=_ENDED),
    )

    id = identifier(primary_key=True)
    template = word()
    title = long_text()
    template_version = word(64)
    definition = json_data()
    inputs = json_data()
    secrets = optional(sealed())
    status = word(16)
    version = integer(default=1)
    requested_by = word()
    requester_name = long_text()
    entity = optional(word())
    origin = optional(json_data())
    dedupe_key = optional(word(64))
    retry_of = optional(identifier())
    resumed_step = optional(word())
    outputs = optional(json_data())
    queued_at = moment()
    started_at = optional(moment())
    finished_at = optional(moment())
    announced_at = optional(moment())
    failed_at_step = optional(integer())


class ActionRunRow(Base):
    """One execution of one action: a step of a template run, or a one-off."""

    __tablename__ = f"{PREFIX}action_runs"
    __table_args__ = (
        UniqueConstraint("template_run_id", "step_id", "item"),  # goes with a later migration, which copies the table
        Index(f"uq_{PREFIX}action_runs_place", "template_run_id", "position", "item", unique=True),
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
            "status",  # always the same, likewise: else SQLite reads and sorts all that are queued
            "ring_again_at",
            sqlite_where=QUEUED_ROW,
            postgresql_where=QUEUED_ROW,
        ),
        Index(
            f"ix_{PREFIX}action_runs_ready",
            "queue",
            "id",
            sqlite_where=WAITS_FOR_NOBODY,
            postgresql_where=WAITS_FOR_NOBODY,
        ),
        Index(
            f"ix_{PREFIX}action_runs_held_back",
            "requested_by",
            "id",
            sqlite_where=HELD_BACK,
            postgresql_where=HELD_BACK,
        ),
        Index(
            f"ix_{PREFIX}action_runs_process_token",
            "process_token",
            sqlite_where=text("process_token IS NOT NULL"),
            postgresql_where=text("process_token IS NOT NULL"),
        ),
        Index(
            f"ix_{PREFIX}action_runs_to_announce",
            "announced_at",  # always NULL: else SQLite takes the index of all that have ended, and reads them
            "finished_at",
            sqlite_where=TO_ANNOUNCE,
            postgresql_where=TO_ANNOUNCE,
        ),
        Index(None, "finished_at", sqlite_where=_ENDED, postgresql_where=_ENDED),
        Index(
            f"uq_{PREFIX}action_runs_active_dedupe_key",
            "dedupe_key",
            unique=True,
            sqlite_where=ACTIVE_FIX,
            postgresql_where=ACTIVE_FIX,
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
            "status",  # likewise
            "lock_key",
            sqlite_where=WANTS_LOCK,
            postgresql_where=WANTS_LOCK,
        ),
    )

    id = identifier(primary_key=True)
    template_run_id = optional(identifier(ForeignKey(f"{PREFIX}template_runs.id", ondelete="CASCADE")))
    template = optional(word())
    step_id = optional(word())
    step_name = optional(long_text())
    position = integer(default=0)
    item = integer(default=0)
    action = word()
    queue = word(64)
    status = word(16)
    version = integer(default=1)
    attempt = integer(default=0)
    max_attempts = integer()
    requested_by = word()
    requester_name = long_text()
    entity = optional(word())
    origin = optional(json_data())
    dedupe_key = optional(word(64))
    retry_of = optional(identifier())
    taken_over_from = optional(identifier())
    input = optional(json_data())
    secrets = optional(sealed())
    outputs = optional(json_data())
    links = optional(json_data())
    warnings = optional(json_data())
    progress_done = optional(integer())
    progress_total = optional(integer())
    error_code = optional(word(32))
    error_message = optional(long_text())
    error_hint = optional(long_text())
    retry_at = optional(moment())
    queued_at = moment()
    not_before = optional(moment())
    rung_at = optional(moment())
    rings = integer(default=1)
    ring_again_at = optional(moment())
    started_at = optional(moment())
    finished_at = optional(moment())
    announced_at = optional(moment())
    process_token = optional(identifier())
    worker = optional(word())
    lease_expires_at = optional(moment())
    lapse_seen_at = optional(moment())
    deadline_at = optional(moment())
    lock_key = optional(word())
    lock_held = column(Boolean(), default=False)
    input_fingerprint = optional(word(64))
    held_back_at = optional(moment())


RunRow = type[ActionRunRow] | type[TemplateRunRow]
"""The table of either kind of run."""

SEARCHED: dict[RunRow, tuple[ColumnClause[Any], ...]] = {
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
    __table_args__ = (Index(None, "finished_at", sqlite_where=NO_SUCCESS, postgresql_where=NO_SUCCESS),)
    __table_options__ = WITHOUT_ROWID

    action_run_id = identifier(ForeignKey(f"{PREFIX}action_runs.id", ondelete="CASCADE"), primary_key=True)
    number = integer(primary_key=True, autoincrement=False)
    started_at = moment()
    finished_at = optional(moment())
    outcome = optional(word(16))
    error_code = optional(word(32))
    error_message = optional(long_text())
    worker = word()


class LogLineRow(Base):
    """A line of an action run's log."""

    __tablename__ = f"{PREFIX}log_lines"
    __table_options__ = WITHOUT_ROWID

    action_run_id = identifier(ForeignKey(f"{PREFIX}action_runs.id", ondelete="CASCADE"), primary_key=True)
    seq = integer(primary_key=True, autoincrement=False)
    attempt = integer()
    at = moment()
    level = word(16)
    message = long_text()


class CheckpointRow(Base):
    """A finished part of an action run, kept over attempts and readable by the runs that retry it."""

    __tablename__ = f"{PREFIX}checkpoints"

    action_run_id = identifier(ForeignKey(f"{PREFIX}action_runs.id", ondelete="CASCADE"), primary_key=True)
    key = word(primary_key=True)
    value = json_data()
    made_at = moment()


class IdempotencyKeyRow(Base):
    """Which run an identity's key started, and a keyed hash of what was asked."""

    __tablename__ = f"{PREFIX}idempotency_keys"

    requested_by = word(primary_key=True)
    key = word(primary_key=True)
    fingerprint = word(64)
    kind = word(16)
    run_id = identifier(index=True)
    made_at = moment()


class AuditRow(Base):
    """Who did what to what, and how it ended. Rows are added, and deleted by age only; ``count`` counts repeats within a minute."""

    __tablename__ = f"{PREFIX}audit"
    __table_args__ = (
        Index(None, "actor", "id"),
        Index(None, "outcome", "id", sqlite_where=UNUSUAL, postgresql_where=UNUSUAL),
        Index(None, "run_id"),
        Index(f"ix_{PREFIX}audit_refusals", "outcome", "last_at", sqlite_where=REFUSED, postgresql_where=REFUSED),
    )

    id = identifier(primary_key=True)
    at = moment()
    last_at = moment()
    actor = word()
    event = word(64)
    outcome = word(32)
    target = word()
    run_id = optional(identifier())
    template_run_id = optional(identifier())
    details = optional(json_data())
    count = integer(default=1)


class WorkerRow(Base):
    """A worker that its supervisor has seen alive."""

    __tablename__ = f"{PREFIX}workers"

    name = word(primary_key=True)
    queue = word(64)
    host = word()
    pid = integer()
    started_at = moment()
    seen_at = moment(index=True)
    version = optional(word(64))
    supervisor = optional(word())
    state = optional(word(16))
    state_since = optional(moment())
