"""What the provider ``gitlab`` can do, and what a token needs for it. Known without importing the provider.

Roles are those of docs.gitlab.com/user/permissions/, scopes those of
docs.gitlab.com/user/profile/personal_access_tokens/#personal-access-token-scopes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from portal_actions_plugin.scm.base import Operation

OPERATIONS = frozenset(Operation)

REPORTER, DEVELOPER, MAINTAINER, OWNER = 20, 30, 40, 50
"""Access levels: docs.gitlab.com/api/access_requests/#valid-access-levels"""

ROLES: Mapping[int, str] = {REPORTER: "Reporter", DEVELOPER: "Developer", MAINTAINER: "Maintainer", OWNER: "Owner"}


@dataclass(frozen=True, slots=True)
class Need:
    """What an operation needs.

    Attributes:
        level: the least access level of the token's account, on the project or, to create one, in the group.
        scopes: any one of these is enough.
    """

    level: int
    scopes: tuple[str, ...] = ("api",)

    @property
    def role(self) -> str:
        """The level's name."""
        return ROLES[self.level]


NEEDS: Mapping[Operation, Need] = {
    Operation.CREATE_REPO: Need(DEVELOPER),
    Operation.READ: Need(REPORTER, ("api", "read_api")),
    Operation.COMMIT: Need(DEVELOPER),
    Operation.COMMIT_WORKFLOWS: Need(DEVELOPER),
    Operation.OPEN_PULL: Need(DEVELOPER),
    Operation.CLOSE_PULL: Need(DEVELOPER),
    Operation.MERGE_PULL: Need(DEVELOPER),
    Operation.ENSURE_WEBHOOK: Need(MAINTAINER),
    Operation.PROTECT_BRANCH: Need(MAINTAINER),
    Operation.SET_TOPICS: Need(MAINTAINER),
    Operation.ADD_COLLABORATORS: Need(MAINTAINER),
    Operation.SET_VARIABLE: Need(MAINTAINER),
    Operation.SET_SECRET: Need(MAINTAINER),
    Operation.CREATE_ISSUE: Need(REPORTER),
    Operation.LABEL_ISSUE: Need(REPORTER),
    Operation.DISPATCH_WORKFLOW: Need(DEVELOPER),
    Operation.CONFIGURE_REPO: Need(MAINTAINER),
    Operation.DETAIL_PULL: Need(DEVELOPER),
    Operation.ENSURE_GROUP: Need(OWNER),
}


def lacks_scope(operation: Operation, scopes: frozenset[str]) -> str | None:
    """What a token of these scopes lacks for an operation, as a sentence's end; None when it lacks nothing."""
    wanted = NEEDS[operation].scopes
    return None if scopes & set(wanted) else f"the token lacks the scope {' or '.join(wanted)}"
