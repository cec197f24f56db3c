"""Issues and labels: docs.gitlab.com/api/issues/ and docs.gitlab.com/api/labels/"""

from __future__ import annotations

import re

from tests.support.forges.gitlab import entities
from tests.support.forges.gitlab.routing import ApiError, Call, endpoint, not_found, refused
from tests.support.forges.gitlab.state import GUEST, REPORTER, Issue, Label, Project, State
from tests.support.forges.messages import Answer, json_answer


# docs.gitlab.com/api/labels/#list-all-labels-for-a-project
@endpoint("GET", "/projects/:id/labels")
def labels(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(optional="with_counts:bool include_ancestor_groups:bool search page:int per_page:int")
    return call.page([entities.label(one) for one in call.project(id).labels])


# docs.gitlab.com/api/labels/#create-a-label-for-a-project
@endpoint("POST", "/projects/:id/labels")
def create_label(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check("name color", "description priority:int")
    project, params = call.project(id), call.params
    call.must_have(project, REPORTER)
    if any(one.name == params["name"] for one in project.labels):
        raise refused(409, "Label already exists")
    if not re.fullmatch(r"#[0-9a-fA-F]{6}|#[0-9a-fA-F]{3}|[a-z]+", params["color"]):
        raise refused(400, {"color": ["must be a valid color code"]})
    made = Label(call.state.next_id(), params["name"], params["color"], params.get("description"))
    project.labels.append(made)
    return json_answer(201, entities.label(made))


# docs.gitlab.com/api/issues/#list-project-issues
@endpoint("GET", "/projects/:id/issues")
def issues(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(
        optional="state labels:texts search in order_by sort iids:texts author_username scope page:int per_page:int",
        state=("opened", "closed", "all"),
    )
    project, params = call.project(id), call.params
    found = [one for one in project.issues if params.get("state", "all") in ("all", one.state)]
    if wanted := params.get("labels"):
        found = [one for one in found if set(wanted) <= one.labels]
    if text := str(params.get("search") or "").lower():
        found = [one for one in found if text in f"{one.title}\n{one.description or ''}".lower()]
    found.sort(key=lambda one: one.id, reverse=params.get("sort", "desc") == "desc")
    return call.page([entities.issue(call.state, project, one) for one in found])


# docs.gitlab.com/api/issues/#retrieve-a-project-issue
@endpoint("GET", "/projects/:id/issues/:iid")
def issue(call: Call, id: str, iid: str) -> Answer:  # noqa: A002 the documentation's word
    project = call.project(id)
    return json_answer(200, entities.issue(call.state, project, _find(project, iid)))


# docs.gitlab.com/api/issues/#create-an-issue: who has no more than the Guest's role can't set labels, which are ignored
@endpoint("POST", "/projects/:id/issues")
def create_issue(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(
        "title", "description labels:texts assignee_id:int assignee_ids:texts issue_type confidential:bool due_date"
    )
    project, params = call.project(id), call.params
    call.must_have(project, GUEST)
    call.must_not_be_archived(project)
    now, user = call.state.now(), call.caller.user
    iid = len(project.issues) + 1
    made = Issue(call.state.next_id(), iid, params["title"], params.get("description"), user, now, now)
    if call.caller.level(project) > GUEST:
        made.labels = set(params.get("labels") or [])
        _ensure(call.state, project, made.labels)
    numbers = [params.get("assignee_id"), *(params.get("assignee_ids") or [])]
    made.assignees = [call.state.users[int(number)] for number in numbers if number and int(number) in call.state.users]
    project.issues.append(made)
    return json_answer(201, entities.issue(call.state, project, made))


# docs.gitlab.com/api/issues/#update-an-issue: labels that are not there yet are made
@endpoint("PUT", "/projects/:id/issues/:iid")
def update_issue(call: Call, id: str, iid: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(
        optional="title description labels:texts add_labels:texts remove_labels:texts state_event assignee_ids:texts",
        state_event=("close", "reopen"),
    )
    project, params = call.project(id), call.params
    found = _find(project, iid)
    call.must_have(project, REPORTER)
    call.must_not_be_archived(project)
    if not params:
        raise ApiError(400, {"error": "at least one parameter must be provided"})
    found.title = params.get("title", found.title)
    found.description = params.get("description", found.description)
    found.labels = set(params.get("labels", found.labels)) | set(params.get("add_labels") or [])
    found.labels -= set(params.get("remove_labels") or [])
    _ensure(call.state, project, found.labels)
    found.state = {"close": "closed", "reopen": "opened"}.get(params.get("state_event", ""), found.state)
    found.updated_at = call.state.now()
    return json_answer(200, entities.issue(call.state, project, found))


def _find(project: Project, iid: str) -> Issue:
    for one in project.issues:
        if str(one.iid) == iid:
            return one
    raise not_found()


def _ensure(state: State, project: Project, names: set[str]) -> None:
    known = {one.name for one in project.labels}
    project.labels += [Label(state.next_id(), name) for name in sorted(names - known)]
