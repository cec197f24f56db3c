"""Issues of a local repository: a JSON record each, numbered together with its pull requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.scm.base import Issue
from portal_actions_plugin.scm.local.git import locked
from portal_actions_plugin.scm.local.records import (
    ISSUES,
    PULLS,
    broken,
    next_number,
    numbers,
    read_json,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from portal_actions_plugin.scm.base import Guard
    from portal_actions_plugin.scm.local.pulls import LocalPulls


@dataclass(frozen=True, slots=True)
class IssueRecord:
    """What is kept of an issue. ``claim``: what it was opened with."""

    number: int
    title: str
    body: str
    labels: tuple[str, ...]
    assignees: tuple[str, ...]
    claim: str


@dataclass(frozen=True, slots=True)
class LocalIssues:
    """The issues of one repository.

    Attributes:
        path: the repository's folder.
        name: what errors call it: ``owner/repo``.
        url_of: gives the page of an issue by its number.
        guard: called right before every write; raises when nothing may be written any more.
        pulls: the pull requests of the repository, which have labels too.
    """

    path: Path
    name: str
    url_of: Callable[[int], str]
    guard: Guard
    pulls: LocalPulls

    def get(self, number: int) -> IssueRecord:
        """An issue as it is kept; raises NotFoundError."""
        return self._record(number)

    def open(self, title: str, body: str, *, labels: Sequence[str], assignees: Sequence[str], claim: str) -> Issue:
        """Open an issue, or return the one of the same claim, as ``ScmProvider.create_issue`` says."""
        with locked(self.path, self.name):
            for number in numbers(self.path, ISSUES):
                known = self._record(number)
                if claim and known.claim == claim:
                    return self._public(known)
            record = IssueRecord(
                next_number(self.path), title, body, tuple(dict.fromkeys(labels)), tuple(assignees), claim
            )
            self._write(record)
        return replace(self._public(record), fresh=True)

    def label(self, number: int, labels: Sequence[str]) -> tuple[str, ...]:
        """Add labels to an issue or pull request as ``ScmProvider.label_issue`` says."""
        wanted = tuple(dict.fromkeys(labels))
        with locked(self.path, self.name):
            if number in numbers(self.path, PULLS):
                return self.pulls.label(number, wanted)
            record = self._record(number)
            missing = tuple(label for label in wanted if label not in record.labels)
            if missing:
                self._write(replace(record, labels=(*record.labels, *missing)))
        return missing

    def _record(self, number: int) -> IssueRecord:
        file = self.path / ISSUES / f"{number}.json"
        what = f"issue #{number} of {self.name}"
        kept = read_json(file, what)
        if kept is None:
            raise NotFoundError(f"{self.name} has no issue or pull request #{number}.")
        try:
            record = IssueRecord(**kept)  # type: ignore[arg-type]  # as it was written
        except TypeError as error:
            raise broken(file, what, error) from None
        return replace(record, labels=tuple(record.labels), assignees=tuple(record.assignees))

    def _write(self, record: IssueRecord) -> None:
        self.guard()
        folder = self.path / ISSUES
        folder.mkdir(exist_ok=True)
        write_json(folder / f"{record.number}.json", {name: getattr(record, name) for name in IssueRecord.__slots__})

    def _public(self, record: IssueRecord) -> Issue:
        return Issue(record.number, self.url_of(record.number), record.title, record.labels)
