"""``POST /api/v1/template-sources/webhook``: a forge tells of a push to a repository of templates.

It has no identity and no CSRF token: the forge proves itself by the secret that it shares with the portal. All that it can
bring about is that repositories are fetched which would be fetched anyway.
"""

from __future__ import annotations

import hashlib
import hmac

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import HTTPException

from portal_actions_plugin.blueprints.errors import handle_api_error, handle_http_error
from portal_actions_plugin.blueprints.headers import protect_data
from portal_actions_plugin.errors import NotFoundError, PermissionDeniedError, PortalActionsError
from portal_actions_plugin.extension import extension

MAX_BYTES = 5_000_000
"""Of a request: two thousand commits, which is what GitHub lists of a push at most. It is read before it is trusted."""

_SIGNATURE = "X-Hub-Signature-256"
_TOKEN = "X-Gitlab-Token"  # noqa: S105 the name of a header
_SCHEME = "sha256="
_PUSHES = {"X-GitHub-Event": {"push"}, "X-Gitlab-Event": {"Push Hook", "Tag Push Hook"}}

blueprint = Blueprint("portal_actions_template_webhook", __name__)
blueprint.register_error_handler(PortalActionsError, handle_api_error)
blueprint.register_error_handler(HTTPException, handle_http_error)


@blueprint.post("/template-sources/webhook")
def webhook() -> Response:
    """Have the repositories fetched, and answer at once: 202 for a push, 204 for any other event."""
    _require_proof()
    if not any(request.headers.get(name) in events for name, events in _PUSHES.items()):
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
    secret = read_secret(given, "PORTAL_ACTIONS_TEMPLATE_WEBHOOK_SECRET").strip().encode()
    signature, token = request.headers.get(_SIGNATURE, ""), request.headers.get(_TOKEN, "")
    if signature:
        expected = _SCHEME + hmac.new(secret, request.get_data(), hashlib.sha256).hexdigest()
        is_proved = hmac.compare_digest(expected.encode(), signature.encode())
    else:
        is_proved = hmac.compare_digest(secret, token.encode())
    if not is_proved:
        raise PermissionDeniedError(
            "The secret of this webhook is missing or wrong.",
            hint="Give the forge the value of PORTAL_ACTIONS_TEMPLATE_WEBHOOK_SECRET.",
        )


@blueprint.url_value_preprocessor
def _bound_the_body(_endpoint: str | None, _values: object) -> None:
    request.max_content_length = MAX_BYTES


@blueprint.after_request
def _finish(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    return protect_data(response)
