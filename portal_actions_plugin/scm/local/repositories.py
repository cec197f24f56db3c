"""Reading the repositories on this machine's disk: for actions, and for a page that shows them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from portal_actions_plugin.scm.base import Author, Branch, Commit, Guard, PullRequest, RepoRef, Repository, TreeFile
from portal_actions_plugin.scm.git_objects import EXECUTABLE
from portal_actions_plugin.scm.local.create import read_record
from portal_actions_plugin.scm.local.git import BareRepo, moment, opened
from portal_actions_plugin.scm.local.issues import IssueRecord, LocalIssues
from portal_actions_plugin.scm.local.paths import LocalPaths
from portal_actions_plugin.scm.local.pulls import LocalPulls
from portal_actions_plugin.scm.names import check_branch, check_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path


def _tell_nobody(_text: str) -> None:
    """Take a warning that nobody waits for."""


class LocalRepositories:
    """Bare git repositories at ``<root>/<owner>/<repo>.git``, to be read. Any number of processes may write at once."""

    def __init__(
        self,
        root: Path,
        web_url: str | None,
        guard: Guard,
        author: Author,
        *,
        name: str = "local",
        warn: Callable[[str], None] = _tell_nobody,
    ) -> None:
        """Open the forge.

        Args:
            root: the folder with a folder per owner.
            web_url: address of a page about the repositories, ``<web_url>/<owner>/<repo>``; None for file URLs.
            guard: called right before every write; raises when nothing may be written any more.
            author: who commits are by.
            name: what references call it.
            warn: told what is only kept as a record, since nothing here enforces it.
        """
        self.name = name
        self._paths = LocalPaths(root.absolute())
        self._web_url = web_url.rstrip("/") if web_url else None
        self._guard = guard
        self._author = author
        self._warn = warn

    def get_repo(self, owner: str, repo: str) -> Repository:
        """Find a repository; raises NotFoundError."""
        path = self._paths.repo(owner, repo)
        with opened(path, f"{owner}/{repo}") as git:
            ref = RepoRef(self.name, owner, repo, git.default_branch())
        record = read_record(path)
        clone_url = path.as_uri()
        return Repository(ref, self._page(ref) or clone_url, clone_url, record.description, record.visibility)

    def branch_head(self, ref: RepoRef, branch: str) -> str | None:
        """The commit that a branch is at, or None when there is no such branch."""
        with self._reading(ref, branch) as git:
            head = git.head(branch)
        return head.decode() if head else None

    def read_file(self, ref: RepoRef, branch: str, path: str) -> tuple[bytes, str] | None:
        """The content and the blob SHA of a file, or None when the branch or the file does not exist."""
        check_path(path)
        with self._reading(ref, branch) as git:
            return git.file(git.tree(git.head(branch)), path)

    def file_url(self, ref: RepoRef, branch: str, path: str) -> str:
        """The address of a file on a branch."""
        page = self._page(ref)
        if page:
            return f"{page}/blob/{quote(branch)}/{quote(path)}"
        return f"{self._path(ref).as_uri()}#{quote(branch)}:{quote(path)}"

    def list_owners(self) -> tuple[str, ...]:
        """The owners that repositories can belong to."""
        return tuple(self._paths.owners())

    def list_repositories(self, owner: str) -> tuple[Repository, ...]:
        """The repositories of an owner, by name; raises NotFoundError when there is no such owner."""
        return tuple(self.get_repo(owner, name) for name in self._paths.repos(owner))

    def branches(self, ref: RepoRef) -> tuple[Branch, ...]:
        """The branches of a repository, by name."""
        with opened(self._path(ref), ref.full_name) as git:
            default = git.default_branch()
            return tuple(Branch(name, sha.decode(), name == default) for name, sha in git.branches().items())

    def log(self, ref: RepoRef, branch: str, limit: int = 50) -> tuple[Commit, ...]:
        """The newest commits of a branch, newest first, at most ``limit``; none when there is no such branch."""
        with self._reading(ref, branch) as git:
            head = git.head(branch)
            return tuple(
                Commit(
                    sha=commit.id.decode(),
                    message=commit.message.decode(errors="replace").strip(),
                    author=commit.author.decode(errors="replace").partition(" <")[0],
                    at=moment(commit.commit_time),
                    parents=tuple(parent.decode() for parent in commit.parents),
                )
                for commit in (git.log(head, limit) if head else ())
            )

    def tree(self, ref: RepoRef, branch: str) -> tuple[TreeFile, ...]:
        """The files of a branch, by path; none when there is no such branch."""
        with self._reading(ref, branch) as git:
            files = git.files(git.tree(git.head(branch)))
            return tuple(TreeFile(path, sha.decode(), mode == EXECUTABLE) for path, (mode, sha) in files)

    def list_pulls(self, ref: RepoRef) -> tuple[PullRequest, ...]:
        """The pull requests of a repository, newest first."""
        return self._pulls(ref).newest_first()

    def diff(self, ref: RepoRef, number: int) -> str:
        """What a pull request changes, as a unified diff."""
        return self._pulls(ref).diff(number)

    def get_issue(self, ref: RepoRef, number: int) -> IssueRecord:
        """An issue with its description; raises NotFoundError."""
        return self._issues(ref).get(number)

    def _path(self, ref: RepoRef) -> Path:
        return self._paths.repo(ref.owner, ref.repo)

    def _reading(self, ref: RepoRef, branch: str) -> AbstractContextManager[BareRepo]:
        check_branch(branch)
        return opened(self._path(ref), ref.full_name)

    def _page(self, ref: RepoRef) -> str | None:
        return f"{self._web_url}/{ref.owner}/{ref.repo}" if self._web_url else None

    def _pulls(self, ref: RepoRef) -> LocalPulls:
        url_of = partial(self._url_of, ref, "pull")
        return LocalPulls(self._path(ref), ref.full_name, url_of, self._guard, self._author)

    def _url_of(self, ref: RepoRef, what: str, number: int | str) -> str:
        """The page of a pull request, an issue or a webhook."""
        page = self._page(ref)
        return f"{page}/{what}s/{number}" if page else f"{self._path(ref).as_uri()}#{what}-{number}"

    def _issues(self, ref: RepoRef) -> LocalIssues:
        url_of = partial(self._url_of, ref, "issue")
        return LocalIssues(self._path(ref), ref.full_name, url_of, self._guard, self._pulls(ref))
