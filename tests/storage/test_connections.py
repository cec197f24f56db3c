"""No connection of any pool is open at a fork, and only what is really open keeps a supervisor from forking."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, NullPool, StaticPool, create_engine, event, make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import Pool

from portal_actions_plugin.runner.process.connections import Connections
from tests.support.hanging_up import HangingUp
from tests.support.people import Person
from tests.support.waiting import wait_until
from tests.support.workers import Workers

LISTENERS = {"connect": "_opened", "detach": "_was_detached", "close_detached": "_closed_detached"}
POOLS = {"queue": {}, "none": {"poolclass": NullPool}, "static": {"poolclass": StaticPool}}


@pytest.fixture
def connections() -> Iterator[Connections]:
    # Another one that listens would be somebody who has a connection: tests of workers leave some in this process.
    for left in [found for found in gc.get_objects() if type(found) is Connections]:
        no_longer_listen(left)
    watching = Connections()
    yield watching
    no_longer_listen(watching)


def no_longer_listen(watching: Connections) -> None:
    for name, listener in LISTENERS.items():
        if event.contains(Pool, name, heard := getattr(watching, listener, print)):
            event.remove(Pool, name, heard)
    watching.forget()


def test_one_that_an_earlier_test_has_left_listening_holds_nothing(request: pytest.FixtureRequest) -> None:
    left = Connections()
    request.getfixturevalue("connections")
    assert not any(event.contains(Pool, name, getattr(left, heard)) for name, heard in LISTENERS.items())


@pytest.fixture(params=POOLS)
def engine(request: pytest.FixtureRequest, database_url: str) -> Iterator[Engine]:
    """A host's own."""
    engine = create_engine(database_url, **POOLS[request.param])
    yield engine
    engine.dispose()


def refused(connections: Connections) -> bool:
    try:
        connections.close_all()
    except RuntimeError:
        return True
    return False


# -- whose they are ----------------------------------------------------------------------------------------------------


HOST = """
import weakref
from werkzeug.local import LocalProxy
from portal_actions_plugin.runner.process.connections import Connections
class Something:
    pass
def nobody():
    raise KeyError("no user is signed in")
in_memory = [LocalProxy(nobody), weakref.proxy(Something())]
Connections().close_all()
print("may fork")
"""


@pytest.mark.fault("A1")
def test_what_a_host_has_in_memory_is_not_asked_what_it_stands_for() -> None:
    assert run(HOST) == "may fork\n"


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


EARLY = """
import gc, os, sys
from sqlalchemy import create_engine
engine = create_engine(sys.argv[1])
engine.connect().close()
gc.freeze()
from portal_actions_plugin.runner.process.connections import Connections
connections = Connections()
connections.close_all()
print(sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")))
with engine.connect() as used:
    used.exec_driver_sql("SELECT 1")
    try:
        connections.close_all()
    except RuntimeError as error:
        print(error)
"""


def test_an_engine_that_was_used_before_the_plugin_was_imported_has_no_connection_open_at_a_fork(
    database_url: str,
) -> None:
    said = run(EARLY, database_url)
    assert "portal_actions.db" not in said
    assert "socket:" not in said
    assert "1 database connections are open at a fork" in said, "and is watched from then on"


# -- what counts -------------------------------------------------------------------------------------------------------


def test_a_connection_in_use_is_seen_and_an_idle_one_closed(connections: Connections, engine: Engine) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        assert refused(connections)
    assert not refused(connections)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1, "the pool opens another one"
    raw = engine.raw_connection()
    assert refused(connections)
    raw.close()
    assert not refused(connections)


def test_a_detached_connection_counts_until_it_is_closed(connections: Connections, engine: Engine) -> None:
    with engine.connect() as connection:
        connection.detach()
        assert refused(connections)
    assert not refused(connections)
    raw = engine.raw_connection()
    raw.detach()
    assert refused(connections)
    raw.dbapi_connection.close()
    assert not refused(connections), "closed behind the pool's back"


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_detached_connection_that_nobody_has_any_more_does_not_count(
    connections: Connections, engine: Engine
) -> None:
    raw = engine.raw_connection()
    raw.detach()
    del raw
    gc.collect()  # what tests before have left may hold it in a circle
    assert not refused(connections)


def test_a_connection_that_the_server_has_ended_does_not_count(connections: Connections, postgres: str) -> None:
    engine = create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as other, engine.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
        other.close()
        with pytest.raises(Exception, match=r"terminat|closed"):
            connection.exec_driver_sql("SELECT 1")
        assert not refused(connections)
    engine.dispose()


def test_an_asynchronous_engine_s_connections_are_closed_too(connections: Connections, postgres: str) -> None:
    name = f"async{uuid.uuid4().hex}"
    engine = create_async_engine(
        make_url(postgres.replace("postgresql:", "postgresql+psycopg:")).update_query_dict({"application_name": name})
    )
    look = create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)

    def sessions() -> Any:
        with look.connect() as connection:
            return connection.exec_driver_sql(
                f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'"
            ).scalar()

    async def use() -> None:
        async with engine.connect() as connection:
            await connection.exec_driver_sql("SELECT 1")

    asyncio.run(use())
    assert sessions() == 1
    assert not refused(connections)
    wait_until(lambda: sessions() == 0, 60)


# -- what was never set up ---------------------------------------------------------------------------------------------


@pytest.mark.fault("0a")
def test_a_connection_whose_set_up_fails_does_not_count_for_ever(connections: Connections, engine: Engine) -> None:
    def fail(_connection: Any, _record: Any) -> None:
        raise RuntimeError("this host's own setting is refused")

    event.listen(engine, "connect", fail)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="own setting"):
            engine.connect()
    connections.close_all()


@pytest.mark.fault("0a")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_workers_are_forked_again_after_a_database_that_took_logins_and_hung_up_at_the_first_query(
    make_app: Callable[..., Flask], database_url: str, start_workers: Callable[..., Workers]
) -> None:
    ada = Person(make_app(PORTAL_ACTIONS_DATABASE_URL=database_url).test_client(), "ada")
    with HangingUp(database_url) as server:
        workers = start_workers(
            2,
            PORTAL_ACTIONS_DATABASE_URL=server.url,
            PORTAL_ACTIONS_SWEEP_SECONDS=0.3,
            PORTAL_ACTIONS_RING_AGAIN_SECONDS=1,
        )
        wait_until(lambda: len(workers.grandchildren()) == 2, 60)
        server.hang_up()
        wait_until(lambda: server.hung_up > 5, 60)
        for worker in workers.children():
            os.kill(worker, 9)
        before = server.hung_up
        wait_until(lambda: server.hung_up > before + 5, 60)
        server.answer()
        path = ada.post("/api/v1/actions/debug.log@v1/runs", {"input": {"message": "hello"}}).headers["Location"]
        wait_until(lambda: ada.get(path).json["status"] == "success", 90)
        wait_until(lambda: len(workers.grandchildren()) == 2, 60)
        assert "are open at a fork" not in Path(workers.log).read_text()
        workers.stop()
