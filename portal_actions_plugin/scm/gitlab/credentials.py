"""Which header a token goes in: docs.gitlab.com/api/rest/authentication/"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal_actions_plugin.scm.remote.credentials import Credential, find_given, no_credential, token_key
from portal_actions_plugin.settings.installations import token_variable

if TYPE_CHECKING:
    from portal_actions_plugin.scm.opening import Opening

ENVIRONMENT = token_variable("gitlab")


@dataclass(frozen=True, slots=True)
class GitLabCredentials:
    """Tokens, each in the header that its type goes in: docs.gitlab.com/api/rest/authentication/

    A personal, group or project token is private. One of OAuth is a bearer's, and GitLab takes every other in that
    header, too.
    """

    opening: Opening

    def credential(self, owner: str | None) -> Credential:
        """The credential for an owner's projects; raises ConfigurationError when there is none."""
        given = find_given(self.opening, owner, environment=ENVIRONMENT)
        if given is None or given.token is None:
            raise no_credential(self.opening, owner, environment=ENVIRONMENT)
        installed = self.opening.installation.settings.get("token_type")
        is_bearer = given.settings.get("token_type", installed) == "bearer"
        headers = {"Authorization": f"Bearer {given.token}"} if is_bearer else {"PRIVATE-TOKEN": given.token}
        return Credential(token_key(self.opening, given.token), headers, given.token, "oauth" if is_bearer else "token")
