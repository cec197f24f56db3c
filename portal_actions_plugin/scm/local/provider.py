"""The provider ``local``: bare git repositories in a folder per owner, with pull requests, on this machine's disk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from portal_actions_plugin.errors import ConfigurationError, ConflictError
from portal_actions_plugin.scm.base import (
    Author,
    Branch,
    Commit,
    CommitResult,
    FileChange,
    Guard,
    Operation,
    PullRequest,
    Reach,
    RepoRef,
    Repository,
    TreeFile,
)
from portal_actions_plugin.scm.local.commits import CommitRequest, commit_files
from portal_actions_plugin.scm.local.create import RepoRecord, create, read_record
from portal_actions_plugin.scm.local.git import BareRepo, moment, opened
from portal_actions_plugin.scm.local.paths import LocalPaths
from portal_actions_plugin.scm.local.pulls import LocalPulls
from portal_actions_plugin.scm.local.trees import EXECUTABLE
from portal_actions_plugin.scm.names import check_branch, check_changes, check_path, check_visibility

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from portal_actions_plugin.scm.opening import Opening


def open_local(opening: Opening) -> LocalProvider:
    """Open the forge on this machine's disk; raises ConfigurationError when no folder is set for it."""
    if opening.local_root is None:
        raise ConfigurationError(
            "The local SCM provider is off: PORTAL_ACTIONS_LOCAL_SCM_ROOT is not set.",
            hint="Tell your platform team to set PORTAL_ACTIONS_LOCAL_SCM_ROOT to the folder of the repositories.",
        )
    return LocalProvider(
        opening.local_root, opening.local_url, opening.guard, opening.author, name=opening.installation.name
    )


class LocalProvider:
    """Bare git repositories at ``<root>/<owner>/<repo>.git``. Any number of processes may write at once."""

    operations = frozenset(
        {
            Operation.CREATE_REPO,
            Operation.READ,
            Operation.COMMIT,
            Operation.COMMIT_WORKFLOWS,
            Operation.OPEN_PULL,
        }
    )

    def __init__(self, root: Path, web_url: str | None, guard: Guard, author: Author, *, name: str = "local") -> None:
        """Open the forge.

        Args:
            root: the folder with a folder per owner.
            web_url: address of a page about the repositories, ``<web_url>/<owner>/<repo>``; None for file URLs.
            guard: called right before every write; raises when nothing may be written any more.
            author: who commits are by.
            name: what references call it.
        """
        self.name = name
        self._paths = LocalPaths(root.absolute())
        self._web_url = web_url.rstrip("/") if web_url else None
        self._guard = guard
        self._author = author

    # What every provider can do

    def reach(self, owner: str | None) -> Reach:  # noqa: ARG002 there are no credentials here
        """Everything, in every folder that there is."""
        return Reach(who="", forge="git repositories on this machine's disk", owners=self.list_owners())

    def create_repo(
        self, owner: str, repo: str, *, visibility: str, description: str, init_with_readme: bool, claim: str
    ) -> Repository:
        """Create a repository as ``ScmProvider.create_repo`` says. It appears whole or not at all."""
        check_visibility(visibility)
        path = self._paths.repo_to_be(owner, repo)
        text = f"# {repo}\n\n{description}".rstrip() + "\n"
        record = RepoRecord(claim, visibility, description)
        readme = text if init_with_readme else None
        if create(path, f"{owner}/{repo}", record, readme=readme, author=self._author, guard=self._guard):
            return replace(self.get_repo(owner, repo), fresh=True)
        if claim and read_record(path).claim == claim:
            return self.get_repo(owner, repo)
        raise ConflictError(
            f"The repository {owner}/{repo} exists already, and this run has not made it. Nothing was written to it.",
            hint="Choose another name, or remove the repository if nobody needs it.",
        )

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

    def put_files(
        self,
        ref: RepoRef,
        branch: str,
        changes: Sequence[FileChange],
        message: str,
        *,
        base_branch: str | None = None,
    ) -> CommitResult:
        """Make one commit of all changes as ``ScmProvider.put_files`` says; none when everything is there already."""
        check_branch(branch)
        if base_branch is not None:
            check_branch(base_branch, "baseBranch")
        check_changes(changes)
        request = CommitRequest(branch, base_branch, changes, message, self._author, self._guard)
        return commit_files(self._path(ref), ref.full_name, request)

    def open_pull(self, ref: RepoRef, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request of two branches, or return the one of the same two, as ``ScmProvider.open_pull`` says."""
        check_branch(head, "headBranch")
        check_branch(base, "baseBranch")
        return self._pulls(ref).open(head, base, title, body)

    def get_pull(self, ref: RepoRef, number: int) -> PullRequest:
        """Find a pull request; raises NotFoundError."""
        return self._pulls(ref).get(number)

    def file_url(self, ref: RepoRef, branch: str, path: str) -> str:
        """The address of a file on a branch."""
        page = self._page(ref)
        if page:
            return f"{page}/blob/{quote(branch)}/{quote(path)}"
        return f"{self._path(ref).as_uri()}#{quote(branch)}:{quote(path)}"

    # What a page about the repositories needs besides

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

    def merge_pull(self, ref: RepoRef, number: int, merged_by: Author) -> PullRequest:
        """Merge a pull request with a commit of two parents; a merged one is returned as it is.

        Args:
            ref: the repository.
            number: of the pull request.
            merged_by: the author of the merge.

        Raises:
            ConflictError: both branches changed the same file in different ways.
        """
        return self._pulls(ref).merge(number, merged_by)

    def _path(self, ref: RepoRef) -> Path:
        return self._paths.repo(ref.owner, ref.repo)

    def _reading(self, ref: RepoRef, branch: str) -> AbstractContextManager[BareRepo]:
        check_branch(branch)
        return opened(self._path(ref), ref.full_name)

    def _page(self, ref: RepoRef) -> str | None:
        return f"{self._web_url}/{ref.owner}/{ref.repo}" if self._web_url else None

    def _pulls(self, ref: RepoRef) -> LocalPulls:
        path = self._path(ref)
        page = self._page(ref)

        def url_of(number: int) -> str:
            return f"{page}/pulls/{number}" if page else f"{path.as_uri()}#pull-{number}"

        return LocalPulls(path, ref.full_name, url_of, self._guard, self._author)
