"""Topics, and who works in a project: people as members, groups as those that it is shared with.

docs.gitlab.com/api/project_members/ and docs.gitlab.com/api/projects/#share-a-project-with-a-group
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConflictError, ValidationError
from portal_actions_plugin.scm.base import Collaborator
from portal_actions_plugin.scm.gitlab.client import ProjectApi
from portal_actions_plugin.scm.gitlab.permissions import DEVELOPER, MAINTAINER, OWNER, REPORTER
from portal_actions_plugin.scm.gitlab.projects import segment
from portal_actions_plugin.scm.remote.fields import at, number, objects, text, texts
from portal_actions_plugin.scm.remote.lost_answers import write_again

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.remote.fields import JsonObject

LEVELS: Mapping[str, int] = {
    "read": REPORTER,
    "triage": REPORTER,
    "write": DEVELOPER,
    "maintain": MAINTAINER,
    "admin": OWNER,
}
"""The nearest role that allows no more: docs.gitlab.com/user/permissions/. A Guest would not see private code."""


def set_topics(repo: ProjectApi, topics: Sequence[str]) -> tuple[str, ...]:
    """Add topics to those that are there; returns which were missing."""
    there = texts(repo.project.about, "topics")
    known = {one.casefold() for one in there}
    missing = tuple(one for one in dict.fromkeys(topics) if one.casefold() not in known)
    if missing:
        body: JsonValue = {"topics": [*there, *missing]}
        write_again(lambda: repo.write("PUT", "", body=body), log=repo.opening.log)
    return missing


def add_collaborators(repo: ProjectApi, collaborators: Sequence[Collaborator]) -> tuple[str, ...]:
    """Let people and groups work in a project; returns the names of those for whom anything changed.

    Who may do as much already, or more, is left, whatever group that comes from.
    """
    members = None
    changed = []
    for one in collaborators:
        if one.is_team:
            is_changed = _share(repo, one)
        else:
            members = members if members is not None else _members(repo)
            is_changed = _add_member(repo, one, members)
        if is_changed:
            changed.append(one.name)
    return tuple(changed)


def _members(repo: ProjectApi) -> dict[str, JsonObject]:
    found = repo.pages("/members/all", what="the members", at_most=10_000)
    members: dict[str, JsonObject] = {}
    for one in found:  # who comes from several groups is listed more than once
        name = text(one, "username").casefold()
        if name not in members or number(members[name], "access_level") < number(one, "access_level"):
            members[name] = one
    return members


def _add_member(repo: ProjectApi, wanted: Collaborator, members: Mapping[str, JsonObject]) -> bool:
    level = LEVELS[wanted.role]
    there = members.get(wanted.name.casefold())
    if there is not None and number(there, "access_level") >= level:
        return False
    user = number(there, "id") if there is not None else repo.api.user_id(wanted.name)
    if user is None:
        raise _unknown(f"GitLab has no user {wanted.name}.")
    body: JsonValue = {"user_id": user, "access_level": level}
    try:
        write_again(lambda: repo.write("POST", "/members", body=body), log=repo.opening.log)
    except ConflictError:  # is a member of its own already, with a lower level
        rest = f"/members/{user}"
        write_again(lambda: repo.write("PUT", rest, body={"access_level": level}), log=repo.opening.log)
    return True


def _share(repo: ProjectApi, wanted: Collaborator) -> bool:
    level = LEVELS[wanted.role]
    group = _group(repo, wanted.name)
    there = [one for one in objects(repo.project.about, "shared_with_groups") if at(one, "group_id") == group]
    if any(number(one, "group_access_level") >= level for one in there):
        return False
    if there:  # GitLab changes none in place
        write_again(lambda: repo.write("DELETE", f"/share/{group}", accept=(404,)), log=repo.opening.log)
    body: JsonValue = {"group_id": group, "group_access": level}
    # 409 is the answer to the second of two when the first one's was lost.
    write_again(lambda: repo.write("POST", "/share", body=body, accept=(409,)), log=repo.opening.log)
    return True


def _group(repo: ProjectApi, name: str) -> int:
    """A group by its full path, or by its name within one that holds the project, the nearest first."""
    owner = repo.project.owner.split("/")
    within = ["/".join([*owner[:depth], name]) for depth in range(len(owner), 0, -1)]
    for path in dict.fromkeys([*within, name]):
        answer = repo.api.find(f"/groups/{segment(path)}", query={"with_projects": "false"})
        if answer is not None:
            return number(answer.object(), "id")
    raise _unknown(f"GitLab has no group {name}, neither in {repo.project.owner} nor by its full path.")


def _unknown(message: str) -> ValidationError:
    hint = "Check the name. GitLab does not show private groups to who is no member of them."
    return ValidationError(message, hint=hint, fields={"collaborators": [message]})
