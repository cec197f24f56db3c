"""What every forge can do for an action, and the words for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

Guard = Callable[[], None]
VISIBILITIES = ("private", "internal", "public")


@dataclass(frozen=True, slots=True)
class Author:
    """Who a commit is by."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class RepoRef:
    """Which repository: what steps hand on to each other."""

    provider: str
    owner: str
    repo: str
    default_branch: str

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.repo}"

    def as_output(self) -> dict[str, str]:
        """The reference as templates see it."""
        return {
            "provider": self.provider,
            "owner": self.owner,
            "repo": self.repo,
            "defaultBranch": self.default_branch,
        }


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository and its addresses. ``fresh`` is true when the call that returned it has made it."""

    ref: RepoRef
    web_url: str
    clone_url: str
    description: str = ""
    visibility: str = "private"
    fresh: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file to create or update.

    Attributes:
        path: relative to the top of the repository.
        content: its bytes.
        executable: None keeps what the file is, and makes a new one an ordinary file.
        expected_sha: the file must be as this says: its blob, or the commit that it was seen in.
    """

    path: str
    content: bytes
    executable: bool | None = None
    expected_sha: str | None = None


@dataclass(frozen=True, slots=True)
class CommitResult:
    """Where the branch is now. ``changed`` is empty when everything was there already and no commit was made.

    ``created_from`` is the branch that a new branch was made from.
    """

    sha: str
    changed: tuple[str, ...]
    created_from: str | None = None


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A proposal to merge ``head`` into ``base``. ``state`` is open, merged or closed.

    ``fresh`` is true when the call that returned it has opened it.
    """

    number: int
    url: str
    head: str
    base: str
    title: str
    body: str
    state: str
    opened_by: str
    opened_at: datetime
    merged_by: str | None = None
    merged_at: datetime | None = None
    merge_sha: str | None = None
    fresh: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch and the commit that it is at."""

    name: str
    sha: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of a branch's history."""

    sha: str
    message: str
    author: str
    at: datetime
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of a branch. ``sha`` is its blob."""

    path: str
    sha: str
    executable: bool


class ScmProvider(Protocol):
    """A forge, as the actions use it. Every method may raise the ActionError that says what went wrong there."""

    def create_repo(
        self, owner: str, repo: str, *, visibility: str, description: str, init_with_readme: bool, claim: str
    ) -> Repository:
        """Create a repository, or return the one that the same ``claim`` has created before.

        Raises:
            NotFoundError: there is no such owner.
            ConflictError: it exists, and another claim or nobody of ours has made it.
        """

    def get_repo(self, owner: str, repo: str) -> Repository:
        """Find a repository; raises NotFoundError."""

    def branch_head(self, ref: RepoRef, branch: str) -> str | None:
        """The commit that a branch is at, or None when there is no such branch."""

    def read_file(self, ref: RepoRef, branch: str, path: str) -> tuple[bytes, str] | None:
        """The content and the blob SHA of a file, or None when the branch or the file does not exist."""

    def put_files(
        self,
        ref: RepoRef,
        branch: str,
        changes: Sequence[FileChange],
        message: str,
        *,
        base_branch: str | None = None,
    ) -> CommitResult:
        """Make one commit of all changes; none when everything is there already.

        A missing branch is made from ``base_branch``, unless there is nothing to commit. In an empty repository it
        becomes the first branch.

        Raises:
            NotFoundError: the branch is missing and there is nothing to make it from.
            ConflictError: a file is not as expected, or the branch would not stand still.
        """

    def open_pull(self, ref: RepoRef, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request, or return the one of the same head and base.

        That is the open one, or the merged one that proposed the very commit that ``head`` still is.

        Raises:
            NotFoundError: there is no such base branch.
            ValidationError: the head branch is missing, or has nothing that the base lacks.
        """

    def get_pull(self, ref: RepoRef, number: int) -> PullRequest:
        """Find a pull request; raises NotFoundError."""

    def file_url(self, ref: RepoRef, branch: str, path: str) -> str:
        """The address of a file on a branch."""
