"""Files of templates, kept for the runs that were started with them. Code of the version before knows none.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

in_stages = True  # On SQLite too: each statement below is committed by itself, and can be repeated.

_FILES = "portal_actions_template_files"
_WORKSPACES = "portal_actions_workspaces"
_KEPT = "ix_portal_actions_workspaces_kept"


def upgrade() -> None:
    op.create_table(
        _FILES,
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("piece", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("template", sa.String(length=255), nullable=True),
        sa.Column("store", sa.String(length=32), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("key", "piece", name=op.f(f"pk_{_FILES}")),
    )
    kept = sa.text("emptied_at IS NULL")
    op.create_index(_KEPT, _WORKSPACES, ["template_run_id"], sqlite_where=kept, postgresql_where=kept)


def downgrade() -> None:
    op.drop_index(_KEPT, table_name=_WORKSPACES)
    op.drop_table(_FILES)
