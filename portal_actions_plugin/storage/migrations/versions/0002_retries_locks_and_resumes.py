"""What retries, locks and resumed runs keep.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None



_HELD = "uq_portal_actions_action_runs_held_lock_key"


def _index_held_locks(sqlite_where: str) -> None:
    op.drop_index(_HELD, table_name="portal_actions_action_runs")
    op.create_index(
        _HELD,
        "portal_actions_action_runs",
        ["lock_key"],
        unique=True,
        sqlite_where=sa.text(sqlite_where),
        postgresql_where=sa.text("lock_held"),
    )


def upgrade() -> None:
    # SQLite uses a partial index only where a query says the same as the index, word by word.
    _index_held_locks("lock_held = 1")
    op.add_column("portal_actions_action_runs", sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("portal_actions_action_runs", sa.Column("taken_over_from", sa.Uuid(as_uuid=False), nullable=True))
    op.add_column("portal_actions_template_runs", sa.Column("resumed_step", sa.String(length=255), nullable=True))
    op.create_index(
        "ix_portal_actions_action_runs_lock_queue",
        "portal_actions_action_runs",
        ["lock_key", "id"],
        sqlite_where=sa.text("status = 'queued' AND lock_key IS NOT NULL"),
        postgresql_where=sa.text("status = 'queued' AND lock_key IS NOT NULL"),
    )
    op.create_index(op.f("ix_portal_actions_idempotency_keys_run_id"), "portal_actions_idempotency_keys", ["run_id"])


def downgrade() -> None:
    _index_held_locks("lock_held")
    op.drop_index(op.f("ix_portal_actions_idempotency_keys_run_id"), table_name="portal_actions_idempotency_keys")
    op.drop_index("ix_portal_actions_action_runs_lock_queue", table_name="portal_actions_action_runs")
    op.drop_column("portal_actions_template_runs", "resumed_step")
    op.drop_column("portal_actions_action_runs", "taken_over_from")
    op.drop_column("portal_actions_action_runs", "retry_at")
