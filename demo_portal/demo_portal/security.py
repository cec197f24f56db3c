"""What protects every page: the CSRF check of forms, and the headers."""

from __future__ import annotations

from flask import Flask, Response, request
from flask_wtf.csrf import CSRFProtect

from demo_portal import people

POLICY = "; ".join((
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self' data:",
    "script-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip


class FormProtection(CSRFProtect):  # type: ignore[misc] # Flask-WTF ships no types
    """Flask-WTF's check of every form, but for requests that say themselves who asks: no browser does that unasked."""

    def protect(self, *args: bool, **kwargs: bool) -> None:
        if not people.has_credentials():
            super().protect(*args, **kwargs)


def init_app(app: Flask) -> None:
    FormProtection(app)
    app.after_request(add_headers)


def add_headers(response: Response) -> Response:
    """Every answer gets the strict policy, also a plugin's page."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if request.endpoint != "static":
        # A page shows what its reader may see: no shared cache may keep it.
        response.headers.setdefault("Cache-Control", "no-cache, private")
    return response
