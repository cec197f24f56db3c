"""Words are found by how they begin, whatever their capitals; what is empty is in no index.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

in_stages = True

_TEMPLATE_RUNS = "portal_actions_template_runs"
_ACTION_RUNS = "portal_actions_action_runs"
_WHOLE_WORDS = {
    _TEMPLATE_RUNS: ("template", "requested_by", "entity"),
    _ACTION_RUNS: ("action", "template", "requested_by", "entity"),
}
_WORDS = {
    _TEMPLATE_RUNS: {"template": False, "requested_by": False, "requester_name": False, "entity": True},
    _ACTION_RUNS: {
        "template": True,
        "step_id": True,
        "action": False,
        "requested_by": False,
        "requester_name": False,
        "entity": True,
    },
}
"""By table and column: whether it may be empty."""


def upgrade() -> None:
    collate = ' COLLATE "C"' if op.get_bind().dialect.name == "postgresql" else ""
    for table, words in _WORDS.items():
        for word in _WHOLE_WORDS[table]:
            op.drop_index(op.f(f"ix_{table}_{word}_id"), table_name=table)
        for word, may_be_empty in words.items():
            where = sa.text(f"{word} IS NOT NULL") if may_be_empty else None
            op.create_index(
                f"ix_{table}_{word}",
                table,
                [sa.text(f"lower({word}){collate}"), "id"],
                sqlite_where=where,
                postgresql_where=where,
            )
        _index_retries(table, sa.text("retry_of IS NOT NULL"))


def downgrade() -> None:
    for table, words in _WORDS.items():
        _index_retries(table, None)
        for word in words:
            op.drop_index(f"ix_{table}_{word}", table_name=table)
        for word in _WHOLE_WORDS[table]:
            op.create_index(op.f(f"ix_{table}_{word}_id"), table, [word, "id"])


def _index_retries(table: str, where: sa.TextClause | None) -> None:
    name = op.f(f"ix_{table}_retry_of")
    op.drop_index(name, table_name=table)
    op.create_index(name, table, ["retry_of"], sqlite_where=where, postgresql_where=where)
