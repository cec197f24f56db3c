"""Handlers that do what a handler must not do, and an innocent one that says what it finds in its process."""

from __future__ import annotations

import builtins
import ctypes
import decimal
import faulthandler
import gc
import json
import locale
import logging
import multiprocessing
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, current_app
from marshmallow import Schema, fields

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.errors import ActionError
from portal_actions_plugin.signals import action_run_finished

kept: list[Any] = []

WRITER = """
import os, sys, time
os.setsid() if os.getpid() != os.getsid(0) else None
folder = sys.argv[1]
with open(f"{folder}/{os.getpid()}", "w") as out:
    while True:
        print(time.monotonic(), file=out, flush=True)
        time.sleep(0.01)
"""


# -- what is left behind -----------------------------------------------------------------------------------------------


def _a_writer(folder: str) -> None:
    """A program in a session of its own."""
    kept.append(subprocess.Popen([sys.executable, "-c", WRITER, folder], start_new_session=True))
    _wait_for_a_file(folder)


def _a_daemon(folder: str) -> None:
    """A program without a parent, in a session of its own: forked twice, as daemons are."""
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-c", WRITER, folder])
        os._exit(0)
    os.waitpid(child, 0)
    _wait_for_a_file(folder)


def _many_daemons(folder: str) -> None:
    for _ in range(5):
        _a_daemon(folder)


def _a_family(folder: str) -> None:
    """A program whose children are in sessions of their own, and which starts them again as they die."""
    family = (
        "import subprocess, sys\nwhile True: subprocess.run([sys.executable, *sys.argv[1:]], start_new_session=True)"
    )
    kept.append(
        subprocess.Popen([sys.executable, "-c", family, "-c", WRITER, folder], start_new_session=True),
    )
    _wait_for_a_file(folder)


def _a_daemon_that_ignores_signals(folder: str) -> None:
    deaf = "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass"
    kept.append(subprocess.Popen([sys.executable, "-c", deaf + WRITER, folder], start_new_session=True))
    _wait_for_a_file(folder)


def _a_stopped_one(folder: str) -> None:
    _a_writer(folder)
    os.kill(kept[-1].pid, signal.SIGSTOP)


LEAVES: dict[str, Callable[[str], None]] = {
    "a writer": _a_writer,
    "a daemon": _a_daemon,
    "many daemons": _many_daemons,
    "a family": _a_family,
    "one that is deaf": _a_daemon_that_ignores_signals,
    "a stopped one": _a_stopped_one,
}


def _wait_for_a_file(folder: str) -> None:
    give_up = time.monotonic() + 60
    while not os.listdir(folder):  # noqa: PTH208
        if time.monotonic() > give_up:
            raise TimeoutError(folder)
        time.sleep(0.01)


def alive(folder: str) -> list[int]:
    """The processes that wrote, or write, into the folder and live."""
    return [int(name) for name in os.listdir(folder) if name.isdigit() and _lives(int(name))]  # noqa: PTH208


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# -- what is done to the process ---------------------------------------------------------------------------------------


def _fork_and_return(_ctx: Any) -> None:
    child = os.fork()
    if child:
        os.waitpid(child, 0)


def _fork_and_return_first(_ctx: Any) -> None:
    if os.fork():
        time.sleep(0.5)


def _fork_and_fail(_ctx: Any) -> None:
    child = os.fork()
    if child == 0:
        raise ZeroDivisionError("in the child")
    os.waitpid(child, 0)


def _fork_and_exit(_ctx: Any) -> None:
    child = os.fork()
    if child == 0:
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def _fork_and_speak(ctx: Any) -> None:
    child = os.fork()
    if child == 0:
        for speak in (
            lambda: ctx.log("from the child"),
            lambda: ctx.link("a", "https://x"),
            lambda: ctx.progress(1, 2),
            lambda: ctx.checkpoint("a", lambda: 1),
            lambda: ctx.canceled,
        ):
            try:
                speak()
            except RuntimeError as error:
                if "forked" in str(error):
                    continue
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "every use of ctx is refused"


def _square(number: int) -> int:
    return number * number


def _use_a_pool(_ctx: Any) -> None:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_square, [1, 2, 3]) == [1, 4, 9]


def _fork_in_a_thread(_ctx: Any) -> None:
    def fork() -> None:
        if os.fork() == 0:
            os._exit(0)
        os.wait()

    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()


def _fork_bomb(_ctx: Any) -> None:
    """A small one: it never has more than a few dozen, and never ends."""
    for _ in range(4):
        if os.fork() == 0:
            os.setsid()
            while True:
                for _ in range(5):
                    if os.fork() == 0:
                        time.sleep(0.2)
                        os._exit(0)
                time.sleep(0.05)
                try:
                    while os.waitpid(-1, os.WNOHANG)[0]:
                        pass
                except ChildProcessError:
                    pass


def _open_a_file_over(descriptors: Any) -> None:
    for descriptor in descriptors:
        opened = os.open("/dev/null", os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)


def _descriptors() -> list[int]:
    return [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2]  # noqa: PTH208


def _make_nonblocking() -> None:
    for descriptor in range(256):
        try:
            os.set_blocking(descriptor, False)
        except OSError:
            continue


def _write_everywhere() -> None:
    for descriptor in range(3, 256):
        if descriptor in _pipes():
            try:
                os.write(descriptor, b"." * 100)
            except OSError:
                continue


def _pipes() -> list[int]:
    return [fd for fd in _descriptors() if _target(fd).startswith("pipe:")]


def _target(descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    except OSError:
        return ""


class _HugeError(Exception):
    def __str__(self) -> str:
        return "x" * 100_000_000


class _EndlessError(Exception):
    def __str__(self) -> str:  # noqa: PLE0307 it never returns
        while True:
            time.sleep(0.01)


class _FailingError(Exception):
    def __str__(self) -> str:
        raise MemoryError


class _ExitingError(Exception):
    def __str__(self) -> str:
        raise SystemExit(10)


class _EndlessLink:
    def __str__(self) -> str:  # noqa: PLE0307 it never returns
        while True:
            time.sleep(0.01)


def _raise(error: BaseException) -> None:
    raise error


def _a_huge_link(ctx: Any) -> None:
    ctx.link("x" * 20_000_000, "https://x/" + "y" * 20_000_000)


def _a_deep_chain(_ctx: Any) -> None:
    error: Exception | None = None
    for number in range(500):
        try:
            raise ValueError(number) from error
        except ValueError as raised:
            error = raised
    assert error
    raise error


def _break_the_logs(_ctx: Any) -> None:
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.CRITICAL)
    logging.getLogger("portal_actions_plugin").setLevel(logging.CRITICAL)


def _replace_streams(_ctx: Any) -> None:
    sys.stdout = sys.stderr = open("/dev/full", "w")  # noqa: SIM115, PTH123
    kept.append(sys.stdout)


def _patch(module: Any, name: str) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{name} is broken")

    setattr(module, name, broken)


def _limit(kind: int, soft: int) -> None:
    resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))


def _block_everything(_ctx: Any) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _become(uid: int) -> None:
    if os.getuid() == 0:
        os.setresuid(uid, uid, 0)


def _exit_in_a_thread(_ctx: Any) -> None:
    threading.Thread(target=os._exit, args=(10,)).start()
    time.sleep(60)


def _a_thread_that_prints(_ctx: Any) -> None:
    def speak() -> None:
        while True:
            sys.stdout.write("still here\n")
            time.sleep(0.01)

    threading.Thread(target=speak, daemon=True).start()


def _change_the_app(_ctx: Any) -> None:
    current_app.config["SECRET_KEY"] = "another"


HOSTILE: dict[str, dict[str, Callable[[Any], Any]]] = {
    "forks": {
        "returns from a forked child": _fork_and_return,
        "returns from a forked child first": _fork_and_return_first,
        "fails in a forked child": _fork_and_fail,
        "exits in a forked child": _fork_and_exit,
        "uses ctx in a forked child": _fork_and_speak,
        "uses a pool of processes": _use_a_pool,
        "forks in a thread": _fork_in_a_thread,
        "is a fork bomb": _fork_bomb,
    },
    "ends": {
        "exits with 0": lambda _: os._exit(0),
        "exits with 10": lambda _: os._exit(10),
        "exits with 11": lambda _: os._exit(11),
        "exits in a thread": _exit_in_a_thread,
        "raises SystemExit": lambda _: sys.exit(10),
        "raises KeyboardInterrupt": lambda _: _raise(KeyboardInterrupt()),
        "kills itself": lambda _: os.kill(os.getpid(), signal.SIGKILL),
        "stops itself": lambda _: os.kill(os.getpid(), signal.SIGSTOP),
        "kills its group": lambda _: os.killpg(0, signal.SIGKILL),
        "aborts": lambda _: os.abort(),
        "overflows the stack": lambda _: ctypes.string_at(1),
    },
    "descriptors": {
        "closes all descriptors": lambda _: os.closerange(3, 65536),
        "closes all descriptors and speaks": lambda ctx: (os.closerange(3, 65536), ctx.log("hello")),
        "closes really all descriptors": lambda _: os.closerange(0, 65536),
        "closes all descriptors and fails": lambda _: (os.closerange(3, 65536), 1 / 0),
        "closes all descriptors and hangs": lambda _: (os.closerange(3, 65536), time.sleep(60)),
        "opens files over all descriptors": lambda _: _open_a_file_over(_descriptors()),
        "opens files over its output": lambda _: _open_a_file_over((0, 1, 2)),
        "makes all descriptors nonblocking": lambda _: _make_nonblocking(),
        "writes to all pipes": lambda _: _write_everywhere(),
        "opens a thousand files": lambda _: kept.extend(open("/dev/null") for _ in range(900)),  # noqa: SIM115, PTH123
    },
    "words": {
        "raises a huge error": lambda _: _raise(_HugeError()),
        "raises an error that never says what it is": lambda _: _raise(_EndlessError()),
        "raises an error that cannot say what it is": lambda _: _raise(_FailingError()),
        "raises an error that exits": lambda _: _raise(_ExitingError()),
        "raises a huge action error": lambda _: _raise(ActionError("x" * 100_000_000, hint="y" * 100_000_000)),
        "raises a deep chain": _a_deep_chain,
        "logs a huge line": lambda ctx: ctx.log("x" * 100_000_000),
        "logs a huge record": lambda _: logging.getLogger("guest").warning("%s", "x" * 100_000_000),
        "prints a huge line": lambda _: sys.stdout.write("x" * 100_000_000),
        "makes a huge link": _a_huge_link,
        "makes an endless link": lambda ctx: ctx.links.append(_EndlessLink()),
        "warns hugely": lambda ctx: ctx.warn("x" * 20_000_000),
        "returns far too much": lambda _: {"x": "y" * 100_000_000},
        "returns no outputs": lambda _: object(),
    },
    "limits": {
        "limits its memory": lambda _: _limit(resource.RLIMIT_AS, 2**30),
        "limits its files": lambda _: _limit(resource.RLIMIT_NOFILE, 40),
        "limits its core dumps": lambda _: _limit(resource.RLIMIT_CORE, 4096),
        "limits what it may write": lambda _: _limit(resource.RLIMIT_FSIZE, 2**24),
        "may write nothing": lambda _: _limit(resource.RLIMIT_FSIZE, 0),
        "is nice": lambda _: os.nice(7),
        "keeps to one processor": lambda _: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
        "recurses less": lambda _: sys.setrecursionlimit(sys.getrecursionlimit() - 100),
        "has short numbers": lambda _: sys.set_int_max_str_digits(700),
        "switches seldom": lambda _: sys.setswitchinterval(0.5),
        "never collects": lambda _: gc.disable(),
        "has a hurried collector": lambda _: gc.set_threshold(5000),
        "has small stacks": lambda _: threading.stack_size(2**20),
    },
    "settings": {
        "has hurried sockets": lambda _: socket.setdefaulttimeout(0.001),
        "disables logs": lambda _: logging.disable(logging.CRITICAL),
        "breaks the logs": _break_the_logs,
        "replaces its output": _replace_streams,
        "makes errors of warnings": lambda _: warnings.simplefilter("error"),
        "speaks another language": lambda _: locale.setlocale(locale.LC_ALL, "C"),
        "counts with few digits": lambda _: setattr(decimal.getcontext(), "prec", 2),
        "imports from elsewhere": lambda _: sys.path.insert(0, "/nowhere"),
        "is not random": lambda _: random.seed(1),
        "has another umask": lambda _: os.umask(0o777),
        "is elsewhere": lambda _: os.chdir("/"),
        "is in another environment": lambda _: os.environ.update(HTTPS_PROXY="http://nowhere"),
        "blocks signals": _block_everything,
        "cannot be dumped": lambda _: _prctl(4, 0),
        "outlives its parent": lambda _: _prctl(1, 0),
        "is somebody else": lambda _: _become(65534),
        "traces": lambda _: sys.settrace(lambda *_: None),
        "profiles": lambda _: sys.setprofile(lambda *_: None),
        "never sleeps": lambda _: _patch(time, "sleep"),
        "has broken sockets": lambda _: _patch(socket, "socket"),
        "has a broken open": lambda _: _patch(builtins, "open"),
        "has broken JSON": lambda _: _patch(json, "dumps"),
        "handles faults": lambda _: faulthandler.enable(open(os.devnull, "w")),  # noqa: SIM115, PTH123
        "swallows errors": lambda _: setattr(sys, "excepthook", lambda *_: None),
        "leaves a thread that prints": _a_thread_that_prints,
        "changes the app's settings": _change_the_app,
    },
}


def seen() -> dict[str, Any]:
    """What whoever runs next in this process would find; nothing here depends on how the product looks."""
    return {
        "limits": {str(kind): resource.getrlimit(kind) for kind in range(16)},
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "processors": sorted(os.sched_getaffinity(0)),
        "recursion": sys.getrecursionlimit(),
        "digits": sys.get_int_max_str_digits(),
        "switch": sys.getswitchinterval(),
        "collector": [gc.isenabled(), gc.get_threshold()],
        "stacks": threading.stack_size(),
        "socket timeout": socket.getdefaulttimeout(),
        "logs": [logging.root.manager.disable, logging.root.level, len(logging.root.handlers)],
        "our logs": [logging.getLogger("portal_actions_plugin").getEffectiveLevel()],
        "output": [type(sys.stdout).__name__, os.fstat(1).st_ino, os.fstat(2).st_ino, os.get_blocking(1)],
        "warnings": [kind for kind, *_ in warnings.filters if kind == "error"],
        "locale": locale.setlocale(locale.LC_ALL),
        "digits of decimals": decimal.getcontext().prec,
        "path": sys.path[:],
        "umask": _umask(),
        "folder": os.getcwd(),  # noqa: PTH109
        "proxy": os.environ.get("HTTPS_PROXY"),
        "blocked": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ()))),
        "who": [os.getresuid(), os.getresgid()],
        "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
        "dies with its parent": _death_signal(),
        "traced": [sys.gettrace() is None, sys.getprofile() is None],
        "patched": [function.__module__ for function in (time.sleep, socket.socket, open, json.dumps)],
        "faults": faulthandler.is_enabled(),
        "excepthook": sys.excepthook is sys.__excepthook__,
        "threads": threading.active_count(),
        "key": current_app.config["SECRET_KEY"],
    }


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _death_signal() -> int:
    found = ctypes.c_int(-1)
    ctypes.CDLL(None).prctl(2, ctypes.byref(found), 0, 0, 0)
    return found.value


def _take_too_long() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    time.sleep(600)


def _kill_the_worker() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)


THEN: dict[str, Callable[[], Any]] = {
    "succeed": lambda: None,
    "fail": lambda: _raise(ActionError("it failed")),
    "wait": lambda: time.sleep(600),
    "take too long": _take_too_long,
    "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "kill the worker": _kill_the_worker,
}


# -- actions -----------------------------------------------------------------------------------------------------------


class Hostile(Schema):
    kind = fields.String(required=True)
    deed = fields.String(required=True)


HANGS = (
    "stops itself",
    "closes all descriptors and hangs",
    "raises an error that never says what it is",
    "makes an endless link",
)
"""What only a timeout ends."""


class Leaving(Schema):
    what = fields.String(required=True)
    folder = fields.String(required=True)
    then = fields.String(required=True)


class Looking(Schema):
    folder = fields.String(required=True)


def register(app: Flask) -> None:
    """Add ``test.hostile@v1``, ``test.hanging@v1``, ``test.innocent@v1``, and ``test.leave@v1`` with ``test.look@v1``, which share a lock."""

    def misbehave(ctx: Any, kind: str, deed: str) -> Any:
        made = HOSTILE[kind][deed](ctx)
        return {"pid": os.getpid()} if made is None or isinstance(made, int | tuple) else made

    # What is merely huge takes as long as it takes on a busy machine.
    hostile = action("test.hostile@v1", title="Hostile", input=Hostile, timeout=60)(misbehave)
    hanging = action("test.hanging@v1", title="Hanging", input=Hostile, timeout=2)(misbehave)

    @action("test.innocent@v1", title="Innocent", input=Schema, timeout=60)
    def innocent(ctx: Any) -> dict[str, Any]:
        ctx.log("hello")
        return {"pid": os.getpid(), "seen": seen(), "random": random.random()}

    @action("test.leave@v1", title="Leave something", input=Leaving, timeout=15, lock=lambda _data: "one")
    def leave(ctx: Any, what: str, folder: str, then: str) -> None:
        LEAVES[what](folder)
        ctx.log("left")
        THEN[then]()

    @action("test.look@v1", title="Look", input=Looking, lock=lambda _data: "one")
    def look(_ctx: Any, folder: str) -> dict[str, Any]:
        return {"alive": alive(folder)}

    def hear(app: Flask, run: Any, **_: Any) -> None:
        with (Path(app.instance_path) / "ends").open("a") as out:
            out.write(f"{run.id}\n")

    action_run_finished.connect(hear, app, weak=False)
    for declared in (hostile, hanging, innocent, leave, look):
        app.extensions["portal_actions"].registry.add(declared, "the tests")
