"""Ends whatever a process has started once that process is gone, however it went: also when it was killed with -9.

A test run or a measurement calls ``watch_over_this_process()`` before it starts anything. This file, run as a program,
then waits for its end, and looks for what is left by two signs that outlive a parent: a word in the environment, which
children inherit, and a working folder below the temporary folder of the run, for servers that write their title over it.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

OWNERS = "STARTED_BY"
PATIENCE_SECONDS = 20.0
"""What a PostgreSQL has to take its shared memory away, before it is killed like everything else."""

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def watch_over_this_process() -> None:
    """End what this process will have started, and remove its temporary files, when it is gone.

    From now on temporary files and folders are made in a folder of its own.
    """
    folder = tempfile.mkdtemp(prefix="t-")
    outside = {name: value for name, value in os.environ.items() if name not in (OWNERS, "TMPDIR")}
    nowhere = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    command = [sys.executable, "-I", "-S", __file__, str(os.getpid()), folder]
    os.posix_spawn(sys.executable, command, outside, file_actions=nowhere, setsid=True)
    os.environ[OWNERS] = f"{os.environ.get(OWNERS, ':')}{folder}:"
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    _end_forks_with_this_process()


def _end_forks_with_this_process() -> None:
    """A fork that runs no other program shows the environment that this process began with: let the kernel end it.

    It does so when the thread that forked is gone, which of the main one only is when the process is.
    """
    main_thread = threading.get_ident()
    forked_by = 0

    def note() -> None:
        nonlocal forked_by
        forked_by = threading.get_ident()

    def end_with_parent() -> None:
        if forked_by == main_thread:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))

    os.register_at_fork(before=note, after_in_child=end_with_parent)


def main(pid: int, folder: str) -> None:
    """Wait until a process is gone, then end what it has started."""
    os.chdir("/")
    with suppress(ProcessLookupError):
        select.select([os.pidfd_open(pid)], [], [])
    patient_until = time.monotonic() + PATIENCE_SECONDS
    while left := started_in(folder):
        for one in left:
            with suppress(ProcessLookupError):
                _end(one, patient=time.monotonic() < patient_until)
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def started_in(folder: str) -> list[int]:
    """The processes that have a run's temporary folder as their owner or work in it."""
    owner, found = f":{folder}:".encode(), []
    for entry in Path("/proc").glob("[0-9]*"):
        if _is_zombie(entry):
            continue
        try:
            if owner in (entry / "environ").read_bytes() or _is_in(folder, str((entry / "cwd").readlink())):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _is_zombie(entry: Path) -> bool:
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _is_in(folder: str, path: str) -> bool:
    return f"{path}/".startswith(f"{folder}/")


def _end(pid: int, *, patient: bool) -> None:
    """Kill a process; let a PostgreSQL go by itself, since else its shared memory stays for good."""
    postmaster = _postmaster_of(Path(f"/proc/{pid}")) if patient else None
    if postmaster is None:
        os.kill(pid, signal.SIGKILL)
    elif postmaster == pid:
        os.kill(pid, signal.SIGQUIT)


def _postmaster_of(entry: Path) -> int | None:
    """The first of a PostgreSQL's processes, as written down in its data folder; None of any other process."""
    try:
        is_one = (entry / "comm").read_text().strip() == "postgres"
        return int((entry / "cwd" / "postmaster.pid").read_text().split()[0]) if is_one else None
    except (OSError, ValueError, IndexError):
        return None


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
