"""``POST /api/v1/template-sources/webhook``: a forge tells of a push to a repository of templates.

It has no identity and no CSRF token: the forge proves itself by the secret that it shares with the portal. All that it can
bring about, however often it is sent, is that repositories are fetched which would be fetched anyway.
"""

from __future__ import annotations

import json
from urllib.parse import parse_qs, unquote, urlsplit

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import HTTPException

from portal_actions_plugin.blueprints.api.webhook_proof import is_proved
from portal_actions_plugin.blueprints.errors import handle_api_error, handle_http_error
from portal_actions_plugin.blueprints.headers import protect_data
from portal_actions_plugin.errors import NotFoundError, PermissionDeniedError, PortalActionsError
from portal_actions_plugin.extension import extension

MAX_BYTES = 5_000_000
"""Of a request: two thousand commits, which is what GitHub lists of a push at most. It is read before it is trusted."""

_PUSHES = {"X-GitHub-Event": {"push"}, "X-Gitlab-Event": {"Push Hook", "Tag Push Hook"}}

blueprint = Blueprint("portal_actions_template_webhook", __name__)
blueprint.register_error_handler(PortalActionsError, handle_api_error)
blueprint.register_error_handler(HTTPException, handle_http_error)


@blueprint.post("/template-sources/webhook")
def webhook() -> Response:
    """Have the repositories fetched, and answer at once: 202 for a push to one of them, 204 for anything else."""
    _require_proof()
    is_push = any(request.headers.get(name) in events for name, events in _PUSHES.items())
    if not is_push or not _is_of_templates(request.get_data()):
        return Response(status=204)
    from portal_actions_plugin.upkeep.template_refresh import pushed

    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 Flask's documented way
    pushed(app)
    return Response(status=202)


def _require_proof() -> None:
    """Let through who knows the secret.

    Raises:
        NotFoundError: there is no secret, so there is no webhook.
        PermissionDeniedError: the proof is missing or wrong; nothing says what it should have been.
    """
    from portal_actions_plugin.scm.remote.credentials import read_secret

    given = extension().config.template_webhook_secret
    if given is None:
        raise NotFoundError(
            "This portal has no webhook for templates.",
            hint="Tell your platform team to set PORTAL_ACTIONS_TEMPLATE_WEBHOOK_SECRET.",
        )
    secret = read_secret(given, "PORTAL_ACTIONS_TEMPLATE_WEBHOOK_SECRET").strip()
    if not secret or not is_proved(secret, request.headers, request.get_data()):
        raise PermissionDeniedError(
            "The secret of this webhook is missing or wrong.",
            hint="Give the forge the value of PORTAL_ACTIONS_TEMPLATE_WEBHOOK_SECRET.",
        )


def _is_of_templates(body: bytes) -> bool:
    """Whether a push is to a repository of templates; True where it does not say which one it is to.

    A whole organisation may have the webhook. Hosts are not compared: a forge may be known by another name to itself.
    """
    name = _repository_of(body).strip("/").lower()
    if not name:
        return True
    paths = (unquote(urlsplit(one.repository.address).path) for one in extension().checkouts.all)
    return any(f"/{path.strip('/').removesuffix('.git').lower()}".endswith(f"/{name}") for path in paths)


def _repository_of(body: bytes) -> str:
    """The name of a push's repository with its owner, as GitHub or GitLab writes it; empty where there is none."""
    try:
        text = body.decode()
        # GitHub's other content type is a form with the same JSON in it.
        data = json.loads(parse_qs(text)["payload"][0] if text.startswith("payload=") else text)
    except (ValueError, KeyError, RecursionError):
        return ""
    for key, part in (("repository", "full_name"), ("project", "path_with_namespace")):
        found = data.get(key) if isinstance(data, dict) else None
        name = found.get(part) if isinstance(found, dict) else None
        if isinstance(name, str):
            return name
    return ""


@blueprint.url_value_preprocessor
def _bound_the_body(_endpoint: str | None, _values: object) -> None:
    request.max_content_length = MAX_BYTES


@blueprint.after_request
def _finish(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    return protect_data(response)
