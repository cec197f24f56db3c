"""The provider ``local``: bare git repositories in a folder per owner, with pull requests, on this machine's disk."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConfigurationError, ConflictError, NotFoundError
from portal_actions_plugin.scm.base import CommitResult, Protected, PullRequest, Reach, Repository
from portal_actions_plugin.scm.local.commits import CommitRequest, commit_files
from portal_actions_plugin.scm.local.create import RepoRecord, create, read_record
from portal_actions_plugin.scm.local.git import locked, opened
from portal_actions_plugin.scm.local.operations import OPERATIONS
from portal_actions_plugin.scm.local.repo_settings import LocalSettings
from portal_actions_plugin.scm.local.repositories import LocalRepositories
from portal_actions_plugin.scm.names import check_branch, check_changes, check_visibility
from portal_actions_plugin.scm.optional import OptionalOperations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.base import (
        Collaborator,
        FileChange,
        Issue,
        Protection,
        PullDetails,
        RepoRef,
        Variable,
        Webhook,
        WebhookSpec,
    )
    from portal_actions_plugin.scm.opening import Opening


def open_local(opening: Opening) -> LocalProvider:
    """Open the forge on this machine's disk; raises ConfigurationError when no folder is set for it."""
    if opening.local_root is None:
        raise ConfigurationError(
            "The local SCM provider is off: PORTAL_ACTIONS_LOCAL_SCM_ROOT is not set.",
            hint="Tell your platform team to set PORTAL_ACTIONS_LOCAL_SCM_ROOT to the folder of the repositories.",
        )
    return LocalProvider(
        opening.local_root,
        opening.local_url,
        opening.guard,
        opening.author,
        name=opening.installation.name,
        warn=opening.warn,
    )


class LocalProvider(LocalRepositories, OptionalOperations):
    """The forge on this machine's disk, as the actions use it."""

    operations = OPERATIONS

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

    def ensure_branch(self, ref: RepoRef, branch: str, start: str) -> None:
        """Make a branch where another one is now; one that is there is left."""
        check_branch(branch)
        check_branch(start, "ref")
        path = self._path(ref)
        with locked(path, ref.full_name), opened(path, ref.full_name) as git:
            head = git.head(start)
            if head is None:
                raise NotFoundError(f"{ref.full_name} has no branch {start}, so {branch} cannot be made from it.")
            if git.head(branch) is None:
                self._guard()
                git.swap(branch, None, head)

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
        request = CommitRequest(
            branch, base_branch, changes, message, self._author, self._guard, allow_empty=allow_empty
        )
        return commit_files(self._path(ref), ref.full_name, request)

    def configure_repo(self, ref: RepoRef, settings: Mapping[str, JsonValue]) -> None:
        """Keep settings of a repository as a record."""
        names = ", ".join(settings)
        self._warn(f"The local forge keeps settings of {ref.full_name} as a record, and does not follow them: {names}.")
        self._settings(ref).configure(settings)

    def detail_pull(self, ref: RepoRef, number: int, details: PullDetails) -> tuple[str, ...]:
        """Keep who is to look at a pull request, and its labels, as a record."""
        self._pulls(ref).get(number)
        self._settings(ref).detail_pull(number, details)
        return ("the local forge keeps who is to look at a pull request as a record: it tells nobody",)

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
        """Open a pull request of two branches, or return the one of the same two, as ``ScmProvider.open_pull`` says."""
        check_branch(head, "headBranch")
        check_branch(base, "baseBranch")
        written = f"Draft: {title}" if draft else title
        return self._pulls(ref).open(head, base, written, body, allow_empty=allow_empty)

    def get_pull(self, ref: RepoRef, number: int) -> PullRequest:
        """Find a pull request; raises NotFoundError."""
        return self._pulls(ref).get(number)

    def close_pull(self, ref: RepoRef, number: int, *, expected_head: str | None = None) -> PullRequest:
        """Close a pull request as ``ScmProvider.close_pull`` says."""
        return self._pulls(ref).close(number, expected_head)

    def merge_pull(
        self, ref: RepoRef, number: int, *, expected_head: str | None = None, method: str = "merge"
    ) -> PullRequest:
        """Merge a pull request as ``ScmProvider.merge_pull`` says: by ``merge``, or by ``squash``."""
        return self._pulls(ref).merge(number, expected_head, method)

    def ensure_webhook(self, ref: RepoRef, spec: WebhookSpec) -> Webhook:
        """Keep a webhook as a record; of its secret no more than what tells whether it is another one."""
        self._warn(f"The local forge keeps the webhook of {ref.full_name} as a record: it calls nobody.")
        return self._settings(ref).set_webhook(spec, partial(self._url_of, ref, "webhook"))

    def protect_branch(self, ref: RepoRef, branch: str, protection: Protection) -> Protected:
        """Keep the protection of a branch as a record."""
        check_branch(branch)
        changed = self._settings(ref).protect(branch, protection)
        nobody = f"the local forge keeps the protection of {branch} as a record: nothing enforces it"
        return Protected(changed, (nobody,))

    def set_topics(self, ref: RepoRef, topics: Sequence[str]) -> tuple[str, ...]:
        """Add topics to those that are there; returns which were missing."""
        return self._settings(ref).add_topics(topics)

    def add_collaborators(self, ref: RepoRef, collaborators: Sequence[Collaborator]) -> tuple[str, ...]:
        """Keep who may work in a repository as a record; returns the names of those for whom anything changed."""
        self._warn(
            f"The local forge keeps the collaborators of {ref.full_name} as a record: it asks nobody who they are."
        )
        return self._settings(ref).set_collaborators(collaborators)

    def set_variable(self, ref: RepoRef, variable: Variable) -> None:
        """Keep a variable as a record; of a secret only its name."""
        kept = "the name of the secret" if variable.is_secret else "the variable"
        self._warn(f"The local forge keeps {kept} {variable.name} as a record: it has no CI that could use it.")
        self._settings(ref).set_variable(variable)

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
        if milestone is not None:
            self._warn(f"The local forge has no milestones: {milestone} is left out.")
        return self._issues(ref).open(title, body, labels=labels, assignees=assignees, claim=claim)

    def label_issue(self, ref: RepoRef, number: int, labels: Sequence[str]) -> tuple[str, ...]:
        """Add labels to an issue or pull request; returns which were missing."""
        return self._issues(ref).label(number, labels)

    def _settings(self, ref: RepoRef) -> LocalSettings:
        return LocalSettings(self._path(ref), ref.full_name, self._guard)
