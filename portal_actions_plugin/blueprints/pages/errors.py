"""Errors as people see them. The handlers sit on our blueprint: the host's pages keep theirs."""

from __future__ import annotations

import logging
import math
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Blueprint, Response, current_app, redirect, request, url_for
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, default_exceptions
from werkzeug.routing import BuildError

from portal_actions_plugin.blueprints.csrf import StaleFormError
from portal_actions_plugin.blueprints.errors import quota_headers
from portal_actions_plugin.blueprints.pages.form_again import form_again
from portal_actions_plugin.blueprints.pages.page_answer import OWN_LAYOUT, page
from portal_actions_plugin.errors import (
    NotSetUpError,
    PortalActionsError,
    UnauthenticatedError,
    UnavailableError,
    field_lines,
)
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs import outage
from portal_actions_plugin.runs.accept import RetriedMeanwhileError
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.guards.identity import current_identity
from portal_actions_plugin.runs.guards.limits import TooManyStartsError
from portal_actions_plugin.storage.away import said

log = logging.getLogger(__name__)

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


_STALE = "Nothing has happened. What you have typed is still here: look at it, then send it again."
_MEANWHILE = "Nothing was started by you. Look at that run first: it may have done what you want."


def show_errors(blueprint: Blueprint) -> None:
    """Answer every error of a blueprint's views with a page, whatever handlers the host has on its app."""
    blueprint.register_error_handler(PortalActionsError, _show_error)
    blueprint.register_error_handler(SQLAlchemyError, _show_database_error)
    # One by one: the host's handler of a status would win over ours of their common class.
    for error in default_exceptions.values():
        blueprint.register_error_handler(error, _show_http_error)
    blueprint.register_error_handler(Exception, _leave_to_flask)


def _show_error(error: PortalActionsError) -> Any:
    headers: dict[str, str] = {}
    more: dict[str, Any] = {"fields": tuple(field_lines(error.fields)), "title": _title(error)}
    hint = error.hint
    if isinstance(error, UnauthenticatedError):
        sign_in = _sign_in()
        if request.method in ("GET", "HEAD") and sign_in is not None:
            return sign_in
        headers["WWW-Authenticate"] = "Bearer"
        hint = "Sign in to this portal, then open this page again."
        more["sign_in_url"] = getattr(sign_in, "location", None)
        more["form"] = form_again()
    if isinstance(error, StaleFormError):
        hint, more["form"] = _STALE, form_again()
        more["title"] = "This page was too old"
    if isinstance(error, RetriedMeanwhileError):
        hint, more["form"] = _MEANWHILE, form_again(error.again.id)
        more["fields"], more["again"], more["title"] = (), error.again, "Retried meanwhile"
    if more.get("form"):
        headers["Cache-Control"] = "no-store"  # what was typed is in it
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    if isinstance(error, TooManyStartsError):
        headers.update(quota_headers(error.quota))
        more["wait"] = error.quota.reset
    return _page(error.http_status, error.message, hint, headers, **more)


def _show_database_error(error: SQLAlchemyError) -> Any:
    ours = outage.as_ours(error)
    if ours is None:
        raise error
    try:
        return _show_error(ours)
    except Exception as of_host:  # noqa: BLE001 whatever a host's layout or its identities need the database for
        log.warning("the host's layout cannot be shown without the database: %s", said(of_host))
    headers = {"Retry-After": str(math.ceil(ours.retry_after or 0))}
    alone = {"title": _title(ours), "identity": None}
    return _page(ours.http_status, ours.message, ours.hint, headers, layout=OWN_LAYOUT, **alone)


def _title(error: PortalActionsError) -> str:
    if isinstance(error, UnavailableError):
        return "Not available just now"
    if isinstance(error, NotSetUpError):
        return "This portal is not set up yet"
    return _TITLES.get(error.http_status, "Something went wrong")


def _show_http_error(error: HTTPException) -> Any:
    code = error.code or 500
    if code >= 500:
        return _page(code, "The page could not be made.", "Try again; if it stays, tell your platform team.", {})
    return _page(code, error.description or error.name, "", {})


def _leave_to_flask(error: Exception) -> NoReturn:
    # Keeps a host's handler for Exception away from our pages: Flask logs a bug and comes back with a 500.
    raise error


def _sign_in() -> Any:
    try:
        if target := extension().config.sign_in_url:
            return redirect(_sign_in_address(target))
    except BuildError as error:
        log.warning("PORTAL_ACTIONS_SIGN_IN_URL leads nowhere: %s", error)
        return None
    return _ask_login_manager()


def _sign_in_address(target: str) -> str:
    """The host's own address with the page to come back to."""
    back = _this_page()
    if "/" not in target:
        return url_for(target, next=back)
    parts = urlsplit(target)
    query = urlencode([*parse_qsl(parts.query), ("next", back)])
    return urlunsplit(parts._replace(query=query))


def _this_page() -> str:
    page = request.full_path.rstrip("?") if request.query_string else request.path
    return f"{request.script_root}{page}"


def _ask_login_manager() -> Any:
    manager = getattr(current_app, "login_manager", None)
    if manager is None:
        return None
    try:
        return manager.unauthorized()
    except HTTPException:
        return None  # The host has no sign-in page to go to.
    except Exception as error:  # noqa: BLE001 it is the host's, and whoever is not signed in is told so all the same
        log.warning("the host's login manager gives no sign-in page: %s: %s", type(error).__name__, error)
        return None


def _page(
    status: int, message: str, hint: str, headers: dict[str, str], layout: str | None = None, **more: object
) -> Response:
    run_id = (request.view_args or {}).get("run_id") if request.method == "POST" else None
    facts = {
        "status": status,
        "title": _TITLES.get(status, "Something went wrong"),
        "message": message,
        "hint": hint,
        "fields": (),
        "wait": None,
        "sign_in_url": None,
        "form": None,
        "again": None,
        "again_url": _this_page() if status >= 500 and request.method == "GET" else None,
        "run_id": run_id,
        "run_page": "template_run" if (request.endpoint or "").endswith("_template_run") else "action_run",
        **more,
    }
    facts["said"] = str(facts["title"]).lower() != message.rstrip(".").lower()
    facts["may_list"] = status not in (401, 503) and access.allowed(current_identity(), "action:read")
    try:
        return page("error.html", facts, status=status, headers=headers, layout=layout)
    except Exception:
        if layout == OWN_LAYOUT:
            raise
        # A layout that is missing, or fails, must not hide the error: it is most likely what the error is about.
        log.exception("the host's layout cannot be shown: %s", extension().config.base_template)
        return page("error.html", facts, status=status, headers=headers, layout=OWN_LAYOUT)
