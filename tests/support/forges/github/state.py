"""What GitHub knows: accounts, credentials, apps and repositories. Tests look at it, and set what they need."""

from __future__ import annotations

import base64
import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.support.forges.clock import ForgeClock
from tests.support.forges.git_store import GitRepository, GitStore

ROLES = ("none", "read", "triage", "write", "maintain", "admin")
"""What somebody may do in a repository, the least first: docs.github.com/en/organizations/managing-user-access-to-your-organizations-repositories/managing-repository-roles/repository-roles-for-an-organization"""


@dataclass
class Account:
    """A person or an organisation.

    Attributes:
        id: GitHub's number of it.
        login: its name as it is written.
        kind: User or Organization.
        plan: free, pro, team or enterprise; a free one has no protected branches in private repositories.
        members: of an organisation, the logins of those who belong to it, with the role member or admin.
        base_role: what members may do in each repository of the organisation.
        members_create: whether members who are no admins create repositories.
        teams: of an organisation, by slug, with their members' logins.
        properties: of an organisation, the names of the custom properties that it has defined.
        forbids: when it is not empty, everybody is told this with a 403, as by an IP allow list.
    """

    id: int
    login: str
    kind: str
    plan: str = "team"
    members: dict[str, str] = field(default_factory=dict)
    base_role: str = "read"
    members_create: bool = True
    teams: dict[str, set[str]] = field(default_factory=dict)
    forbids: str = ""
    properties: set[str] = field(default_factory=set)

    @property
    def is_organization(self) -> bool:
        return self.kind == "Organization"


@dataclass
class Credential:
    """What somebody proves who they are with.

    Attributes:
        name: what tests and logs call it.
        token: the secret itself.
        kind: classic, fine-grained or installation.
        user: the login that it acts for; for an installation the app's bot.
        scopes: of a classic token.
        permissions: of the others, such as ``{"contents": "write"}``.
        owner: the only account whose resources the others reach.
        repositories: the ids of the repositories that it reaches; None for all of the owner's.
        expires: None for never.
        revoked: whether it is worth nothing any more.
        not_authorized_for: organisations with SAML single sign-on that it is not authorised for.
    """

    name: str
    token: str
    kind: str
    user: str
    scopes: frozenset[str] = frozenset()
    permissions: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    repositories: frozenset[int] | None = None
    expires: datetime | None = None
    revoked: bool = False
    not_authorized_for: set[str] = field(default_factory=set)


@dataclass
class App:
    """A GitHub App. ``public_key`` is PEM."""

    id: int
    client_id: str
    slug: str
    owner: str
    public_key: bytes
    permissions: dict[str, str]


@dataclass
class Installation:
    """An app that is installed in an account; ``repositories`` None is all of them."""

    id: int
    app: App
    account: str
    permissions: dict[str, str]
    repositories: set[int] | None = None
    suspended: bool = False


@dataclass
class Pull:
    """A pull request. ``head_sha`` follows the branch while it is open; ``looked_at`` is what was tried to merge."""

    id: int
    number: int
    head: str
    base: str
    head_sha: str
    base_sha: str
    title: str
    body: str | None
    user: str
    created_at: str
    state: str = "open"
    draft: bool = False
    reviewers: list[str] = field(default_factory=list)
    team_reviewers: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    closed_at: str | None = None
    merged_at: str | None = None
    merged_by: str | None = None
    merge_sha: str | None = None
    looked_at: tuple[str, str] | None = None


@dataclass
class Hook:
    """A webhook. ``config`` has its secret as it was sent, which no answer shows."""

    id: int
    config: dict[str, Any]
    events: list[str]
    active: bool
    created_at: str
    updated_at: str

    @property
    def secret(self) -> str | None:
        return self.config.get("secret")


@dataclass
class Issue:
    id: int
    number: int
    title: str
    body: str | None
    user: str
    created_at: str
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    state: str = "open"
    milestone: int | None = None


@dataclass
class WorkflowRun:
    id: int
    number: int
    path: str
    branch: str
    sha: str
    actor: str
    inputs: dict[str, Any]
    created_at: str
    event: str = "workflow_dispatch"
    status: str = "queued"


@dataclass
class Repository:
    """A repository and all that belongs to it.

    Attributes:
        id: outlives every rename.
        owner: a login.
        git: the real repository on disk.
        settings: what ``GET /repos/{owner}/{repo}`` says of it and PATCH may change, by its name there.
        collaborators: logins and what they may do.
        invitations: logins that were asked, and what they will be allowed.
        teams: slugs of the owner's teams and what they may do.
        milestones: titles by their number.
        properties: custom properties, by name.
        oidc_subject: how the subject of a job's token is made.
        subscribers: logins of those who watch it.
        workflow_access: from where else its workflows may be used.
        protections: by branch, as the body of the PUT had it.
        secrets: by name, decrypted.
        push_refusal: a ruleset: the reason and the message that every push is refused with, and by REST every write to
            the default branch.
    """

    id: int
    owner: str
    name: str
    visibility: str
    created_at: str
    git: GitRepository
    settings: dict[str, Any]
    pushed_at: str = ""
    archived: bool = False
    pulls: list[Pull] = field(default_factory=list)
    hooks: list[Hook] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    topics: list[str] = field(default_factory=list)
    collaborators: dict[str, str] = field(default_factory=dict)
    invitations: dict[str, str] = field(default_factory=dict)
    teams: dict[str, str] = field(default_factory=dict)
    protections: dict[str, dict[str, Any]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    runs: list[WorkflowRun] = field(default_factory=list)
    milestones: dict[int, str] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    oidc_subject: dict[str, Any] = field(default_factory=dict)
    subscribers: set[str] = field(default_factory=set)
    workflow_access: str = "none"
    push_refusal: tuple[str, str] | None = None

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def is_private(self) -> bool:
        return self.visibility != "public"

    @property
    def next_number(self) -> int:
        """Issues and pull requests share their numbers: docs.github.com/en/rest/issues/issues"""
        return len(self.pulls) + len(self.issues) + 1


class State:
    """Everything, and the way to find it. Whoever changes it holds ``GitHubDouble.lock``."""

    def __init__(self, store: GitStore, clock: ForgeClock) -> None:
        self.store, self.clock = store, clock
        self.accounts: dict[str, Account] = {}
        self.credentials: list[Credential] = []
        self.apps: list[App] = []
        self.installations: list[Installation] = []
        self.repositories: dict[int, Repository] = {}
        self.moved: dict[str, int] = {}
        self.tree_limit = 100_000
        """Entries of a recursive tree: docs.github.com/en/rest/git/trees#get-a-tree; a test may lower it."""
        self._ids = itertools.count(1001)

    def new_id(self) -> int:
        return next(self._ids)

    def account(self, login: str) -> Account | None:
        return self.accounts.get(login.lower())

    def repository(self, owner: str, name: str) -> Repository | None:
        """By its present name, whatever the case."""
        wanted = f"{owner}/{name}".lower()
        return next((one for one in self.repositories.values() if one.full_name.lower() == wanted), None)

    def moved_repository(self, owner: str, name: str) -> Repository | None:
        """By a name that it had before, while nobody else has it."""
        return self.repositories.get(self.moved.get(f"{owner}/{name}".lower(), 0))

    def rename(self, repository: Repository, owner: str, name: str) -> None:
        """Give a repository another name or owner; the old name leads to it."""
        self.moved[repository.full_name.lower()] = repository.id
        repository.owner, repository.name = owner, name
        self.moved.pop(repository.full_name.lower(), None)

    def credential(self, token: str) -> Credential | None:
        """Whose token it is, if it is still worth anything."""
        found = next((one for one in self.credentials if secrets.compare_digest(one.token, token)), None)
        if found is None or found.revoked or (found.expires and found.expires <= self.clock.now()):
            return None
        return found

    def add_repository(self, owner: str, name: str, visibility: str, **settings: Any) -> Repository:
        """Make an empty repository."""
        number, now = self.new_id(), self.clock.text()
        git = self.store.create(str(number), "main")
        repository = Repository(number, owner, name, visibility, now, git, dict(settings), pushed_at=now)
        self.repositories[number] = repository
        self.moved.pop(repository.full_name.lower(), None)
        return repository

    def role(self, login: str, repository: Repository) -> str:
        """What somebody may do in a repository: the best of all that gives them a role."""
        if login.lower() == repository.owner.lower():
            return "admin"
        owner = self.accounts[repository.owner.lower()]
        membership = owner.members.get(login)
        if membership == "admin":
            return "admin"
        roles = ["read" if not repository.is_private else "none", repository.collaborators.get(login, "none")]
        roles += [owner.base_role] if membership else []
        roles += [role for slug, role in repository.teams.items() if login in owner.teams.get(slug, ())]
        return max(roles, key=ROLES.index)


def node_id(kind: str, number: int | str) -> str:
    """An id as GraphQL has it; clients may not look into it: docs.github.com/en/graphql/guides/using-global-node-ids"""
    return base64.b64encode(f"{kind}:{number}".encode()).decode()
