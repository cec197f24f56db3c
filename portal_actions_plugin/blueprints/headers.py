"""The headers that protect an answer: one function for each kind of answer."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from flask import Response, request

STATIC_FOLDER = Path(__file__).parent.parent / "static/portal_actions"
STATIC_ENDPOINT = "portal_actions.static"

DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FOR_A_YEAR = "public, max-age=31536000, immutable"


def protect_data(response: Response) -> Response:
    """JSON and downloads: nothing to show, to frame or to guess a type for, and no address to tell anybody."""
    return _protect(response, DATA_POLICY, "no-referrer")


def protect_page(response: Response) -> Response:
    """A page in our own layout."""
    return _protect(response, PAGE_POLICY, "same-origin")


def protect_page_of_host(response: Response) -> Response:
    """A page in a host's layout, which only the host can write a policy for; its own hooks may change these, too."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    # Our buttons are on it. A policy of the host's that names frame-ancestors wins over this.
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def protect_static(response: Response) -> Response:
    """A file of ours, kept for a year where its address says the version that it has now."""
    _protect(response, DATA_POLICY, "no-referrer")
    version = request.args.get("v")
    if response.status_code == 200 and version and version == static_version((request.view_args or {})["filename"]):
        response.headers["Cache-Control"] = FOR_A_YEAR
    return response


def protect_if_static(response: Response) -> Response:
    """Give the answer with the headers of a file, where it is one; a page got its own where it was made."""
    return protect_static(response) if request.endpoint == STATIC_ENDPOINT else response


@cache
def static_version(filename: str) -> str:
    """What the address of a static file says in ``v``; another content is another address."""
    return hashlib.sha256((STATIC_FOLDER / filename).read_bytes()).hexdigest()[:8]


def _protect(response: Response, policy: str, referrer: str) -> Response:
    response.headers["Content-Security-Policy"] = policy
    response.headers["Referrer-Policy"] = referrer
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
