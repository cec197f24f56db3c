"""Webhooks, one for an address: docs.gitlab.com/api/project_webhooks/"""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.scm.base import Webhook, WebhookSpec
from portal_actions_plugin.scm.gitlab.client import ProjectApi
from portal_actions_plugin.scm.remote.fields import flag, maybe_text, number
from portal_actions_plugin.scm.remote.lost_answers import write_again, write_once
from portal_actions_plugin.scm.remote.webhook_secrets import has_secret, keep_fingerprint

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.remote.fields import JsonObject

EVENTS = (
    "push_events",
    "tag_push_events",
    "merge_requests_events",
    "issues_events",
    "confidential_issues_events",
    "note_events",
    "confidential_note_events",
    "pipeline_events",
    "job_events",
    "wiki_page_events",
    "deployment_events",
    "releases_events",
    "milestone_events",
    "emoji_events",
    "feature_flag_events",
    "resource_access_token_events",
)
"""Of a project, on every plan. An input may leave ``_events`` out."""


def ensure_webhook(repo: ProjectApi, spec: WebhookSpec) -> Webhook:
    """Create a webhook, or update the one of the same address where its events or its secret differ.

    GitLab tells no secret. Whether it is this one is known from a note of ours alone, so without one it is sent again.
    """
    events = _events(spec)
    wanted = {event: event in events for event in EVENTS}
    there = _find(repo, spec)
    key = f"{repo.api.gitlab.name} {repo.project.id} {spec.callback_url}"
    notes = repo.opening.notes
    if there is not None:
        is_known = spec.secret is None or has_secret(notes, key, spec.secret)
        if is_known and all(flag(there, event) == on for event, on in wanted.items()):
            return _webhook(repo, there, "unchanged")
    body: dict[str, JsonValue] = {"url": spec.callback_url, **wanted}
    if spec.secret is not None:
        body["token"] = spec.secret
    if there is None:
        body["enable_ssl_verification"] = not spec.is_unverified
        made = write_once(
            lambda: repo.write("POST", "/hooks", body=body).object(), lambda: _find(repo, spec), log=repo.opening.log
        )
    else:
        rest = f"/hooks/{number(there, 'id')}"
        made = write_again(lambda: repo.write("PUT", rest, body=body).object(), log=repo.opening.log)
    if spec.secret is not None:
        keep_fingerprint(notes, key, spec.secret)
    return _webhook(repo, made, "created" if there is None else "updated")


def _events(spec: WebhookSpec) -> set[str]:
    found = {event if event.endswith("_events") else f"{event}_events" for event in spec.events}
    if unknown := sorted(found - set(EVENTS)):
        message = f"GitLab knows no events {', '.join(unknown)}."
        hint = f"Those that it knows are {', '.join(EVENTS)}."
        raise ValidationError(message, hint=hint, fields={"events": [message]})
    return found


def _find(repo: ProjectApi, spec: WebhookSpec) -> JsonObject | None:
    hooks = repo.pages("/hooks", what="the webhooks")
    return next((hook for hook in hooks if maybe_text(hook, "url") == spec.callback_url), None)


def _webhook(repo: ProjectApi, found: JsonObject, outcome: str) -> Webhook:
    hook = number(found, "id")
    return Webhook(str(hook), f"{repo.project.web_url}/-/hooks/{hook}/edit", outcome)
