"""What the operating system asks of processes that fork: whose parent is whose, and a clean start."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STOPPING = (signal.SIGTERM, signal.SIGINT)


def die_with_parent(parent: int, death_signal: signal.Signals) -> None:
    """Ask the kernel to end this process when its parent dies; where there is no such kernel, do without.

    Args:
        parent: its process id, asked for before the fork.
        death_signal: what the kernel sends then.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:
            # The parent died before the kernel knew.
            os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of what a child process leaves behind when it ends; where there is no such kernel, do without."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


@contextmanager
def signals_held() -> Iterator[None]:
    """Let no signal be answered by the parent's handlers in a child that is just being forked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)


def reset_after_fork() -> None:
    """Give a forked child its own randomness, and the default answer to signals, held ones too."""
    random.seed()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)


def seed_anew() -> None:
    """Let nobody's randomness follow from what a handler has set; ``random.seed()`` takes ten times as long."""
    random.seed(int.from_bytes(os.urandom(16), "big"))
