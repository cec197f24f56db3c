"""What the steps of a dry run would have made at a forge by now: what later steps see in place of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from portal_actions_plugin.scm.base import PullRequest

if TYPE_CHECKING:
    from portal_actions_plugin.scm.base import Repository

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_AFTER_ALL_OTHERS = 1_000_000
"""What is made in a repository that is there has a number above this: nobody's own has one."""


class MadeRepo:
    """What would be different about a repository.

    Attributes:
        repository: what would be made; None for one that is there.
        files: by branch and path; None for one that would be deleted.
        heads: the commits that branches would be at.
        starts: for a branch that would be made, the one that it is made from.
        pulls: pull requests that would be opened, by number.
    """

    def __init__(self) -> None:
        self.repository: Repository | None = None
        self.files: dict[tuple[str, str], bytes | None] = {}
        self.heads: dict[str, str] = {}
        self.starts: dict[str, str] = {}
        self.pulls: dict[int, PullRequest] = {}
        self._numbers = 0

    def has(self, number: int) -> bool:
        """Whether that is a pull request or an issue that would be made."""
        return 0 < number - (0 if self.repository else _AFTER_ALL_OTHERS) <= self._numbers

    def next_number(self) -> int:
        """The number of the next pull request or issue."""
        self._numbers += 1
        return self._numbers if self.repository else _AFTER_ALL_OTHERS + self._numbers

    def open_pull(self, url: str, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Keep a pull request; the one of the same branches that is open is returned as it is.

        ``url``: of its page, without its number.
        """
        same = (one for one in self.pulls.values() if (one.head, one.base, one.state) == (head, base, "open"))
        if there := next(same, None):
            return replace(there, fresh=False)
        number = self.next_number()
        made = PullRequest(
            number,
            f"{url}{number}",
            head,
            base,
            title,
            body,
            "open",
            "",
            _EPOCH,
            head_sha=self.heads.get(head),
            fresh=True,
        )
        self.pulls[number] = made
        return made

    def end_pull(self, ended: PullRequest) -> None:
        """Keep one of those as closed or merged. A merged one has given its files to its base."""
        self.pulls[ended.number] = ended
        if ended.merge_sha:
            head, base = ended.head, ended.base
            self.files.update({(base, path): kept for (at, path), kept in self.files.items() if at == head})
            self.heads[base] = ended.merge_sha


class MadeForge:
    """What would be different at a forge.

    Attributes:
        groups: the paths of groups that would be made, in small letters.
    """

    def __init__(self) -> None:
        self._repos: dict[tuple[str, str], MadeRepo] = {}
        self.groups: set[str] = set()

    def repo(self, owner: str, repo: str) -> MadeRepo:
        """What would be different about one repository."""
        return self._repos.setdefault((owner.lower(), repo.lower()), MadeRepo())


def made_up_sha(*of: str) -> str:
    """A commit's hash that there is not, and that is the same each time."""
    return hashlib.sha256("\0".join(of).encode()).hexdigest()[:40]


def ended_pull(pull: PullRequest, state: str) -> PullRequest:
    """A pull request as it would be when it is closed or merged."""
    sha = made_up_sha("merge", str(pull.number), pull.base) if state == "merged" else None
    return replace(pull, state=state, merge_sha=sha, fresh=False)
