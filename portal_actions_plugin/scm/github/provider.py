"""The provider ``github`` as the actions use it: each method is in the file of its duty."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from portal_actions_plugin.scm.base import CommitResult, FileChange, PullRequest, RepoRef, Repository
from portal_actions_plugin.scm.github import branches, commits, pulls, repositories
from portal_actions_plugin.scm.github.client import GitHub
from portal_actions_plugin.scm.github.operations import OPERATIONS
from portal_actions_plugin.scm.names import check_branch, check_changes, check_owner, check_path, check_repo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portal_actions_plugin.scm.github.client import RepoApi
    from portal_actions_plugin.scm.opening import Opening


def open_github(opening: Opening) -> GitHubProvider:
    """Open a GitHub; raises ConfigurationError when its settings are wrong."""
    return GitHubProvider(GitHub.open(opening))


class GitHubProvider:
    """github.com, an enterprise with data residency, or an Enterprise Server, over its REST API."""

    operations = OPERATIONS
    pull_word = "pull request"

    def __init__(self, github: GitHub) -> None:
        self._github = github

    # Repositories

    def create_repo(
        self, owner: str, repo: str, *, visibility: str, description: str, init_with_readme: bool, claim: str
    ) -> Repository:
        """Create a repository as ``ScmProvider.create_repo`` says."""
        check_owner(owner)
        new = repositories.NewRepository(owner, repo, visibility, description, init_with_readme, claim)
        return repositories.create_repo(self._github, new)

    def get_repo(self, owner: str, repo: str) -> Repository:
        """Find a repository, by the name that it has now; raises NotFoundError."""
        check_owner(owner)
        check_repo(repo)
        return repositories.get_repo(self._github, owner, repo)

    # Files

    def branch_head(self, ref: RepoRef, branch: str) -> str | None:
        """The commit that a branch is at, or None when there is no such branch."""
        check_branch(branch)
        head = branches.find_branch(self._repo(ref), branch)
        return head.commit if head else None

    def read_file(self, ref: RepoRef, branch: str, path: str) -> tuple[bytes, str] | None:
        """The content and the blob SHA of a file, or None when the branch or the file does not exist."""
        check_branch(branch)
        check_path(path)
        return branches.read_file(self._repo(ref), branch, path)

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
        request = commits.CommitRequest(branch, base_branch, changes, message, self._github.opening.author)
        return commits.put_files(self._repo(ref), request)

    def file_url(self, ref: RepoRef, branch: str, path: str) -> str:
        """The address of a file's page."""
        return f"{self._repo(ref).web_url}/blob/{quote(branch)}/{quote(path)}"

    # Pull requests

    def open_pull(self, ref: RepoRef, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request of two branches, or return the one of the same two, as ``ScmProvider.open_pull`` says."""
        check_branch(head, "headBranch")
        check_branch(base, "baseBranch")
        return pulls.open_pull(self._repo(ref), head=head, base=base, title=title, body=body)

    def get_pull(self, ref: RepoRef, number: int) -> PullRequest:
        """Find a pull request; raises NotFoundError."""
        return pulls.get_pull(self._repo(ref), number)

    def close_pull(self, ref: RepoRef, number: int, *, expected_head: str | None) -> PullRequest:
        """Close a pull request as ``ScmProvider.close_pull`` says."""
        return pulls.close_pull(self._repo(ref), number, expected_head=expected_head)

    def merge_pull(self, ref: RepoRef, number: int, *, expected_head: str | None, method: str) -> PullRequest:
        """Merge a pull request as ``ScmProvider.merge_pull`` says."""
        return pulls.merge_pull(self._repo(ref), number, expected_head=expected_head, method=method)

    def _repo(self, ref: RepoRef) -> RepoApi:
        check_owner(ref.owner)
        check_repo(ref.repo)
        return self._github.repo(ref)
