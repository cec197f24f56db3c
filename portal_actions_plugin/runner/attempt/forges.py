"""The forges that a handler may reach: opened with the host's credentials, for the run that asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from portal_actions_plugin.actions.scm_fields import GIT_AUTHOR_EMAIL, GIT_AUTHOR_NAME, OWN_TOKEN
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.forges.opening import opening_of
from portal_actions_plugin.scm.base import Author
from portal_actions_plugin.scm.providers import installation_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portal_actions_plugin.actions.context import ActionContext, Recorder, RunInfo
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.runner.attempt.prepare import HandlerCall
    from portal_actions_plugin.scm.provider import ScmProvider


@dataclass(frozen=True, slots=True)
class _Checkpoints:
    """What a provider remembers: the run's checkpoints, so that they are there for those that retry it."""

    recorder: Recorder

    def load(self, key: str) -> JsonValue:
        found, value = self.recorder.load_note(key)
        return value if found else None

    def save(self, key: str, value: JsonValue) -> None:
        self.recorder.save_checkpoint(key, value)


def open_forge(call: HandlerCall, provider: str, ctx: ActionContext) -> ScmProvider:
    """Open a forge for a handler.

    Args:
        call: of the handler that asks.
        provider: the installation's name, as an input has it.
        ctx: of the run that asks: it may write while its attempt is its own, and its log gets the forge's news.

    Raises:
        ValidationError: this portal knows no such installation.
        ConfigurationError: it is not set up.
    """
    portal = extension()
    installation = installation_named(portal.config.scm, provider)
    return portal.provider_kinds.open(
        replace(
            opening_of(installation, author_of(ctx.run, call.input)),
            guard=ctx.recorder.ensure_ours,
            log=ctx.log,
            warn=ctx.warn,
            redact=ctx.redact,
            notes=_Checkpoints(ctx.recorder),
            operations=call.action.operations_for(call.input),
            own_token=_own_token(call),
        )
    )


def _own_token(call: HandlerCall) -> str | None:
    """The requester's own token, where the action takes one and was given it."""
    given = call.input.get(OWN_TOKEN) if call.action.operations and OWN_TOKEN in call.action.secret_names() else None
    return given if isinstance(given, str) and given else None


def author_of(run: RunInfo, given: Mapping[str, object]) -> Author:
    """Who commits are by: the requester, unless an input of Backstage's names somebody else.

    Args:
        run: whose requester it is.
        given: the input of the action that commits.
    """
    _, _, address = run.requested_by.partition(":")
    name, email = given.get(GIT_AUTHOR_NAME), given.get(GIT_AUTHOR_EMAIL)
    return Author(
        name if isinstance(name, str) and name else run.requester_name or run.requested_by,
        email if isinstance(email, str) and email else address if "@" in address else "portal-actions@localhost",
    )
