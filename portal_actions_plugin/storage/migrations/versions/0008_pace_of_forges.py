"""Pace of forges: how far apart the calls of a credential are that a forge limits. Code of the version before knows none.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

in_stages = True  # On SQLite too: each statement below is committed by itself, and can be repeated.

_PAUSES = "portal_actions_forge_pauses"


def upgrade() -> None:
    op.add_column(_PAUSES, sa.Column("pace_ms", sa.Integer(), nullable=True))
    op.add_column(_PAUSES, sa.Column("next_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column(_PAUSES, "next_at")
    op.drop_column(_PAUSES, "pace_ms")
