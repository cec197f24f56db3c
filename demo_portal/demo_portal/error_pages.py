"""Errors as pages of the portal."""

from __future__ import annotations

from typing import Any

from flask import Flask, flash, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from demo_portal import launcher
from portal_actions_plugin.errors import PortalActionsError


def init_app(app: Flask) -> None:
    app.register_error_handler(CSRFError, form_is_too_old)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(PortalActionsError, plugin_error)


def form_is_too_old(_error: CSRFError) -> Any:
    # What a page of another site has sent is not shown as if it had been typed here.
    if request.endpoint == "launcher.start" and request.headers.get("Sec-Fetch-Site") != "cross-site":
        return launcher.form_again()
    return _page(
        400,
        "This form is too old",
        "You signed in or out since it was opened, so nothing was done. Go back, reload it, and send it again.",
    )


def http_error(error: HTTPException) -> Any:
    code = error.code or 500
    if code == 404:
        return _page(404, "There is nothing here", "The address may be mistyped, or what was here is gone.")
    if code >= 500:
        return _page(code, "That did not work", "The portal had a problem of its own; its log says which.")
    # Such as Allow, without which a 405 says too little.
    headers = [header for header in error.get_headers() if header[0] != "Content-Type"]
    return (*_page(code, error.name, error.description or ""), headers)


def plugin_error(error: PortalActionsError) -> Any:
    """What the forge, the catalog or the plugin says, as a page."""
    return _page(error.http_status, error.message, error.hint)


def notice(error: PortalActionsError) -> None:
    """Show an error on the next page."""
    flash(f"{error.message}\n{error.hint}", "error")


def _page(code: int, title: str, text: str) -> Any:
    return render_template("error.html", title=title, text=text), code
