"""Ends what a job process has started and left behind: also what is in a session of its own, or lost its parent.

A subreaper becomes the parent of what its descendants leave behind. So all of it is found below this process, once the
job process is gone. On a system without ``/proc`` nothing is found, and the job process's group is all that goes.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 100
"""Each stops what the one before has not seen: what starts processes without end is fewer in each of them."""

END_SECONDS = 10.0
"""What is not gone by then is in the kernel's hands, or somebody else's by ``sudo``: nobody can end it."""

_PAUSE_SECONDS = 0.005
_PROC = Path("/proc")
_ZOMBIE = "Z"


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    state: str
    parent: int
    session: int


def has_children() -> bool:
    """Whether this process has any child, also one that ended and was not waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def own_children(session: int | None = None) -> frozenset[int]:
    """The children of this process, by their process ids.

    Args:
        session: a session's id: those in it alone.
    """
    if not has_children():
        return frozenset()
    everyone, me = _everyone().values(), os.getpid()
    return frozenset(one.pid for one in everyone if one.parent == me and session in (None, one.session))


class Leftovers:
    """What is below this process and does not belong to ``others``, which are children of this process."""

    def __init__(self, others: Collection[int]) -> None:
        self._others = frozenset(others)

    def kill(self) -> None:
        """Stop all there is, until there is nothing that was not seen, then kill it: it starts no more meanwhile."""
        seen: dict[int, int] = {}
        for _ in range(ROUNDS):
            new = {one.pid: one.parent for one in self._found() if one.pid not in seen}
            if not new:
                break
            for pid, parent in new.items():
                _send(pid, parent, signal.SIGSTOP)
            seen |= new
        for pid, parent in seen.items():
            _send(pid, parent, signal.SIGKILL)

    def end(self, seconds: float = END_SECONDS) -> bool:
        """Kill and reap until none is left; False when there is one that does not go.

        Args:
            seconds: how long to try.
        """
        give_up = time.monotonic() + seconds
        while self._reap_and_look():
            if time.monotonic() > give_up:
                return False
            self.kill()
            time.sleep(_PAUSE_SECONDS)
        return True

    def _reap_and_look(self) -> bool:
        """Whether any child is left after those that have ended are reaped."""
        children = own_children() - self._others
        for pid in children:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue
        return bool(children and own_children() - self._others)

    def _found(self) -> Iterator[_Process]:
        everyone = _everyone()
        below: dict[int, list[_Process]] = {}
        for one in everyone.values():
            below.setdefault(one.parent, []).append(one)
        waiting = [one for one in below.get(os.getpid(), ()) if one.pid not in self._others]
        while waiting:
            one = waiting.pop()
            waiting += below.get(one.pid, ())
            if one.state != _ZOMBIE:
                yield one


def _everyone() -> Mapping[int, _Process]:
    if sys.platform != "linux":
        return {}
    found = (_look_at(int(entry)) for entry in os.listdir(_PROC) if entry.isdigit())  # noqa: PTH208 names are enough
    return {one.pid: one for one in found if one}


def _look_at(pid: int) -> _Process | None:
    try:
        state, parent, _group, session, *_ = (_PROC / f"{pid}/stat").read_bytes().rpartition(b") ")[2].split(b" ", 4)
    except (OSError, ValueError):
        return None  # it is gone
    return _Process(pid, state.decode(), int(parent), int(session))


def _send(pid: int, parent: int, signal_number: signal.Signals) -> None:
    """Send a signal to that child of that parent, and to no other process that has got its number by now."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        # The handle is of whoever has the number now. That it still has this parent, or us for one, says who it is.
        now = _look_at(pid)
        if now and now.parent in (parent, os.getpid()):
            signal.pidfd_send_signal(handle, signal_number)
    except OSError:
        return  # it is gone, or somebody else's
    finally:
        os.close(handle)
