"""One process that the start program has started: how it is started, watched and ended."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

TOO_OFTEN, WITHIN_SECONDS = 3, 30.0
LARGEST_LOG = 10_000_000


@dataclass(slots=True)
class Child:
    """A process by name.

    Attributes:
        patience: for each SIGTERM that it gets at the end, how many seconds it then has; after the last, it is killed.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    patience: tuple[float, ...] = (3.0,)
    process: subprocess.Popen[bytes] | None = None
    _deaths: list[float] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.folder / "logs" / f"{self.name}.log"

    def start(self) -> None:
        """Start it, in a session of its own: Ctrl-C reaches the start program only, which ends the others in order."""
        self.log.parent.mkdir(mode=0o700, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            self.log.replace(self.log.with_suffix(".log.old"))
        parent = os.getpid()
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(  # noqa: S603 our own commands, without a shell
                self.command,
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: _end_with(parent),  # noqa: PLW1509 this program has no threads
            )

    def ended(self) -> int | None:
        """Its exit status, once it has ended; negative for a signal."""
        if self.process is None or self.process.returncode is not None:
            return self.process.returncode if self.process else None
        # It is only looked at: until ``stop`` has ended its group, nobody else may get its number.
        found = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def end(self) -> str | None:
        """How it ended, in words; None while it runs."""
        status = self.ended()
        if status is None:
            return None
        return f"signal {-status}" if status < 0 else f"status {status}"

    def died_too_often(self) -> bool:
        """Count a death, and say whether starting it again is hopeless."""
        now = time.monotonic()
        self._deaths = [then for then in self._deaths if now - then < WITHIN_SECONDS] + [now]
        return len(self._deaths) >= TOO_OFTEN

    def stop(self, *, at_once: bool = False) -> None:
        """End it and what it has started in its session."""
        if self.process is None or self.process.returncode is not None:
            return
        for seconds in () if at_once else self.patience:
            if self.ended() is None:
                self.process.send_signal(signal.SIGTERM)
                self._wait(seconds)
        # Also when it is gone: what it left behind in its session is nobody's.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def last_words(self, lines: int = 12) -> str:
        """The end of its log, for people."""
        end = "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return f"The end of {self.log}:\n\n{end}"

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.ended() is None and time.monotonic() < deadline:
            time.sleep(0.02)


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose parent dies, so that they can be found and ended."""
    if _LIBC:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_orphans() -> None:
    """Kill whatever is still below this process. Only once every child is gone."""
    me = os.getpid()
    for _ in range(100):
        left = _children_of(me)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        for pid in left:
            os.waitpid(pid, 0)
        if not left:
            return


def _children_of(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


def _end_with(parent: int) -> None:
    """Ask the kernel to end this process when the start program dies, even when that was killed."""
    if _LIBC:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:
            os._exit(1)
