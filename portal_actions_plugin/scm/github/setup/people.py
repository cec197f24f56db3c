"""Topics and collaborators, as sets: what is there already is left, and nobody loses a role."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.scm.base import ROLES, Collaborator
from portal_actions_plugin.scm.github.client import RepoApi, segment
from portal_actions_plugin.scm.remote.fields import maybe_text, texts
from portal_actions_plugin.scm.remote.lost_answers import write_again

if TYPE_CHECKING:
    from portal_actions_plugin.scm.remote.answers import ForgeAnswer
    from portal_actions_plugin.scm.remote.fields import JsonObject

_PERMISSIONS = {"read": "pull", "triage": "triage", "write": "push", "maintain": "maintain", "admin": "admin"}
_ROLE_OF = {permission: role for role, permission in _PERMISSIONS.items()}


def set_topics(repo: RepoApi, topics: Sequence[str]) -> tuple[str, ...]:
    """Add topics to those that are there; returns which were missing. GitHub keeps them in small letters."""
    there = texts(repo.send("GET", "/topics").object(), "names")
    missing = tuple(dict.fromkeys(topic.lower() for topic in topics if topic.lower() not in there))
    if missing:
        write_again(lambda: repo.send("PUT", "/topics", body={"names": [*there, *missing]}), log=repo.api.opening.log)
    return missing


def add_collaborators(repo: RepoApi, collaborators: Sequence[Collaborator]) -> tuple[str, ...]:
    """Let people and teams work in a repository; returns the names of those for whom anything changed."""
    roles = _user_roles(repo) if any(not one.is_team for one in collaborators) else {}
    team_roles = _team_roles(repo) if any(one.is_team for one in collaborators) else {}
    changed = []
    for one in collaborators:
        before = (team_roles if one.is_team else roles).get(one.name.lower())
        if _allows_more(one.role, before):
            _let_in(repo, one)
            changed.append(one.name)
    return tuple(changed)


def _user_roles(repo: RepoApi) -> dict[str, str]:
    """The roles of those who are let in or invited, by login in small letters."""
    let_in = repo.pages("/collaborators", query={"affiliation": "direct"}, what="the collaborators")
    invited = repo.pages("/invitations", what="the invitations")
    return _by_name(invited, ("invitee", "login"), "permissions") | _by_name(let_in, ("login",), "role_name")


def _team_roles(repo: RepoApi) -> dict[str, str]:
    return _by_name(repo.pages("/teams", what="the teams"), ("slug",), "permission")


def _by_name(entries: Iterable[JsonObject], name: tuple[str, ...], role: str) -> dict[str, str]:
    found = ((maybe_text(one, *name), maybe_text(one, role)) for one in entries)
    return {login.lower(): _ROLE_OF.get(given, given) for login, given in found if login and given}


def _allows_more(role: str, before: str | None) -> bool:
    """Whether a role takes the place of another one. Those that an organisation has made up are left as they are."""
    if before is None:
        return True
    if role in ROLES and before in ROLES:
        return ROLES.index(role) > ROLES.index(before)
    return before in ROLES[:-1]


def _let_in(repo: RepoApi, one: Collaborator) -> None:
    if one.is_team:
        owner, _, name = repo.name_now.partition("/")
        path = f"/orgs/{segment(owner)}/teams/{segment(one.name)}/repos/{segment(owner)}/{segment(name)}"
    else:
        path = repo.path(f"/collaborators/{segment(one.name)}")

    def write() -> ForgeAnswer:
        return repo.api.send("PUT", path, body={"permission": _PERMISSIONS.get(one.role, one.role)})

    try:
        answer = write_again(write, log=repo.api.opening.log)
    except NotFoundError as error:
        kind = "team" if one.is_team else "user"
        message = f"GitHub finds no {kind} {one.name} to let into {repo.name}. {error.message}"
        raise NotFoundError(message, hint=error.hint, fields={"collaborators": [message]}) from None
    _say_role(repo, one, answer)


def _say_role(repo: RepoApi, one: Collaborator, answer: ForgeAnswer) -> None:
    """Warn of an invitation to another role: repositories of persons know only one, "Add a repository collaborator"."""
    given = maybe_text(answer.object(), "permissions") if answer.status == 201 else None
    if given and _ROLE_OF.get(given, given) != one.role:
        repo.api.opening.warn(
            f"GitHub has invited {one.name} to {repo.name} with the role {given}, and not {one.role}."
        )
