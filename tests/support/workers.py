"""Real workers of the tests' portal, and what lets their steps end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parent.parent.parent


class Gate:
    """What ``debug.wait@v1`` waits for in workers that are started from now on, in place of its seconds."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def open(self) -> None:
        """Let every step that waits end, and every later one."""
        self._file.touch()


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
                cwd=ROOT,
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
