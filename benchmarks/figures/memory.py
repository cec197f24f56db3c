"""How much resident memory the plugin adds to a process of the host's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from benchmarks.client import Client
from benchmarks.effort import Effort, Values
from benchmarks.figures.throughput import ACTIVE
from benchmarks.rig import WEB_PROCESSES, Rig, wait_for

WORKERS = 2
_ASKS = 40
_IDLE = "import time; from benchmarks.host import create_host; create_host(); print(1, flush=True); time.sleep(3600)"


def measure(rig: Rig, effort: Effort) -> Values:
    """Megabytes beyond the host's own, of a web process that has answered, and of a worker's parent that has worked.

    Rss counts memory whole that processes share, Pss only a part: a worker shares much with its supervisor.
    """
    found: dict[str, list[float]] = {}
    seeded = rig.number(ACTIVE)
    for _ in range(min(2, effort.rounds)):
        with rig.web("host:create_host") as web:
            _visit(web.address, "/hello")
            host_web = _memory(children(web.pid))
        host_program = _idle_host(rig)
        with rig.web() as web, rig.workers(WORKERS) as supervisor:
            client = Client(web.address)
            for number in range(4 * WORKERS):
                client.start(number)
            _visit(web.address, "/actions")
            wait_for(lambda: rig.number(ACTIVE) == seeded)
            own_web, own_worker = _memory(children(web.pid)), _memory(children(supervisor)[:WORKERS])
        for kind in ("Rss", "Pss"):
            found.setdefault(f"web process, {kind}", []).append(own_web[kind] - host_web[kind])
            found.setdefault(f"worker parent, {kind}", []).append(own_worker[kind] - host_program[kind])
    return found


def _visit(address: str, path: str) -> None:
    """Ask so often, on several connections, that every process has answered."""
    clients = [Client(address) for _ in range(2 * WEB_PROCESSES)]
    for _ in range(_ASKS):
        for client in clients:
            client.ask("GET", path)


def _idle_host(rig: Rig) -> dict[str, float]:
    command = [sys.executable, "-c", _IDLE]  # flask's command line would load the plugin's commands
    with subprocess.Popen(command, env=rig.environment, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None  # noqa: S101 it was asked for
        host.stdout.readline()
        found = _memory([host.pid])
        host.terminate()
    return found


def children(pid: int) -> list[int]:
    """The process ids of its children, oldest first."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _memory(pids: Sequence[int]) -> dict[str, float]:
    """Megabytes of a process, on the mean of these."""
    of_each = [_kilobytes(pid) for pid in pids]
    return {kind: mean(one[kind] for one in of_each) / 1024 for kind in ("Rss", "Pss")}


def _kilobytes(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
