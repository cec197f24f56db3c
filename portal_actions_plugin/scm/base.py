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
    """Which repository: what steps hand on to each other.

    Attributes:
        provider: the forge, one of ``providers.PROVIDERS``.
        owner: a user, an organisation or a group there.
        repo: the repository's name.
        default_branch: empty when nobody has asked the forge yet.
    """

    provider: str
    owner: str
    repo: str
    default_branch: str

    @property
    def full_name(self) -> str:
        """``owner/repo``."""
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
    """A repository and its addresses.

    Attributes:
        ref: which one it is.
        web_url: its page.
        clone_url: where git clones it from.
        description: one line, perhaps empty.
        visibility: one of ``VISIBILITIES``.
        fresh: whether the call that returned it has made it.
    """

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
    """What a commit has done to a branch.

    Attributes:
        sha: the commit that the branch is at now.
        changed: the paths that the commit changed; empty when everything was there already and no commit was made.
        created_from: the branch that this one was made from, when it was missing.
    """

    sha: str
    changed: tuple[str, ...]
    created_from: str | None = None


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A proposal to merge a branch into another, which some forges call a merge request.

    Attributes:
        number: counts from 1 in its repository.
        url: its page.
        head: the branch that is proposed.
        base: the branch to merge into.
        title: one line.
        body: its description, perhaps empty.
        state: open, merged or closed.
        opened_by: a person's name.
        opened_at: with a time zone.
        merged_by: a person's name; None while it is not merged, as with the next two.
        merged_at: with a time zone.
        merge_sha: the merge's commit.
        fresh: whether the call that returned it has opened it.
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

        Args:
            owner: a user, an organisation or a group that exists.
            repo: the repository's name.
            visibility: one of ``VISIBILITIES``.
            description: one line, perhaps empty.
            init_with_readme: whether it starts with a commit of a README.md; otherwise it is empty.
            claim: a text that only this run and those that retry it know.

        Raises:
            NotFoundError: there is no such owner.
            ConflictError: it exists, and another claim or nobody of ours has made it.
        """

    def get_repo(self, owner: str, repo: str) -> Repository:
        """Find a repository; raises NotFoundError."""

    def branch_head(self, ref: RepoRef, branch: str) -> str | None:
        """The commit that a branch is at, or None when there is no such branch."""

    def read_file(self, ref: RepoRef, branch: str, path: str) -> tuple[bytes, str] | None:
        """Read a file of a branch.

        Args:
            ref: the repository.
            branch: its name.
            path: relative to the top of the repository.

        Returns:
            The content and the blob's SHA; None when the branch or the file does not exist.
        """

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

        Args:
            ref: the repository.
            branch: where to commit.
            changes: the files to write, each path once.
            message: the commit's.
            base_branch: what a missing branch is made from; None makes none.

        Raises:
            NotFoundError: the branch is missing and there is nothing to make it from.
            ConflictError: a file is not as expected, or the branch would not stand still.
        """

    def open_pull(self, ref: RepoRef, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request, or return the one of the same head and base.

        That is the open one, or the merged one that proposed the very commit that ``head`` still is.

        Args:
            ref: the repository.
            head: the branch that is proposed.
            base: the branch to merge into.
            title: one line.
            body: its description, perhaps empty.

        Raises:
            NotFoundError: there is no such base branch.
            ValidationError: the head branch is missing, or has nothing that the base lacks.
        """

    def get_pull(self, ref: RepoRef, number: int) -> PullRequest:
        """Find a pull request; raises NotFoundError."""

    def file_url(self, ref: RepoRef, branch: str, path: str) -> str:
        """The address of a file's page; ``path`` is relative to the top of the repository."""
