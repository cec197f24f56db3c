"""Errors as people see them. The handlers sit on our blueprint: the host's pages keep theirs."""

from __future__ import annotations

import math
from typing import Any, NoReturn

from flask import Blueprint, current_app, request
from werkzeug.exceptions import HTTPException, default_exceptions

from portal_actions_plugin.blueprints.errors import quota_headers
from portal_actions_plugin.blueprints.page_answer import page
from portal_actions_plugin.errors import PortalActionsError, UnauthenticatedError
from portal_actions_plugin.runs.limits import TooManyStartsError

_TITLES = {
    400: "This request cannot be read",
    401: "You are not signed in",
    403: "You may not do this",
    404: "Not found",
    409: "Not possible any more",
    413: "Too large",
    422: "Something is not valid",
    429: "Too many starts",
    503: "This portal lacks a setting",
}


def show_errors(blueprint: Blueprint) -> None:
    """Answer every error of a blueprint's views with a page, whatever handlers the host has on its app."""
    blueprint.register_error_handler(PortalActionsError, _show_error)
    # One by one: the host's handler of a status would win over ours of their common class.
    for error in default_exceptions.values():
        blueprint.register_error_handler(error, _show_http_error)
    blueprint.register_error_handler(Exception, _leave_to_flask)


def _show_error(error: PortalActionsError) -> Any:
    headers: dict[str, str] = {}
    more: dict[str, Any] = {"fields": _lines(error.fields)}
    if isinstance(error, UnauthenticatedError):
        if request.method in ("GET", "HEAD") and (sign_in := _sign_in()) is not None:
            return sign_in
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    if isinstance(error, TooManyStartsError):
        headers.update(quota_headers(error.quota))
        more["wait"] = error.quota.reset
    return _page(error.http_status, error.message, error.hint, headers, **more)


def _show_http_error(error: HTTPException) -> Any:
    code = error.code or 500
    if code >= 500:
        return _page(code, "The page could not be made.", "Try again; if it stays, tell your platform team.", {})
    return _page(code, error.description or error.name, "", {})


def _leave_to_flask(error: Exception) -> NoReturn:
    # Keeps a host's handler for Exception away from our pages: Flask logs a bug and comes back with a 500.
    raise error


def _sign_in() -> Any:
    manager = getattr(current_app, "login_manager", None)
    if manager is None:
        return None
    try:
        return manager.unauthorized()
    except HTTPException:
        return None  # The host has no sign-in page to go to.


def _page(status: int, message: str, hint: str, headers: dict[str, str], **more: Any) -> Any:
    run_id = (request.view_args or {}).get("run_id") if request.method == "POST" else None
    facts = {
        "status": status,
        "title": _TITLES.get(status, "Something went wrong"),
        "message": message,
        "hint": hint,
        "fields": (),
        "wait": None,
        "run_id": run_id,
        "run_page": "template_run" if (request.endpoint or "").endswith("_template_run") else "action_run",
        **more,
    }
    return page("error.html", facts, status=status, headers=headers)


def _lines(fields: Any, path: str = "") -> tuple[str, ...]:
    """Field errors, however nested, as one line each."""
    if isinstance(fields, dict):
        return tuple(
            line for name, inner in fields.items() for line in _lines(inner, f"{path}.{name}" if path else str(name))
        )
    messages = fields if isinstance(fields, list | tuple) else [fields]
    return tuple(f"{path}: {message}" for message in messages)
