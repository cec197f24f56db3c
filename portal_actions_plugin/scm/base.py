"""The words for what a forge has and does: repositories, commits, pull requests, and the operations on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from portal_actions_plugin.scm.branch_rules import People as People  # noqa: PLC0414 it is named here for everybody
from portal_actions_plugin.scm.branch_rules import Protected as Protected  # noqa: PLC0414 it is named here for everybody
from portal_actions_plugin.scm.branch_rules import Protection as Protection  # noqa: PLC0414 it is named here for everybody

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
    CONFIGURE_REPO = "configureRepo"
    DETAIL_PULL = "detailPull"
    ENSURE_GROUP = "ensureGroup"


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
        number: the forge's own number of it, where it has one that outlives every rename.
        fresh: whether the call that returned it has made it.
    """

    ref: RepoRef
    web_url: str
    clone_url: str
    description: str = ""
    visibility: str = "private"
    fresh: bool = field(default=False, compare=False)
    number: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file to create, to update or to delete.

    Attributes:
        path: relative to the top of the repository.
        content: its bytes; of a link, what it points to.
        executable: None keeps what the file is, and makes a new one an ordinary file.
        expected_sha: the file must be as this says: its blob, or the commit that it was seen in.
        is_link: whether it is a symbolic link.
        is_gone: whether it is to be deleted; one that is not there is left so.
    """

    path: str
    content: bytes
    executable: bool | None = None
    expected_sha: str | None = None
    is_link: bool = False
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class RepoFile:
    """A file of a repository.

    Attributes:
        path: below the folder that was asked for; of a file that was asked for itself, its name.
        content: its bytes; of a link, what it points to.
        executable: whether it can be executed.
        is_link: whether it is a link.
    """

    path: str
    content: bytes
    executable: bool = False
    is_link: bool = False


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
        is_form: whether the forge sends a form in place of JSON, where it has both.
        is_active: whether it calls at all, where the forge can keep one that does not.
        is_unverified: whether the certificate of the address is not looked at.
    """

    callback_url: str
    events: tuple[str, ...]
    secret: str | None = field(default=None, repr=False)
    is_form: bool = False
    is_active: bool = True
    is_unverified: bool = False


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as it is. ``outcome``: created, updated, or unchanged."""

    id: str
    url: str
    outcome: str


ROLES = ("read", "triage", "write", "maintain", "admin")


@dataclass(frozen=True, slots=True)
class Collaborator:
    """Somebody who may work in a repository.

    Attributes:
        name: a user's login, or a team's or group's short name.
        role: one of ``ROLES``, of which a forge takes its nearest one that allows no more; GitHub also takes one that an
            organisation has made up.
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
        is_file: whether the CI gets a file that holds it, where the forge has that.
        is_raw: whether a ``$`` in it is one, where the forge would take it for another variable otherwise.
        scope: which environments get it, where the forge has that; ``*`` for all.
        description: one line, where the forge has that.
        is_hidden: whether nobody can look at it there later, where the forge can keep one that people can look at.
    """

    name: str
    value: str = field(repr=False)
    is_secret: bool = True
    is_protected: bool = False
    is_file: bool = False
    is_raw: bool = True
    scope: str = "*"
    description: str = ""
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class PullDetails:
    """What a pull request may have beside its branches and texts.

    Attributes:
        reviewers: the logins of those who are to look at it.
        team_reviewers: the short names of teams.
        assignees: the logins of those who are to see to it.
        labels: to be added.
        removes_branch: whether its head branch goes when it is merged; None leaves what the forge does.
    """

    reviewers: tuple[str, ...] = ()
    team_reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    removes_branch: bool | None = None


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
    """A run of the forge's CI, with its page, and where the forge's API has it; empty where that is not known."""

    id: str
    url: str
    api_url: str = field(default="", compare=False)


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
