"""The provider ``github``, opened on its double as a run would open it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from portal_actions_plugin.scm.base import Author, RepoRef
from portal_actions_plugin.scm.github.provider import GitHubProvider, open_github
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.settings.installations import Installation
from tests.support.forges.github import GitHubDouble
from tests.support.forges.github.state import Credential

AUTHOR = Author("Grace", "grace@example.org")


class KeptNotes:
    """Notes as checkpoints are: JSON, and the first value under a key stays."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def load(self, key: str) -> Any:
        return json.loads(self.kept[key]) if key in self.kept else None

    def save(self, key: str, value: Any) -> None:
        self.kept.setdefault(key, json.dumps(value))


@dataclass
class OpenedGitHub:
    """A double with an organisation, a person in it, and a run that works there.

    Attributes:
        double: started.
        notes: of the run; another one has its own.
        logged, warned: what the run was told.
        token: what the portal's credential is.
    """

    double: GitHubDouble
    notes: KeptNotes = field(default_factory=KeptNotes)
    logged: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    token: str = ""
    guarded: int = 0

    def opening(self, **changes: Any) -> Opening:
        settings = {"url": self.double.url, "api_url": self.double.api_url, "token": self.token}
        opening = Opening(
            Installation("ghe", "github", settings),
            AUTHOR,
            guard=self._guard,
            log=self.logged.append,
            warn=self.warned.append,
            notes=self.notes,
        )
        return replace(opening, **changes)

    def provider(self, **changes: Any) -> GitHubProvider:
        """Open it anew, as each step does."""
        return open_github(self.opening(**changes))

    def as_token(self, token: str) -> OpenedGitHub:
        """The same run with another credential."""
        return replace(self, token=token)

    def as_installation(self, account: str, permissions: Mapping[str, str]) -> OpenedGitHub:
        """The same run with a token of an App that is installed in an account."""
        token = f"ghs_{len(self.double.state.credentials):040}"
        bot = Credential("the App", token, "installation", "portal[bot]", permissions=permissions, owner=account)
        self.double.state.credentials.append(bot)
        return self.as_token(token)

    def requests(self) -> list[str]:
        """What was asked since the last ``double.log.clear``, git's protocol included: ``GET /repos/acme/shop``."""
        prefix = self.double.prefix
        return [f"{one.method} {one.path.removeprefix(prefix)}" for one in self.double.log.entries()]

    def _guard(self) -> None:
        self.guarded += 1


def ref(name: str = "acme/shop", default_branch: str = "main") -> RepoRef:
    owner, _, repo = name.partition("/")
    return RepoRef("ghe", owner, repo, default_branch)
