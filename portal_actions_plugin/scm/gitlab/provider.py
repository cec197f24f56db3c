"""The provider ``gitlab`` as the actions use it: each duty has a module of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from portal_actions_plugin.scm.gitlab import commits, groups, issues, merge_requests, pipelines, repositories
from portal_actions_plugin.scm.gitlab.client import GitLab
from portal_actions_plugin.scm.gitlab.permissions import OPERATIONS
from portal_actions_plugin.scm.gitlab.reach import reach
from portal_actions_plugin.scm.gitlab.setup import people, variables, webhooks
from portal_actions_plugin.scm.gitlab.setup.protection import protect_branch
from portal_actions_plugin.scm.names import check_branch
from portal_actions_plugin.scm.remote.git_access import GitAccess
from portal_actions_plugin.scm.remote.new_issue import NewIssue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.base import (
        Collaborator,
        CommitResult,
        FileChange,
        Issue,
        Protected,
        Protection,
        PullDetails,
        PullRequest,
        Reach,
        RepoRef,
        Repository,
        Variable,
        Webhook,
        WebhookSpec,
        WorkflowRun,
    )
    from portal_actions_plugin.scm.opening import Opening


def open_gitlab(opening: Opening) -> GitLabProvider:
    """Open a GitLab; raises ConfigurationError for settings that are wrong. Nothing is asked of it yet."""
    return GitLabProvider(GitLab.open(opening))


class GitLabProvider:
    """gitlab.com or a self-managed GitLab."""

    operations = OPERATIONS
    pull_word = "merge request"

    def __init__(self, gitlab: GitLab) -> None:
        self.name = gitlab.name
        self._gitlab = gitlab

    def reach(self, owner: str | None) -> Reach:
        """Find out what the credential for an owner can do, by calls that change nothing."""
        return reach(self._gitlab.api(owner), owner)

    def git_access(self, ref: RepoRef) -> GitAccess:
        """The way to a project by git's protocol; raises ConfigurationError where there is no credential for it."""
        client, opening = self._gitlab.client, self._gitlab.opening
        return GitAccess.of(client.place, opening, self._gitlab.api(ref.owner).credential, commits.GIT_USER)

    def create_repo(
        self, owner: str, repo: str, *, visibility: str, description: str, init_with_readme: bool, claim: str
    ) -> Repository:
        """Create a project, or return the one that the same claim has created before."""
        new = repositories.NewProject(owner, repo, visibility, description, init_with_readme, claim)
        return repositories.create_repo(self._gitlab, new)

    def get_repo(self, owner: str, repo: str) -> Repository:
        """Find a project; raises NotFoundError."""
        return repositories.get_repo(self._gitlab, owner, repo)

    def find_repo(self, provider: str, number: int) -> Repository:  # noqa: ARG002 it is this one's name
        """Find a project by GitLab's number of it; raises NotFoundError."""
        return repositories.find_repo(self._gitlab, number)

    def configure_repo(self, ref: RepoRef, settings: Mapping[str, JsonValue]) -> None:
        """Change settings of a project, by the names of GitLab's API."""
        repositories.configure_repo(self._gitlab.project(ref), settings)

    def ensure_group(
        self,
        provider: str,  # noqa: ARG002 it is this one's name
        path: Sequence[str],
        *,
        names: Sequence[str] = (),
        description: str = "",
    ) -> int:
        """Find a group by its path, or make what is missing of it; returns the innermost one's number."""
        return groups.ensure_group(self._gitlab, path, names or path, description)

    def branch_head(self, ref: RepoRef, branch: str) -> str | None:
        """The commit that a branch is at, or None when there is no such branch."""
        check_branch(branch)
        return self._gitlab.project(ref).head(branch)

    def ensure_branch(self, ref: RepoRef, branch: str, start: str) -> None:
        """Make a branch where another one is now; one that is there is left."""
        check_branch(branch)
        check_branch(start, "ref")
        commits.ensure_branch(self._gitlab.project(ref), branch, start)

    def read_file(self, ref: RepoRef, branch: str, path: str) -> tuple[bytes, str] | None:
        """The content and the blob SHA of a file, or None when the branch or the file does not exist."""
        return commits.read_file(self._gitlab.project(ref), branch, path)

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
        request = commits.CommitRequest(branch, base_branch, changes, message, allow_empty=allow_empty)
        return commits.put_files(self._gitlab, ref, request)

    def open_pull(
        self,
        ref: RepoRef,
        *,
        head: str,
        base: str,
        title: str,
        body: str,
        draft: bool = False,
        allow_empty: bool = False,
    ) -> PullRequest:
        """Open a merge request, or return the one of the same branches, as ``ScmProvider.open_pull`` says."""
        # docs.gitlab.com/user/project/merge_requests/drafts/
        title = f"Draft: {title}" if draft else title
        repo = self._gitlab.project(ref)
        return merge_requests.open_pull(repo, head=head, base=base, title=title, body=body, allow_empty=allow_empty)

    def get_pull(self, ref: RepoRef, number: int) -> PullRequest:
        """Find a merge request; raises NotFoundError."""
        return merge_requests.get_pull(self._gitlab.project(ref), number)

    def file_url(self, ref: RepoRef, branch: str, path: str) -> str:
        """The address of a file's page."""
        return f"{self._gitlab.web_url}/{ref.full_name}/-/blob/{quote(branch)}/{quote(path)}"

    def detail_pull(self, ref: RepoRef, number: int, details: PullDetails) -> tuple[str, ...]:
        """Add people and labels to a merge request as ``ScmProvider.detail_pull`` says."""
        return merge_requests.detail_pull(self._gitlab.project(ref), number, details)

    def close_pull(self, ref: RepoRef, number: int, *, expected_head: str | None) -> PullRequest:
        """Close a merge request without merging it; a closed or merged one is returned as it is."""
        return merge_requests.close_pull(self._gitlab.project(ref), number, expected_head=expected_head)

    def merge_pull(self, ref: RepoRef, number: int, *, expected_head: str | None, method: str) -> PullRequest:
        """Merge a merge request; a merged one is returned as it is."""
        return merge_requests.merge_pull(
            self._gitlab.project(ref, again=True), number, expected_head=expected_head, method=method
        )

    def ensure_webhook(self, ref: RepoRef, spec: WebhookSpec) -> Webhook:
        """Create a webhook, or update the one of the same address where its events or its secret differ."""
        return webhooks.ensure_webhook(self._gitlab.project(ref), spec)

    def protect_branch(self, ref: RepoRef, branch: str, protection: Protection) -> Protected:
        """Protect a branch; what this GitLab cannot do is named in the answer, and the rest is done."""
        return protect_branch(self._gitlab.project(ref, again=True), branch, protection)

    def set_topics(self, ref: RepoRef, topics: Sequence[str]) -> tuple[str, ...]:
        """Add topics to those that are there; returns which were missing."""
        return people.set_topics(self._gitlab.project(ref, again=True), topics)

    def add_collaborators(self, ref: RepoRef, collaborators: Sequence[Collaborator]) -> tuple[str, ...]:
        """Let people and groups work in a project; returns the names of those for whom anything changed."""
        return people.add_collaborators(self._gitlab.project(ref, again=True), collaborators)

    def set_variable(self, ref: RepoRef, variable: Variable) -> None:
        """Set a CI/CD variable, whatever it was before; a secret one is masked."""
        variables.set_variable(self._gitlab.project(ref), variable)

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
        """Open an issue, or return the one that the same claim has opened before."""
        if milestone is not None:
            self._gitlab.opening.warn(f"The milestone {milestone} is not set at GitLab: set it there.")
        return issues.create_issue(self._gitlab.project(ref), NewIssue(title, body, labels, assignees, claim))

    def label_issue(self, ref: RepoRef, number: int, labels: Sequence[str]) -> tuple[str, ...]:
        """Add labels to an issue; returns which were missing."""
        return issues.label_issue(self._gitlab.project(ref), number, labels)

    def dispatch_workflow(
        self,
        ref: RepoRef,
        *,
        workflow: str,  # noqa: ARG002 GitLab has one pipeline a project
        branch: str,
        inputs: Mapping[str, str],
        claim: str,
    ) -> WorkflowRun:
        """Start a pipeline, never a second one for the same claim."""
        return pipelines.dispatch_workflow(self._gitlab.project(ref), pipelines.Dispatch(branch, inputs, claim))
