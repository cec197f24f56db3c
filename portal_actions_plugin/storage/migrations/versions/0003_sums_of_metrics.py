"""What counters have come to, and the ends of runs in the order of time.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

in_stages = True

_ENDING = ("portal_actions_action_runs", "portal_actions_template_runs", "portal_actions_attempts")
_REFUSALS = "ix_portal_actions_audit_refusals"


def upgrade() -> None:
    op.create_table(
        "portal_actions_metric_sums",
        sa.Column("metric", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("detail", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("metric", "subject", "detail", name=op.f("pk_portal_actions_metric_sums")),
    )
    op.create_table(
        "portal_actions_metric_watermark",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("summed_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_actions_metric_watermark")),
    )
    for table in _ENDING:
        where = sa.text("finished_at IS NOT NULL")
        op.create_index(
            op.f(f"ix_{table}_finished_at"), table, ["finished_at"], sqlite_where=where, postgresql_where=where
        )
    where = sa.text("outcome IN ('denied', 'rate_limited')")
    op.create_index(
        _REFUSALS, "portal_actions_audit", ["outcome", "last_at"], sqlite_where=where, postgresql_where=where
    )


def downgrade() -> None:
    op.drop_index(_REFUSALS, table_name="portal_actions_audit")
    for table in _ENDING:
        op.drop_index(op.f(f"ix_{table}_finished_at"), table_name=table)
    op.drop_table("portal_actions_metric_watermark")
    op.drop_table("portal_actions_metric_sums")
