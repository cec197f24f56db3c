"""docs.github.com/en/rest/repos/webhooks"""

from __future__ import annotations

from typing import Any

from tests.support.forges.github.access import Needs
from tests.support.forges.github.answers import invalid, refusal
from tests.support.forges.github.calls import Call, created, no_content, ok
from tests.support.forges.github.state import Hook
from tests.support.forges.messages import Answer
from tests.support.forges.routing import Routes

routes = Routes()
_HOOK = "/repos/{owner}/{repo}/hooks/{hook_id}"
_READERS = ("repo", "admin:repo_hook", "write:repo_hook", "read:repo_hook")
_WRITERS = ("repo", "admin:repo_hook", "write:repo_hook")


def _needs(name: str, level: str) -> Needs:
    scopes = _READERS if level == "read" else _WRITERS
    return Needs(f"repos/webhooks#{name}", f"repository_hooks={level}", scopes, "admin")


def _config(call: Call) -> dict[str, Any]:
    config = call.field("config", dict)
    if not config.get("url"):
        raise refusal(
            422,
            "Validation Failed",
            call.page,
            errors=[
                {
                    "resource": "Hook",
                    "code": "custom",
                    "field": "config",
                    "message": "Config must contain URL for webhooks",
                }
            ],
        )
    if not str(config["url"]).startswith(("http://", "https://")):
        raise invalid(call.page, "Hook", "custom", "url", "url is not a valid URL")
    return {"content_type": "form", "insecure_ssl": "0"} | {name: str(value) for name, value in config.items()}


@routes.on("GET", "/repos/{owner}/{repo}/hooks", _needs("list-repository-webhooks", "read"))
def list_hooks(call: Call) -> Answer:
    return call.paged(call.repository.hooks, lambda one: _shape(call, one))


@routes.on("POST", "/repos/{owner}/{repo}/hooks", _needs("create-a-repository-webhook", "write"))
def create_hook(call: Call) -> Answer:
    """ "Multiple webhooks can share the same config as long as those webhooks do not have any events that overlap." """
    call.permit_only("name", "config", "events", "active")
    name = call.field("name", str, default="web")
    if name != "web":
        raise invalid(call.page, "Hook", "custom", "name", "name is not a valid service")
    config, events = _config(call), call.field("events", list, default=["push"])
    for one in call.repository.hooks:
        same = all(one.config.get(key) == config.get(key) for key in ("url", "content_type", "insecure_ssl"))
        if same and (set(one.events) & set(events) or "*" in (*one.events, *events)):
            raise invalid(call.page, "Hook", "custom", message="Hook already exists on this repository")
    if len(call.repository.hooks) >= 20:
        # docs.github.com/en/webhooks/about-webhooks: "up to 20 webhooks ... for each event type"
        raise invalid(call.page, "Hook", "custom", message='The "push" event cannot have more than 20 hooks')
    now = call.state.clock.text()
    hook = Hook(call.state.new_id(), config, list(events), call.field("active", bool, default=True), now, now)
    call.repository.hooks.append(hook)
    shape = _shape(call, hook)
    return created(shape, ("Location", shape["url"]))


def _found(call: Call) -> Hook:
    for one in call.repository.hooks:
        if str(one.id) == call.values["hook_id"]:
            return one
    raise call.not_found()


@routes.on("GET", _HOOK, _needs("get-a-repository-webhook", "read"))
def get_hook(call: Call) -> Answer:
    return ok(_shape(call, _found(call)))


@routes.on("PATCH", _HOOK, _needs("update-a-repository-webhook", "write"))
def update_hook(call: Call) -> Answer:
    """ "If you previously had a secret set, you must provide the same secret or set a new secret or the secret will be
    removed."
    """
    hook, body = _found(call), call.body()
    if "config" in body:
        hook.config = _config(call)
    else:
        hook.config.pop("secret", None)
    hook.events = list(call.field("events", list, default=hook.events))
    hook.events += [name for name in call.field("add_events", list, default=[]) if name not in hook.events]
    removed = call.field("remove_events", list, default=[])
    hook.events = [name for name in hook.events if name not in removed]
    hook.active = call.field("active", bool, default=hook.active)
    hook.updated_at = call.state.clock.text()
    return ok(_shape(call, hook))


@routes.on("DELETE", _HOOK, _needs("delete-a-repository-webhook", "write"))
def delete_hook(call: Call) -> Answer:
    call.repository.hooks.remove(_found(call))
    return no_content()


def _shape(call: Call, hook: Hook) -> dict[str, Any]:
    """A secret is never shown: the answer has ``********`` in its place."""
    url = f"{call.sites.api}/repos/{call.repository.full_name}/hooks/{hook.id}"
    return {
        "type": "Repository",
        "id": hook.id,
        "name": "web",
        "active": hook.active,
        "events": hook.events,
        "config": hook.config | ({"secret": "********"} if hook.secret else {}),
        "created_at": hook.created_at,
        "updated_at": hook.updated_at,
        "url": url,
        "test_url": f"{url}/test",
        "ping_url": f"{url}/pings",
        "deliveries_url": f"{url}/deliveries",
        "last_response": {"code": None, "status": "unused", "message": None},
    }
