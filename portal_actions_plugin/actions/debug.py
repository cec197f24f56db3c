"""Actions for trying out templates, queues and workers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from marshmallow import Schema, fields, validate

from portal_actions_plugin.actions.registry import action

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext

_LOOK_EVERY_SECONDS = 0.5
_SLEEP_SECONDS = 0.1
_MAX_SECONDS = 3600


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
