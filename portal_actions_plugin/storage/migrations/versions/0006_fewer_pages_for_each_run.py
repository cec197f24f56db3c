"""Fewer pages written for each run: rows within their primary key, and indexes without what every run would write.

Revision ID: 0006
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TEMPLATE_RUNS = "portal_actions_template_runs"
_ACTION_RUNS = "portal_actions_action_runs"
_ATTEMPTS = "portal_actions_attempts"
_AUDIT = "portal_actions_audit"
_LOG_LINES = "portal_actions_log_lines"


@dataclass(frozen=True)
class _Index:
    name: str
    table: str
    columns: Sequence[str]
    where: str | None
    unique: bool = False

    def create(self) -> None:
        where = None if self.where is None else sa.text(self.where)
        op.create_index(
            self.name, self.table, self.columns, unique=self.unique, sqlite_where=where, postgresql_where=where
        )

    def drop(self) -> None:
        op.drop_index(self.name, table_name=self.table)


_LEASES = _Index("ix_portal_actions_action_runs_leases", _ACTION_RUNS, ["lease_expires_at"], "status = 'running'")
_TO_RING = "ix_portal_actions_action_runs_to_ring"
_LOCK_QUEUE = "ix_portal_actions_action_runs_lock_queue"
_WANTS_LOCK = "status = 'queued' AND lock_key IS NOT NULL"
_NO_SUCCESSES = "ix_portal_actions_attempts_finished_at"
_OUTCOMES = "ix_portal_actions_audit_outcome_id"

_BEFORE = (
    *(
        index
        for table in (_TEMPLATE_RUNS, _ACTION_RUNS)
        for index in (
            _Index(f"ix_{table}_to_announce", table, ["finished_at"], "announced_at IS NULL"),
            _Index(f"uq_{table}_active_dedupe_key", table, ["dedupe_key"], "status IN ('queued', 'running')", True),
        )
    ),
    _LEASES,
    _Index(_TO_RING, _ACTION_RUNS, ["ring_again_at"], "status = 'queued'"),
    _Index(_LOCK_QUEUE, _ACTION_RUNS, ["lock_key", "id"], _WANTS_LOCK),
    _Index(_NO_SUCCESSES, _ATTEMPTS, ["finished_at"], "finished_at IS NOT NULL"),
    _Index(_OUTCOMES, _AUDIT, ["outcome", "id"], None),
)
_AFTER = (
    *(
        index
        for table in (_TEMPLATE_RUNS, _ACTION_RUNS)
        for index in (
            _Index(
                f"ix_{table}_to_announce",
                table,
                ["announced_at", "finished_at"],
                "announced_at IS NULL AND finished_at IS NOT NULL",
            ),
            _Index(
                f"uq_{table}_active_dedupe_key",
                table,
                ["dedupe_key"],
                "status IN ('queued', 'running') AND dedupe_key IS NOT NULL",
                True,
            ),
        )
    ),
    _Index(_TO_RING, _ACTION_RUNS, ["status", "ring_again_at"], "status = 'queued'"),
    _Index(_LOCK_QUEUE, _ACTION_RUNS, ["status", "lock_key"], _WANTS_LOCK),
    _Index(_NO_SUCCESSES, _ATTEMPTS, ["finished_at"], "outcome <> 'success'"),
    _Index(_OUTCOMES, _AUDIT, ["outcome", "id"], "outcome NOT IN ('accepted', 'success')"),
)


def upgrade() -> None:
    _change(_BEFORE, _AFTER, with_rowid=False)


def downgrade() -> None:
    _change(_AFTER, _BEFORE, with_rowid=True)


def _change(old: Sequence[_Index], new: Sequence[_Index], *, with_rowid: bool) -> None:
    for index in old:
        index.drop()
    if op.get_bind().dialect.name == "sqlite":
        _rebuild(_ATTEMPTS, _attempt(), with_rowid=with_rowid)
        _rebuild(_LOG_LINES, _log_line(), with_rowid=with_rowid)
    for index in new:
        index.create()


def _rebuild(table: str, columns: Sequence[sa.Column[Any]], *, with_rowid: bool) -> None:
    """Copy a table whose first two columns are its primary key: SQLite cannot change where it keeps the rows."""
    rebuilt, key = f"{table}_rebuilt", [column.name for column in columns[:2]]
    op.create_table(
        rebuilt,
        *columns,
        sa.ForeignKeyConstraint(
            ["action_run_id"], [f"{_ACTION_RUNS}.id"], name=op.f(f"fk_{table}_action_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{table}")),
        sqlite_with_rowid=with_rowid,
    )
    names = ", ".join(column.name for column in columns)
    # What somebody has left without its run, by deleting that with a tool that knows no foreign keys, would be refused.
    of_runs = f"action_run_id IN (SELECT id FROM {_ACTION_RUNS})"
    # In the order of the key pages are filled one after the other.
    op.execute(f"INSERT INTO {rebuilt} ({names}) SELECT {names} FROM {table} WHERE {of_runs} ORDER BY {', '.join(key)}")  # noqa: S608 our names
    op.drop_table(table)
    op.rename_table(rebuilt, table)


def _attempt() -> Sequence[sa.Column[Any]]:
    return (
        sa.Column("action_run_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("error_code", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("worker", sa.String(length=255), nullable=False),
    )


def _log_line() -> Sequence[sa.Column[Any]]:
    return (
        sa.Column("action_run_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
    )
