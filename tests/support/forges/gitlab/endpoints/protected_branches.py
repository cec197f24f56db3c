"""Protected branches and approvals: docs.gitlab.com/api/protected_branches/, docs.gitlab.com/api/merge_request_approvals/"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from tests.support.forges.gitlab import entities, schemas, shapes
from tests.support.forges.gitlab.routing import ApiError, Call, endpoint, forbidden, not_found, refused
from tests.support.forges.gitlab.state import MAINTAINER, Project, ProtectedBranch
from tests.support.forges.messages import Answer, json_answer

_LEVELS = (0, 30, 40, 60)
_PAID = "allowed_to_push:hashes allowed_to_merge:hashes allowed_to_unprotect:hashes unprotect_access_level:int"


# docs.gitlab.com/api/protected_branches/#list-protected-branches
@endpoint("GET", "/projects/:id/protected_branches")
def protected_branches(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    project = _project(call, id)
    call.check(optional="search page:int per_page:int")
    return call.page([entities.protected_branch(call.state, one) for one in project.protected_branches])


# docs.gitlab.com/api/protected_branches/#retrieve-a-protected-branch-or-wildcard-protected-branch
@endpoint("GET", "/projects/:id/protected_branches/:name")
def protected_branch(call: Call, id: str, name: str) -> Answer:  # noqa: A002 the documentation's word
    project = _project(call, id)
    return json_answer(200, entities.protected_branch(call.state, _find(project, name)))


# docs.gitlab.com/api/protected_branches/#protect-a-branch
@endpoint("POST", "/projects/:id/protected_branches")
def protect(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    project = _project(call, id)
    call.check(
        "name",
        f"push_access_level:int merge_access_level:int allow_force_push:bool code_owner_approval_required:bool {_PAID}",
        push_access_level=_LEVELS,
        merge_access_level=_LEVELS,
    )
    params = call.params
    if any(one.name == params["name"] for one in project.protected_branches):
        raise refused(409, f"Protected branch '{params['name']}' already exists")
    made = ProtectedBranch(call.state.next_id(), params["name"])
    made.push_level = params.get("push_access_level", made.push_level)
    made.merge_level = params.get("merge_access_level", made.merge_level)
    _set(call, made)
    project.protected_branches.append(made)
    return json_answer(201, entities.protected_branch(call.state, made))


# docs.gitlab.com/api/protected_branches/#update-a-protected-branch: on Free it changes allow_force_push alone, for
# allowed_to_push and its kin are Premium's
@endpoint("PATCH", "/projects/:id/protected_branches/:name")
def update(call: Call, id: str, name: str) -> Answer:  # noqa: A002 the documentation's word
    project = _project(call, id)
    call.check(optional=f"allow_force_push:bool code_owner_approval_required:bool {_PAID}")
    found = _find(project, name)
    _set(call, found)
    return json_answer(200, entities.protected_branch(call.state, found))


# docs.gitlab.com/api/protected_branches/#unprotect-a-branch
@endpoint("DELETE", "/projects/:id/protected_branches/:name")
def unprotect(call: Call, id: str, name: str) -> Answer:  # noqa: A002 the documentation's word
    project = _project(call, id)
    project.protected_branches.remove(_find(project, name))
    return Answer(204)


# docs.gitlab.com/api/merge_request_approvals/: Premium's. Without it the Community Edition has no such route, and the
# Enterprise Edition without a licence forbids it.
@endpoint("GET", "/projects/:id/approvals")
def approvals(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    return json_answer(200, _approvals(_licensed(call, id)))


@endpoint("POST", "/projects/:id/approvals")
def set_approvals(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    project = _licensed(call, id)
    call.check(
        optional="approvals_before_merge:int reset_approvals_on_push:bool selective_code_owner_removals:bool "
        "disable_overriding_approvers_per_merge_request:bool merge_requests_author_approval:bool "
        "merge_requests_disable_committers_approval:bool require_reauthentication_to_approve:bool"
    )
    project.approvals_required = call.params.get("approvals_before_merge", project.approvals_required)
    return json_answer(201, _approvals(project))


# docs.gitlab.com/api/merge_request_approvals/#create-an-approval-rule-for-a-project
@endpoint("POST", "/projects/:id/approval_rules")
def add_rule(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    project = _licensed(call, id)
    call.check("name approvals_required:int", "rule_type applies_to_all_protected_branches:bool protected_branch_ids")
    project.approvals_required = max(project.approvals_required, call.params["approvals_required"])
    return json_answer(201, {**_rule(project), "id": call.state.next_id(), "name": call.params["name"]})


# docs.gitlab.com/api/merge_request_approvals/#update-an-approval-rule-for-a-project
@endpoint("PUT", "/projects/:id/approval_rules/:rule_id")
def change_rule(call: Call, id: str, rule_id: str) -> Answer:  # noqa: A002 the documentation's word
    project = _licensed(call, id)
    call.check("approvals_required:int name", "applies_to_all_protected_branches:bool protected_branch_ids")
    project.approvals_required = call.params["approvals_required"]
    return json_answer(200, {**_rule(project), "id": int(rule_id), "name": call.params["name"]})


@endpoint("GET", "/projects/:id/approval_rules")
def rules(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    project = _licensed(call, id)
    return call.page([{**_rule(project), "id": 1, "name": "All Members"}] if project.approvals_required else [])


def _rule(project: Project) -> dict[str, Any]:
    return {
        "rule_type": "any_approver",
        "approvals_required": project.approvals_required,
        "eligible_approvers": [],
        "users": [],
        "groups": [],
        "protected_branches": [],
        "contains_hidden_groups": False,
        "applies_to_all_protected_branches": False,
    }


def _approvals(project: Project) -> dict[str, Any]:
    flags = {name: False for name, kind in schemas.APPROVALS.items() if kind == "bool"}
    value = {**flags, "approvals_before_merge": project.approvals_required}
    shapes.check("APPROVALS", value)
    return value


def _licensed(call: Call, id: str) -> Project:  # noqa: A002 the documentation's word
    if call.state.edition == "ce":
        raise ApiError(404, {"error": "404 Not Found"})
    project = _project(call, id)
    if call.state.edition != "ee-premium":
        raise forbidden()
    return project


def _project(call: Call, id: str) -> Project:  # noqa: A002 the documentation's word
    project = call.project(id)
    call.must_have(project, MAINTAINER)
    if call.request.method != "GET":
        call.must_not_be_archived(project)
    return project


def _find(project: Project, name: str) -> ProtectedBranch:
    for one in project.protected_branches:
        if one.name == unquote(name):
            return one
    raise not_found()


def _set(call: Call, rule: ProtectedBranch) -> None:
    rule.allow_force_push = call.params.get("allow_force_push", rule.allow_force_push)
    if call.state.edition != "ee-premium":
        return
    rule.code_owner_approval_required = call.params.get(
        "code_owner_approval_required", rule.code_owner_approval_required
    )
    for name, attribute in {"allowed_to_push": "push_level", "allowed_to_merge": "merge_level"}.items():
        for one in call.params.get(name) or []:
            if not one.get("_destroy"):
                setattr(rule, attribute, one["access_level"])
