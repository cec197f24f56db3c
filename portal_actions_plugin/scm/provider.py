"""What every forge can do for an action: the interface of a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from portal_actions_plugin.run_types import JsonValue
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
        RepoRef,
        Repository,
        Variable,
        Webhook,
        WebhookSpec,
        WorkflowRun,
    )


class ScmProvider(Protocol):
    """A forge, as the actions use it. Every method may raise the ActionError that says what went wrong there.

    ``scm.optional.OptionalOperations`` is a base that refuses what a provider does not write.

    Attributes:
        operations: what this forge can do; the method of any other operation raises ConfigurationError.
        pull_word: what people call a ``PullRequest`` there: pull request, or merge request.
    """

    operations: frozenset[Operation]
    pull_word: str

    def reach(self, owner: str | None) -> Reach:
        """Find out what the credential for an owner can do, by calls that change nothing.

        Args:
            owner: whose repositories it is for; None for the installation's own credential.

        Raises:
            ConfigurationError: there is no credential.
            AuthError: the forge does not know it.
        """

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

    def find_repo(self, provider: str, number: int) -> Repository:
        """Find a repository by the forge's own number of it.

        Args:
            provider: what references call the forge.
            number: as ``Repository.number`` has it.

        Raises:
            NotFoundError: there is none.
            ConfigurationError: this forge has no such numbers.
        """

    def branch_head(self, ref: RepoRef, branch: str) -> str | None:
        """The commit that a branch is at, or None when there is no such branch."""

    def ensure_branch(self, ref: RepoRef, branch: str, start: str) -> None:
        """Make a branch where another one is now; one that is there is left.

        Raises:
            NotFoundError: there is no branch ``start``.
        """

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
        allow_empty: bool = False,
    ) -> CommitResult:
        """Make one commit of all changes; none when everything is there already, unless that is asked for.

        A missing branch is made from ``base_branch``, unless there is nothing to commit. In an empty repository it
        becomes the first branch.

        Args:
            ref: the repository.
            branch: where to commit.
            changes: the files to write, each path once.
            message: the commit's.
            base_branch: what a missing branch is made from; None makes none.
            allow_empty: whether a commit is made that changes nothing; ``changes`` may be empty then. Who does not ask
                for it does not name it.

        Raises:
            NotFoundError: the branch is missing and there is nothing to make it from.
            ConflictError: a file is not as expected, or the branch would not stand still.
        """

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
        """Open a pull request, or return the one of the same head and base.

        That is the open one, or the merged one that proposed the very commit that ``head`` still is.

        Args:
            ref: the repository.
            head: the branch that is proposed.
            base: the branch to merge into.
            title: one line.
            body: its description, perhaps empty.
            draft: whether a new one is not to be merged yet. Who does not ask for it does not name it.
            allow_empty: whether one is opened that has nothing that the base lacks, where the forge opens such. Likewise.

        Raises:
            NotFoundError: there is no such base branch.
            ValidationError: the head branch is missing, or has nothing that the base lacks.
        """

    def get_pull(self, ref: RepoRef, number: int) -> PullRequest:
        """Find a pull request; raises NotFoundError."""

    def file_url(self, ref: RepoRef, branch: str, path: str) -> str:
        """The address of a file's page; ``path`` is relative to the top of the repository."""

    def close_pull(self, ref: RepoRef, number: int, *, expected_head: str | None) -> PullRequest:
        """Close a pull request without merging it; a closed or merged one is returned as it is.

        Args:
            ref: the repository.
            number: of the pull request.
            expected_head: the commit of the head branch that was seen; None takes any.

        Raises:
            ConflictError: the head is another commit by now.
        """

    def merge_pull(self, ref: RepoRef, number: int, *, expected_head: str | None, method: str) -> PullRequest:
        """Merge a pull request; a merged one is returned as it is.

        Args:
            ref: the repository.
            number: of the pull request.
            expected_head: the commit of the head branch that was seen; None takes the one that the forge names now.
            method: merge, squash or rebase.

        Raises:
            ConflictError: the head is another commit by now, or the forge refuses to merge: a check, a review, a clash.
        """

    def detail_pull(self, ref: RepoRef, number: int, details: PullDetails) -> tuple[str, ...]:
        """Add people and labels to a pull request; who and what is there stays.

        Returns:
            A sentence for each part that this forge does not have, or refuses: all else is done.
        """

    def configure_repo(self, ref: RepoRef, settings: Mapping[str, JsonValue]) -> None:
        """Change settings of a repository.

        Args:
            ref: the repository.
            settings: by the names of the forge's own API for a repository; what is not named stays as it is.
        """

    def ensure_group(
        self, provider: str, path: Sequence[str], *, names: Sequence[str] = (), description: str = ""
    ) -> int:
        """Find a group, or make it.

        Args:
            provider: what references call the forge.
            path: the short names of groups within each other, the outermost first; those that are missing are made.
            names: what pages call each of those that are made; their short names where there are none.
            description: of the innermost one, should it be made.

        Returns:
            The number of the innermost one.
        """

    def ensure_webhook(self, ref: RepoRef, spec: WebhookSpec) -> Webhook:
        """Create a webhook, or update the one of the same address where its events or its secret differ."""

    def protect_branch(self, ref: RepoRef, branch: str, protection: Protection) -> Protected:
        """Protect a branch; what this forge cannot do is named in the answer, and the rest is done."""

    def set_topics(self, ref: RepoRef, topics: Sequence[str]) -> tuple[str, ...]:
        """Add topics to those that are there; returns which were missing."""

    def add_collaborators(self, ref: RepoRef, collaborators: Sequence[Collaborator]) -> tuple[str, ...]:
        """Let people and teams work in a repository; returns the names of those for whom anything changed."""

    def set_variable(self, ref: RepoRef, variable: Variable) -> None:
        """Set a variable or secret of the CI, whatever it was before."""

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
        """Open an issue, or return the one that the same ``claim`` has opened before.

        Args:
            ref: the repository.
            title: one line.
            body: its description, perhaps empty.
            labels: those that the forge does not know are made, where it makes them.
            assignees: logins.
            claim: a text that only this run and those that retry it know.
            milestone: the number of one in the repository. Who does not ask for it does not name it.
        """

    def label_issue(self, ref: RepoRef, number: int, labels: Sequence[str]) -> tuple[str, ...]:
        """Add labels to an issue or pull request; returns which were missing."""

    def dispatch_workflow(
        self, ref: RepoRef, *, workflow: str, branch: str, inputs: Mapping[str, str], claim: str
    ) -> WorkflowRun:
        """Start a run of the CI, never a second one for the same ``claim``.

        Args:
            ref: the repository.
            workflow: the workflow's file or id; a forge with one pipeline a project ignores it.
            branch: the branch or tag that it runs on.
            inputs: its inputs or variables.
            claim: a text that only this run and those that retry it know.

        Raises:
            RemoteError: the answer was lost, and which run is ours cannot be told: says where to look.
        """
