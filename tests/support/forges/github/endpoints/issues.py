"""docs.github.com/en/rest/issues/issues and …/issues/labels"""

from __future__ import annotations

import re
from typing import Any

from tests.support.forges.github.access import Needs
from tests.support.forges.github.answers import invalid, refusal
from tests.support.forges.github.calls import Call, created, ok
from tests.support.forges.github.state import Issue, node_id
from tests.support.forges.messages import Answer
from tests.support.forges.routing import Routes

routes = Routes()
_ISSUES = "/repos/{owner}/{repo}/issues"
_LABELS = "/repos/{owner}/{repo}/labels"
_ISSUE_OR_PULL = "issues=write; pull_requests=write"


@routes.on("GET", _ISSUES, Needs("issues/issues#list-repository-issues", "issues=read"))
def list_issues(call: Call) -> Answer:
    state = call.request.parameter("state", "open")
    found = [one for one in call.repository.issues if state in ("all", one.state)]
    return call.paged(found[::-1], lambda one: _shape(call, one))


@routes.on("POST", _ISSUES, Needs("issues/issues#create-an-issue", "issues=write", role="read"))
def create_issue(call: Call) -> Answer:
    """Labels and assignees of who has no push access are "silently dropped"; unknown labels are made."""
    if not call.repository.settings.get("has_issues", True):
        raise refusal(410, "Issues has been disabled in this repository.", call.page)
    title = call.field("title", str)
    if not title.strip():
        raise invalid(call.page, "Issue", "missing_field", "title")
    assignees = call.field("assignees", list, default=[])
    if unknown := [login for login in assignees if call.state.account(login) is None]:
        raise invalid(call.page, "Issue", "invalid", "assignees", f"{unknown[0]} cannot be assigned")
    milestone = call.field("milestone", int, default=None)
    if milestone is not None and milestone not in call.repository.milestones:
        raise invalid(call.page, "Issue", "invalid", "milestone")
    pushes = call.credential.kind == "installation" or call.role() in ("write", "maintain", "admin")
    labels = _names(call.field("labels", list, default=[])) if pushes else []
    for name in labels:
        label(call, name)
    number = call.repository.next_number
    issue = Issue(
        call.state.new_id(),
        number,
        title,
        call.field("body", str, default=None),
        call.credential.user,
        call.state.clock.text(),
        labels,
        list(assignees) if pushes else [],
        milestone=milestone if pushes else None,
    )
    call.repository.issues.append(issue)
    shape = _shape(call, issue)
    return created(shape, ("Location", shape["url"]))


def _names(labels: list[Any]) -> list[str]:
    return list(dict.fromkeys(one["name"] if isinstance(one, dict) else str(one) for one in labels))


def _found(call: Call) -> Issue:
    """A pull request is an issue, too; its labels are kept as one."""
    for one in call.repository.issues:
        if str(one.number) == call.values["issue_number"]:
            return one
    for pull in call.repository.pulls:
        if str(pull.number) == call.values["issue_number"]:
            issue = Issue(pull.id, pull.number, pull.title, pull.body, pull.user, pull.created_at)
            issue.labels, issue.assignees = pull.labels, pull.assignees
            return issue
    raise call.not_found()


@routes.on("GET", _ISSUES + "/{issue_number}", Needs("issues/issues#get-an-issue", "issues=read"))
def get_issue(call: Call) -> Answer:
    return ok(_shape(call, _found(call)))


@routes.on(
    "GET",
    _ISSUES + "/{issue_number}/labels",
    Needs("issues/labels#list-labels-for-an-issue", "issues=read; pull_requests=read"),
)
def labels_of_issue(call: Call) -> Answer:
    return call.paged(_found(call).labels, lambda name: label(call, name))


@routes.on(
    "POST",
    _ISSUES + "/{issue_number}/labels",
    Needs("issues/labels#add-labels-to-an-issue", _ISSUE_OR_PULL, role="triage"),
)
def add_labels(call: Call) -> Answer:
    """As a set: what is there stays once. Unknown ones are made."""
    issue = _found(call)
    issue.labels += [name for name in _names(call.field("labels", list)) if name not in issue.labels]
    return ok([label(call, name) for name in issue.labels])


@routes.on(
    "POST",
    _ISSUES + "/{issue_number}/assignees",
    Needs("issues/assignees#add-assignees-to-an-issue", _ISSUE_OR_PULL, role="write"),
)
def add_assignees(call: Call) -> Answer:
    """ "Users already assigned to an issue are not replaced"; who may not be assigned is left out without a word."""
    issue = _found(call)
    known = [login for login in call.field("assignees", list) if call.state.account(login) is not None]
    issue.assignees += [login for login in known if login not in issue.assignees]
    return created(_shape(call, issue))


@routes.on("GET", _LABELS, Needs("issues/labels#list-labels-for-a-repository", "issues=read; pull_requests=read"))
def list_labels(call: Call) -> Answer:
    return call.paged(list(call.repository.labels), lambda name: label(call, name))


@routes.on("GET", _LABELS + "/{name}", Needs("issues/labels#get-a-label", "issues=read; pull_requests=read"))
def getlabel(call: Call) -> Answer:
    if call.values["name"] not in call.repository.labels:
        raise call.not_found()
    return ok(label(call, call.values["name"]))


@routes.on("POST", _LABELS, Needs("issues/labels#create-a-label", _ISSUE_OR_PULL, role="write"))
def createlabel(call: Call) -> Answer:
    """ "The color must be a valid hexadecimal color code", without its #."""
    name, color = call.field("name", str), call.field("color", str, default="ededed")
    if name.lower() in (one.lower() for one in call.repository.labels):
        raise invalid(call.page, "Label", "already_exists", "name")
    if not re.fullmatch("[0-9a-fA-F]{6}", color):
        raise invalid(call.page, "Label", "invalid", "color")
    shape = label(call, name)
    shape |= {"color": color, "description": call.field("description", str, default=None)}
    return created(shape, ("Location", shape["url"]))


def label(call: Call, name: str) -> dict[str, Any]:
    labels = call.repository.labels
    if name not in labels:
        number = call.state.new_id()
        url = f"{call.sites.api}/repos/{call.repository.full_name}/labels/{name}"
        labels[name] = {
            "id": number,
            "node_id": node_id("Label", number),
            "url": url,
            "name": name,
            "color": "ededed",
            "default": False,
            "description": None,
        }
    return labels[name]


def _shape(call: Call, issue: Issue) -> dict[str, Any]:
    base = f"{call.sites.api}/repos/{call.repository.full_name}"
    url = f"{base}/issues/{issue.number}"
    assignees = [call.user(login) for login in issue.assignees]
    return {
        "id": issue.id,
        "node_id": node_id("Issue", issue.id),
        "number": issue.number,
        "url": url,
        "repository_url": base,
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": f"{call.sites.html}/{call.repository.full_name}/issues/{issue.number}",
        "state": issue.state,
        "locked": False,
        "title": issue.title,
        "body": issue.body,
        "user": call.user(issue.user),
        "labels": [label(call, name) for name in issue.labels],
        "assignee": assignees[0] if assignees else None,
        "assignees": assignees,
        "milestone": _milestone(call, issue.milestone),
        "comments": 0,
        "created_at": issue.created_at,
        "updated_at": issue.created_at,
        "closed_at": None,
        "author_association": "MEMBER",
        "active_lock_reason": None,
    }


def _milestone(call: Call, number: int | None) -> dict[str, Any] | None:
    if number is None:
        return None
    base = f"{call.sites.api}/repos/{call.repository.full_name}/milestones/{number}"
    return {
        "url": base,
        "html_url": f"{call.sites.html}/{call.repository.full_name}/milestone/{number}",
        "labels_url": f"{base}/labels",
        "id": number,
        "node_id": node_id("Milestone", number),
        "number": number,
        "state": "open",
        "title": call.repository.milestones[number],
        "description": None,
        "creator": call.user(call.repository.owner),
        "open_issues": 1,
        "closed_issues": 0,
        "created_at": call.state.clock.text(),
        "updated_at": call.state.clock.text(),
        "closed_at": None,
        "due_on": None,
    }
