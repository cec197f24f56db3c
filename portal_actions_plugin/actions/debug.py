"""Actions for trying out templates, queues and workers."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, validate, validates_schema
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.files.fields import HomeInput, TextOrTruth
from portal_actions_plugin.actions.registry import action

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext

_LOOK_EVERY_SECONDS = 0.5
_SLEEP_SECONDS = 0.1
_MAX_SECONDS = 3600
_MAX_LISTED = 500
_MAX_SHOWN = 10_000
"""Files that are listed, and bytes of one that is written out."""
_AMOUNT = validate.Range(min=0, max=_MAX_SECONDS)


class LogMessage(Schema):
    message = fields.String(
        required=True,
        validate=validate.Length(min=1, max=4000),
        metadata={"description": "What to write to the run's log."},
    )


@action("debug.log@v1", title="Write to the log", input=LogMessage, idempotent=True, timeout=30)
def log_message(ctx: ActionContext, *, message: str) -> None:
    """Write a message to the run's log."""
    ctx.log(message)


class Wait(Schema):
    seconds = fields.Float(
        required=True,
        validate=validate.Range(min=0, max=_MAX_SECONDS),
        metadata={"description": "How long to wait, in seconds."},
    )


@action("debug.wait@v1", title="Wait", input=Wait, idempotent=True, timeout=_MAX_SECONDS + 100)
def wait(ctx: ActionContext, *, seconds: float) -> None:
    """Wait some seconds. It stops early when the run is canceled."""
    _wait(ctx, seconds)


class LogOrList(HomeInput):
    message = fields.Raw(
        load_default=None,
        metadata={"description": "What to write to the run's log: a text, or data as JSON.", "example": "Hello"},
    )
    list_workspace = TextOrTruth(
        load_default=False,
        data_key="listWorkspace",
        validate=validate.OneOf((True, False, "with-filenames", "with-contents")),
        metadata={"description": "Whether to list the files of the workspace; with-contents writes them out as well."},
    )
    extra = fields.Raw(load_default=None, metadata={"description": "Data to write to the log, as JSON."})


@action(
    "debug:log",
    title="Write to the log",
    input=LogOrList,
    idempotent=True,
    timeout=60,
    workspace="reads",
)
def log_or_list(ctx: ActionContext, *, message: object, list_workspace: bool | str, extra: object) -> None:
    """Write a message to the run's log, or list the files of the workspace there."""
    for said in (message, extra):
        if said not in (None, ""):
            ctx.log(said if isinstance(said, str) else json.dumps(said, ensure_ascii=False))
    if not list_workspace:
        return
    files = list(ctx.workspace.files())
    ctx.log(f"Workspace: {len(files)} files")
    for number, file in enumerate(files):
        if number == _MAX_LISTED:
            ctx.log(f"and {len(files) - _MAX_LISTED} more")
            break
        ctx.log(f"  - {file.path}")
        if list_workspace == "with-contents" and file.file.stat().st_size <= _MAX_SHOWN:
            ctx.log(file.content().decode(errors="replace"))


class WaitFor(HomeInput):
    minutes = fields.Float(
        load_default=0, validate=_AMOUNT, metadata={"description": "How many minutes; at most 60 in all."}
    )
    seconds = fields.Float(load_default=0, validate=_AMOUNT, metadata={"description": "How many seconds more."})
    milliseconds = fields.Float(
        load_default=0, validate=validate.Range(min=0), metadata={"description": "How many milliseconds more."}
    )

    @validates_schema
    def check_sum(self, data: dict[str, Any], **_options: object) -> None:
        if _seconds_of(**data) > _MAX_SECONDS:
            raise SchemaError(f"A step waits for at most {_MAX_SECONDS // 60} minutes.", "minutes")


@action("debug:wait", title="Wait", input=WaitFor, idempotent=True, timeout=_MAX_SECONDS + 100)
def wait_for(ctx: ActionContext, *, minutes: float, seconds: float, milliseconds: float) -> None:
    """Wait some time. It stops early when the run is canceled."""
    _wait(ctx, _seconds_of(minutes=minutes, seconds=seconds, milliseconds=milliseconds))


def _seconds_of(*, minutes: float = 0, seconds: float = 0, milliseconds: float = 0) -> float:
    return minutes * 60 + seconds + milliseconds / 1000


class Sleep(HomeInput):
    amount = fields.Float(required=True, validate=_AMOUNT, metadata={"description": "How long to wait, in seconds."})


@action("roadiehq:utils:sleep", title="Wait", input=Sleep, idempotent=True, timeout=_MAX_SECONDS + 100)
def sleep(ctx: ActionContext, *, amount: float) -> None:
    """Wait some seconds. It stops early when the run is canceled."""
    _wait(ctx, amount)


def _wait(ctx: ActionContext, seconds: float) -> None:
    ctx.log(f"waiting {seconds:g} seconds")
    now = time.monotonic()
    end, next_look = now + seconds, now + _LOOK_EVERY_SECONDS
    while now < end:
        time.sleep(min(_SLEEP_SECONDS, end - now))
        now = time.monotonic()
        if now >= next_look:
            next_look = now + _LOOK_EVERY_SECONDS  # each look asks the database
            if ctx.canceled:
                return
