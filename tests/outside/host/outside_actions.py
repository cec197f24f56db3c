"""What the runs of the scenarios do. Each begin and end leaves a line in a file that only grows."""

from __future__ import annotations

import inspect
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marshmallow import Schema, fields

from portal_actions_plugin import ActionContext, action
from portal_actions_plugin.errors import ValidationError

FOLDER = Path(os.environ["OUTSIDE_FOLDER"])
MANY = 25
"""Attempts of what may be repeated: harm takes many, and a run that has used them up proves nothing."""

_open, _write, _close, _dumps, _monotonic = os.open, os.write, os.close, json.dumps, time.monotonic


def write(file: str, **line: Any) -> None:
    """Add a line in one write, at the machine's clock that all processes share."""
    out = _open(FOLDER / file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        _write(out, (_dumps({"at": _monotonic(), "pid": os.getpid(), **line}) + "\n").encode())
    finally:
        _close(out)


def effect(ctx: ActionContext, event: str, **more: Any) -> None:
    """Do something that shows, as a handler does it to a forge: only after a write that fails when the run is another's."""
    ctx.progress({"begin": 0, "end": 1}[event], 1)
    run = ctx.run
    write(
        "effects",
        event=event,
        run=run.template_run_id or run.id,
        action_run=run.id,
        action=run.action,
        attempt=run.attempt,
        **more,
    )


class Work(Schema):
    key = fields.String(load_default="")
    seconds = fields.Float(load_default=0.0)


class ShareOfWork(Work):
    item = fields.String(load_default="")


def work(ctx: ActionContext, seconds: float, **more: Any) -> dict[str, Any]:
    effect(ctx, "begin", seconds=seconds, **more)
    ctx.log("begun")
    time.sleep(seconds)
    ctx.log("done")
    effect(ctx, "end", seconds=seconds, **more)
    return {"attempt": ctx.run.attempt}


@action("outside.step@v1", title="Repeatable", input=Work, idempotent=True, timeout=60, max_attempts=MANY)
def step(ctx: ActionContext, *, key: str, seconds: float) -> dict[str, Any]:
    return work(ctx, seconds)


@action("outside.slow@v1", title="Elsewhere", input=Work, idempotent=True, timeout=60, max_attempts=MANY, queue="slow")
def slow(ctx: ActionContext, *, key: str, seconds: float) -> dict[str, Any]:
    return work(ctx, seconds)


@action("outside.once@v1", title="Not repeatable", input=Work, idempotent=False, timeout=60, max_attempts=MANY)
def once(ctx: ActionContext, *, key: str, seconds: float) -> dict[str, Any]:
    return work(ctx, seconds)


def _lock(data: Mapping[str, Any]) -> str:
    return f"outside:{data.get('key')}"


@action(
    "outside.locked@v1",
    title="One at a time",
    input=Work,
    idempotent=True,
    timeout=60,
    max_attempts=MANY,
    lock=_lock,
)
def locked(ctx: ActionContext, *, key: str, seconds: float) -> dict[str, Any]:
    return work(ctx, seconds, lock=key)


SHARING: dict[str, Any] = {"workspace": "writes"} if "workspace" in inspect.signature(action).parameters else {}
"""Versions from before steps shared a folder have none to declare; they refuse the template, too."""


@action("outside.share@v1", title="Share", input=ShareOfWork, idempotent=True, timeout=60, max_attempts=MANY, **SHARING)
def share(ctx: ActionContext, *, key: str, seconds: float, item: str) -> dict[str, Any]:
    """Say what is in the folder that the steps share, and leave a file there."""
    files = {one.path: ctx.workspace.path(one.path).read_text() for one in ctx.workspace.files()}
    mine = ctx.workspace.path(item or str(ctx.run.step_id))
    mine.write_text("begun")
    made = work(ctx, seconds, files=files)
    mine.write_text("done")
    return made


@action("outside.refuse@v1", title="Refuse", input=Work, idempotent=True, timeout=60, max_attempts=MANY)
def refuse(ctx: ActionContext, *, key: str, seconds: float) -> None:
    raise ValidationError("Nobody takes this.")
