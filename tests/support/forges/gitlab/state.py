"""What the double of GitLab knows: people, their tokens, groups, projects and all that belongs to them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from tests.support.forges.clock import ForgeClock
from tests.support.forges.git_store import CommitObject, GitRepository, GitStore

# docs.gitlab.com/api/access_requests/#valid-access-levels
GUEST, REPORTER, DEVELOPER, MAINTAINER, OWNER = 10, 20, 30, 40, 50
NO_ACCESS, ADMIN = 0, 60


@dataclass
class User:
    id: int
    username: str
    name: str
    state: str = "active"
    admin: bool = False
    bot: bool = False
    """Whether it belongs to a project's or group's token: docs.gitlab.com/user/project/settings/project_access_tokens/#bot-users-for-projects"""

    @property
    def email(self) -> str:
        return f"{self.username}@example.com"


@dataclass
class Token:
    """An access token. ``kind`` is personal, project, group or oauth; ``ends`` is empty, expired or revoked."""

    id: int
    value: str
    user: User
    scopes: tuple[str, ...]
    kind: str = "personal"
    ends: str = ""


@dataclass
class Namespace:
    """A group, or a user's own namespace, which has the user's name."""

    id: int
    path: str
    name: str
    parent: Namespace | None = None
    user: User | None = None
    visibility: str = "private"
    members: dict[int, int] = field(default_factory=dict)
    """User's id → access level."""

    @property
    def full_path(self) -> str:
        return f"{self.parent.full_path}/{self.path}" if self.parent else self.path

    @property
    def kind(self) -> str:
        return "user" if self.user else "group"


@dataclass
class Hook:
    id: int
    url: str
    events: dict[str, bool]
    created_at: datetime
    token: str | None = None
    """Never told: docs.gitlab.com/api/project_webhooks/"""
    enable_ssl_verification: bool = True
    name: str | None = None
    description: str | None = None
    branch_filter: str | None = None


@dataclass
class MergeRequest:
    id: int
    iid: int
    source_branch: str
    target_branch: str
    title: str
    description: str | None
    author: User
    created_at: datetime
    updated_at: datetime
    source_sha: str
    """Of the source branch when it was last seen: it outlives the branch."""
    state: str = "opened"
    ahead: bool = True
    """Whether the source had something, when last seen, that the target lacks."""
    labels: set[str] = field(default_factory=set)
    remove_source_branch: bool = False
    assignees: list[User] = field(default_factory=list)
    reviewers: list[User] = field(default_factory=list)
    merged_by: User | None = None
    merged_at: datetime | None = None
    merge_commit_sha: str | None = None
    squash_commit_sha: str | None = None
    closed_by: User | None = None
    closed_at: datetime | None = None

    @property
    def draft(self) -> bool:
        # docs.gitlab.com/user/project/merge_requests/drafts/
        return self.title.lower().startswith(("draft:", "[draft]", "(draft)"))


@dataclass
class ProtectedBranch:
    id: int
    name: str
    """A branch's, or a pattern with ``*``."""
    push_level: int = MAINTAINER
    merge_level: int = MAINTAINER
    allow_force_push: bool = False
    code_owner_approval_required: bool = False


@dataclass
class Variable:
    key: str
    value: str
    variable_type: str = "env_var"
    protected: bool = False
    masked: bool = False
    hidden: bool = False
    raw: bool = False
    environment_scope: str = "*"
    description: str | None = None


@dataclass
class Label:
    id: int
    name: str
    color: str = "#6699cc"
    description: str | None = None


@dataclass
class Issue:
    id: int
    iid: int
    title: str
    description: str | None
    author: User
    created_at: datetime
    updated_at: datetime
    labels: set[str] = field(default_factory=set)
    assignees: list[User] = field(default_factory=list)
    state: str = "opened"


@dataclass
class Pipeline:
    id: int
    iid: int
    ref: str
    sha: str
    user: User
    created_at: datetime
    variables: dict[str, str]
    source: str = "api"
    status: str = "created"


@dataclass
class Project:
    id: int
    path: str
    name: str
    namespace: Namespace
    creator: User
    created_at: datetime
    repository: GitRepository
    description: str | None = None
    visibility: str = "private"
    archived: bool = False
    default_branch: str = "main"
    topics: list[str] = field(default_factory=list)
    settings: dict[str, object] = field(default_factory=dict)
    """What PUT has set and nothing here acts on: it is told again."""
    members: dict[int, int] = field(default_factory=dict)
    shares: dict[int, int] = field(default_factory=dict)
    """Group's id → access level."""
    push_rule: str = ""
    """What a push rule of the project says to every push; empty: nothing. docs.gitlab.com/user/project/repository/push_rules/"""
    hooks: list[Hook] = field(default_factory=list)
    merge_requests: list[MergeRequest] = field(default_factory=list)
    protected_branches: list[ProtectedBranch] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    pipelines: list[Pipeline] = field(default_factory=list)
    approvals_required: int = 0
    settled: bool = False
    """Whether it ever had a branch: from then on its default branch is protected."""

    @property
    def full_path(self) -> str:
        return f"{self.namespace.full_path}/{self.path}"

    @property
    def empty(self) -> bool:
        return not self.repository.branches()

    # For tests

    def commits(self, branch: str = "main") -> list[CommitObject]:
        """The history of a branch, latest first; nothing of one that is not there."""
        return self.repository.history(branch) if self.repository.head(branch) else []

    def files(self, branch: str = "main") -> dict[str, bytes]:
        """Every file of a branch and its content."""
        return self.repository.files(branch)


@dataclass
class State:
    """Everything, behind one lock: what a request finds and does is one piece, as with a database."""

    store: GitStore
    clock: ForgeClock = field(default_factory=ForgeClock)
    url: str = ""
    """What the outside calls it, without a slash at the end; no request is answered before it is known."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    edition: str = "ce"
    """``ce``, ``ee-free`` or ``ee-premium``: docs.gitlab.com/subscriptions/choosing_subscription/"""
    version: str = "19.5.0"
    maintenance: bool = False
    largest_body: int = 50 * 2**20
    users: dict[int, User] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    namespaces: dict[int, Namespace] = field(default_factory=dict)
    projects: dict[int, Project] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)
    """A path that a project had → its id: docs.gitlab.com/user/project/repository/#repository-path-changes"""
    strangers: list[str] = field(default_factory=list)
    """Parameters of requests that no page of the documentation knows, as ``POST /projects: nmae``."""
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(101))

    def next_id(self) -> int:
        return next(self._ids)

    def now(self) -> datetime:
        return self.clock.now()

    def user(self, username: str) -> User | None:
        return next((user for user in self.users.values() if user.username == username), None)

    def namespace(self, full_path: str) -> Namespace | None:
        """By its path, whose case does not count."""
        wanted = full_path.lower()
        return next((one for one in self.namespaces.values() if one.full_path.lower() == wanted), None)

    def project(self, full_path: str) -> Project | None:
        """By its present path, whose case does not count."""
        wanted = full_path.lower()
        return next((one for one in self.projects.values() if one.full_path.lower() == wanted), None)
