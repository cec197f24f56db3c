"""What every API request goes through, and what its answer gets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from flask import Response, request
from flask_smorest import Blueprint
from marshmallow import Schema
from werkzeug.exceptions import BadRequest, PreconditionFailed, RequestEntityTooLarge

from portal_actions_plugin.blueprints.api.openapi.document import ERRORS, STARTED
from portal_actions_plugin.blueprints.errors import handle_http_error, quota_headers
from portal_actions_plugin.blueprints.headers import protect_data
from portal_actions_plugin.errors import ConflictError, UnauthenticatedError, ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import ActionRun, Origin, TemplateRun
from portal_actions_plugin.runs.accept import Ask, Started
from portal_actions_plugin.runs.guards.identity import current_identity
from portal_actions_plugin.runs.guards.input_bounds import require_few_values

OPEN_BLUEPRINTS = ("portal_actions_health",)
"""What answers without an identity."""

_COMPRESSED_TAG = re.compile(r'(?:W/)?"([0-9a-f]+)(?:-[a-z]+)?"')
"""Our tags are hex digits: a weak mark or the name of a compression beside them is a proxy's."""

_WITH_BODY = ("POST", "PUT", "PATCH", "DELETE")

F = TypeVar("F", bound=Callable[..., object])

StartAnswer = tuple[ActionRun | TemplateRun, int, dict[str, str]]
"""The run that a start came to, the HTTP status, and headers."""


def bound_the_body(_endpoint: str | None, _values: object) -> None:
    """Bound what may be sent, before anything, the CSRF check too, reads it."""
    request.max_content_length = extension().config.max_body_bytes


def refuse_what_is_cut_off() -> None:
    """Refuse a body that comes in chunks and reaches the bound: it is cut off there, and half of it is not all of it."""
    in_chunks = request.content_length is None and "Transfer-Encoding" in request.headers
    if in_chunks and len(request.get_data()) >= (request.max_content_length or 0):
        raise RequestEntityTooLarge


def prepare_api_request() -> None:
    """Refuse who is nobody before anything is looked at, and a body that is no JSON object, or does not claim to be."""
    if current_identity() is None and request.blueprint not in OPEN_BLUEPRINTS:
        raise UnauthenticatedError
    # A body means nothing on a GET. One without a length comes in chunks.
    if request.method in _WITH_BODY and (request.content_length or "Transfer-Encoding" in request.headers):
        _check_body()


def _check_body() -> None:
    # Read first: a body that is too large is that, whatever it says that it is.
    given = request.get_data()
    refuse_what_is_cut_off()
    if not request.is_json:
        raise BadRequest(f"The body is {request.mimetype or 'of no type'}, not JSON.")
    require_few_values(given)
    try:
        body = request.get_json()
    except (ValueError, RecursionError):
        # Numbers of thousands of digits, and nesting without end, are more than Python's parser takes.
        raise BadRequest("The body is JSON that nobody can read.") from None
    if not isinstance(body, dict):
        raise ValidationError("The body is no JSON object.", fields={"body": ["must be an object"]})


def finish_api_response(response: Response) -> Response:
    """Let clients poll for the price of a 304, and nobody make anything else of an answer than data."""
    response.headers.setdefault("Cache-Control", "no-cache, private")
    return protect_data(answer_conditionally(response))


def answer_conditionally(response: Response) -> Response:
    """Give what was read a tag, and answer 304 or 412 to who has seen that tag, or wants another."""
    if request.method not in ("GET", "HEAD") or response.status_code != 200:
        return response
    response.add_etag()
    response.make_conditional(_with_our_tags(request.environ))
    if response.status_code == 412:
        body, _, _ = handle_http_error(PreconditionFailed())
        response.set_data(json.dumps(body))
    return response


def _with_our_tags(environ: Mapping[str, Any]) -> dict[str, Any]:
    """The request with the tags that it names as we gave them out: a proxy that compresses makes others of them."""
    named = {name: environ[name] for name in ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH") if name in environ}
    ours = {name: _COMPRESSED_TAG.sub(r'"\1"', value) for name, value in named.items()}
    if ours.get("HTTP_IF_MATCH", "").strip() == "*":
        ours["HTTP_IF_MATCH"] = ""  # what is read is there, and any tag fits; Werkzeug says that none does
    return {**environ, **ours}


def ask_from_headers(
    *, entity: str | None = None, origin: Origin | None = None, secrets: Mapping[str, str] | None = None
) -> Ask:
    """What accompanies a start, with the request's idempotency key."""
    return Ask(request.headers.get("Idempotency-Key"), entity, origin, secrets or {})


def ask_of_retry(body: Mapping[str, Any]) -> Ask:
    """What accompanies a retry or a resume, by its body and the request's headers."""
    seen_retry = str(body["retried_as"] or "") if "retried_as" in body else None
    return replace(ask_from_headers(secrets=body.get("secrets")), seen_retry=seen_retry)


def started_answer(started: Started, kind: type[ActionRun | TemplateRun]) -> StartAnswer:
    """Answer a start: 202 with its place and quota, or 200 when the run was there before."""
    if not isinstance(started.run, kind):
        raise ConflictError(
            "Another fix of the same rule is at work already.", hint=f"Look at {started.run.html_url}, or wait for it."
        )
    path = "/template-runs" if kind is TemplateRun else "/action-runs"
    location = f"{request.script_root}{extension().config.api_prefix}{path}/{started.run.id}"
    return started.run, 200 if started.replayed else 202, {"Location": location, **quota_headers(started.quota)}


def fails_with(blueprint: Blueprint, *codes: int) -> Callable[[F], F]:
    """Document the errors of a view: all at once, since each call of ``alt_response`` wraps it in another function."""
    documented: Callable[[F], F] = blueprint.doc(responses={str(code): ERRORS[code][0] for code in codes})
    return documented


def starts(blueprint: Blueprint, schema: type[Schema]) -> Callable[[F], F]:
    """Document a view that starts a run: its answers, headers and errors."""

    def document(view: F) -> F:
        view = fails_with(blueprint, 400, 401, 403, 404, 409, 413, 422, 429)(view)
        view = blueprint.alt_response(
            200, schema=schema, headers=STARTED, description="The run that this Idempotency-Key started before."
        )(view)
        view = blueprint.response(202, schema, headers=STARTED, description="Accepted and queued.")(view)
        decorated: F = blueprint.doc(parameters=["IdempotencyKey"])(view)
        return decorated

    return document
