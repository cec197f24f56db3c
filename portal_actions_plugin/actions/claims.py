"""Claims: how a run knows again what it has made, though the answer was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.run_types import JsonValue


def claim_on(ctx: ActionContext, what: str, *identity: JsonValue) -> str:
    """A text that only this run and those that retry it know, kept before anything is made.

    It belongs to what is going to be made: a run that retries this one with another input gets another claim.

    Args:
        ctx: of the run.
        what: is going to be done, such as ``createRepo``.
        identity: the parts of the input that say which one it is; no secret, since a checkpoint's key is readable.
    """
    return ctx.checkpoint(f"{what}.claim", lambda: uuid4().hex, of=identity)
