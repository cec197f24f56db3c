"""The processes of one portal: a web server, supervisors with their workers, and what keeps them as a service manager does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.outside.client import Client
from tests.outside.parts import Database, Redis, end_with_us, free_port, is_alive, signal_all, wait_until

HOST = Path(__file__).parent / "host"
QUEUES = ("default", "slow")
SETTINGS: Mapping[str, Any] = {
    "LEASE_SECONDS": 6,
    "LEASE_RENEW_SECONDS": 1,
    "LAPSE_GRACE_SECONDS": 2,
    "SWEEP_SECONDS": 1,
    "RING_AGAIN_SECONDS": 3,
    "RETRY_SECONDS": 1,
    "RETRY_MAX_SECONDS": 3,
    "RATE_LIMIT": "100000 per minute",
}
ENTRY_POINTS = """\
[portal_actions.actions]
outside = outside_actions
hostile = outside_hostile
"""
TEMPLATE = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {{name: {name}, title: {name}}}
spec:
  owner: team:platform
  type: service
  parameters:
    - required: [key, seconds]
      properties:
        key: {{type: string}}
        seconds: {{type: number}}
  steps:
{steps}
"""
STEP = """\
    - id: {id}
      name: {id}
      action: {action}
      input: {{key: "${{{{ parameters.key }}}}", seconds: "${{{{ parameters.seconds }}}}"}}
"""
TEMPLATES = {
    "outside-three": ("outside.step@v1", "outside.locked@v1", "outside.slow@v1"),
    "outside-once": ("outside.once@v1", "outside.slow@v1"),
}
SHARED = "outside-shared"
ITEMS = ("a", "b", "c")
SHARED_STEPS = """\
    - id: items
      name: items
      each: [a, b, c]
      action: outside.share@v1
      input: {key: "${{ parameters.key }}", seconds: "${{ parameters.seconds / 3 }}", item: "${{ each.value }}"}
    - id: refused
      name: refused
      if: "${{ parameters.key == 'c' }}"
      action: outside.refuse@v1
      input: {key: "${{ parameters.key }}", seconds: 0}
    - id: cleanup
      name: cleanup
      if: "${{ always() }}"
      action: outside.share@v1
      input: {key: "${{ parameters.key }}", seconds: "${{ parameters.seconds }}"}
"""
"""Items that leave files to one another, a step that fails in every third run, and one that cleans up, or just comes last."""
ALIVE_SECONDS = 60
"""A supervisor lets a place wait up to half a minute when its workers die young."""


@dataclass
class Service:
    """A program that is started again when it ends, as a service manager does it."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    workers: int = 0
    process: subprocess.Popen[bytes] | None = None
    exits: list[int] = field(default_factory=list)
    kept: bool = True

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=self.log.parent,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=end_with_us,
            )

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0


class Stage:
    """One portal. ``python`` runs its processes: whatever package is installed there is what is tried."""

    def __init__(
        self,
        folder: Path,
        python: str,
        database: Database,
        redis: Redis,
        python_path: Path | None = None,
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.python = python
        self.python_path = python_path
        self.database = database
        self.redis = redis
        self.port = free_port()
        self.client = Client(self.port)
        self.settings = {**SETTINGS, "REDIS_URL": redis.url, "DATABASE_URL": database.url, **settings}
        self.services: list[Service] = []
        self.extra: dict[str, str] = {}
        self.services_are_given: Callable[[str, int], dict[str, str]] = lambda _name, _number: {}
        self._added = 0
        self._closing = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    # -- starting ----------------------------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Make what a host has: templates, a package with actions, tables."""
        (self.folder / "templates").mkdir(parents=True, exist_ok=True)
        for name, actions in TEMPLATES.items():
            steps = "".join(STEP.format(id=f"step-{n}", action=action) for n, action in enumerate(actions))
            (self.folder / "templates" / f"{name}.yaml").write_text(TEMPLATE.format(name=name, steps=steps))
        shared = TEMPLATE.format(name=SHARED, steps=SHARED_STEPS)
        (self.folder / "templates" / f"{SHARED}.yaml").write_text(shared)
        info = self.folder / "site" / "outside_host-1.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-host\nVersion: 1\n")
        (info / "entry_points.txt").write_text(ENTRY_POINTS)
        self.flask("actions", "db", "upgrade")

    def start(self, *, workers: int = 2, supervisors: int = 1) -> None:
        """Start everything, and wait until it is up."""
        self.add_web()
        for _ in range(supervisors):
            self.add_supervisor(workers)
        self._keeper.start()
        self.wait_for_web()
        wait_until(lambda: self.workers_alive() == self.workers_wanted(), ALIVE_SECONDS, "all workers are up")

    def add_web(self) -> None:
        where = ["--bind", f"127.0.0.1:{self.port}", "--workers", "1", "--threads", "8", "--timeout", "120"]
        self.add("web", "gunicorn", *where, "outside_portal:create_app()")

    def add_supervisor(self, workers: int = 2, *, python: str | None = None) -> Service:
        queues = [word for queue in QUEUES for word in ("--queue", queue)]
        service = self.add("supervisor", "flask", *self._worker(workers, queues), python=python)
        service.workers = workers * len(QUEUES)
        return service

    @staticmethod
    def _worker(workers: int, queues: list[str]) -> list[str]:
        return ["--app", "outside_portal", "actions", "worker", "--workers", str(workers), *queues]

    def add(self, name: str, module: str, *words: str, python: str | None = None) -> Service:
        command = [python or self.python, "-m", module, *words]
        environment = self.environment() | self.services_are_given(name, self._added)
        self._added += 1
        service = Service(name, command, environment, self.folder / f"{name}.log")
        service.start()
        self.services.append(service)
        return service

    def environment(self) -> dict[str, str]:
        kept = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR")
        environment = {name: value for name, value in os.environ.items() if name in kept}
        settings = {**self.settings, "TEMPLATE_PATH": self.folder / "templates"}
        for name, value in settings.items():
            environment[f"OUTSIDE_CONFIG_PORTAL_ACTIONS_{name}"] = str(value)
        environment["OUTSIDE_FOLDER"] = str(self.folder)
        before = [str(self.python_path)] if self.python_path else []
        environment["PYTHONPATH"] = ":".join([*before, str(self.folder / "site"), str(HOST)])
        return environment | self.extra

    def flask(self, *words: str, check: bool = True, python: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of the portal, to its end."""
        return subprocess.run(
            [python or self.python, "-m", "flask", "--app", "outside_portal", *words],
            env=self.environment(),
            cwd=self.folder,
            check=check,
            capture_output=True,
            text=True,
            timeout=900,
        )

    def wait_for_web(self) -> None:
        wait_until(lambda: self.client.ask("GET", "/actions", None, {}, "ada")[0] == 200, 60, "the web process answers")

    # -- keeping -----------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        while not self._closing.wait(0.2):
            for service in list(self.services):
                if service.kept and service.process and (status := service.process.poll()) is not None:
                    service.exits.append(status)
                    time.sleep(0.3)
                    if not self._closing.is_set():
                        service.start()

    def end(self, service: Service, number: signal.Signals = signal.SIGTERM, seconds: float = 60) -> int:
        """End a service for good, and say its exit status."""
        service.kept = False
        assert service.process is not None
        service.process.send_signal(number)
        status = service.process.wait(seconds)
        self.services.remove(service)
        return status

    # -- who there is ------------------------------------------------------------------------------------------------

    def supervisors(self) -> list[Service]:
        return [service for service in self.services if service.workers]

    def workers(self) -> list[int]:
        return [pid for service in self.supervisors() for pid in children(service.pid)]

    def jobs(self) -> list[int]:
        return [pid for worker in self.workers() for pid in children(worker)]

    def workers_alive(self) -> int:
        return sum(is_alive(pid) for pid in self.workers())

    def workers_wanted(self) -> int:
        return sum(service.workers for service in self.services)

    def everybody(self) -> list[int]:
        """Every living process of this portal, also those whose parent has died."""
        marker = f"OUTSIDE_FOLDER={self.folder}\0".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if marker in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def offers(self, template: str) -> bool:
        """Whether the portal has a template: its version may be too old to load it."""
        status, _ = self.client.insist("GET", f"/templates/{template}", None, {}, "margaret")
        return status == 200

    def ids(self, table: str) -> list[dict[str, str]]:
        rows = self.database.rows(f"SELECT id FROM portal_actions_{table}")
        return [{"id": str(UUID(str(row["id"])))} for row in rows]

    def lines(self, file: str) -> list[dict[str, Any]]:
        """What handlers and receivers have written, in the order of the machine's clock."""
        path = self.folder / file
        text = path.read_text() if path.exists() else ""
        return sorted((json.loads(line) for line in text.splitlines()), key=lambda line: line["at"])

    def log_tail(self, lines: int = 40) -> str:
        """The end of each log, without what is usual, for whoever has to find out what went wrong."""
        found = []
        for log in sorted(self.folder.glob("*.log")):
            told = [line for line in log.read_text(errors="replace").splitlines() if " INFO " not in line]
            end = "\n".join(line[:400] for line in told[-lines:])
            found.append(f"--- {log.name}\n{end}")
        return "\n".join(found)

    # -- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Leave nothing behind."""
        self._closing.set()
        if self._keeper.is_alive():
            self._keeper.join(10)
        give_up = time.monotonic() + 20
        while (left := self.everybody()) and time.monotonic() < give_up:
            signal_all(left, signal.SIGKILL)
            for service in self.services:
                if service.process:
                    service.process.poll()
            time.sleep(0.05)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children(pid: int) -> list[int]:
    """The living children of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] not in "ZX":
            found.append(int(stat.parent.name))
    return sorted(found)
