"""What every forge can do for an action, and the words for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

Guard = Callable[[], None]
VISIBILITIES = ("private", "internal", "public")


class Operation(StrEnum):
    """What an action may ask of a forge. A provider says which of these it can, and a credential which it may."""

    CREATE_REPO = "createRepo"
    READ = "read"
    COMMIT = "commit"
    COMMIT_WORKFLOWS = "commitWorkflows"
    OPEN_PULL = "openPull"
    CLOSE_PULL = "closePull"
    MERGE_PULL = "mergePull"
    ENSURE_WEBHOOK = "ensureWebhook"
    PROTECT_BRANCH = "protectBranch"
    SET_TOPICS = "setTopics"
    ADD_COLLABORATORS = "addCollaborators"
    SET_VARIABLE = "setVariable"
    SET_SECRET = "setSecret"  # noqa: S105 the name of an operation
    CREATE_ISSUE = "createIssue"
    LABEL_ISSUE = "labelIssue"
    DISPATCH_WORKFLOW = "dispatchWorkflow"


@dataclass(frozen=True, slots=True)
class Author:
    """Who a commit is by."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class RepoRef:
    """Which repository: what steps hand on to each other.

    Attributes:
        provider: the installation's name, as in the setting ``SCM``.
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
        head_sha: the commit that the head branch was at, where the forge says so.
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
    head_sha: str | None = None
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


@dataclass(frozen=True, slots=True)
class WebhookSpec:
    """A webhook as it should be.

    Attributes:
        callback_url: where the forge calls; the webhook is found by it.
        events: the forge's own names for them, each once.
        secret: what the forge signs its calls with; None for none.
    """

    callback_url: str
    events: tuple[str, ...]
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as it is. ``outcome``: created, updated, or unchanged."""

    id: str
    url: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Protection:
    """What a protected branch asks for before a merge.

    Attributes:
        required_reviews: how many people have to approve; 0 for none.
        required_checks: the names of the checks that must have passed.
        code_owners: whether an owner of the changed code has to be among those who approve.
    """

    required_reviews: int = 1
    required_checks: tuple[str, ...] = ()
    code_owners: bool = False


@dataclass(frozen=True, slots=True)
class Protected:
    """What has become of a protection.

    Attributes:
        changed: whether the branch was protected otherwise before.
        cannot: a sentence for each part that this forge or its plan does not have.
    """

    changed: bool
    cannot: tuple[str, ...] = ()


ROLES = ("read", "triage", "write", "maintain", "admin")


@dataclass(frozen=True, slots=True)
class Collaborator:
    """Somebody who may work in a repository.

    Attributes:
        name: a user's login, or a team's or group's short name.
        role: one of ``ROLES``; a forge takes its nearest one that allows no more.
        is_team: whether it is a team or a group.
    """

    name: str
    role: str
    is_team: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable or secret of the forge's CI.

    Attributes:
        name: capitals, digits and underscores.
        value: never shown again.
        is_secret: whether the forge hides it: a secret there, or a masked variable.
        is_protected: whether only protected branches get it, where the forge has that.
    """

    name: str
    value: str = field(repr=False)
    is_secret: bool = True
    is_protected: bool = False


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue. ``fresh``: whether the call that returned it has opened it."""

    number: int
    url: str
    title: str
    labels: tuple[str, ...]
    fresh: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """A run of the forge's CI."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class Reach:
    """What a credential can do at its forge, found out by a harmless call.

    Attributes:
        who: the account or App that it is, such as ``octocat``; empty where the forge does not say.
        forge: the forge's own name and version, such as ``GitHub Enterprise Server 3.17.2``.
        missing: for each operation that would be refused, what the credential lacks, in the forge's own words.
        owners: where it may create repositories, as far as that is known.
        skew: seconds that the forge's clock is ahead of this machine's, by its ``Date``; None where it says none.
    """

    who: str
    forge: str
    missing: Mapping[Operation, str] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    skew: float | None = None


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
        self, ref: RepoRef, *, title: str, body: str, labels: Sequence[str], assignees: Sequence[str], claim: str
    ) -> Issue:
        """Open an issue, or return the one that the same ``claim`` has opened before."""

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
