"""The database's clock, and types and functions that read the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    String,
    Uuid,
    case,
    false,
    literal_column,
    true,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, also on SQLite, which keeps it as text of fixed width."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        return _moment_of_text if dialect.name == "sqlite" else _moment_in_utc


def _moment_of_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(f"{value}+00:00")


def _moment_in_utc(value: datetime | None) -> datetime | None:
    return value if value is None or value.tzinfo is UTC else value.astimezone(UTC)


class Id(Uuid[str]):
    """An id as text, without a UUID object on the way.

    SQLite keeps its digits alone, and the dashes are put in between. From PostgreSQL ``storage/sessions.py`` has it as text.
    """

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(as_uuid=False)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:  # noqa: ARG002
        return _with_dashes if dialect.name == "sqlite" else None


def _with_dashes(digits: str | None) -> str | None:
    if digits is None:
        return None
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class now_plus(FunctionElement[datetime]):  # noqa: N801 reads as the SQL function that it is
    """The database's clock, the only one that counts, plus a number of seconds."""

    type = UtcDateTime()
    inherit_cache = True
    name = "now_plus"

    def __init__(self, seconds: float | ColumnElement[Any] = 0) -> None:
        super().__init__(seconds)


@compiles(now_plus, "sqlite")
def _now_plus_sqlite(element: now_plus, compiler: SQLCompiler, **kw: object) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', printf('%+.3f seconds', {seconds}))"


@compiles(now_plus, "postgresql")
def _now_plus_postgresql(element: now_plus, compiler: SQLCompiler, **kw: object) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"(CURRENT_TIMESTAMP + make_interval(secs => {seconds}))"


class folded(FunctionElement[str]):  # noqa: N801 likewise
    """A text without the difference of capitals, in an order in which what begins alike stands together: for indexes."""

    type = String()
    inherit_cache = True
    name = "folded"

    def __init__(self, text: str | ColumnElement[Any]) -> None:
        super().__init__(text)


@compiles(folded, "sqlite")
def _folded_sqlite(element: folded, compiler: SQLCompiler, **kw: object) -> str:
    return f"lower({compiler.process(element.clauses, **kw)})"


@compiles(folded, "postgresql")
def _folded_postgresql(element: folded, compiler: SQLCompiler, **kw: object) -> str:
    # The order of a language has no place where a prefix ends.
    return f'lower({compiler.process(element.clauses, **kw)}) COLLATE "C"'


class before_in_index(FunctionElement[Any]):  # noqa: N801 likewise
    """Whether a row has a value, and an id below another one: in the order of the index of both, which has to be asked for.

    PostgreSQL knows no statistics of an index of some rows only, and takes "has the value" for rare. It would collect all
    that have it, and sort them. Said as a range of the index, nothing but that index has the order.

    Args:
        folded: the first column of the index.
        key: the second one.
        value: what the first one has.
        start: what the second one is below.
    """

    # Not a Boolean: SQLite would be asked whether all of it is 1, and see no condition that an index is for.
    inherit_cache = True
    name = "before_in_index"
    beside, bounded = "<", ">="

    def __init__(
        self,
        folded: ColumnElement[Any],
        key: ColumnElement[Any],
        value: ColumnElement[Any],
        start: ColumnElement[Any],
    ) -> None:
        super().__init__(folded, key, value, start)


class after_in_index(before_in_index):  # noqa: N801 likewise
    """The same with an id above another one."""

    inherit_cache = True
    name = "after_in_index"
    beside, bounded = ">", "<="


@compiles(before_in_index, "sqlite")
@compiles(after_in_index, "sqlite")
def _in_index_sqlite(element: before_in_index, compiler: SQLCompiler, **kw: object) -> str:
    folded, key, value, start = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({folded} = {value} AND {key} {element.beside} {start})"


@compiles(before_in_index, "postgresql")
@compiles(after_in_index, "postgresql")
def _in_index_postgresql(element: before_in_index, compiler: SQLCompiler, **kw: object) -> str:
    folded, key, value, start = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({folded} {element.bounded} {value} AND ({folded}, {key}) {element.beside} ({value}, {start}))"


class down_the_index(FunctionElement[Any]):  # noqa: N801 likewise
    """The order of ``before_in_index``, by the same first and second column. SQLite has it by the second one alone."""

    inherit_cache = True
    name = "down_the_index"

    def __init__(self, folded: ColumnElement[Any], key: ColumnElement[Any]) -> None:
        super().__init__(folded, key)


class up_the_index(down_the_index):  # noqa: N801 likewise
    """The order of ``after_in_index``."""

    inherit_cache = True
    name = "up_the_index"


@compiles(down_the_index)
def _down_the_index(element: down_the_index, compiler: SQLCompiler, **kw: object) -> str:
    folded, key = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{key} DESC" if compiler.dialect.name == "sqlite" else f"{folded} DESC, {key} DESC"


@compiles(up_the_index)
def _up_the_index(element: up_the_index, compiler: SQLCompiler, **kw: object) -> str:
    folded, key = (compiler.process(clause, **kw) for clause in element.clauses)
    return key if compiler.dialect.name == "sqlite" else f"{folded}, {key}"


ONE: ColumnElement[int] = literal_column("1")
"""A limit that PostgreSQL knows when it plans: with one that it is told later, it plans a prepared statement each time."""


def checked(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """What rows are checked for, but not found by: a database that did would find far too many, and sort them.

    SQLite takes an index wherever one fits. PostgreSQL multiplies how rare conditions are that mean the same.
    """
    return case((condition, true()), else_=false())


class right_now(FunctionElement[datetime]):  # noqa: N801 reads as the SQL function that it is
    """The database's clock at this very moment; ``now_plus(0)`` may be when the transaction began.

    For the end of a run: what held the lock before may have begun later than the transaction that ends it.
    """

    type = UtcDateTime()
    inherit_cache = True
    name = "right_now"


@compiles(right_now, "sqlite")
def _right_now_sqlite(_element: right_now, compiler: SQLCompiler, **kw: object) -> str:
    return compiler.process(now_plus(0), **kw)


@compiles(right_now, "postgresql")
def _right_now_postgresql(_element: right_now, _compiler: SQLCompiler, **_kw: object) -> str:
    return "clock_timestamp()"


class milliseconds_between(FunctionElement[int]):  # noqa: N801 likewise
    """How many milliseconds passed from one moment to a later one; NULL when one of them is. Never less than 0."""

    type = BigInteger()
    inherit_cache = True
    name = "milliseconds_between"

    def __init__(self, start: ColumnElement[Any], end: ColumnElement[Any]) -> None:
        super().__init__(start, end)


@compiles(milliseconds_between, "sqlite")
def _milliseconds_between_sqlite(element: milliseconds_between, compiler: SQLCompiler, **kw: object) -> str:
    start, end = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"max(0, CAST(round((julianday({end}) - julianday({start})) * 86400000) AS INTEGER))"


@compiles(milliseconds_between, "postgresql")
def _milliseconds_between_postgresql(element: milliseconds_between, compiler: SQLCompiler, **kw: object) -> str:
    start, end = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"(CASE WHEN {end} < {start} THEN 0 ELSE round(extract(epoch FROM {end} - {start}) * 1000) END)::bigint"
