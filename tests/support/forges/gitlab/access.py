"""Who asks, by which token, and what that one may see and do."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.forges.gitlab.state import (
    ADMIN,
    DEVELOPER,
    MAINTAINER,
    NO_ACCESS,
    OWNER,
    Namespace,
    Project,
    State,
    Token,
    User,
)
from tests.support.forges.messages import Request

_READS = ("GET", "HEAD")


@dataclass(frozen=True)
class Caller:
    """Who asks; without a token nobody."""

    state: State
    token: Token | None = None

    @property
    def user(self) -> User | None:
        return self.token.user if self.token else None

    def level(self, project: Project) -> int:
        """The highest access level on a project: its own members', its groups' and those of groups it is shared with."""
        user = self.user
        if user is None:
            return NO_ACCESS
        levels = [project.members.get(user.id, NO_ACCESS), self.level_in(project.namespace)]
        for group_id, most in project.shares.items():
            levels.append(min(most, self.level_in(self.state.namespaces[group_id])))
        return max(levels)

    def level_in(self, namespace: Namespace) -> int:
        """The access level in a group, which its members have in all groups below, too."""
        user = self.user
        if user is None:
            return NO_ACCESS
        if user.admin or namespace.user is user:
            return OWNER
        return max(one.members.get(user.id, NO_ACCESS) for one in _upwards(namespace))

    def can_see(self, project: Project) -> bool:
        """docs.gitlab.com/user/public_access/#private-projects-and-groups"""
        if project.visibility == "public":
            return True
        return (project.visibility == "internal" and self.user is not None) or self.level(project) > NO_ACCESS

    def can_see_namespace(self, namespace: Namespace) -> bool:
        if namespace.user or namespace.visibility == "public":
            return True
        if namespace.visibility == "internal" and self.user is not None:
            return True
        return self.level_in(namespace) > NO_ACCESS or any(
            self.level(project) > NO_ACCESS
            for project in self.state.projects.values()
            if namespace in _upwards(project.namespace)
        )

    def can_create_in(self, namespace: Namespace) -> bool:
        """docs.gitlab.com/user/group/manage/#specify-who-can-add-projects-to-a-group, by default who is a Developer.

        A project token's user is a member of its project alone, a group token's of its group.
        """
        if namespace.user is not None:
            return namespace.user is self.user
        return self.level_in(namespace) >= DEVELOPER

    def can_push(self, project: Project, branch: str) -> bool:
        """Whether a branch takes commits of the caller: docs.gitlab.com/user/project/repository/branches/protected/"""
        level = self.level(project)
        protections = matching(project, branch)
        if project.archived or level < DEVELOPER:
            return False
        if not project.settled and level < MAINTAINER:
            # docs.gitlab.com/user/project/repository/branches/default/#protect-initial-default-branches
            return False
        # Of several rules the most generous counts: …/protected/#when-a-branch-matches-multiple-rules
        return not protections or any(allows(level, rule.push_level) for rule in protections)

    def can_merge(self, project: Project, branch: str) -> bool:
        level = self.level(project)
        protections = matching(project, branch)
        if project.archived or level < DEVELOPER:
            return False
        return not protections or any(
            allows(level, rule.merge_level) or allows(level, rule.push_level) for rule in protections
        )


def allows(level: int, needed: int) -> bool:
    """Access level 0 is "No one": docs.gitlab.com/api/protected_branches/"""
    if needed == NO_ACCESS:
        return False
    return level >= (OWNER if needed == ADMIN else needed)


def matching(project: Project, branch: str) -> list:
    """The rules of protection that a branch falls under; ``*`` in a name stands for anything."""
    return [rule for rule in project.protected_branches if _matches(rule.name, branch)]


def _matches(pattern: str, branch: str) -> bool:
    head, star, tail = pattern.partition("*")
    if not star:
        return pattern == branch
    return branch.startswith(head) and any(_matches(tail, branch[at:]) for at in range(len(head), len(branch) + 1))


def _upwards(namespace: Namespace) -> Iterator[Namespace]:
    one: Namespace | None = namespace
    while one is not None:
        yield one
        one = one.parent


def token_of(request: Request) -> tuple[str, str]:
    """What a request to the API brings: which header, and its value; both empty when it brings nothing.

    docs.gitlab.com/api/rest/authentication/
    """
    if value := request.headers.get("private-token"):
        return "private-token", value
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return ("bearer", value.strip()) if scheme.lower() == "bearer" else ("", "")


def token_of_git(request: Request) -> str:
    """The password of Basic authentication, which git has to use: any name goes with a token.

    docs.gitlab.com/user/profile/personal_access_tokens/#clone-repository-using-personal-access-token
    """
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    return base64.b64decode(value).decode(errors="replace").partition(":")[2]


def suffices(token: Token, method: str, also: tuple[str, ...]) -> bool:
    """Whether a token's scopes allow a request: docs.gitlab.com/user/profile/personal_access_tokens/#personal-access-token-scopes"""
    if "api" in token.scopes or (method in _READS and "read_api" in token.scopes):
        return True
    return any(scope in token.scopes for scope in also)
