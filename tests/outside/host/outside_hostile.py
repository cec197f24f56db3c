"""Handlers that harm the process they run in, and the innocent one that runs after each of them, for somebody else."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import ctypes
import decimal
import faulthandler
import gc
import json
import locale
import logging
import math
import os
import random
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import outside_actions
from marshmallow import Schema, fields

from portal_actions_plugin import ActionContext, action

DEEDS: dict[str, Callable[[ActionContext], Any]] = {}
HOSTILE_SECONDS = 3
KEPT: list[Any] = []

Deed = Callable[[ActionContext], Any]


def deed(do: Deed) -> Deed:
    DEEDS[do.__name__] = do
    return do


# -- forks ---------------------------------------------------------------------------------------------------------------


@deed
def forks_a_child_that_returns(ctx: ActionContext) -> dict[str, Any]:
    return {"by": "child" if os.fork() == 0 else "parent"}


@deed
def forks_a_child_that_raises(ctx: ActionContext) -> None:
    if os.fork() == 0:
        raise RuntimeError("in the child")


@deed
def forks_a_child_that_exits(ctx: ActionContext) -> None:
    if os.fork() == 0:
        sys.exit(0)


@deed
def forks_a_child_that_sleeps(ctx: ActionContext) -> None:
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)


@deed
def forks_twice_and_writes_later(ctx: ActionContext) -> None:
    _write_later(ctx, depth=2)


@deed
def forks_a_session_that_writes_later(ctx: ActionContext) -> None:
    _write_later(ctx, depth=1)


@deed
def forks_and_is_killed(ctx: ActionContext) -> None:
    _write_later(ctx, depth=2)
    os.kill(os.getpid(), signal.SIGKILL)


@deed
def starts_a_program_in_a_session_of_its_own(ctx: ActionContext) -> None:
    KEPT.append(subprocess.Popen(["sleep", "60"], start_new_session=True))


def _write_later(ctx: ActionContext, depth: int) -> None:
    if os.fork():
        return
    os.setsid()
    if depth > 1 and os.fork():
        os._exit(0)
    try:
        for _ in range(25):
            outside_actions.write("late", action_run=ctx.run.id)
            time.sleep(0.2)
    finally:
        os._exit(0)


# -- what a process is allowed -------------------------------------------------------------------------------------------


def _limit(kind: int, soft: int) -> None:
    resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))


@deed
def limits_memory(ctx: ActionContext) -> None:
    _limit(resource.RLIMIT_AS, 400 << 20)


@deed
def limits_files(ctx: ActionContext) -> None:
    _limit(resource.RLIMIT_NOFILE, 16)


@deed
def limits_the_size_of_files(ctx: ActionContext) -> None:
    _limit(resource.RLIMIT_FSIZE, 1000)


@deed
def limits_cpu(ctx: ActionContext) -> None:
    _limit(resource.RLIMIT_CPU, 60)


@deed
def limits_processes(ctx: ActionContext) -> None:
    _limit(resource.RLIMIT_NPROC, 1)


@deed
def is_nice(ctx: ActionContext) -> None:
    os.nice(15)


@deed
def sets_the_umask(ctx: ActionContext) -> None:
    os.umask(0o777)


@deed
def goes_elsewhere(ctx: ActionContext) -> None:
    os.chdir("/")


@deed
def goes_where_nothing_is(ctx: ActionContext) -> None:
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    Path(folder).rmdir()


@deed
def joins_its_parents_group(ctx: ActionContext) -> None:
    os.setpgid(0, os.getpgid(os.getppid()))


@deed
def begins_a_session(ctx: ActionContext) -> None:
    os.setsid()


@deed
def outlives_its_parent(ctx: ActionContext) -> None:
    ctypes.CDLL(None).prctl(1, 0)
    ctypes.CDLL(None).prctl(36, 0)


# -- signals -------------------------------------------------------------------------------------------------------------


@deed
def ignores_sigterm(ctx: ActionContext) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@deed
def ignores_sigchld(ctx: ActionContext) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


@deed
def blocks_all_signals(ctx: ActionContext) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


@deed
def blocks_alarms_and_never_ends(ctx: ActionContext) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    while True:
        time.sleep(10)


@deed
def sets_an_alarm_of_its_own(ctx: ActionContext) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0.4)


@deed
def stops_itself(ctx: ActionContext) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


@deed
def kills_its_group(ctx: ActionContext) -> None:
    os.killpg(0, signal.SIGKILL)


@deed
def kills_its_worker(ctx: ActionContext) -> None:
    os.kill(os.getppid(), signal.SIGKILL)


# -- descriptors ---------------------------------------------------------------------------------------------------------


@deed
def closes_all_descriptors(ctx: ActionContext) -> None:
    os.closerange(3, 4096)


@deed
def closes_the_standard_ones(ctx: ActionContext) -> None:
    os.closerange(0, 3)


@deed
def opens_something_else_everywhere(ctx: ActionContext) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(64):
        if number != null:
            os.dup2(null, number)


@deed
def writes_into_every_pipe(ctx: ActionContext) -> None:
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                os.write(number, b"." * 5)


@deed
def leaks_descriptors(ctx: ActionContext) -> None:
    KEPT.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(300))


@deed
def prints_10_mb(ctx: ActionContext) -> None:
    for _ in range(10):
        print("x" * (1 << 20))


@deed
def breaks_standard_output(ctx: ActionContext) -> None:
    class Broken:
        def write(self, _text: str) -> NoReturn:
            raise OSError("broken")

        flush = write

    sys.stdout = sys.stderr = Broken()  # type: ignore[assignment]


# -- ends ----------------------------------------------------------------------------------------------------------------


@deed
def exits_with_0(ctx: ActionContext) -> None:
    os._exit(0)


@deed
def exits_with_10(ctx: ActionContext) -> None:
    os._exit(10)


@deed
def exits_with_11(ctx: ActionContext) -> None:
    os._exit(11)


@deed
def raises_system_exit(ctx: ActionContext) -> None:
    sys.exit(0)


@deed
def raises_keyboard_interrupt(ctx: ActionContext) -> None:
    raise KeyboardInterrupt


@deed
def crashes(ctx: ActionContext) -> None:
    ctypes.string_at(0)


@deed
def recurses(ctx: ActionContext) -> None:
    recurses(ctx)


@deed
def never_ends(ctx: ActionContext) -> None:
    while True:
        pass


@deed
def never_ends_and_catches_everything(ctx: ActionContext) -> None:
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(10)


@deed
def registers_an_exit_that_fails(ctx: ActionContext) -> None:
    atexit.register(lambda: 1 / 0)


# -- errors and outputs --------------------------------------------------------------------------------------------------


@deed
def raises_what_cannot_be_shown(ctx: ActionContext) -> None:
    class HostileError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

    raise HostileError


@deed
def raises_an_error_that_exits_when_shown(ctx: ActionContext) -> None:
    class HostileError(Exception):
        def __str__(self) -> str:  # noqa: PLE0307 it never does
            sys.exit(0)

    raise HostileError


@deed
def raises_100_mb(ctx: ActionContext) -> None:
    raise RuntimeError("x" * 100_000_000)


@deed
def raises_text_that_no_database_takes(ctx: ActionContext) -> None:
    raise RuntimeError("a\0b\ud800c")


@deed
def logs_without_end(ctx: ActionContext) -> None:
    for number in range(1_000_000):
        ctx.log(f"line {number}")


@deed
def answers_a_generator(ctx: ActionContext) -> dict[str, Any]:
    return {"numbers": (number for number in range(3))}


@deed
def answers_nan(ctx: ActionContext) -> dict[str, Any]:
    return {"number": math.nan}


@deed
def answers_a_huge_number(ctx: ActionContext) -> dict[str, Any]:
    return {"number": 10**5000}


@deed
def answers_itself(ctx: ActionContext) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    answer["self"] = answer
    return answer


@deed
def answers_odd_keys(ctx: ActionContext) -> dict[Any, Any]:
    return {1: "a", "1": "b", (2, 3): "c", None: "\0"}


# -- the interpreter -----------------------------------------------------------------------------------------------------


@deed
def leaves_threads_at_work(ctx: ActionContext) -> None:
    for _ in range(3):
        threading.Thread(target=_spin, args=(ctx,)).start()


def _spin(ctx: ActionContext) -> None:
    while True:
        with contextlib.suppress(BaseException):
            ctx.log("still here")
        time.sleep(0.01)


@deed
def patches_sleep(ctx: ActionContext) -> None:
    time.sleep = lambda _seconds: None  # type: ignore[assignment]


@deed
def patches_sockets(ctx: ActionContext) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise OSError("patched")

    socket.socket = refuse  # type: ignore[assignment,misc]
    socket.create_connection = refuse


@deed
def patches_json(ctx: ActionContext) -> None:
    json.dumps = lambda *_, **__: "{}"  # type: ignore[assignment]
    json.loads = lambda *_, **__: {}


@deed
def patches_open(ctx: ActionContext) -> None:
    builtins.open = lambda *_, **__: 1 / 0  # type: ignore[assignment]


@deed
def sets_a_default_timeout(ctx: ActionContext) -> None:
    socket.setdefaulttimeout(0.001)


@deed
def disables_logging(ctx: ActionContext) -> None:
    logging.disable(logging.CRITICAL)


@deed
def removes_the_logs_handlers(ctx: ActionContext) -> None:
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(100)


@deed
def lowers_the_recursion_limit(ctx: ActionContext) -> None:
    sys.setrecursionlimit(120)


@deed
def sets_a_locale(ctx: ActionContext) -> None:
    locale.setlocale(locale.LC_ALL, "C")
    os.environ["LANG"] = os.environ["LC_ALL"] = "tr_TR.UTF-8"


@deed
def empties_the_environment(ctx: ActionContext) -> None:
    os.environ.clear()


@deed
def changes_the_environment(ctx: ActionContext) -> None:
    os.environ.update(PYTHONPATH="/nowhere", TZ="Asia/Tokyo", HTTP_PROXY="http://127.0.0.1:1")
    time.tzset()


@deed
def disables_collection(ctx: ActionContext) -> None:
    gc.disable()


@deed
def keeps_200_mb(ctx: ActionContext) -> None:
    KEPT.append(b"x" * (200 << 20))


@deed
def traces_and_fails(ctx: ActionContext) -> None:
    def trace(*_: Any) -> NoReturn:
        raise RuntimeError("traced")

    sys.settrace(trace)
    threading.settrace(trace)


@deed
def makes_warnings_errors(ctx: ActionContext) -> None:
    warnings.simplefilter("error")


@deed
def sets_decimals(ctx: ActionContext) -> None:
    decimal.getcontext().prec = 1


@deed
def breaks_imports(ctx: ActionContext) -> None:
    sys.path.clear()
    sys.meta_path.clear()


@deed
def seeds_randomness(ctx: ActionContext) -> None:
    random.seed(1)


@deed
def enables_the_fault_handler(ctx: ActionContext) -> None:
    faulthandler.enable()
    faulthandler.dump_traceback_later(0.5, exit=True)


@deed
def removes_its_temporary_folder(ctx: ActionContext) -> None:
    tempfile.tempdir = "/nowhere"
    shutil.rmtree = lambda *_, **__: None  # type: ignore[assignment]


# -- actions -------------------------------------------------------------------------------------------------------------


class Hostile(Schema):
    deed = fields.String(required=True)


def _one_lock(_data: Mapping[str, Any]) -> str:
    return "outside:hostile"


@action(
    "hostile.do@v1",
    title="Harm",
    input=Hostile,
    idempotent=False,
    timeout=HOSTILE_SECONDS,
    max_attempts=1,
    lock=_one_lock,
)
def do(ctx: ActionContext, *, deed: str) -> Any:
    outside_actions.effect(ctx, "begin", deed=deed)
    return DEEDS[deed](ctx)


@action(
    "hostile.innocent@v1",
    title="Innocent",
    input=outside_actions.Work,
    idempotent=False,
    timeout=30,
    max_attempts=1,
    lock=_one_lock,
)
def innocent(ctx: ActionContext, *, key: str, seconds: float) -> dict[str, Any]:
    """Say what surrounds this run: after a hostile one it has to be the same as before."""
    outside_actions.effect(ctx, "begin", lock="hostile")
    found = _surroundings()
    ctx.log("innocent")
    begun = time.monotonic()
    time.sleep(max(seconds, 0.02))
    found["slept"] = time.monotonic() - begun >= 0.02
    outside_actions.effect(ctx, "end", lock="hostile")
    return {"surroundings": found}


def _surroundings() -> dict[str, Any]:
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    limits = ("AS", "NOFILE", "FSIZE", "CPU", "NPROC", "CORE", "DATA")
    with open(os.devnull) as readable:  # noqa: PTH123 what a handler may have patched
        opened = readable.read() == ""
    return {
        "cwd": str(Path.cwd()),
        "umask": status["Umask"],
        "signals": [status["SigBlk"], status["SigIgn"]],
        "handlers": [str(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)],
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "limits": [list(resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))) for name in limits],
        "own group": os.getpgid(0) == os.getpid(),
        "environment": sorted(os.environ.items()),
        "locale": locale.setlocale(locale.LC_ALL),
        "zone": time.tzname[0],
        "recursion": sys.getrecursionlimit(),
        "collection": gc.isenabled(),
        "logging": [logging.root.manager.disable, len(logging.root.handlers), logging.root.level],
        "timeout": socket.getdefaulttimeout(),
        "socket": isinstance(socket.socket, type),
        "json": json.loads(json.dumps({"a": [1]})) == {"a": [1]},
        "opened": opened,
        "trace": sys.gettrace() is None,
        "decimals": decimal.getcontext().prec,
        "paths": bool(sys.path and sys.meta_path),
        "temporary": tempfile.gettempdir(),
        "threads": threading.active_count(),
        "standard": [stat.S_IFMT(os.fstat(number).st_mode) for number in range(3)],
        "output": type(sys.stdout).__name__,
        "random": random.random() != random.Random(1).random(),
        "deeds": len(KEPT),
    }
