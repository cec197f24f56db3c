"""the tables of runs"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "portal_actions_audit",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("run_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("template_run_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("details", JSON, nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_actions_audit")),
    )
    op.create_index(op.f("ix_portal_actions_audit_actor_id"), "portal_actions_audit", ["actor", "id"], unique=False)
    op.create_index(op.f("ix_portal_actions_audit_outcome_id"), "portal_actions_audit", ["outcome", "id"], unique=False)
    op.create_index(op.f("ix_portal_actions_audit_run_id"), "portal_actions_audit", ["run_id"], unique=False)
    op.create_table(
        "portal_actions_idempotency_keys",
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("run_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("requested_by", "key", name=op.f("pk_portal_actions_idempotency_keys")),
    )
    op.create_table(
        "portal_actions_template_runs",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("template", sa.String(length=255), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("template_version", sa.String(length=64), nullable=False),
        sa.Column("definition", JSON, nullable=False),
        sa.Column("inputs", JSON, nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("requester_name", sa.Text(), nullable=False),
        sa.Column("entity", sa.String(length=255), nullable=True),
        sa.Column("origin", JSON, nullable=True),
        sa.Column("dedupe_key", sa.String(length=64), nullable=True),
        sa.Column("retry_of", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("outputs", JSON, nullable=True),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_actions_template_runs")),
    )
    op.create_index(
        op.f("ix_portal_actions_template_runs_entity_id"), "portal_actions_template_runs", ["entity", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_portal_actions_template_runs_requested_by_id"), "portal_actions_template_runs",
        ["requested_by", "id"], unique=False,
    )
    op.create_index(
        op.f("ix_portal_actions_template_runs_requested_by_queued_at"), "portal_actions_template_runs",
        ["requested_by", "queued_at"], unique=False,
    )
    op.create_index(
        op.f("ix_portal_actions_template_runs_retry_of"), "portal_actions_template_runs", ["retry_of"], unique=False
    )
    op.create_index(
        op.f("ix_portal_actions_template_runs_status_id"), "portal_actions_template_runs", ["status", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_portal_actions_template_runs_template_id"), "portal_actions_template_runs", ["template", "id"],
        unique=False,
    )
    op.create_index(
        "ix_portal_actions_template_runs_to_announce", "portal_actions_template_runs", ["finished_at"], unique=False,
        sqlite_where=sa.text("announced_at IS NULL"), postgresql_where=sa.text("announced_at IS NULL"),
    )
    op.create_index(
        "uq_portal_actions_template_runs_active_dedupe_key", "portal_actions_template_runs", ["dedupe_key"],
        unique=True, sqlite_where=sa.text("status IN ('queued', 'running')"),
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.create_table(
        "portal_actions_workers",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_portal_actions_workers")),
    )
    op.create_index(op.f("ix_portal_actions_workers_seen_at"), "portal_actions_workers", ["seen_at"], unique=False)
    op.create_table(
        "portal_actions_action_runs",
        sa.Column("id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("template_run_id", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("template", sa.String(length=255), nullable=True),
        sa.Column("step_id", sa.String(length=255), nullable=True),
        sa.Column("step_name", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=255), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("requester_name", sa.Text(), nullable=False),
        sa.Column("entity", sa.String(length=255), nullable=True),
        sa.Column("origin", JSON, nullable=True),
        sa.Column("dedupe_key", sa.String(length=64), nullable=True),
        sa.Column("retry_of", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("input", JSON, nullable=True),
        sa.Column("secrets", sa.LargeBinary(), nullable=True),
        sa.Column("outputs", JSON, nullable=True),
        sa.Column("links", JSON, nullable=True),
        sa.Column("warnings", JSON, nullable=True),
        sa.Column("progress_done", sa.Integer(), nullable=True),
        sa.Column("progress_total", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_hint", sa.Text(), nullable=True),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rung_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rings", sa.Integer(), nullable=False),
        sa.Column("ring_again_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("process_token", sa.Uuid(as_uuid=False), nullable=True),
        sa.Column("worker", sa.String(length=255), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lapse_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lock_key", sa.String(length=255), nullable=True),
        sa.Column("lock_held", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["template_run_id"],
            ["portal_actions_template_runs.id"],
            name=op.f("fk_portal_actions_action_runs_template_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_actions_action_runs")),
        sa.UniqueConstraint(
            "template_run_id",
            "step_id",
            "item",
            name=op.f("uq_portal_actions_action_runs_template_run_id_step_id_item"),
        ),
    )
    op.create_index(
        op.f("ix_portal_actions_action_runs_action_id"), "portal_actions_action_runs", ["action", "id"], unique=False
    )
    op.create_index(
        op.f("ix_portal_actions_action_runs_entity_id"), "portal_actions_action_runs", ["entity", "id"], unique=False
    )
    op.create_index(
        "ix_portal_actions_action_runs_leases", "portal_actions_action_runs", ["lease_expires_at"], unique=False,
        sqlite_where=sa.text("status = 'running'"), postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index(
        "ix_portal_actions_action_runs_one_offs", "portal_actions_action_runs", ["requested_by", "queued_at"],
        unique=False, sqlite_where=sa.text("template_run_id IS NULL"),
        postgresql_where=sa.text("template_run_id IS NULL"),
    )
    op.create_index(
        "ix_portal_actions_action_runs_process_token", "portal_actions_action_runs", ["process_token"], unique=False,
        sqlite_where=sa.text("process_token IS NOT NULL"), postgresql_where=sa.text("process_token IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_portal_actions_action_runs_requested_by_id"), "portal_actions_action_runs", ["requested_by", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_portal_actions_action_runs_retry_of"), "portal_actions_action_runs", ["retry_of"], unique=False
    )
    op.create_index(
        op.f("ix_portal_actions_action_runs_status_id"), "portal_actions_action_runs", ["status", "id"], unique=False
    )
    op.create_index(
        op.f("ix_portal_actions_action_runs_template_id"), "portal_actions_action_runs", ["template", "id"],
        unique=False,
    )
    op.create_index(
        "ix_portal_actions_action_runs_to_announce", "portal_actions_action_runs", ["finished_at"], unique=False,
        sqlite_where=sa.text("announced_at IS NULL"), postgresql_where=sa.text("announced_at IS NULL"),
    )
    op.create_index(
        "ix_portal_actions_action_runs_to_ring", "portal_actions_action_runs", ["ring_again_at"], unique=False,
        sqlite_where=sa.text("status = 'queued'"), postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "uq_portal_actions_action_runs_active_dedupe_key", "portal_actions_action_runs", ["dedupe_key"], unique=True,
        sqlite_where=sa.text("status IN ('queued', 'running')"),
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.create_index(
        "uq_portal_actions_action_runs_held_lock_key", "portal_actions_action_runs", ["lock_key"], unique=True,
        sqlite_where=sa.text("lock_held"), postgresql_where=sa.text("lock_held"),
    )
    op.create_table(
        "portal_actions_attempts",
        sa.Column("action_run_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("error_code", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("worker", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["action_run_id"],
            ["portal_actions_action_runs.id"],
            name=op.f("fk_portal_actions_attempts_action_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("action_run_id", "number", name=op.f("pk_portal_actions_attempts")),
    )
    op.create_table(
        "portal_actions_checkpoints",
        sa.Column("action_run_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("value", JSON, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["action_run_id"],
            ["portal_actions_action_runs.id"],
            name=op.f("fk_portal_actions_checkpoints_action_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("action_run_id", "key", name=op.f("pk_portal_actions_checkpoints")),
    )
    op.create_table(
        "portal_actions_log_lines",
        sa.Column("action_run_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["action_run_id"],
            ["portal_actions_action_runs.id"],
            name=op.f("fk_portal_actions_log_lines_action_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("action_run_id", "seq", name=op.f("pk_portal_actions_log_lines")),
    )


def downgrade() -> None:
    op.drop_table("portal_actions_log_lines")
    op.drop_table("portal_actions_checkpoints")
    op.drop_table("portal_actions_attempts")
    op.drop_index(
        "uq_portal_actions_action_runs_held_lock_key", table_name="portal_actions_action_runs",
        sqlite_where=sa.text("lock_held"), postgresql_where=sa.text("lock_held"),
    )
    op.drop_index(
        "uq_portal_actions_action_runs_active_dedupe_key", table_name="portal_actions_action_runs",
        sqlite_where=sa.text("status IN ('queued', 'running')"),
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.drop_index(
        "ix_portal_actions_action_runs_to_ring", table_name="portal_actions_action_runs",
        sqlite_where=sa.text("status = 'queued'"), postgresql_where=sa.text("status = 'queued'"),
    )
    op.drop_index(
        "ix_portal_actions_action_runs_to_announce", table_name="portal_actions_action_runs",
        sqlite_where=sa.text("announced_at IS NULL"), postgresql_where=sa.text("announced_at IS NULL"),
    )
    op.drop_index(op.f("ix_portal_actions_action_runs_template_id"), table_name="portal_actions_action_runs")
    op.drop_index(op.f("ix_portal_actions_action_runs_status_id"), table_name="portal_actions_action_runs")
    op.drop_index(op.f("ix_portal_actions_action_runs_retry_of"), table_name="portal_actions_action_runs")
    op.drop_index(op.f("ix_portal_actions_action_runs_requested_by_id"), table_name="portal_actions_action_runs")
    op.drop_index(
        "ix_portal_actions_action_runs_process_token", table_name="portal_actions_action_runs",
        sqlite_where=sa.text("process_token IS NOT NULL"), postgresql_where=sa.text("process_token IS NOT NULL"),
    )
    op.drop_index(
        "ix_portal_actions_action_runs_one_offs", table_name="portal_actions_action_runs",
        sqlite_where=sa.text("template_run_id IS NULL"), postgresql_where=sa.text("template_run_id IS NULL"),
    )
    op.drop_index(
        "ix_portal_actions_action_runs_leases", table_name="portal_actions_action_runs",
        sqlite_where=sa.text("status = 'running'"), postgresql_where=sa.text("status = 'running'"),
    )
    op.drop_index(op.f("ix_portal_actions_action_runs_entity_id"), table_name="portal_actions_action_runs")
    op.drop_index(op.f("ix_portal_actions_action_runs_action_id"), table_name="portal_actions_action_runs")
    op.drop_table("portal_actions_action_runs")
    op.drop_index(op.f("ix_portal_actions_workers_seen_at"), table_name="portal_actions_workers")
    op.drop_table("portal_actions_workers")
    op.drop_index(
        "uq_portal_actions_template_runs_active_dedupe_key", table_name="portal_actions_template_runs",
        sqlite_where=sa.text("status IN ('queued', 'running')"),
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.drop_index(
        "ix_portal_actions_template_runs_to_announce", table_name="portal_actions_template_runs",
        sqlite_where=sa.text("announced_at IS NULL"), postgresql_where=sa.text("announced_at IS NULL"),
    )
    op.drop_index(op.f("ix_portal_actions_template_runs_template_id"), table_name="portal_actions_template_runs")
    op.drop_index(op.f("ix_portal_actions_template_runs_status_id"), table_name="portal_actions_template_runs")
    op.drop_index(op.f("ix_portal_actions_template_runs_retry_of"), table_name="portal_actions_template_runs")
    op.drop_index(
        op.f("ix_portal_actions_template_runs_requested_by_queued_at"), table_name="portal_actions_template_runs"
    )
    op.drop_index(op.f("ix_portal_actions_template_runs_requested_by_id"), table_name="portal_actions_template_runs")
    op.drop_index(op.f("ix_portal_actions_template_runs_entity_id"), table_name="portal_actions_template_runs")
    op.drop_table("portal_actions_template_runs")
    op.drop_table("portal_actions_idempotency_keys")
    op.drop_index(op.f("ix_portal_actions_audit_run_id"), table_name="portal_actions_audit")
    op.drop_index(op.f("ix_portal_actions_audit_outcome_id"), table_name="portal_actions_audit")
    op.drop_index(op.f("ix_portal_actions_audit_actor_id"), table_name="portal_actions_audit")
    op.drop_table("portal_actions_audit")
