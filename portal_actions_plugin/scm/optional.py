"""Operations that not every forge has: words for each, and a base for providers that refuses those that are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.scm.base import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.base import (
        Collaborator,
        Issue,
        Protected,
        Protection,
        PullDetails,
        PullRequest,
        RepoRef,
        Repository,
        Variable,
        Webhook,
        WebhookSpec,
        WorkflowRun,
    )
    from portal_actions_plugin.scm.provider import ScmProvider

WORDS: Mapping[Operation, str] = {
    Operation.CREATE_REPO: "create repositories",
    Operation.READ: "read repositories",
    Operation.COMMIT: "commit files",
    Operation.COMMIT_WORKFLOWS: "commit workflows of its CI",
    Operation.OPEN_PULL: "open pull requests",
    Operation.CLOSE_PULL: "close pull requests",
    Operation.MERGE_PULL: "merge pull requests",
    Operation.ENSURE_WEBHOOK: "set up webhooks",
    Operation.PROTECT_BRANCH: "protect branches",
    Operation.SET_TOPICS: "set topics",
    Operation.ADD_COLLABORATORS: "add collaborators",
    Operation.SET_VARIABLE: "set variables of its CI",
    Operation.SET_SECRET: "set secrets of its CI",
    Operation.CREATE_ISSUE: "open issues",
    Operation.LABEL_ISSUE: "label issues",
    Operation.DISPATCH_WORKFLOW: "start runs of its CI",
    Operation.CONFIGURE_REPO: "change settings of repositories",
    Operation.DETAIL_PULL: "ask for reviews of pull requests",
    Operation.ENSURE_GROUP: "create groups",
}
"""What each operation is called in a sentence that begins with "may" or "can"."""


def cannot(operation: Operation, provider: str) -> ConfigurationError:
    """The error for an operation that a forge does not have.

    Args:
        operation: what was asked for.
        provider: the installation's name, as inputs have it.
    """
    return ConfigurationError(
        f"The forge {provider} cannot {WORDS[operation]}: its provider has no operation {operation.value}.",
        hint="Leave this step out for that forge, or choose another one.",
    )


def require(scm: ScmProvider, operation: Operation, provider: str) -> None:
    """Raise ConfigurationError, which names both, unless a forge has an operation.

    Args:
        scm: the forge.
        operation: what is going to be asked for.
        provider: the installation's name, as inputs have it.
    """
    if operation not in scm.operations:
        raise cannot(operation, provider)


class OptionalOperations:
    """A base for providers: each operation that they need not have raises ConfigurationError until they write it."""

    operations: frozenset[Operation]
    pull_word: str = "pull request"

    def find_repo(self, provider: str, number: int) -> Repository:
        raise cannot(Operation.READ, provider)

    def configure_repo(self, ref: RepoRef, settings: Mapping[str, JsonValue]) -> None:
        raise cannot(Operation.CONFIGURE_REPO, ref.provider)

    def ensure_branch(self, ref: RepoRef, branch: str, start: str) -> None:
        raise cannot(Operation.COMMIT, ref.provider)

    def detail_pull(self, ref: RepoRef, number: int, details: PullDetails) -> tuple[str, ...]:
        raise cannot(Operation.DETAIL_PULL, ref.provider)

    def ensure_group(
        self, provider: str, path: Sequence[str], *, names: Sequence[str] = (), description: str = ""
    ) -> int:
        raise cannot(Operation.ENSURE_GROUP, provider)

    def close_pull(self, ref: RepoRef, number: int, *, expected_head: str | None) -> PullRequest:
        raise cannot(Operation.CLOSE_PULL, ref.provider)

    def merge_pull(
        self,
        ref: RepoRef,
        number: int,
        *,
        expected_head: str | None,
        method: str,
    ) -> PullRequest:
        raise cannot(Operation.MERGE_PULL, ref.provider)

    def ensure_webhook(self, ref: RepoRef, spec: WebhookSpec) -> Webhook:
        raise cannot(Operation.ENSURE_WEBHOOK, ref.provider)

    def protect_branch(self, ref: RepoRef, branch: str, protection: Protection) -> Protected:
        raise cannot(Operation.PROTECT_BRANCH, ref.provider)

    def set_topics(self, ref: RepoRef, topics: Sequence[str]) -> tuple[str, ...]:
        raise cannot(Operation.SET_TOPICS, ref.provider)

    def add_collaborators(self, ref: RepoRef, collaborators: Sequence[Collaborator]) -> tuple[str, ...]:
        raise cannot(Operation.ADD_COLLABORATORS, ref.provider)

    def set_variable(self, ref: RepoRef, variable: Variable) -> None:
        raise cannot(Operation.SET_SECRET if variable.is_secret else Operation.SET_VARIABLE, ref.provider)

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
        raise cannot(Operation.CREATE_ISSUE, ref.provider)

    def label_issue(self, ref: RepoRef, number: int, labels: Sequence[str]) -> tuple[str, ...]:
        raise cannot(Operation.LABEL_ISSUE, ref.provider)

    def dispatch_workflow(
        self,
        ref: RepoRef,
        *,
        workflow: str,
        branch: str,
        inputs: Mapping[str, str],
        claim: str,
    ) -> WorkflowRun:
        raise cannot(Operation.DISPATCH_WORKFLOW, ref.provider)
