"""PostgreSQL in trouble."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from tests.outside.parts import Postgres
from tests.outside.play import Play
from tests.outside.scenarios import scenario

ONLY = ("postgresql",)
ENDED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'outside'"


@scenario("terminate-storm", ONLY)
def terminate_storm(play: Play) -> None:
    """Every session is ended by pg_terminate_backend every 50 ms for 40 s."""
    stage = play.open()
    assert isinstance(stage.database, Postgres)
    play.people(stage, 36)
    with stage.database.connect("postgres") as connection:
        for _ in play.during(40):
            connection.execute(ENDED)
            time.sleep(0.05)
    play.settle()


@scenario("read-only-moments", ONLY)
def read_only_moments(play: Play) -> None:
    """The server is read-only for moments of 1 to 4 s, as in a failover."""
    stage = play.open()
    assert isinstance(stage.database, Postgres)
    play.people(stage, 30)
    for _ in play.during(30):
        _read_only(stage.database, "on")
        play.wait(play.rng.uniform(1, 4))
        _read_only(stage.database, "off")
        play.wait(play.rng.uniform(1, 3))
    play.settle()


def _read_only(database: Postgres, value: str) -> None:
    with psycopg.connect(
        host=str(database.folder), port=database.port, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}".encode())
        connection.execute("SELECT pg_reload_conf()")


@scenario("connections-exhausted", ONLY)
def connections_exhausted(play: Play) -> None:
    """Others take every connection of the server for 10 s, and the portal's own are ended; twice."""
    stage = play.open()
    database = stage.database
    assert isinstance(database, Postgres)
    play.people(stage, 30)
    for _ in play.during(30):
        play.wait(play.rng.uniform(2, 4))
        with database.connect("postgres") as admin:
            taken = _take_all(database)
            try:
                for _ in range(50):
                    admin.execute(ENDED)
                    taken += _take_all(database)
                    play.wait(0.2)
            finally:
                for connection in taken:
                    connection.close()
    play.settle()


def _take_all(database: Postgres) -> list[psycopg.Connection[Any]]:
    taken: list[psycopg.Connection[Any]] = []
    while True:
        try:
            taken.append(database.connect("postgres"))
        except psycopg.OperationalError:
            return taken


@scenario("failover-loses-commits", ONLY)
def failover_loses_commits(play: Play) -> None:
    """The server is replaced by a copy from moments before: commits vanish, while the workers are at work."""
    stage = play.open()
    database = stage.database
    assert isinstance(database, Postgres)
    play.people(stage, 24)
    play.wait(play.span(8))
    began = time.monotonic()
    copy = database.copy_data()
    play.wait(play.rng.uniform(0.5, 2.5))
    database.stop("immediate")
    gone = time.monotonic()
    database.data = copy
    database.start()
    play.forget_since(stage, began, gone)
    play.settle()
