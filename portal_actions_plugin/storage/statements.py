"""Statements that every start and every step takes: compiled once, and handed to the driver as they are from then on.

Those are writes, and what is read while somebody waits for SQLite's one writer or for a handler to begin. What pages and
the API read is run by SQLAlchemy as it is: the 20 to 40 µs that this would save do not show there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import ClauseElement, Connection, Dialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Values = Mapping[str, Any]
Processor = Callable[[Any], Any]
Parameters = dict[str, Any] | tuple[Any, ...]
"""The values of one use, as the driver takes them."""

Answer = tuple[int, Sequence[Sequence[Any]]]
"""How many rows a statement hit, and those that it returns, as the driver has them."""

_SQL_LOG = logging.getLogger("sqlalchemy.engine.Engine")
"""Where SQLAlchemy logs statements, for whoever asks for them."""


class CompiledOnce:
    """A statement without its values, compiled when it is first run with values of these names on a kind of database.

    SQLAlchemy looks a statement up by all that it is made of, each time, and makes a context and a result for it. That
    takes several times as long as the statement itself, and on SQLite, which has one writer, everybody else waits
    meanwhile.

    Args:
        clause: what it is. Every column that it returns has a name of its own. A list that it contains is always the
            same one, and so is a default of a column that it leaves out.
    """

    def __init__(self, clause: ClauseElement) -> None:
        self._clause = clause
        self._forms: dict[tuple[str, ...], _Form] = {}

    def run(self, connection: Connection, values: Values) -> int:
        """Run it, and say how many rows an UPDATE or DELETE hit.

        Raises:
            ValueError: the clause cannot be kept as it is: its SQL or its defaults are made anew for each use.
            InvalidRequestError: a value is missing.
            StatementError: a value is none for its column; or the database fails: a DBAPIError, as SQLAlchemy has it.
        """
        form = self._form(connection.dialect, values)
        return _ask(connection, form.sql, form.bound(values))[0]

    def run_for_each(self, connection: Connection, several: Sequence[Values]) -> None:
        """Run it for each of several values, at least one, all of the same names. Raises likewise."""
        form = self._form(connection.dialect, several[0])
        parameters = [form.bound(values) for values in several]
        # For a single one PostgreSQL's driver would ask twice.
        _ask(connection, form.sql, parameters if len(parameters) > 1 else parameters[0])

    def read(self, connection: Connection, values: Values) -> list[dict[str, Any]]:
        """Run it, and give the rows that it returns, by their columns' names. Raises likewise."""
        form = self._form(connection.dialect, values)
        return form.rows(_ask(connection, form.sql, form.bound(values))[1])

    def read_tuples(self, connection: Connection, values: Values) -> Sequence[Sequence[Any]]:
        """Run it, and give the rows as they are, their values in the order of the columns. Raises likewise."""
        form = self._form(connection.dialect, values)
        return form.tuples(_ask(connection, form.sql, form.bound(values))[1])

    def _form(self, dialect: Dialect, values: Values) -> _Form:
        key = (dialect.name, *values)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = _Form(self._clause, dialect, values)
        return form


def _ask(connection: Connection, sql: str, parameters: Any) -> Answer:
    """Run SQL in the connection's transaction; for each of a list of parameters, as SQLAlchemy takes them."""
    if _is_watched(connection):
        result = connection.exec_driver_sql(sql, parameters)
        return result.rowcount, result.all() if result.returns_rows else ()
    if not connection.in_transaction():
        connection.begin()
    driver = cast("DBAPIConnection", connection.connection.dbapi_connection)
    cursor = driver.cursor()
    try:
        (cursor.executemany if isinstance(parameters, list) else cursor.execute)(sql, parameters)
        return cursor.rowcount, cursor.fetchall() if cursor.description else ()
    except connection.dialect.loaded_dbapi.Error as error:
        raise _failure(connection, cursor, sql, error) from error
    except Exception:
        raise
    except BaseException as interruption:
        # Such as a time limit: the driver may still wait for the answer, and nobody else may get that.
        connection.invalidate(interruption)
        raise


def _is_watched(connection: Connection) -> bool:
    """Whether somebody watches SQLAlchemy's statements, or has them logged: these are among them then."""
    watchers = connection.dispatch
    return bool(watchers.before_cursor_execute or watchers.after_cursor_execute or _SQL_LOG.isEnabledFor(logging.INFO))


def _failure(connection: Connection, cursor: object, sql: str, error: Exception) -> BaseException:
    """The error as SQLAlchemy has it; a connection that is lost is used no more."""
    dialect: Any = connection.dialect
    is_lost = dialect.is_disconnect(error, connection.connection.dbapi_connection, cursor)
    if is_lost:
        connection.invalidate(error)
    return DBAPIError.instance(
        sql,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=is_lost,
        dialect=dialect,
    )


class _Form:
    """A statement in one database's SQL, with how values get into it, and out of its rows."""

    def __init__(self, clause: ClauseElement, dialect: Dialect, values: Values) -> None:
        compiled = cast("SQLCompiler", clause.compile(dialect=dialect, column_keys=list(values)))
        expanded = compiled.construct_expanded_state(values)
        _require_lasting(compiled, values.keys() & expanded.parameter_expansion.keys())
        binders = {name: _binder(bind.type, dialect) for name, bind in compiled.binds.items()} | dict(
            expanded.processors
        )
        defaults = {column.key: column.default.arg for column in compiled.prefetch}
        # What the statement itself brings along: bound here, once, and not each time.
        constants = {name: value for name, value in expanded.parameters.items() if name not in values} | defaults
        self.sql: str = expanded.statement
        self._order: Sequence[str] | None = expanded.positiontup
        self._binders = {name: bind for name, bind in binders.items() if name in values and bind}
        self._constants = {name: _processed(binders.get(name), value) for name, value in constants.items()}
        returned = getattr(clause, "exported_columns", {})
        self._readers = [(name, _reader(column.type, dialect)) for name, column in returned.items()]

    def bound(self, values: Values) -> Parameters:
        """The parameters as the driver takes them: by their places on SQLite, by their names on PostgreSQL."""
        try:
            parameters = {**self._constants, **values}
            for name, bind in self._binders.items():
                parameters[name] = bind(parameters[name])
            return parameters if self._order is None else tuple([parameters[name] for name in self._order])
        except Exception as error:
            raise StatementError(
                f"{type(error).__name__}: {error}", self.sql, None, error, hide_parameters=True
            ) from error

    def tuples(self, found: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        read_at = [(place, read) for place, (_, read) in enumerate(self._readers) if read]
        if not read_at:
            return found
        rows = [list(row) for row in found]
        for place, read in read_at:
            for row in rows:
                row[place] = read(row[place])
        return rows

    def rows(self, found: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        return [
            {name: read(value) if read else value for (name, read), value in zip(self._readers, row, strict=True)}
            for row in found
        ]


def _require_lasting(compiled: SQLCompiler, lists: Collection[str]) -> None:
    if lists:
        raise ValueError(f"{', '.join(lists)}: a list of another length is another statement")
    if changing := [bind.key for bind in compiled.binds.values() if bind.callable or bind.literal_execute]:
        raise ValueError(f"{', '.join(changing)}: a value that is worked out or written into the SQL for each use")
    if made := [column.key for column in compiled.prefetch if not getattr(column.default, "is_scalar", False)]:
        raise ValueError(f"{', '.join(made)}: a default that is made for each use has to be given as a value")


def _binder(kind: TypeEngine[Any], dialect: Dialect) -> Processor | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _reader(kind: TypeEngine[Any], dialect: Dialect) -> Processor | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)


def _processed(process: Processor | None, value: object) -> object:
    return process(value) if process else value
