"""The oldest queued run of a queue, for a job process that goes on with it.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

in_stages = True

_TABLE = "portal_actions_action_runs"
_INDEX = "ix_portal_actions_action_runs_due"


def upgrade() -> None:
    where = sa.text("status = 'queued' AND lock_key IS NULL")
    op.create_index(_INDEX, _TABLE, ["queue", "id"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_index(_INDEX, table_name=_TABLE)
