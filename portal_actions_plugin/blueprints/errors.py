"""Errors as the API says them: one table from domain errors to HTTP, and one body."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from portal_actions_plugin.errors import PortalActionsError, UnauthenticatedError, ValidationError
from portal_actions_plugin.field_messages import sentences
from portal_actions_plugin.runs import outage
from portal_actions_plugin.runs.guards.limits import Quota, TooManyStartsError

Answer = tuple[dict[str, Any], int, dict[str, str]]

_HTTP_CODES = {
    400: ("BAD_REQUEST", "Send a JSON object, with Content-Type: application/json."),
    412: ("CONFLICT", "Read it again, and compare with what you expected."),
    413: ("TOO_LARGE", "Send a smaller body."),
    415: ("BAD_REQUEST", "Send a JSON object, with Content-Type: application/json."),
}
_HTTP_MESSAGES = {
    400: "The request cannot be understood.",
    412: "It has changed since it was read: it is not the version that If-Match names.",
    413: "The body is larger than this portal takes.",
}
"""What Werkzeug says in words that are the standard's, or long."""


def handle_api_error(error: PortalActionsError) -> Answer:
    """Answer with a domain error."""
    status = HTTPStatus(error.http_status)
    body: dict[str, Any] = {
        "code": status.value,
        "status": status.phrase,
        "message": error.message,
        "error_code": error.code,
        "hint": error.hint,
    }
    if error.fields:
        body["errors"] = error.fields
    headers: dict[str, str] = {}
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        body["retry_after"] = math.ceil(error.retry_after)
        headers["Retry-After"] = str(body["retry_after"])
    if isinstance(error, TooManyStartsError):
        headers.update(quota_headers(error.quota))
    return body, status.value, headers


def handle_database_error(error: SQLAlchemyError) -> Answer:
    """Answer with 503 while the database cannot be used; anything else that it says is a bug, for Flask to log."""
    ours = outage.as_ours(error)
    if ours is None:
        raise error
    return handle_api_error(ours)


def handle_http_error(error: HTTPException) -> Answer:
    """Answer with what Flask, webargs or a bug raised; never with a stack trace."""
    code = error.code or 500
    data: dict[str, Any] = getattr(error, "data", None) or {}
    if code == 422:
        return handle_api_error(ValidationError("The request is not valid.", fields=_fields(data)))
    error_code, hint = _HTTP_CODES.get(code, ("INTERNAL_ERROR" if code >= 500 else "BAD_REQUEST", ""))
    body: dict[str, Any] = {
        "code": code,
        "status": error.name,
        "message": data.get("message") or _first(data.get("messages")) or _described(error, code),
        "error_code": error_code,
        "hint": hint or PortalActionsError.hint,
    }
    return body, code, dict(data.get("headers") or {})


def _described(error: HTTPException, code: int) -> str:
    own = error.description if error.description != type(error).description else None
    return own or _HTTP_MESSAGES.get(code) or error.description or error.name


def quota_headers(quota: Quota) -> dict[str, str]:
    """What every start answers about its limit."""
    return {
        "RateLimit-Limit": str(quota.limit),
        "RateLimit-Remaining": str(quota.remaining),
        "RateLimit-Reset": str(quota.reset),
    }


def _fields(data: dict[str, Any]) -> dict[str, Any]:
    """The errors by field, without webargs' outer level that says where the field was looked for."""
    messages = data.get("errors") or data.get("messages") or {}
    if not isinstance(messages, dict):
        return {"body": sentences(messages)}
    fields: dict[str, Any] = {}
    for where, found in messages.items():
        said = sentences(found)
        fields.update(said if isinstance(said, dict) else {where: said})
    return fields


def _first(messages: object) -> str | None:
    while isinstance(messages, dict | list):
        if not messages:
            return None
        messages = next(iter(messages.values())) if isinstance(messages, dict) else messages[0]
    return messages if isinstance(messages, str) else None
