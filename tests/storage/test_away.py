"""What says that the database is away, how often that is said, and what a worker does meanwhile."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, StatementError

from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.sessions import Database, ride_out
from tests.support.hanging_up import HangingUp
from tests.support.waiting import wait_until
from tests.support.workers import Workers

AWAY = [
    "08000",
    "08003",
    "08006",
    "08001",
    "08004",
    "08P01",
    "40001",
    "40P01",
    "40003",
    "53000",
    "53100",
    "53200",
    "53300",
    "53400",
    "55P03",
    "57014",
    "57P01",
    "57P02",
    "57P03",
    "57P05",
    "58030",
    "25006",
    "25P03",
    "25P04",
]
NOT_AWAY = [
    "22P02",
    "22P05",
    "23502",
    "23505",
    "25P02",
    "26000",
    "28P01",
    "42501",
    "42601",
    "42703",
    "42P01",
    "54000",
    "57P04",
    "58P01",
    "XX000",
    "XX001",
]


@pytest.fixture(scope="module")
def raises(postgres: str) -> Callable[[str], DBAPIError]:
    """An error of a real server with a code."""
    engine = create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)

    def fail(state: str) -> DBAPIError:
        with pytest.raises(DBAPIError) as failed, engine.connect() as connection:
            connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{state}'; END $$"))
        return failed.value

    return fail


@pytest.mark.parametrize("state", AWAY)
def test_a_state_that_passes_is_away(raises: Callable[[str], DBAPIError], state: str) -> None:
    assert away.is_away(raises(state))


@pytest.mark.parametrize("state", NOT_AWAY)
def test_a_state_that_stays_is_not_away(raises: Callable[[str], DBAPIError], state: str) -> None:
    assert not away.is_away(raises(state))


@pytest.mark.parametrize("change", [{"database": "nowhere"}, {"username": "nobody"}, {"query": {"host": "/nowhere"}}])
def test_a_failure_to_connect_is_away_whatever_the_server_said(postgres: str, change: dict[str, Any]) -> None:
    engine = create_engine(make_url(postgres).set(drivername="postgresql+psycopg", **change))
    with pytest.raises(OperationalError) as failed:
        engine.connect()
    assert away.is_away(failed.value)


def test_a_session_that_the_server_ends_is_away(database_url: str) -> None:
    database = Database(database_url)
    if database.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no sessions")
    for end in ("pg_terminate_backend", "pg_cancel_backend"):
        with pytest.raises(DBAPIError) as failed, database.single_read() as db:
            db.rows(text(f"SELECT {end}(pg_backend_pid()), pg_sleep(5)"))
        assert away.is_away(failed.value), end
    database.close_connections()


def sqlite_error(file: Path, how: str) -> DBAPIError:
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 0})
    with pytest.raises(DBAPIError) as failed, engine.connect() as connection:
        for statement in how.split(";"):
            connection.exec_driver_sql(statement)
    engine.dispose()
    return failed.value


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("PRAGMA query_only = 1; CREATE TABLE other (id)", True),
        ("PRAGMA max_page_count = 1; CREATE TABLE other (id)", True),
        ("SELECT * FROM nowhere", False),
        ("INSERT INTO t VALUES (1)", False),
        ("SELEC", False),
    ],
)
def test_an_error_of_sqlite_is_away_by_its_code(tmp_path: Path, how: str, expected: bool) -> None:
    with sqlite3.connect(tmp_path / "some.db") as made:
        made.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        made.execute("INSERT INTO t VALUES (1)")
    made.close()
    assert away.is_away(sqlite_error(tmp_path / "some.db", how)) is expected


def test_a_file_of_sqlite_that_cannot_be_opened_or_is_locked_is_away(tmp_path: Path) -> None:
    with pytest.raises(OperationalError) as failed:
        create_engine(f"sqlite:///{tmp_path}").connect()
    assert away.is_away(failed.value)
    holder = sqlite3.connect(tmp_path / "some.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert away.is_away(sqlite_error(tmp_path / "some.db", "CREATE TABLE t (id)"))
    holder.close()


def test_what_is_no_error_of_a_database_is_not_away() -> None:
    assert not away.is_away(StatementError("no time zone", "SELECT", None, ValueError()))
    assert not away.is_away(IntegrityError("INSERT", None, psycopg.errors.UniqueViolation()))
    assert not away.is_away(RuntimeError())


def test_what_is_not_away_is_not_ridden_out() -> None:
    tries: list[str] = []

    def broken() -> None:
        tries.append("")
        raise DBAPIError.instance(
            "SELECT", None, psycopg.errors.UndefinedTable("no such table"), psycopg.Error, dialect=None
        )

    with pytest.raises(DBAPIError):
        ride_out(broken, 60)
    assert len(tries) == 1


def test_the_same_words_are_said_once_a_minute_and_new_ones_at_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(away, "_told", {})
    log = logging.getLogger("test")

    def say(words: str) -> None:
        away.bear(OperationalError("SELECT 1", {}, Exception(words)), log, "it has to wait")

    for _ in range(5):
        say("the server at postgresql://me:geheim@db is gone")
    say("the server starts")
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "it has to wait: the server at postgresql://***@db is gone",
        "it has to wait: the server starts",
    ]
    monkeypatch.setattr(away, "AGAIN_SECONDS", 0)
    caplog.clear()
    say("the server starts")
    assert len(caplog.records) == 1


def test_what_nobody_expects_is_raised_again() -> None:
    broken = IntegrityError("INSERT", None, psycopg.errors.UniqueViolation())
    with pytest.raises(IntegrityError):
        away.bear(broken, logging.getLogger("test"), "it has to wait")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_worker_that_starts_before_its_database_says_why_once_and_begins_when_that_is_there(
    database_url: str, start_workers: Callable[..., Workers]
) -> None:
    with HangingUp(database_url) as server:
        server.hang_up()
        workers = start_workers(PORTAL_ACTIONS_DATABASE_URL=server.url)
        wait_until(lambda: server.hung_up > 3, 60)
        assert workers.process.poll() is None
        assert workers.log.read_text().count("no worker starts while the database is away") == 1
        server.answer()
        wait_until(workers.grandchildren, 60)
        workers.stop()


def test_riding_out_from_several_threads_says_it_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(away, "_told", {})
    tries = [0]

    def comes_back() -> bool:
        tries[0] += 1
        if tries[0] < 8:
            raise OperationalError("SELECT", {}, Exception("away"))
        return True

    threads = [threading.Thread(target=ride_out, args=(comes_back, 60)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) <= 3


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_workers_whose_database_goes_away_stay_and_say_why_once_each(
    database_url: str, start_workers: Callable[..., Workers]
) -> None:
    with HangingUp(database_url) as server:
        workers = start_workers(PORTAL_ACTIONS_DATABASE_URL=server.url, PORTAL_ACTIONS_SWEEP_SECONDS=0.2)
        wait_until(workers.grandchildren, 60)
        at_work = workers.children()
        server.hang_up()
        wait_until(lambda: server.hung_up > 60, 60)
        said = [line for line in workers.log.read_text().splitlines() if " WARNING " in line]
        assert workers.children() == at_work
        assert said
        assert len(said) == len({line.partition(" WARNING ")[2] for line in said}), said
        server.answer()
        workers.stop()
