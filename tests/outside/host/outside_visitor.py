"""What happens at a pause point of the package, when a file asks for it: once, in the first process that comes there.

``armed`` has the deed, whom it is done to, and the point: ``kill self claim.committed``, ``stop parent …``, ``stop both …``.
A file ``paused`` then says who it was. ``note`` writes down each point that is reached.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from portal_actions_plugin.storage import pause_points

_NUMBERS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def install() -> None:
    if os.environ.get("OUTSIDE_PAUSES"):
        pause_points.set_visitor(_visitor(Path(os.environ["OUTSIDE_FOLDER"])))


def _visitor(folder: Path) -> Callable[[str], None]:
    noted: set[str] = set()

    def visit(reached: str) -> None:
        try:
            deed, whom, point = (folder / "armed").read_text().split(" ", 2)
        except OSError:
            return
        if deed == "note":
            if reached not in noted:
                noted.add(reached)
                _note(folder / "points", reached)
        elif reached == point:
            _act(folder, deed, whom, point)

    return visit


def _act(folder: Path, deed: str, whom: str, point: str) -> None:
    parent = os.getppid()
    pids = {"self": [os.getpid()], "parent": [parent], "both": [parent, os.getpid()]}[whom]
    if not _is_ours(folder, parent):
        pids = [os.getpid()]
    mine = folder / f"word-{os.getpid()}-{time.monotonic_ns()}"
    mine.write_text(json.dumps({"at": time.monotonic(), "point": point, "pids": pids, "by": os.getpid()}))
    try:
        os.link(mine, folder / "paused")
    except FileExistsError:
        return
    finally:
        mine.unlink()
    for pid in pids:
        os.kill(pid, _NUMBERS[deed])


def _is_ours(folder: Path, pid: int) -> bool:
    """Whether a process belongs to the portal: the parent of a supervisor is who plays the scenario."""
    try:
        return f"OUTSIDE_FOLDER={folder}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _note(file: Path, reached: str) -> None:
    out = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(out, f"{reached}\n".encode())
    os.close(out)
