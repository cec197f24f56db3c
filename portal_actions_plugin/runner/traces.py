"""What a handler leaves behind in its process, so that the next run is not made there."""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading

# `signal.getsignal` makes enum members of what it finds, which takes longer than all the rest that is looked at here.
from _signal import getsignal  # type: ignore[import-not-found]
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_SIGNALS = tuple(sorted(map(int, signal.valid_signals())))
_OWN_TASKS = Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a process has around it that a handler can change, and the next one would find changed."""

    threads: int
    child_processes: bool
    signal_handlers: tuple[Any, ...]
    blocked_signals: frozenset[int]
    timers: tuple[tuple[float, float], ...]
    folder: str
    umask: int
    environment: Mapping[bytes, bytes]

    @classmethod
    def of_this_process(cls) -> Surroundings:
        """Take them down as they are now."""
        return cls(
            threads=_threads(),
            child_processes=_has_child_processes(),
            signal_handlers=tuple(map(getsignal, _SIGNALS)),
            blocked_signals=frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            timers=tuple(signal.getitimer(timer) for timer in _TIMERS),
            folder=_folder(),
            umask=_umask(),
            environment=dict(os.environb),
        )

    def changed_since(self, before: Surroundings) -> list[str]:
        """The names of what is not as it was."""
        return [field.name for field in fields(self) if getattr(self, field.name) != getattr(before, field.name)]


def peak_memory() -> int:
    """The most memory that this process has had at once, in bytes; a forked one begins with what its parent has."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _threads() -> int:
    try:
        # A link for each thread, and the folder's own two: those that no Python code has started count, too.
        return _OWN_TASKS.stat().st_nlink - 2
    except OSError:
        return threading.active_count()


def _has_child_processes() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return ""  # it is deleted


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
