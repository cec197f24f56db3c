"""How the databases are connected to: durable, patient with locks, and quick to find out that a server was restarted."""

from __future__ import annotations

import math
import random
import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

BUSY_SECONDS = 15
CONNECT_SECONDS = 5
POOL_SECONDS = 10
"""How long a request waits for one of its process's connections, when others have all of them."""

TRUSTED_SECONDS = 0.1
"""How long a connection that was used is believed to be alive still: no server restarts in less time."""

_FIRST_LOOK, _LONGEST_LOOK = 0.0001, 0.001
"""Seconds until one looks again for SQLite's one writer, whose transactions take about a millisecond."""

_AS_TEXT = 0
"""The format in which PostgreSQL sends what it is not asked to send in binary."""

WRITES = "portal_actions_writes"
"""The execution option of connections that write: SQLite's begin with the one writer's lock. Seconds wait no longer."""


def make_engine(url: URL) -> Engine:
    """An engine for one of the two kinds of database; an SQLite file's folder is made."""
    if url.get_backend_name() != "sqlite":
        # A statement without parameters in an error's text cannot carry a secret into a log.
        engine = create_engine(
            url,
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            pool_timeout=POOL_SECONDS,
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
    answers = connection.execute(
        f"SET lock_timeout = '{BUSY_SECONDS * 1000:.0f}ms'; SET TIME ZONE 'UTC'; SELECT pg_backend_pid()"
    )
    answers.set_result(-1)
    if answers.fetchone()[0] != connection.info.backend_pid:
        # A pooler is in between, whose clients have made up process ids: the next transaction may come to another
        # server process, which knows nothing of what was prepared in this one.
        connection.prepare_threshold = None
    connection.autocommit = False
    adapters = connection.adapters
    adapters.register_loader("uuid", adapters.get_loader(adapters.types["text"].oid, _AS_TEXT))


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _ping_what_was_idle(
    dialect: Dialect, connection: PoolProxiedConnection, record: ConnectionPoolEntry, _proxy: object
) -> None:
    """Find out that the server was restarted, before somebody's statement does.

    ``pool_pre_ping`` asks every time, and that is a round trip for each transaction and each read.
    """
    if time.monotonic() - record.info.get("used_at", math.inf) < TRUSTED_SECONDS:
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error:
        raise InvalidatePoolError from None


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
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
    writes = connection.get_execution_options().get(WRITES)
    if not writes:
        connection.exec_driver_sql("BEGIN")
        return
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        _begin_to_write(driver, BUSY_SECONDS if writes is True else writes)
    except sqlite3.Error as error:
        raise DBAPIError.instance("BEGIN IMMEDIATE", {}, error, sqlite3.Error) from error
    finally:
        driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _begin_to_write(driver: sqlite3.Connection, seconds: float) -> None:
    """Wait for the one writer, and look again soon: SQLite's own wait soon sleeps for 25 ms and more at a time.

    Of the driver: a look that SQLAlchemy has to make an error of takes as long as somebody else's transaction.
    """
    give_up, wait = time.monotonic() + seconds, _FIRST_LOOK
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
