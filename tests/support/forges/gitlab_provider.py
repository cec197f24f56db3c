"""The provider ``gitlab`` opened on its double, without a run: what the run would keep is kept in lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from portal_actions_plugin.scm.base import Author
from portal_actions_plugin.scm.gitlab.provider import GitLabProvider, open_gitlab
from portal_actions_plugin.scm.opening import NoNotes, Opening
from portal_actions_plugin.settings.installations import Installation
from tests.support.forges.gitlab import GitLabDouble

ADA = Author("Ada Lovelace", "ada@example.com")


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
    notes: NoNotes = field(default_factory=NoNotes)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    redacted: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    guard: Any = lambda: None

    def provider(self, **changes: Any) -> GitLabProvider:
        """A provider as a new attempt gets it; ``changes`` are of its opening."""
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
        return open_gitlab(Opening(**{**given, **changes}))
