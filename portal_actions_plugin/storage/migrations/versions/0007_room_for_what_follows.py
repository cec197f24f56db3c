"""Room for what follows: columns that may be NULL, indexes and tables. Code of the version before lives with all of it.

The unique constraint of template run, step id and item stays for now, beside the index of place that takes it over:
SQLite cannot drop one without copying the table. A later migration does, once no code of today is at work any more.
For the same reason the way back leaves the columns of runs there.

Revision ID: 0007
"""

import uuid

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

in_stages = True  # On SQLite too: each statement below is committed by itself, and can be repeated.

_TEMPLATE_RUNS = "portal_actions_template_runs"
_ACTION_RUNS = "portal_actions_action_runs"
_WORKERS = "portal_actions_workers"
_IDENTITY = "portal_actions_database_identity"

_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
_MOMENT = sa.DateTime(timezone=True)
_PREFIXED = sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql")

_COLUMNS = (
    # In the order in which workers lock the tables.
    (_TEMPLATE_RUNS, "failed_at_step", sa.Integer()),
    (_ACTION_RUNS, "input_fingerprint", sa.String(length=64)),
    (_ACTION_RUNS, "held_back_at", _MOMENT),
    (_WORKERS, "version", sa.String(length=64)),
    (_WORKERS, "supervisor", sa.String(length=255)),
    (_WORKERS, "state", sa.String(length=16)),
    (_WORKERS, "state_since", _MOMENT),
)
_TABLES_OF_RUNS = ("step_lists", "step_items", "workspaces", "workspace_blobs")
_OTHER_TABLES = ("search_terms", "forge_pauses", "database_identity")

_PLACE = "uq_portal_actions_action_runs_place"
_READY = "ix_portal_actions_action_runs_ready"
_HELD_BACK = "ix_portal_actions_action_runs_held_back"
_DUE = "ix_portal_actions_action_runs_due"


def upgrade() -> None:
    for table, name, kind in _COLUMNS:
        op.add_column(table, sa.Column(name, kind, nullable=True))
    _create_tables()
    op.execute(
        f"INSERT INTO {_IDENTITY} (id, identity, made_at, oldest_code) "
        f"VALUES (1, '{_new_identity()}', {_now()}, '0006') ON CONFLICT DO NOTHING"
    )
    op.create_index(_PLACE, _ACTION_RUNS, ["template_run_id", "position", "item"], unique=True)
    _index(_HELD_BACK, ["requested_by", "id"], "status = 'queued' AND held_back_at IS NOT NULL")
    _index(_READY, ["queue", "id"], "status = 'queued' AND lock_key IS NULL AND held_back_at IS NULL")
    # Code of the version before then finds the oldest due run by the index of status and id, in that order too.
    op.drop_index(_DUE, table_name=_ACTION_RUNS)


def downgrade() -> None:
    _index(_DUE, ["queue", "id"], "status = 'queued' AND lock_key IS NULL")
    if _is_sqlite():
        # It would copy all rows to drop a column. One that may be NULL harms nobody, if nobody is held back for good.
        op.execute(f"UPDATE {_ACTION_RUNS} SET held_back_at = NULL WHERE status = 'queued' AND held_back_at IS NOT NULL")
    for name in (_READY, _HELD_BACK, _PLACE):
        op.drop_index(name, table_name=_ACTION_RUNS)
    for name in (*_OTHER_TABLES, *reversed(_TABLES_OF_RUNS)):
        op.drop_table(f"portal_actions_{name}")
    for table, name, _ in _COLUMNS:
        if table == _WORKERS or not _is_sqlite():
            op.drop_column(table, name)


def _index(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, _ACTION_RUNS, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _new_identity() -> str:
    made = uuid.uuid4()
    return made.hex if _is_sqlite() else str(made)  # as each database keeps an id


def _now() -> str:
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')" if _is_sqlite() else "CURRENT_TIMESTAMP"


def _create_tables() -> None:
    _create_table_of_runs(
        "step_lists",
        ["position"],
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
    )
    _create_table_of_runs(
        "step_items",
        ["position", "item"],
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", _JSON, nullable=True),
        sa.Column("sealed_value", sa.LargeBinary(), nullable=True),
        sa.Column("runs", sa.Boolean(), nullable=False),
    )
    _create_table_of_runs(
        "workspaces",
        ["generation"],
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("store", sa.String(length=32), nullable=False),
        sa.Column("manifest", _JSON, nullable=True),
        sa.Column("sealed_manifest", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=True),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.Column("emptied_at", _MOMENT, nullable=True),
    )
    _create_table_of_runs(
        "workspace_blobs",
        ["sha256", "piece"],
        sa.Column("content", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "portal_actions_search_terms",
        sa.Column("word", _PREFIXED, nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("word", "field", "value", name=op.f("pk_portal_actions_search_terms")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "portal_actions_forge_pauses",
        sa.Column("installation", sa.String(length=255), nullable=False),
        sa.Column("credential", sa.String(length=64), nullable=False),
        sa.Column("until", _MOMENT, nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("installation", "credential", name=op.f("pk_portal_actions_forge_pauses")),
    )
    op.create_table(
        _IDENTITY,
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("identity", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.Column("oldest_code", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_IDENTITY}")),
    )


def _create_table_of_runs(name: str, key: list[str], *columns: sa.Column) -> None:
    """Create a table whose rows go with their template run, found by that and the other parts of their key."""
    table = f"portal_actions_{name}"
    kinds = {"sha256": sa.String(length=64)}
    op.create_table(
        table,
        sa.Column("template_run_id", sa.Uuid(as_uuid=False), nullable=False),
        *(sa.Column(part, kinds.get(part, sa.Integer()), autoincrement=False, nullable=False) for part in key),
        *columns,
        sa.ForeignKeyConstraint(
            ["template_run_id"],
            [f"{_TEMPLATE_RUNS}.id"],
            name=op.f(f"fk_{table}_template_run_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("template_run_id", *key, name=op.f(f"pk_{table}")),
    )
