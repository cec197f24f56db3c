"""The provider ``github`` as the actions use it: each method is in the file of its duty."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.scm.base import (
    Collaborator,
    CommitResult,
    FileChange,
    Issue,
    Operation,
    Protected,
    Protection,
    PullDetails,
    PullRequest,
    Reach,
    RepoFile,
    RepoRef,
    Repository,
    Variable,
    Webhook,
    WebhookSpec,
    WorkflowRun,
)
from portal_actions_plugin.scm.github import branches, commits, issues, pulls, reach, repositories, workflows
from portal_actions_plugin.scm.github.client import GitHub
from portal_actions_plugin.scm.github.operations import OPERATIONS
from portal_actions_plugin.scm.github.setup import options, people, variables, webhooks
from portal_actions_plugin.scm.github.setup import protection as protecting
from portal_actions_plugin.scm.github.trees import files_below
from portal_actions_plugin.scm.names import check_branch, check_changes, check_owner, check_path, check_repo
from portal_actions_plugin.scm.optional import cannot
from portal_actions_plugin.scm.remote.git_access import GitAccess
from portal_actions_plugin.scm.remote.new_issue import NewIssue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.github.client import RepoApi
    from portal_actions_plugin.scm.opening import Opening
    from portal_actions_plugin.scm.provider import ScmProvider
    from portal_actions_plugin.scm.trees import Bounds


def open_github(opening: Opening) -> ScmProvider:
    """Open a GitHub; raises ConfigurationError when its settings are wrong."""
    return GitHubProvider(GitHub.open(opening))


class GitHubProvider:
    """github.com, an enterprise with data residency, or an Enterprise Server, over its REST API."""

    operations = OPERATIONS
    pull_word = "pull request"

    def __init__(self, github: GitHub) -> None:
        self._github = github

    def reach(self, owner: str | None) -> Reach:
        """Find out what the credential for an owner can do, by calls that change nothing."""
        return reach.reach(self._github, owner)

    # Repositories

    def create_repo(
        self, owner: str, repo: str, *, visibility: str, description: str, init_with_readme: bool, claim: str
    ) -> Repository:
        """Create a repository as ``ScmProvider.create_repo`` says."""
        check_owner(owner)
        check_repo(repo)
        new = repositories.NewRepository(owner, repo, visibility, description, init_with_readme, claim)
        return repositories.create_repo(self._github, new)

    def get_repo(self, owner: str, repo: str) -> Repository:
        """Find a repository, by the name that it has now; raises NotFoundError."""
        check_owner(owner)
        check_repo(repo)
        return repositories.get_repo(self._github, owner, repo)

    def find_repo(self, provider: str, number: int) -> Repository:  # noqa: ARG002 it is this one's name
        """Find a repository by GitHub's number of it; raises NotFoundError."""
        return repositories.find_repo(self._github, number)

    def configure_repo(self, ref: RepoRef, settings: Mapping[str, JsonValue]) -> None:
        """Change settings of a repository, by the names of "Update a repository" and a few more."""
        options.configure_repo(self._repo(ref), settings)

    def ensure_group(
        self,
        provider: str,
        path: Sequence[str],  # noqa: ARG002 the protocol's arguments
        *,
        names: Sequence[str] = (),  # noqa: ARG002
        description: str = "",  # noqa: ARG002
    ) -> int:
        """Refuse: GitHub lets people alone make an organisation."""
        raise cannot(Operation.ENSURE_GROUP, provider)

    def git_access(self, ref: RepoRef) -> GitAccess:
        """The way to a repository by git's protocol; raises ConfigurationError where there is no credential for it."""
        credentials, opening = self._github.credentials, self._github.opening
        credential = credentials.credential(ref.owner, ref.repo)
        forget = partial(credentials.forget, ref.owner)
        return GitAccess.of(self._github.client.place, opening, credential, commits.GIT_USER, forget)

    def files_by_api(self, ref: RepoRef, where: str, bounds: Bounds) -> tuple[RepoFile, ...]:
        """Read a folder or a file where git is not to be had; see ``ReadByApi``."""
        repo = self._repo(ref)
        found = branches.tree_and_path(repo, where)
        if found is None:
            raise NotFoundError(f"{repo.name} has no branch, tag or commit that {where[:200]!r} begins with.")
        return files_below(repo, *found, bounds)

    # Files

    def branch_head(self, ref: RepoRef, branch: str) -> str | None:
        """The commit that a branch is at, or None when there is no such branch."""
        check_branch(branch)
        head = branches.find_branch(self._repo(ref), branch)
        return head.commit if head else None

    def ensure_branch(self, ref: RepoRef, branch: str, start: str) -> None:
        """Make a branch where another one is now; one that is there is left."""
        check_branch(branch)
        check_branch(start, "ref")
        branches.ensure_branch(self._repo(ref), branch, start)

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
        allow_empty: bool = False,
    ) -> CommitResult:
        """Make one commit of all changes as ``ScmProvider.put_files`` says; none when everything is there already."""
        check_branch(branch)
        if base_branch is not None:
            check_branch(base_branch, "baseBranch")
        if changes or not allow_empty:
            check_changes(changes)
        request = commits.CommitRequest(
            branch, base_branch, changes, message, self._github.opening.author, allow_empty=allow_empty
        )
        return commits.put_files(self._repo(ref), request)

    def file_url(self, ref: RepoRef, branch: str, path: str) -> str:
        """The address of a file's page."""
        return f"{self._repo(ref).web_url}/blob/{quote(branch)}/{quote(path)}"

    # Pull requests

    def open_pull(
        self,
        ref: RepoRef,
        *,
        head: str,
        base: str,
        title: str,
        body: str,
        draft: bool = False,
        allow_empty: bool = False,  # noqa: ARG002 GitHub opens none such
    ) -> PullRequest:
        """Open a pull request of two branches, or return the one of the same two, as ``ScmProvider.open_pull`` says."""
        check_branch(head, "headBranch")
        check_branch(base, "baseBranch")
        return pulls.open_pull(self._repo(ref), head=head, base=base, title=title, body=body, draft=draft)

    def get_pull(self, ref: RepoRef, number: int) -> PullRequest:
        """Find a pull request; raises NotFoundError."""
        return pulls.get_pull(self._repo(ref), number)

    def close_pull(self, ref: RepoRef, number: int, *, expected_head: str | None) -> PullRequest:
        """Close a pull request as ``ScmProvider.close_pull`` says."""
        return pulls.close_pull(self._repo(ref), number, expected_head=expected_head)

    def merge_pull(self, ref: RepoRef, number: int, *, expected_head: str | None, method: str) -> PullRequest:
        """Merge a pull request as ``ScmProvider.merge_pull`` says."""
        return pulls.merge_pull(self._repo(ref), number, expected_head=expected_head, method=method)

    def detail_pull(self, ref: RepoRef, number: int, details: PullDetails) -> tuple[str, ...]:
        """Add people and labels to a pull request as ``ScmProvider.detail_pull`` says."""
        return pulls.detail_pull(self._repo(ref), number, details)

    # What a repository is set up with

    def ensure_webhook(self, ref: RepoRef, spec: WebhookSpec) -> Webhook:
        """Create a webhook, or update the one of the same address where its events or its secret differ."""
        return webhooks.ensure_webhook(self._repo(ref), spec)

    def protect_branch(self, ref: RepoRef, branch: str, protection: Protection) -> Protected:
        """Protect a branch; what GitHub or the owner's plan does not have is named in the answer."""
        check_branch(branch)
        return protecting.protect_branch(self._repo(ref), branch, protection)

    def set_topics(self, ref: RepoRef, topics: Sequence[str]) -> tuple[str, ...]:
        """Add topics to those that are there; returns which were missing."""
        return people.set_topics(self._repo(ref), topics)

    def add_collaborators(self, ref: RepoRef, collaborators: Sequence[Collaborator]) -> tuple[str, ...]:
        """Let people and teams work in a repository; returns the names of those for whom anything changed."""
        return people.add_collaborators(self._repo(ref), collaborators)

    def set_variable(self, ref: RepoRef, variable: Variable) -> None:
        """Set a variable or secret of GitHub Actions, whatever it was before."""
        variables.set_variable(self._repo(ref), variable)

    # Issues and workflows

    def create_issue(
        self,
        ref: RepoRef,
        *,
        title: str,
        body: str,
        labels: Sequence[str],
        assignees: Sequence[str],
        claim: str,
        milestone: int | None = None,
    ) -> Issue:
        """Open an issue, or return the one that the same ``claim`` has opened before."""
        return issues.create_issue(self._repo(ref), NewIssue(title, body, labels, assignees, claim, milestone))

    def label_issue(self, ref: RepoRef, number: int, labels: Sequence[str]) -> tuple[str, ...]:
        """Add labels to an issue or pull request; returns which were missing."""
        return issues.label_issue(self._repo(ref), number, labels)

    def dispatch_workflow(
        self, ref: RepoRef, *, workflow: str, branch: str, inputs: Mapping[str, str], claim: str
    ) -> WorkflowRun:
        """Start a run of a workflow as ``ScmProvider.dispatch_workflow`` says, never a second one."""
        check_branch(branch)
        return workflows.dispatch_workflow(self._repo(ref), workflows.Dispatch(workflow, branch, inputs, claim))

    def _repo(self, ref: RepoRef) -> RepoApi:
        check_owner(ref.owner)
        check_repo(ref.repo)
        return self._github.repo(ref)
