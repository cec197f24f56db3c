"""Sessions with the database: one way to write, and one way to read."""

from __future__ import annotations

import itertools
import logging
import math
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import cached_property, partial, wraps
from pathlib import Path
from threading import Lock
from typing import Any, ParamSpec, TypeVar, cast

import uuid_utils
from flask import current_app
from sqlalchemy import (
    URL,
    Connection,
    CursorResult,
    Dialect,
    Engine,
    Executable,
    RowMapping,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import InterfaceError, InvalidatePoolError, OperationalError

from portal_actions_plugin.pause_points import reached

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

BUSY_SECONDS = 15
CONNECT_SECONDS = 5
TRUSTED_SECONDS = 0.1
"""How long a connection that was used is believed to be alive still: no server restarts in less time."""

_FIRST_LOOK, _LONGEST_LOOK = 0.0001, 0.001
"""Seconds until one looks again for SQLite's one writer, whose transactions take about a millisecond."""

_AS_TEXT = 0
"""The format in which PostgreSQL sends what it is not asked to send in binary."""

_PAUSES = (0.1, 0.2, 0.5, 1.0)
_WRITES = "portal_actions_writes"
_in_transaction: ContextVar[bool] = ContextVar("portal_actions_in_transaction", default=False)
_one_state: ContextVar[tuple[Database, Transaction] | None] = ContextVar("portal_actions_one_state", default=None)


def new_id() -> str:
    """A UUIDv7: newest-first is the primary key backwards."""
    return str(uuid_utils.uuid7())


class Transaction:
    """An open transaction. What may only happen once it is committed goes to ``on_commit`` and ``after_commit``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._doorbells: list[Callable[[], None]] = []
        self._news: list[Callable[[], None]] = []
        self._gathered: dict[Callable[[Sequence[str]], None], dict[str, None]] = {}

    def execute(
        self, statement: Executable, values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Run a statement; one that was made once, for all its uses, gets its ``values`` here, or several of them."""
        return self._connection.execute(statement, values)

    def changed(self, statement: Executable, values: Mapping[str, Any] | None = None) -> int:
        """Run an UPDATE or DELETE and say how many rows it hit."""
        return self._connection.execute(statement, values).rowcount

    def row(self, statement: Executable, values: Mapping[str, Any] | None = None) -> RowMapping | None:
        return self._connection.execute(statement, values).mappings().first()

    def rows(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Sequence[RowMapping]:
        return self._connection.execute(statement, values).mappings().all()

    def savepoint(self) -> AbstractContextManager[Any]:
        """Undo what is done within when it raises, and nothing else."""
        return self._connection.begin_nested()

    def lock(self, name: str) -> None:
        """Let one transaction at a time pass here, by name, until it ends. SQLite has one writer anyway."""
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call back as soon as the rows are committed and the connection is given back: for doorbells."""
        self._doorbells.append(callback)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call back after the doorbells, however late those were asked for: for signals. Order is kept."""
        self._news.append(callback)

    def gather(self, word: str, deliver: Callable[[Sequence[str]], None]) -> None:
        """Call ``deliver`` back last of all, once, with every word that was gathered for it, each once."""
        self._gathered.setdefault(deliver, {})[word] = None

    def committed(self) -> None:
        """Deliver the news. A broken receiver must not look like a broken transaction."""
        gathered: list[Callable[[], None]] = [partial(tell, list(words)) for tell, words in self._gathered.items()]
        for callback in (*self._doorbells, *self._news, *gathered):
            try:
                callback()
            except Exception:
                log.exception("after commit: %r failed; what was committed stays", callback)


class Database:
    """The engine of one app, and the two ways to use it. The first use makes it: that is when its driver is imported."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._engine: Engine | None = None
        self._making = Lock()

    @property
    def engine(self) -> Engine:
        with self._making:
            if self._engine is None:
                self._engine = _make_engine(self._url)
            return self._engine

    @cached_property
    def _writer(self) -> Engine:
        return self.engine.execution_options(**{_WRITES: True})

    @cached_property
    def _reader(self) -> Engine:
        postgresql = self.engine.dialect.name == "postgresql"
        return self.engine.execution_options(isolation_level="REPEATABLE READ") if postgresql else self.engine

    @cached_property
    def _at_once(self) -> Engine | None:
        """A single statement needs no BEGIN and no COMMIT on PostgreSQL, where each of these is a round trip."""
        postgresql = self.engine.dialect.name == "postgresql"
        return self.engine.execution_options(isolation_level="AUTOCOMMIT") if postgresql else None

    def transaction(self, name: str) -> AbstractContextManager[Transaction]:
        """Open a short write transaction; BEGIN IMMEDIATE on SQLite. Never nested.

        Args:
            name: what it does, in a word: its pause points are named after it.
        """
        return self._write(name, self._writer)

    def single_write(self, name: str) -> AbstractContextManager[Transaction]:
        """Likewise for one statement alone, which is committed as soon as it is done."""
        return self._write(name, self._at_once or self._writer)

    @contextmanager
    def _write(self, name: str, engine: Engine) -> Iterator[Transaction]:
        if _in_transaction.get():
            raise RuntimeError("transaction() inside transaction(): pass the open one along")
        _one_state.set(None)  # What is read from now on has to know what is written here.
        mark = _in_transaction.set(True)
        try:
            with engine.begin() as connection:
                tx = Transaction(connection)
                yield tx
                reached(f"{name}.before_commit")
        finally:
            _in_transaction.reset(mark)
        reached(f"{name}.committed")
        tx.committed()

    @contextmanager
    def rehearsing(self) -> Iterator[Transaction]:
        """Open a write transaction that is undone at its end: nothing of it stays, and nobody hears of it."""
        with self._writer.connect() as connection:
            yield Transaction(connection)

    def reading(self) -> AbstractContextManager[Transaction]:
        """Open a read that sees one state of the database; within another one, the same state, until something is written."""
        return self._read(self._reader)

    def single_read(self) -> AbstractContextManager[Transaction]:
        """Likewise for statements that need not see the same state."""
        return self._read(self._at_once or self.engine)

    @contextmanager
    def _read(self, engine: Engine) -> Iterator[Transaction]:
        outer = _one_state.get()
        if outer and outer[0] is self:
            yield outer[1]
            return
        with engine.connect() as connection:
            inner = Transaction(connection)
            mark = _one_state.set((self, inner))
            try:
                yield inner
            finally:
                _one_state.reset(mark)

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Open a connection for migrations: one process at a time, the others wait."""
        with self._writer.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            Transaction(connection).lock("migrations")
            yield connection

    def close_connections(self) -> None:
        """Close every idle connection, as before a fork."""
        self.engine.dispose()


def database() -> Database:
    """The current app's database."""
    return cast("Database", current_app.extensions["portal_actions"].database)


def transaction(name: str) -> AbstractContextManager[Transaction]:
    """Write with the current app's database; see ``Database.transaction``."""
    return database().transaction(name)


def single_write(name: str) -> AbstractContextManager[Transaction]:
    """Write one statement with the current app's database; see ``Database.single_write``."""
    return database().single_write(name)


def reading() -> AbstractContextManager[Transaction]:
    """Read with the current app's database; see ``Database.reading``."""
    return database().reading()


def single_read() -> AbstractContextManager[Transaction]:
    """Read with the current app's database; see ``Database.single_read``."""
    return database().single_read()


def in_one_state(read: Callable[P, T]) -> Callable[P, T]:
    """Let all that is read in a call be of one state of the database, over one connection."""

    @wraps(read)
    def read_in_one_state(*args: P.args, **kw: P.kwargs) -> T:
        with reading():
            return read(*args, **kw)

    return read_in_one_state


def ride_out(work: Callable[[], T], seconds: float) -> T:
    """Do some work with the database, again and again while it is away, and give up after so many seconds.

    The work is a whole transaction or read of its own. It may be done twice, since the answer to a commit can be lost.
    """
    give_up = time.monotonic() + seconds
    for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
        try:
            return work()
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() + pause > give_up:
                raise
            log.warning("the database is away, trying again in %s s: %s", pause, error)
            time.sleep(pause)
    raise AssertionError("endless")


def _make_engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        # A statement without parameters in an error's text cannot carry a secret into a log.
        engine = create_engine(
            url,
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            connect_args={"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": BUSY_SECONDS * 1000},
        )
        event.listen(engine, "connect", _set_up_postgresql)
        event.listen(engine, "checkin", _note_use)
        event.listen(engine, "checkout", partial(_ping_what_was_idle, engine.dialect))
        return engine
    if file := url.database:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_postgresql(connection: Any, _record: object) -> None:
    """Wait for a lock as long as on SQLite: a transaction that somebody forgot must not stop every supervisor.

    Moments and ids come as they are used, in UTC and as text: a page of logs has thousands of them.
    """
    connection.autocommit = True
    connection.execute(f"SET lock_timeout = '{BUSY_SECONDS * 1000:.0f}ms'; SET TIME ZONE 'UTC'")
    connection.autocommit = False
    adapters = connection.adapters
    adapters.register_loader("uuid", adapters.get_loader(adapters.types["text"].oid, _AS_TEXT))


def _note_use(_connection: Any, record: Any) -> None:
    record.info["used_at"] = time.monotonic()


def _ping_what_was_idle(dialect: Dialect, connection: Any, record: Any, _proxy: object) -> None:
    """Find out that the server was restarted, before somebody's statement does.

    ``pool_pre_ping`` asks every time, and that is a round trip for each transaction and each read.
    """
    if time.monotonic() - record.info.get("used_at", math.inf) < TRUSTED_SECONDS:
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error:
        raise InvalidatePoolError from None


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver's own BEGIN comes too late for IMMEDIATE; _begin_sqlite writes it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    if not connection.get_execution_options().get(_WRITES):
        driver.execute("BEGIN")
        return
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        _begin_to_write(driver)
    except sqlite3.OperationalError as error:
        raise OperationalError("BEGIN IMMEDIATE", {}, error) from error
    finally:
        driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _begin_to_write(driver: sqlite3.Connection) -> None:
    """Wait for the one writer, and look again soon: SQLite's own wait soon sleeps for 25 ms and more at a time.

    Of the driver: a look that SQLAlchemy has to make an error of takes as long as somebody else's transaction.
    """
    give_up, wait = time.monotonic() + BUSY_SECONDS, _FIRST_LOOK
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(random.uniform(0.5, 1.5) * wait)
            wait = min(wait * 1.1, _LONGEST_LOOK)
        else:
            return
