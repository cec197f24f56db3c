"""How the rows of a table are written down: a class whose attributes are its columns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from sqlalchemy import (
    JSON,
    Column,
    ColumnClause,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from portal_actions_plugin.storage.sql import Id, UtcDateTime

PREFIX = "portal_actions_"
"""Of every table's name."""

WITHOUT_ROWID = {"sqlite_with_rowid": False}
"""SQLite then keeps the rows in their primary key, where it else keeps both."""

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


T = TypeVar("T")


class _TableOf(type):
    """What lets a statement take a class of rows for its table."""

    __table__: Table

    def __clause_element__(cls) -> Table:
        return cls.__table__


class Base(metaclass=_TableOf):
    """Rows of a table whose columns are the class's attributes, in our own metadata: no table of the host's is ever in it.

    SQLAlchemy's ORM gives such classes too. Nobody here needs its sessions and objects, and it costs 60 ms of each start,
    7 MB of each process, and time whenever a statement is made.
    """

    metadata = MetaData(naming_convention=_NAMING)
    __tablename__: ClassVar[str]
    __table_args__: ClassVar[tuple[Index | UniqueConstraint, ...]] = ()
    __table_options__: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        columns = {name: value for name, value in vars(cls).items() if isinstance(value, Column)}
        for name, column in columns.items():
            column.name = column.key = name
        cls.__table__ = Table(
            cls.__tablename__, cls.metadata, *columns.values(), *cls.__table_args__, **cls.__table_options__
        )


def column(kind: TypeEngine[T], *args: Any, **kw: Any) -> ColumnClause[T]:
    return Column(kind, *args, nullable=False, **kw)


def optional(column: ColumnClause[T]) -> ColumnClause[T | None]:
    """The same column, which may be NULL."""
    found: Any = column
    found.nullable = True
    return found  # type: ignore[no-any-return]


def identifier(*args: Any, **kw: Any) -> ColumnClause[str]:
    return column(Id(), *args, **kw)


def word(length: int = 255, **kw: Any) -> ColumnClause[str]:
    return column(String(length), **kw)


def long_text() -> ColumnClause[str]:
    return column(Text())


def integer(**kw: Any) -> ColumnClause[int]:
    return column(Integer(), **kw)


def moment(**kw: Any) -> ColumnClause[datetime]:
    return column(UtcDateTime(), **kw)


def json_data() -> ColumnClause[Any]:
    return column(JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql"))


def sealed() -> ColumnClause[bytes]:
    return column(LargeBinary())
