"""An issue to open, and the mark in its text by which it is known again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from portal_actions_plugin.scm.remote.intents import fingerprint


@dataclass(frozen=True, slots=True)
class NewIssue:
    """An issue to open; the fields are those of ``ScmProvider.create_issue``."""

    title: str
    body: str
    labels: Sequence[str]
    assignees: Sequence[str]
    claim: str
    milestone: int | None = None

    @property
    def fingerprint(self) -> str:
        """What tells the issue from any other; nobody gets the claim from it."""
        more = [] if self.milestone is None else [self.milestone]
        return fingerprint(self.claim, self.title, self.body, list(self.labels), list(self.assignees), *more)

    @property
    def mark(self) -> str:
        """A comment in the issue's text, which forges' pages do not show."""
        return f"<!-- portal-actions: {self.fingerprint} -->"

    @property
    def text(self) -> str:
        """The issue's text with its mark."""
        return f"{self.body}\n\n{self.mark}" if self.body else self.mark
