"""Sessions with the database: one way to write, and one way to read."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import cached_property, partial, wraps
from threading import Lock
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar, cast

import uuid_utils
from flask import current_app
from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    Executable,
    make_url,
    text,
)
from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.engines import WRITES, make_engine
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.statements import CompiledOnce, Values

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

Row = Mapping[str, Any]
Statement = Executable | CompiledOnce
NOTHING: Values = MappingProxyType({})

_PASS_ONE_BY_ONE = CompiledOnce(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"))
_PAUSES = (0.1, 0.2, 0.5, 1.0)
_in_transaction: ContextVar[bool] = ContextVar("portal_actions_in_transaction", default=False)
_one_state: ContextVar[tuple[Database, Transaction] | None] = ContextVar("portal_actions_one_state", default=None)


def new_id() -> str:
    """A UUIDv7: newest-first is the primary key backwards."""
    return str(uuid_utils.uuid7())


class Transaction:
    """An open transaction, and what may only happen once it is committed: doorbells, then news, and echoes last of all."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._doorbells: list[Callable[[], object]] = []
        self._news: list[Callable[[], None]] = []
        self._in_hand: dict[str, Row] = {}
        self._echoes: dict[Callable[[Sequence[str]], None], dict[str, None]] = {}

    def execute(self, statement: Executable, values: Values | None = None) -> CursorResult[Any]:
        """Run a statement; one that was made once, for all its uses, gets its ``values`` here."""
        return self._connection.execute(statement, values)

    def changed(self, statement: Statement, values: Values = NOTHING) -> int:
        """Run a statement that writes, and say how many rows an UPDATE or DELETE hit."""
        if isinstance(statement, CompiledOnce):
            return statement.run(self._connection, values)
        return self._connection.execute(statement, values).rowcount

    def row(self, statement: Statement, values: Values = NOTHING) -> Row | None:
        rows = self.rows(statement, values)
        return rows[0] if rows else None

    def rows(self, statement: Statement, values: Values = NOTHING) -> Sequence[Row]:
        if isinstance(statement, CompiledOnce):
            return statement.read(self._connection, values)
        found: Sequence[Any] = self._connection.execute(statement, values).mappings().all()
        return found

    def tuples(self, statement: Statement, values: Values = NOTHING) -> Sequence[Sequence[Any]]:
        """Rows as bare values, in the order of the columns: thousands of them are read in half the time."""
        if isinstance(statement, CompiledOnce):
            return statement.read_tuples(self._connection, values)
        return self._connection.execute(statement, values).all()

    def add(self, statement: CompiledOnce, several: Sequence[Values]) -> None:
        """Run an INSERT once for each of several values, at least one."""
        statement.run_for_each(self._connection, several)

    def savepoint(self) -> AbstractContextManager[Any]:
        """Undo what is done within when it raises, and nothing else."""
        return self._connection.begin_nested()

    def lock(self, name: str) -> None:
        """Let one transaction at a time pass here, by name, until it ends. SQLite has one writer anyway."""
        if self._connection.dialect.name == "postgresql":
            self.changed(_PASS_ONE_BY_ONE, {"name": name})

    def keep_in_hand(self, row: Row) -> None:
        """Keep a run's row as it has just been written: who tells of it after the commit need not read it again."""
        self._in_hand[row["id"]] = row

    def in_hand(self, run_id: str) -> Row | None:
        """A run's row as it was last written here, when it was kept."""
        return self._in_hand.get(run_id)

    def ring_after_commit(self, callback: Callable[[], object]) -> None:
        """Call back as soon as the rows are committed and the connection is given back: for doorbells, the first of all."""
        self._doorbells.append(callback)

    def tell_after_rings(self, callback: Callable[[], None]) -> None:
        """Call back after all doorbells, also those asked for later: for signals and log lines, in the order of these calls."""
        self._news.append(callback)

    def echo_last(self, word: str, deliver: Callable[[Sequence[str]], None]) -> None:
        """Call ``deliver`` back after all doorbells and news, once, with every word that was given for it, each once."""
        self._echoes.setdefault(deliver, {})[word] = None

    def deliver(self) -> None:
        """Ring, tell and echo: the transaction is committed. A broken receiver must not look like a broken transaction."""
        echoes: list[Callable[[], None]] = [partial(tell, list(words)) for tell, words in self._echoes.items()]
        for callback in (*self._doorbells, *self._news, *echoes):
            try:
                callback()
            except Exception as error:
                if away.is_away(error):
                    away.bear(error, log, "after commit: the database is away, and a sweeper makes up for it")
                else:
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
                self._engine = make_engine(self._url)
            return self._engine

    @cached_property
    def _writer(self) -> Engine:
        return self.engine.execution_options(**{WRITES: True})

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
        """Open a write transaction for one statement alone, committed as soon as it is done; ``name`` names its pause points."""
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
        tx.deliver()

    @contextmanager
    def rehearsing(self) -> Iterator[Transaction]:
        """Open a write transaction that is undone at its end: nothing of it stays, and nobody hears of it."""
        with self._writer.connect() as connection:
            yield Transaction(connection)

    @contextmanager
    def probing(self, seconds: float) -> Iterator[Transaction]:
        """Open a write transaction that waits for nothing longer than so many seconds, and is undone at its end."""
        with self.engine.execution_options(**{WRITES: seconds}).connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = {seconds * 1000:.0f}")
            yield Transaction(connection)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Open a read that sees one state of the database; within another one, the same state, until something is written."""
        outer = _one_state.get()
        if outer and outer[0] is self:
            yield outer[1]
            return
        with self._reader.connect() as connection:
            inner = Transaction(connection)
            mark = _one_state.set((self, inner))
            try:
                yield inner
            finally:
                _one_state.reset(mark)

    @contextmanager
    def single_read(self) -> Iterator[Transaction]:
        """Open a read for one statement, or for several that need not see the same state."""
        with (self._at_once or self.engine).connect() as connection:
            yield Transaction(connection)

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
        except DBAPIError as error:
            if time.monotonic() + pause > give_up:
                raise
            away.bear(error, log, "the database is away, trying again")
            time.sleep(pause)
    raise AssertionError("endless")
