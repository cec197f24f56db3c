"""What a handler leaves behind in its process, so that the next run is not made there.

It is looked at after each run that went well. All of it takes 0.1 ms.
What is not looked at is in ``docs/writing-actions.md``.
"""

from __future__ import annotations

import builtins
import ctypes
import faulthandler
import gc
import json
import locale
import logging
import math
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
import warnings

# `signal.getsignal` makes enum members of what it finds, which takes longer than all the rest that is looked at here.
from _signal import getsignal  # type: ignore[import-not-found]
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_SIGNALS = tuple(sorted(map(int, signal.valid_signals())))
_OWN_TASKS = Path("/proc/self/task")
_OWN_FILES = "/proc/self/fd"
_LIMITS = tuple(sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}))
_ROOT_LOGGER = logging.getLogger()
_OUR_LOGGER = logging.getLogger("portal_actions_plugin")
_OUTPUT = (0, 1, 2)
_ENVIRONMENT: dict[bytes, bytes] = os.environb._data  # type: ignore[attr-defined]  # noqa: SLF001 a copy of the rest takes 20 times as long

_PATCHED = (
    (builtins, ("open", "print", "__import__")),
    (json, ("dumps", "loads")),
    (locale, ("setlocale",)),
    (logging, ("getLogger", "raiseExceptions")),
    (os, ("_exit", "environ", "fork", "getpid", "kill", "open", "remove", "stat", "urandom")),
    (socket, ("socket", "create_connection", "getaddrinfo")),
    (ssl, ("SSLContext", "_create_default_https_context", "create_default_context")),
    (subprocess, ("Popen", "run")),
    (sys, ("excepthook", "unraisablehook")),
    (threading, ("Thread", "excepthook")),
    (time, ("monotonic", "sleep", "time", "tzname")),
    (urllib.request, ("_opener", "urlopen")),
    (warnings, ("showwarning", "warn")),
)
"""What libraries and tests replace for all of a process."""

_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
_PR_GET_PDEATHSIG, _PR_GET_DUMPABLE, _PR_GET_CHILD_SUBREAPER, _PR_GET_NO_NEW_PRIVS = 2, 3, 37, 39
_answer = ctypes.c_int()
_answer_at = ctypes.byref(_answer)


_lifted = 0
"""How often a handler's limits were undone: its process ends with its run all the same."""


@contextmanager
def limits_kept() -> Iterator[None]:
    """Undo the limits that are set within: they would fail the outcome's own writes, and the host's receivers."""
    global _lifted  # noqa: PLW0603 of one process
    before = _limits()
    try:
        yield
    finally:
        if _limits() != before:
            _lifted += 1
            for limit, (soft, _) in zip(_LIMITS, before, strict=True):
                hard = resource.getrlimit(limit)[1]
                resource.setrlimit(limit, (min(soft, hard, key=_height), hard))


def _height(limit: int) -> float:
    return math.inf if limit == resource.RLIM_INFINITY else limit


def _limits() -> tuple[tuple[int, int], ...]:
    return tuple(map(resource.getrlimit, _LIMITS))


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
    limits: tuple[tuple[int, int], ...]
    priority: tuple[Any, ...]
    user: tuple[Any, ...]
    kernel_settings: tuple[int, ...]
    interpreter: tuple[Any, ...]
    logging: tuple[Any, ...]
    output: tuple[Any, ...]
    library_settings: tuple[Any, ...]
    patched: tuple[Any, ...]

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
            environment=_ENVIRONMENT.copy(),
            limits=(*_limits(), (_lifted, 0)),
            priority=_priority(),
            user=(os.getresuid(), os.getresgid(), os.getgroups()),
            kernel_settings=_kernel_settings(),
            interpreter=_interpreter(),
            logging=_logging(),
            output=tuple(map(_open_file, _OUTPUT)),
            library_settings=_library_settings(),
            patched=tuple(getattr(module, name, None) for module, names in _PATCHED for name in names),
        )

    def changed_since(self, before: Surroundings) -> list[str]:
        """The names of what is not as it was before: attributes of this class."""
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


def _priority() -> tuple[Any, ...]:
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    if sys.platform != "linux":
        return (nice,)
    return nice, os.sched_getscheduler(0), os.sched_getaffinity(0)


def _kernel_settings() -> tuple[int, ...]:
    if _PRCTL is None:
        return ()
    _PRCTL(_PR_GET_PDEATHSIG, _answer_at, 0, 0, 0)
    dies_by = _answer.value
    _PRCTL(_PR_GET_CHILD_SUBREAPER, _answer_at, 0, 0, 0)
    return (
        dies_by,
        _answer.value,
        _PRCTL(_PR_GET_DUMPABLE, 0, 0, 0, 0),
        _PRCTL(_PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
    )


def _interpreter() -> tuple[Any, ...]:
    return (
        sys.getrecursionlimit(),
        sys.getswitchinterval(),
        sys.get_int_max_str_digits(),
        sys.gettrace(),
        sys.getprofile(),
        threading.gettrace(),
        threading.getprofile(),
        threading.stack_size(),
        gc.isenabled(),
        gc.get_threshold(),
        gc.get_debug(),
        faulthandler.is_enabled(),
        tuple(sys.path),
    )


def _logging() -> tuple[Any, ...]:
    return (
        _ROOT_LOGGER.manager.disable,
        *(
            (known.level, known.disabled, known.propagate, *known.handlers, *known.filters)
            for known in (_ROOT_LOGGER, _OUR_LOGGER)
        ),
    )


def _library_settings() -> tuple[Any, ...]:
    errors = sum(kind[0] == "error" for kind in warnings.filters)
    return socket.getdefaulttimeout(), locale.setlocale(locale.LC_ALL), errors


def _open_file(descriptor: int) -> tuple[int, int, bool] | None:
    """Which file a descriptor is, and whether who writes to it waits: that is so for every process that shares it."""
    try:
        found = os.fstat(descriptor)
        return found.st_dev, found.st_ino, os.get_blocking(descriptor)
    except OSError:
        return None


def open_files() -> int:
    """How many files this process has open."""
    try:
        # Linux says so from 6.2 on.
        return os.stat(_OWN_FILES).st_size or len(os.listdir(_OWN_FILES))  # noqa: PTH116, PTH208 a Path takes longer
    except OSError:
        return 0
