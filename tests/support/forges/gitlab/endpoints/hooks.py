"""Webhooks: docs.gitlab.com/api/project_webhooks/"""

from __future__ import annotations

from urllib.parse import urlsplit

from tests.support.forges.gitlab import entities
from tests.support.forges.gitlab.routing import ApiError, Call, endpoint, not_found
from tests.support.forges.gitlab.schemas import HOOK_EVENTS
from tests.support.forges.gitlab.state import MAINTAINER, Hook, Project
from tests.support.forges.messages import Answer, json_answer

_PARAMETERS = (
    "name description token enable_ssl_verification:bool push_events_branch_filter branch_filter_strategy "
    + (" ".join(f"{event}:bool" for event in HOOK_EVENTS if event != "repository_update_events"))
)


# docs.gitlab.com/api/project_webhooks/#list-all-webhooks-for-a-project
@endpoint("GET", "/projects/:id/hooks")
def hooks(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(optional="page:int per_page:int")
    project = _project(call, id)
    return call.page([entities.hook(project, one) for one in project.hooks])


# docs.gitlab.com/api/project_webhooks/#retrieve-a-webhook-for-a-project
@endpoint("GET", "/projects/:id/hooks/:hook_id")
def hook(call: Call, id: str, hook_id: str) -> Answer:  # noqa: A002 the documentation's word
    project = _project(call, id)
    return json_answer(200, entities.hook(project, _find(project, hook_id)))


# docs.gitlab.com/api/project_webhooks/#create-a-webhook-for-a-project: a second one with the same address is made, too
@endpoint("POST", "/projects/:id/hooks")
def create(call: Call, id: str) -> Answer:  # noqa: A002 the documentation's word
    project = _project(call, id)
    call.check("url", _PARAMETERS)
    _check_url(call.params["url"])
    # push_events is on unless it is switched off: the page's example, and db/structure.sql of gitlab-org/gitlab
    events = {event: event in ("push_events", "repository_update_events") for event in HOOK_EVENTS}
    made = Hook(call.state.next_id(), call.params["url"], events, call.state.now())
    _set(call, made)
    project.hooks.append(made)
    return json_answer(201, entities.hook(project, made))


# docs.gitlab.com/api/project_webhooks/#update-a-webhook-for-a-project: "If you change the webhook URL, the secret token
# is reset and not retained"; what is not named stays as it is
@endpoint("PUT", "/projects/:id/hooks/:hook_id")
def update(call: Call, id: str, hook_id: str) -> Answer:  # noqa: A002 the documentation's word
    project = _project(call, id)
    call.check(optional=f"url {_PARAMETERS}")
    found = _find(project, hook_id)
    if not call.params:
        raise ApiError(400, {"error": "No parameters provided"})
    if "url" in call.params:
        _check_url(call.params["url"])
        if call.params["url"] != found.url:
            found.url, found.token = call.params["url"], None
    _set(call, found)
    return json_answer(200, entities.hook(project, found))


# docs.gitlab.com/api/project_webhooks/#delete-a-webhook-for-a-project
@endpoint("DELETE", "/projects/:id/hooks/:hook_id")
def delete(call: Call, id: str, hook_id: str) -> Answer:  # noqa: A002 the documentation's word
    project = _project(call, id)
    project.hooks.remove(_find(project, hook_id))
    return Answer(204)


def _project(call: Call, id: str) -> Project:  # noqa: A002 the documentation's word
    # docs.gitlab.com/user/permissions/#project-members-permissions: webhooks are a Maintainer's
    project = call.project(id)
    call.must_have(project, MAINTAINER)
    if call.request.method != "GET":
        call.must_not_be_archived(project)
    return project


def _find(project: Project, hook_id: str) -> Hook:
    for one in project.hooks:
        if str(one.id) == hook_id:
            return one
    raise not_found()


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ApiError(422, {"error": "Invalid url given"})


def _set(call: Call, hook: Hook) -> None:
    params = call.params
    hook.events |= {event: params[event] for event in HOOK_EVENTS if params.get(event) is not None}
    hook.token = params.get("token", hook.token)
    hook.name = params.get("name", hook.name)
    hook.description = params.get("description", hook.description)
    hook.enable_ssl_verification = params.get("enable_ssl_verification", hook.enable_ssl_verification)
    hook.branch_filter = params.get("push_events_branch_filter", hook.branch_filter)
