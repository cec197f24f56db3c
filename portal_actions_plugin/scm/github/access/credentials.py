"""What calls to GitHub carry: a token, or one of an App's installation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import AuthError
from portal_actions_plugin.scm.base import Operation, Reach
from portal_actions_plugin.scm.github.access.app import AppInstallation, GitHubApp
from portal_actions_plugin.scm.github.access.app_key import AppKey
from portal_actions_plugin.scm.github.permissions import missing_by_permissions
from portal_actions_plugin.scm.remote.credentials import Credential, find_given, no_credential, token_key
from portal_actions_plugin.scm.remote.fields import at, maybe_text
from portal_actions_plugin.settings.installations import token_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portal_actions_plugin.scm.opening import Opening
    from portal_actions_plugin.scm.remote.answers import ForgeAnswer
    from portal_actions_plugin.scm.remote.client import ForgeClient

ENVIRONMENT = token_variable("github")

_PERSONAL = "an App creates no repository in a personal account: GitHub takes a token of that user for it"


@dataclass(frozen=True, slots=True)
class GitHubCredentials:
    """Finds the credential for an owner: see ``credentials.given_token`` for the order.

    Attributes:
        opening: of the provider.
        client: asks for an App's tokens.
    """

    opening: Opening
    client: ForgeClient

    def credential(self, owner: str | None, repository: str | None = None) -> Credential:
        """The credential for an owner's repositories, an App's narrowed to one of them; None for the installation's own.

        Raises:
            ConfigurationError: there is none, or it cannot be read.
            AuthError: an App is not installed on that owner's account, or cannot be used there.
        """
        given = find_given(self.opening, owner, environment=ENVIRONMENT)
        if given is None:
            raise no_credential(self.opening, owner, environment=ENVIRONMENT)
        if given.token is not None:
            headers = {"Authorization": f"Bearer {given.token}"}
            return Credential(token_key(self.opening, given.token), headers, given.token)
        app = GitHubApp(AppKey.of(given, self.opening), self.client, self.opening)
        if owner is None:
            raise AuthError("A GitHub App works for an owner, and none is named.", hint="Name the owner.")
        return app.credential(owner, repository)

    def app(self, owner: str | None) -> GitHubApp | None:
        """The App that is the credential for an owner; None where it is a token, or there is none."""
        given = find_given(self.opening, owner, environment=ENVIRONMENT)
        if given is None or given.token is not None:
            return None
        return GitHubApp(AppKey.of(given, self.opening), self.client, self.opening)

    def forget(self, owner: str) -> None:
        """Use no token again that was made before a repository was."""
        if app := self.app(owner):
            app.forget(owner)


def app_reach(app: GitHubApp, owner: str | None) -> Reach:
    """What an App can do: of its installation on an owner's account, or by what it asks for everywhere.

    Raises:
        AuthError: it is not installed there, or GitHub does not take its key.
        RemoteError: GitHub does not answer.
    """
    answer = app.ask("GET", "/app")
    itself = answer.object()
    name = maybe_text(itself, "slug") or app.key.app_id
    missing: Mapping[Operation, str]
    if owner is None:
        permissions = at(itself, "permissions")
        known = permissions if isinstance(permissions, dict) else {}
        missing = missing_by_permissions({name: str(level) for name, level in known.items()})
        owners = tuple(_accounts(app))
    else:
        installation = app.look_up(owner)
        missing = missing_by_permissions(installation.permissions)
        if installation.is_personal:
            missing = {**missing, Operation.CREATE_REPO: _PERSONAL}
        owners = () if installation.is_personal else (installation.account,)
    return Reach(
        who=f"the App {name}",
        forge=forge_name(answer),
        missing=missing,
        owners=owners,
        skew=answer.skew if answer.at else None,
    )


def forge_name(answer: ForgeAnswer) -> str:
    """What GitHub it is that has answered, with the version of an Enterprise Server."""
    if version := answer.headers.get("x-github-enterprise-version"):
        return f"GitHub Enterprise Server {version}"
    return "GitHub Enterprise Cloud" if answer.api.endswith(".ghe.com") else "GitHub"


def _accounts(app: GitHubApp) -> list[str]:
    """Where the App is installed and may create repositories: no personal accounts."""
    credential = app.key.credential(app.opening, 0.0)
    found = map(
        AppInstallation.of, app.client.pages(credential, "/app/installations", what="the installations of the App")
    )
    return [one.account for one in found if not (one.is_personal or one.is_suspended)]
