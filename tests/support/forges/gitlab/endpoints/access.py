"""Members: docs.gitlab.com/api/project_members/"""

from __future__ import annotations

from tests.support.forges.gitlab import entities
from tests.support.forges.gitlab.routing import Call, endpoint, not_found, refused
from tests.support.forges.gitlab.state import MAINTAINER, NO_ACCESS, Namespace, User
from tests.support.forges.messages import Answer, json_answer

_LEVELS = (5, 10, 15, 20, 25, 30, 40, 50)


# docs.gitlab.com/api/project_members/#list-all-members-of-a-project: those of its own
@endpoint("GET", "/projects/:id/members")
def members(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(optional="query user_ids page:int per_page:int")
    return call.page(_shown(call, call.project(id).members))


# docs.gitlab.com/api/project_members/#list-all-members-of-a-project-including-inherited-and-invited-members
@endpoint("GET", "/projects/:id/members/all")
def all_members(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(optional="query user_ids page:int per_page:int")
    project = call.project(id)
    return call.page(_shown(call, _inherited(project.namespace) | project.members))


# docs.gitlab.com/api/project_members/#add-a-member-to-a-project
@endpoint("POST", "/projects/:id/members")
def add(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check("access_level:int", "user_id:int username expires_at", access_level=_LEVELS)
    project = call.project(id)
    call.must_have(project, MAINTAINER)
    user = _user(call)
    level = call.params["access_level"]
    if user.id in project.members:
        raise refused(409, "Member already exists")
    inherited = _inherited(project.namespace).get(user.id, NO_ACCESS)
    if level < inherited:
        words = f"should be greater than or equal to Owner inherited membership from group {project.namespace.name}"
        raise refused(400, {"access_level": [words]})
    project.members[user.id] = level
    return json_answer(201, entities.member(call.state, user, level))


# docs.gitlab.com/api/project_members/#update-a-member-of-a-project
@endpoint("PUT", "/projects/:id/members/:user_id")
def update(call: Call, id: str, user_id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check("access_level:int", "expires_at member_role_id:int", access_level=_LEVELS)
    project = call.project(id)
    call.must_have(project, MAINTAINER)
    if not user_id.isdigit() or int(user_id) not in project.members:
        raise not_found()
    project.members[int(user_id)] = call.params["access_level"]
    return json_answer(200, entities.member(call.state, call.state.users[int(user_id)], call.params["access_level"]))


def _user(call: Call) -> User:
    number, name = call.params.get("user_id"), call.params.get("username")
    if number is None and name is None:
        raise refused(400, "400 Bad request - user_id or username is required")
    user = call.state.users.get(number) if number is not None else call.state.user(name)
    if user is None:
        raise not_found("User")
    return user


def _inherited(namespace: Namespace) -> dict[int, int]:
    found: dict[int, int] = {}
    one: Namespace | None = namespace
    while one is not None:
        for user_id, level in one.members.items():
            found[user_id] = max(level, found.get(user_id, NO_ACCESS))
        one = one.parent
    return found


def _shown(call: Call, levels: dict[int, int]) -> list[object]:
    return [entities.member(call.state, call.state.users[number], level) for number, level in levels.items()]
