"""Webhooks, found by their address. GitHub never shows a secret, and an update without it removes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal_actions_plugin.scm.base import Webhook, WebhookSpec
from portal_actions_plugin.scm.github.client import RepoApi
from portal_actions_plugin.scm.github.errors import ExistsError
from portal_actions_plugin.scm.remote.fields import at, flag, maybe_text, number, texts
from portal_actions_plugin.scm.remote.lost_answers import write_again, write_once
from portal_actions_plugin.scm.remote.webhook_secrets import has_secret, keep_fingerprint

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.opening import Notes
    from portal_actions_plugin.scm.remote.fields import JsonObject


def ensure_webhook(repo: RepoApi, spec: WebhookSpec) -> Webhook:
    """Create a webhook, or update the one of the same address where its events or its secret differ."""
    there = _find(repo, spec)
    if there is None:
        there, outcome = write_once(lambda: _create(repo, spec), lambda: _found(repo, spec), log=repo.api.opening.log)
        if outcome == "created":
            _keep(repo, spec)
            return _webhook(repo, there, outcome)
    if _is_as(repo, spec, there):
        return _webhook(repo, there, "unchanged")
    write_again(lambda: _update(repo, spec, number(there, "id")), log=repo.api.opening.log)
    _keep(repo, spec)
    return _webhook(repo, there, "updated")


def _find(repo: RepoApi, spec: WebhookSpec) -> JsonObject | None:
    hooks = repo.pages("/hooks", what="the webhooks")
    return next((hook for hook in hooks if maybe_text(hook, "config", "url") == spec.callback_url), None)


def _create(repo: RepoApi, spec: WebhookSpec) -> tuple[JsonObject, str]:
    body: JsonValue = {"name": "web", "active": spec.is_active, "events": list(spec.events), "config": _config(spec)}
    try:
        return repo.send("POST", "/hooks", body=body).object(), "created"
    except ExistsError:
        there = _find(repo, spec)
        if there is None:
            raise
        return there, "there"


def _found(repo: RepoApi, spec: WebhookSpec) -> tuple[JsonObject, str] | None:
    """What a lost answer has made. Somebody else's cannot be told from it, so it is updated like one that was there."""
    there = _find(repo, spec)
    return (there, "there") if there else None


def _update(repo: RepoApi, spec: WebhookSpec, hook: int) -> None:
    body: JsonValue = {"active": spec.is_active, "events": list(spec.events), "config": _config(spec)}
    repo.send("PATCH", f"/hooks/{hook}", body=body)


def _config(spec: WebhookSpec) -> dict[str, JsonValue]:
    config: dict[str, JsonValue] = {
        "url": spec.callback_url,
        "content_type": _content_type(spec),
        "insecure_ssl": _insecure(spec),
    }
    return config if spec.secret is None else {**config, "secret": spec.secret}


def _content_type(spec: WebhookSpec) -> str:
    return "form" if spec.is_form else "json"


def _insecure(spec: WebhookSpec) -> str:
    return "1" if spec.is_unverified else "0"


def _is_as(repo: RepoApi, spec: WebhookSpec, there: JsonObject) -> bool:
    shown = maybe_text(there, "config", "secret") is not None
    same_secret = (
        not shown if spec.secret is None else shown and has_secret(_notes(repo), _known_as(repo, spec), spec.secret)
    )
    return (
        same_secret
        and flag(there, "active") == spec.is_active
        and set(texts(there, "events")) == set(spec.events)
        and maybe_text(there, "config", "content_type") == _content_type(spec)
        and str(at(there, "config", "insecure_ssl")) == _insecure(spec)
    )


def _keep(repo: RepoApi, spec: WebhookSpec) -> None:
    if spec.secret is not None:
        keep_fingerprint(_notes(repo), _known_as(repo, spec), spec.secret)


def _notes(repo: RepoApi) -> Notes:
    return repo.api.opening.notes


def _known_as(repo: RepoApi, spec: WebhookSpec) -> str:
    return f"{repo.ref.provider} {repo.name.lower()} {spec.callback_url}"


def _webhook(repo: RepoApi, there: JsonObject, outcome: str) -> Webhook:
    hook = str(number(there, "id"))
    return Webhook(hook, f"{repo.web_url}/settings/hooks/{hook}", outcome)
