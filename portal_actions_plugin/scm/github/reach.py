"""What a credential can do, found out by calls that change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ActionError
from portal_actions_plugin.scm.base import Operation, Reach
from portal_actions_plugin.scm.github.access.credentials import app_reach, forge_name
from portal_actions_plugin.scm.github.client import Api, GitHub
from portal_actions_plugin.scm.github.errors import scopes_of
from portal_actions_plugin.scm.github.permissions import missing_by_scopes
from portal_actions_plugin.scm.remote.fields import maybe_text, text

if TYPE_CHECKING:
    from portal_actions_plugin.scm.remote.answers import ForgeAnswer


def reach(github: GitHub, owner: str | None) -> Reach:
    """Find out what the credential for an owner can do, as ``ScmProvider.reach`` says.

    A classic token's scopes are in every answer; what a fine-grained one may do, GitHub does not say.
    """
    if app := github.credentials.app(owner):
        return app_reach(app, owner)
    api = github.api(owner)
    # An App's token that was given as such is nobody's: "Resource not accessible by integration".
    answer = api.send("GET", "/user", accept=(403,))
    who = text(answer.object(), "login") if answer.status != 403 else ""
    return Reach(
        who=who,
        forge=forge_name(answer),
        missing=_missing(answer),
        owners=_owners(api, who),
        skew=answer.skew if answer.at else None,
    )


def _missing(answer: ForgeAnswer) -> Mapping[Operation, str]:
    scopes = scopes_of(answer)
    return {} if scopes is None else missing_by_scopes(scopes)


def _owners(api: Api, who: str) -> tuple[str, ...]:
    """Their own account, and the organisations that GitHub names: it does so for tokens with ``read:org``."""
    if not who:
        return ()
    try:
        organisations = [
            maybe_text(one, "login") for one in api.pages("/user/orgs", what=f"the organisations of {who}")
        ]
    except ActionError:
        organisations = []
    return (who, *(name for name in organisations if name))
