"""The provider ``gitlab`` opened on its double, without a run: what the run would keep is kept in lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from portal_actions_plugin.scm.base import Author, RepoRef
from portal_actions_plugin.scm.gitlab.provider import GitLabProvider, open_gitlab
from portal_actions_plugin.scm.opening import NoNotes, Opening
from portal_actions_plugin.scm.remote import transport
from portal_actions_plugin.settings.installations import Installation
from tests.support.forges.gitlab import OWNER, GitLabDouble

ADA = Author("Ada Lovelace", "ada@example.com")


class OnceNotes(NoNotes):
    """Keeps what it was given first, as checkpoints do."""

    def save(self, key: str, value: Any) -> None:
        self._kept.setdefault(key, value)


@dataclass
class OpenedGitLab:
    """What opens providers for one run after the other.

    Attributes:
        double: the GitLab.
        token: what they call it with.
        notes: what they remember: a retry has those of what it retries.
        lines: of their logs.
        warnings: of their results.
        redacted: what they gave to be masked.
        settings: of the installation, beside its address and token.
        guard: called right before every write.
    """

    double: GitLabDouble
    token: str
    notes: OnceNotes = field(default_factory=OnceNotes)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    redacted: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    guard: Any = lambda: None

    def opening(self, **changes: Any) -> Opening:
        """The opening of a new attempt; ``changes`` are of its attributes."""
        settings = {"url": self.double.url, "token": self.token, **self.settings}
        given = {
            "installation": Installation("gitlab", "gitlab", settings),
            "author": ADA,
            "guard": self.guard,
            "log": self.lines.append,
            "warn": self.warnings.append,
            "redact": self.redacted.append,
            "notes": self.notes,
        }
        return Opening(**{**given, **changes})

    def provider(self, **changes: Any) -> GitLabProvider:
        """A provider as a new attempt gets it; ``changes`` are of its opening."""
        return open_gitlab(self.opening(**changes))


# Fixtures: a test module imports those that it uses


@pytest.fixture
def gitlab(tmp_path):
    with GitLabDouble(tmp_path / "gitlab") as double:
        yield double
        transport.close_kept()
        double.verify()


@pytest.fixture
def ada(gitlab):
    return gitlab.add_user("ada")


@pytest.fixture
def acme(gitlab, ada):
    return gitlab.add_group("acme", {"ada": OWNER})


@pytest.fixture
def opened(gitlab, ada, acme):
    return OpenedGitLab(gitlab, gitlab.add_token(ada, "api"))


@pytest.fixture
def scm(opened):
    return opened.provider()


@pytest.fixture
def ref():
    return RepoRef("gitlab", "acme", "shop", "main")


@pytest.fixture
def shop(gitlab, ada, acme):
    return gitlab.add_project("acme/shop", ada, {"README.md": b"# shop\n", "src/app.py": b"old\n"})
