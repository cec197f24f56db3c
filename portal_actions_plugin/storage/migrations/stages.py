"""How a migration reaches tables that are in use: each statement commits by itself, locks one table and can be repeated.

So nobody waits for more than one statement, no two locks are held at once that a worker may want in another order, and
a migration that was stopped in between is gone on with by the next try: what is there already is not made again.

On PostgreSQL an index is made CONCURRENTLY, and one that is to change is swapped for its successor, so that a unique one
is never missing. Other statements wait only briefly for their table, since everybody else waits behind them, and are
tried again after a pause. The wait is shorter than PostgreSQL's ``deadlock_timeout``: nobody is ever ended for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar, cast

from alembic.ddl.impl import DefaultImpl
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.ddl.sqlite import SQLiteImpl
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, Executable, Index, Table, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import quoted_name

from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.engines import BUSY_SECONDS

T = TypeVar("T")

LOCK_SECONDS = 0.6
"""How long a statement waits for its table, and everybody else behind it."""

LOCK_PAUSES = (0.5,) * 5 + (1.0,) * 20
INDEX_SECONDS = 60
"""How long an index waits for the transactions that were there before it. Nobody waits behind it."""

INDEX_PAUSES = (1.0,) * 4

GIVE_WAY_SECONDS = 0.1
"""How long the next statement leaves SQLite to other writers, at most."""

_TAKEN = ("55P03", "40P01")
"""A lock that was not to be had in time, and a deadlock: nothing has happened then."""


class BlockedError(Exception):
    """A migration gave up since somebody keeps it from its tables; says who."""


def use_stages(context: MigrationContext) -> None:
    """Let the operations of a migration come as stages. Of this context only: a host's own alembic has its own ways."""
    kind = _OnPostgresql if context.dialect.name == "postgresql" else _OnSqlite
    context.impl = kind(context.dialect, context.connection, context.as_sql, None, context.output_buffer, context.opts)


class _Repeatable(DefaultImpl):
    """What has been done already is not done again: a migration that was interrupted begins anew."""

    def create_table(self, table: Table, **kw: object) -> None:
        if not _has_table(self, table.name):
            super().create_table(table, **kw)

    def drop_table(self, table: Table, **kw: object) -> None:
        if _has_table(self, table.name):
            super().drop_table(table, **kw)

    def add_column(self, table_name: str, column: Column[Any], **kw: Any) -> None:
        if not _has_column(self, table_name, column):
            super().add_column(table_name, column, **kw)

    def drop_column(self, table_name: str, column: Column[Any], **kw: Any) -> None:
        if _has_column(self, table_name, column):
            super().drop_column(table_name, column, **kw)


class _OnSqlite(_Repeatable, SQLiteImpl):
    """Each statement is a transaction: other writers pass in between."""

    def _exec(self, construct: Executable | str, *args: Any, **kw: Any) -> Any:
        began = time.monotonic()
        result = super()._exec(construct, *args, **kw)
        _connection(self).commit()
        # There is no queue for the next writer: who asks again at once would mostly be the one.
        time.sleep(min(time.monotonic() - began, GIVE_WAY_SECONDS))
        return result

    def create_index(self, index: Index, **kw: object) -> None:  # noqa: ARG002 the one that alembic may give is said anyway
        super().create_index(index, if_not_exists=True)

    def drop_index(self, index: Index, **kw: object) -> None:  # noqa: ARG002 likewise
        super().drop_index(index, if_exists=True)


class _OnPostgresql(_Repeatable, PostgresqlImpl):
    """Each statement is a transaction; indexes are made beside the work that goes on."""

    @cached_property
    def _to_drop(self) -> dict[str, Index]:
        """Indexes that go at the end of the migration, by their names."""
        return {}

    def _exec(self, construct: Executable | str, *args: Any, **kw: Any) -> Any:
        if getattr(getattr(construct, "table", None), "name", None) == tables.VERSION_TABLE:
            self._drop_indexes()
        run = super()._exec
        return self._patiently(lambda: run(construct, *args, **kw), LOCK_PAUSES)

    def drop_table(self, table: Table, **kw: object) -> None:
        self._drop_indexes()
        super().drop_table(table, **kw)

    def drop_column(self, table_name: str, column: Column[Any], **kw: Any) -> None:
        self._drop_indexes()
        super().drop_column(table_name, column, **kw)

    def drop_index(self, index: Index, **kw: object) -> None:  # noqa: ARG002 it is said when it is dropped
        """Keep it until the end of the migration: its successor may have its name, and comes first then."""
        self._to_drop[str(index.name)] = index

    def create_index(self, index: Index, **kw: object) -> None:  # noqa: ARG002 likewise
        name = str(index.name)
        is_successor = name in self._to_drop
        if is_successor:
            index.name = quoted_name(f"{name}_new", None)
        index.dialect_options["postgresql"]["concurrently"] = True
        with self._waiting(INDEX_SECONDS):
            self._patiently(lambda: self._create_once(index), INDEX_PAUSES)
        if is_successor:
            self._swap(name, f"{name}_new")
            del self._to_drop[name]

    def _create_once(self, index: Index) -> None:
        """Make an index, unless a try before has; what that has left unfinished is of no use."""
        is_valid = _connection(self).scalar(
            text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"), {"name": str(index.name)}
        )
        if is_valid:
            return
        if is_valid is not None:
            self._run(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}")
        super().create_index(index)

    def _swap(self, old: str, new: str) -> None:
        # Both in one message to the server are one transaction.
        both = f"DROP INDEX IF EXISTS {old}; ALTER INDEX {new} RENAME TO {old}"
        self._patiently(lambda: self._run(both), LOCK_PAUSES)

    def _drop_indexes(self) -> None:
        while self._to_drop:
            name = next(iter(self._to_drop))
            with self._waiting(INDEX_SECONDS):
                self._patiently(lambda: self._run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"), INDEX_PAUSES)  # noqa: B023 called at once
            del self._to_drop[name]

    def _run(self, sql: str) -> None:
        _connection(self).exec_driver_sql(sql, execution_options={"no_parameters": True})

    @contextmanager
    def _waiting(self, seconds: float) -> Iterator[None]:
        """Let statements wait so long for a lock."""
        wait_at_most(_connection(self), seconds)
        yield
        wait_at_most(_connection(self), LOCK_SECONDS)

    def _patiently(self, work: Callable[[], T], pauses: tuple[float, ...]) -> T:
        for pause in pauses:
            try:
                return work()
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _TAKEN:
                    raise
                time.sleep(pause)
        raise BlockedError(_who_is_there(_connection(self)))


def wait_at_most(connection: Connection, seconds: float) -> None:
    """Let a session of PostgreSQL wait so long for a lock."""
    connection.exec_driver_sql(f"SET lock_timeout = {seconds * 1000:.0f}")


@contextmanager
def each_alone(connection: Connection) -> Iterator[None]:
    """Let each statement of a session of PostgreSQL commit by itself, wait briefly for its lock, and take its time then."""
    usual = connection.default_isolation_level
    connection.execution_options(isolation_level="AUTOCOMMIT")
    wait_at_most(connection, LOCK_SECONDS)
    connection.exec_driver_sql("SET statement_timeout = 0")
    connection.rollback()  # of nothing: SQLAlchemy has begun a transaction that the server does not know
    try:
        yield
    finally:
        wait_at_most(connection, BUSY_SECONDS)
        connection.exec_driver_sql("RESET statement_timeout")
        connection.rollback()
        connection.execution_options(isolation_level=usual)


def _who_is_there(connection: Connection) -> str:
    """The sessions that have been in a transaction for longest, those that are at our tables before others."""
    sessions = connection.execute(
        text(
            """
            SELECT pid, coalesce(nullif(application_name, ''), backend_type) AS name, state,
                extract(epoch FROM clock_timestamp() - xact_start)::int AS seconds
            FROM pg_stat_activity AS session
            WHERE pid <> pg_backend_pid() AND datname = current_database() AND xact_start IS NOT NULL
            ORDER BY NOT EXISTS (
                SELECT FROM pg_locks JOIN pg_class ON pg_class.oid = relation
                WHERE pg_locks.pid = session.pid AND granted AND relname LIKE 'portal_actions_%'
            ), xact_start
            LIMIT 3
            """
        )
    ).all()
    shown = [f"pid {one.pid} ({one.name}, {one.state or 'busy'}, for {one.seconds} s)" for one in sessions]
    return ", ".join(shown) or "a session that has ended meanwhile"


def _connection(impl: DefaultImpl) -> Connection:
    return cast("Connection", impl.connection)


def _has_table(impl: DefaultImpl, name: str) -> bool:
    return inspect(_connection(impl)).has_table(name)


def _has_column(impl: DefaultImpl, table: str, column: Column[Any]) -> bool:
    return any(found["name"] == column.name for found in inspect(_connection(impl)).get_columns(table))
