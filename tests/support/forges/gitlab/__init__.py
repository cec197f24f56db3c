"""A double of GitLab, as strict as GitLab is: REST v4 and git over HTTP, on real sockets and real repositories.

::

    with GitLabDouble(tmp_path) as gitlab:
        ada = gitlab.add_user("ada")
        acme = gitlab.add_group("acme", {"ada": OWNER})
        token = gitlab.add_token(ada, "api")
        …                                     # the client talks to gitlab.url
        assert gitlab.project("acme/shop").files("main")
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.support.forges.git_store import CommitObject, GitStore
from tests.support.forges.gitlab.double import GitLab
from tests.support.forges.gitlab.endpoints.projects import initialize, make_project, rename
from tests.support.forges.gitlab.pushed import seed
from tests.support.forges.gitlab.state import (
    DEVELOPER,
    GUEST,
    MAINTAINER,
    OWNER,
    REPORTER,
    Hook,
    MergeRequest,
    Namespace,
    Project,
    State,
    Token,
    User,
)
from tests.support.forges.server import ForgeServer

__all__ = ["DEVELOPER", "GUEST", "MAINTAINER", "OWNER", "REPORTER", "GitLabDouble"]


class GitLabDouble:
    """The double with its server, and what tests prepare and look at.

    Attributes:
        state: everything there is.
        faults: what a test lets go wrong.
        log: what was asked.
        limiter: how much a credential may ask for.
        url: its root, without a slash at its end.
    """

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self.state = State(GitStore(folder))
        self.forge = GitLab(self.state)
        self.server = ForgeServer(self.forge, port=port)
        self.state.url = self.url = self.server.url
        self.faults, self.log, self.limiter = self.server.faults, self.server.log, self.server.limiter

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/v4"

    @property
    def clock(self):
        return self.state.clock

    def start(self) -> Self:
        self.server.start()
        return self

    def stop(self) -> None:
        self.server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def verify(self) -> None:
        """Fail when a request met a defect of the double, or brought a parameter that GitLab does not know."""
        assert not self.forge.defects, "\n".join(self.forge.defects)
        assert not self.state.strangers, self.state.strangers

    # What a test prepares

    def add_user(self, username: str, *, admin: bool = False, bot: bool = False) -> User:
        """A person and, unless it is a bot, the namespace of the same name."""
        user = User(self.state.next_id(), username, username.replace("-", " ").title(), admin=admin, bot=bot)
        self.state.users[user.id] = user
        if not bot:
            number = self.state.next_id()
            self.state.namespaces[number] = Namespace(number, username, user.name, user=user)
        return user

    def add_group(
        self, full_path: str, members: Mapping[str, int] | None = None, *, visibility: str = "private"
    ) -> Namespace:
        """A group, with its members' access levels; the groups above it have to be there."""
        above, _, path = full_path.rpartition("/")
        number = self.state.next_id()
        parent = self.state.namespace(above) if above else None
        group = Namespace(number, path, path.replace("-", " ").title(), parent, visibility=visibility)
        for username, level in (members or {}).items():
            group.members[self._user(username).id] = level
        self.state.namespaces[number] = group
        return group

    def add_token(self, user: User, *scopes: str, kind: str = "personal", value: str = "") -> str:
        """A token of a person; returns its value, which looks like one of GitLab's."""
        # docs.gitlab.com/security/tokens/#token-prefixes
        value = value or ("gloas-" if kind == "oauth" else "glpat-") + secrets.token_urlsafe(20)
        self.state.tokens[value] = Token(self.state.next_id(), value, user, scopes or ("api",), kind)
        return value

    def add_group_token(self, group: Namespace, *scopes: str, level: int = MAINTAINER) -> str:
        """A group access token: its bot is a member of that group alone."""
        bot = self.add_user(f"group_{group.id}_bot_{secrets.token_hex(4)}", bot=True)
        group.members[bot.id] = level
        return self.add_token(bot, *scopes, kind="group")

    def add_project_token(self, project: Project, *scopes: str, level: int = MAINTAINER) -> str:
        """A project access token: its bot is a member of that project alone."""
        bot = self.add_user(f"project_{project.id}_bot_{secrets.token_hex(4)}", bot=True)
        project.members[bot.id] = level
        return self.add_token(bot, *scopes, kind="project")

    def end_token(self, value: str, how: str) -> None:
        """Let a token be expired or revoked from now on."""
        self.state.tokens[value].ends = how

    def add_project(
        self, full_path: str, creator: User, files: Mapping[str, bytes] | None = None, *, visibility: str = "private"
    ) -> Project:
        """Somebody else's project, empty or with one commit of files on its default branch."""
        above, _, path = full_path.rpartition("/")
        namespace = self.state.namespace(above)
        assert namespace is not None, f"there is no namespace {above}"
        project = make_project(self.state, namespace, path, creator, visibility=visibility)
        if files is not None:
            seed(self.state, project, creator, files)
        return project

    def initialize(self, project: Project) -> None:
        """Give an empty project the README.md that GitLab begins with."""
        initialize(self.state, project, project.creator)

    def move(self, project: Project, full_path: str) -> None:
        """Rename or transfer a project; its old path leads to it."""
        above, _, path = full_path.rpartition("/")
        rename(self.state, project, path, self.state.namespace(above))

    def push(self, project: Project, branch: str, files: Mapping[str, bytes], *, by: User | None = None) -> str:
        """Commit to a branch as somebody else would, from its head or the default branch's; returns the commit."""
        return seed(self.state, project, by or project.creator, files, branch)

    # What a test looks at, by the same names as in the double of GitHub

    def project(self, full_path: str) -> Project:
        """The project at a path; the test fails when there is none."""
        found = self.state.project(full_path)
        assert found is not None, f"there is no {full_path}, only {self.repositories()}"
        return found

    def repositories(self) -> list[str]:
        """The full paths of all projects, in the order in which they were made."""
        return [one.full_path for one in self.state.projects.values()]

    def branches(self, full_path: str) -> dict[str, str]:
        return self.project(full_path).repository.branches()

    def commits(self, full_path: str, branch: str = "main") -> list[CommitObject]:
        """The commits of a branch, latest first; none of a branch that does not exist."""
        return self.project(full_path).commits(branch)

    def files(self, full_path: str, branch: str = "main") -> dict[str, bytes]:
        return self.project(full_path).files(branch)

    def pulls(self, full_path: str) -> list[MergeRequest]:
        return self.project(full_path).merge_requests

    def hooks(self, full_path: str) -> list[Hook]:
        return self.project(full_path).hooks

    def _user(self, username: str) -> User:
        found = self.state.user(username)
        assert found is not None, f"there is no {username}"
        return found
