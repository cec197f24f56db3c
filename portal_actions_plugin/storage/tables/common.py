"""What all tables share: their metadata, the beginning of their names, and how columns and indexes of one kind are made.

Tables are SQLAlchemy's typed ones, and not its ORM's classes: nobody here needs the ORM's sessions and objects, and it costs
60 ms of each start, 7 MB of each process, and time whenever a statement is made.
"""

from __future__ import annotations

from sqlalchemy import JSON, ColumnElement, ForeignKey, Index, MetaData, TextClause
from sqlalchemy.dialects.postgresql import JSONB

PREFIX = "portal_actions_"
"""Of every table's name."""

VERSION_TABLE = f"{PREFIX}alembic_version"

OLDEST_CODE = "0006"
"""The oldest revision whose code lives with the tables of today; a migration that takes something away raises it."""

JSON_DATA = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""The type of a column of JSON, in which None is NULL."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Our own: no table of the host's is ever in it."""


def of_template_run() -> ForeignKey:
    """What makes a row go with its template run."""
    return ForeignKey(f"{PREFIX}template_runs.id", ondelete="CASCADE")


def of_action_run() -> ForeignKey:
    """What makes a row go with its action run."""
    return ForeignKey(f"{PREFIX}action_runs.id", ondelete="CASCADE")


def partial_index(
    name: str | None, *columns: str | ColumnElement[str], where: TextClause | None, unique: bool = False
) -> Index:
    """Describe an index of the rows that a condition holds for, on both databases.

    Args:
        name: its whole name; None for the one that the naming convention gives.
        columns: in the index's order, by their names or as expressions.
        where: the condition, in the very words that queries say it with; None for all rows.
        unique: whether no two of these rows may be alike.
    """
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)
