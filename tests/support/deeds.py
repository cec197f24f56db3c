"""An action that does to its process what handlers must not do, by name, and says which process that was."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from marshmallow import Schema, fields

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.runs.secrets.redaction import Redactor

kept: list[Any] = []


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _take_too_long() -> None:
    time.sleep(3600)


def _leave_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


def _leave_a_process() -> None:
    kept.append(subprocess.Popen(["sleep", "3600"]))


def _leave_an_orphan() -> None:
    subprocess.run(["sh", "-c", "sleep 3600 & exit"], check=True)


DEEDS: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "die": _die,
    "segfault": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(0),
    "take too long": _take_too_long,
    "fail": lambda: 1 / 0,
    "leave a thread": _leave_a_thread,
    "leave a process": _leave_a_process,
    "leave an orphan": _leave_an_orphan,
    "leak": lambda: kept.append(b"x" * 300_000_000),
    "handle a signal": lambda: signal.signal(signal.SIGUSR1, lambda *_: None),
    "set an alarm": lambda: signal.setitimer(signal.ITIMER_PROF, 3600),
    "change the environment": lambda: os.environ.update(DEED="done"),
    "change the folder": lambda: os.chdir("/"),
    "change the umask": lambda: os.umask(0o011),
}


class Deed(Schema):
    deed = fields.String(required=True)


def register(app: Flask) -> None:
    """Add the actions ``test.deed@v1``, ``test.briefDeed@v1``, which has less time for it than others, ``test.lateDeed@v1``,
    which has too little, and ``test.lastWords@v1``, which says so before it does it.
    """

    @action("test.deed@v1", title="A deed", input=Deed)
    def do(ctx: Any, deed: str) -> dict[str, Any]:
        DEEDS[deed]()
        gc.collect()
        redactors = sum(isinstance(found, Redactor) for found in gc.get_objects())
        return {"pid": os.getpid(), "redactors": redactors}

    @action("test.lastWords@v1", title="Last words", input=Deed)
    def speak_and_do(ctx: Any, deed: str) -> None:
        for words in ("first", "second", "last words"):
            ctx.log(words)
        DEEDS[deed]()

    @action("test.lateDeed@v1", title="A deed that takes too long", input=Deed, timeout=1)
    def do_late(ctx: Any, deed: str) -> None:
        DEEDS[deed]()

    @action("test.briefDeed@v1", title="A deed that takes no time", input=Deed, timeout=5)
    def do_at_once(ctx: Any, deed: str) -> None:
        DEEDS[deed]()

    for declared in (do, do_at_once, do_late, speak_and_do):
        app.extensions["portal_actions"].registry.add(declared, "the tests")
