"""How a page is answered: the layout, the headers, and a 304 for who polls."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flask import Response, current_app, render_template, request, url_for

from portal_actions_plugin.blueprints.headers import protect_page, protect_page_of_host, static_version
from portal_actions_plugin.blueprints.pages.live import page_state
from portal_actions_plugin.blueprints.pages.query import ABSOLUTE, UrlValue, wants_absolute
from portal_actions_plugin.blueprints.pages.words import PageText
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.guards.identity import current_identity

OWN_LAYOUT = "portal_actions/base.html"
STYLESHEET = "portal-actions.css"
PRINT_STYLESHEET = "print.css"
PROSE_STYLESHEET = "prose.css"
ITEMS_STYLESHEET = "items.css"
SCRIPT = "portal-actions.js"

_PACKAGE = Path(__file__).parent.parent.parent
_ANY_ID = str(uuid.UUID(int=0))


def page(
    template: str,
    facts: Mapping[str, Any],
    *,
    more: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _facts: {},
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    layout: str | None = None,
) -> Response:
    """Answer with a page.

    Args:
        template: its file below ``jinja/portal_actions``. A host puts its own in place of it with a file of that name
            in ``portal_actions`` below its templates: Jinja looks there first.
        facts: what it shows, as plain data; in the template ``pa`` has them, so that no name of the host's layout
            is covered.
        more: gives what follows from the facts, and is read only when the page is shown.
        status: of the answer.
        headers: more of them.
        layout: what the page extends, when not the configured one.
    """
    layout = layout or extension().config.base_template
    response = Response(status=status, mimetype="text/html", headers=dict(headers or {}))
    response.headers.setdefault("Cache-Control", "private, no-cache")
    protect = protect_page if _is_ours(layout) else protect_page_of_host
    protect(response)
    if status == 200:
        response.set_etag(page_state(template, facts), weak=True)
        # A person who reloads wants fresh times and a fresh form token; a poll wants to know what has changed.
        if request.headers.get("Sec-Fetch-Mode") != "navigate":
            response.make_conditional(request)
        if response.status_code == 304:
            return response
    shown = _context(layout, {**facts, **more(facts)}, response.headers.get("ETag"))
    response.set_data(render_template(f"portal_actions/{template}", pa=shown))
    return response


def _context(layout: str, facts: Mapping[str, Any], state: str | None) -> SimpleNamespace:
    absolute = wants_absolute(request)
    return SimpleNamespace(
        layout=layout,
        style_url=static_url(STYLESHEET),
        print_style_url=static_url(PRINT_STYLESHEET),
        prose_url=static_url(PROSE_STYLESHEET),
        items_url=static_url(ITEMS_STYLESHEET),
        script_url=static_url(SCRIPT),
        text=PageText(datetime.now(UTC), absolute),
        absolute=absolute,
        color_scheme=extension().config.color_scheme,
        new_key=str(uuid.uuid4()),
        url=cache(page_url),
        once=cache(_called),
        state=state,
        **{
            "live": None,
            "searched_back_to": None,
            "unmatched": (),
            **({} if "identity" in facts else {"identity": current_identity()}),
            **facts,
        },
    )


def _called(part: Callable[..., str], *values: object) -> str:
    """What a part of a page makes of some values. A list shows the same few statuses and people in all its rows."""
    return part(*values)


def static_url(name: str) -> str:
    """The address of a static file as it is now: another content has another one."""
    return url_for("portal_actions.static", filename=name, v=static_version(name))


def page_url(endpoint: str, **values: UrlValue) -> str:
    """The address of a page of ours, with times as the visitor has chosen them."""
    own: dict[str, Any] = dict(values)
    if wants_absolute(request):
        own.setdefault("times", ABSOLUTE)
    return url_for(f"portal_actions.{endpoint}", **own)


def run_url(endpoint: str, **values: UrlValue) -> Callable[[str], str]:
    """The addresses of many runs, by their ids. All of them are alike, so one is made, and has its id changed."""
    before, _, after = page_url(endpoint, run_id=_ANY_ID, **values).partition(_ANY_ID)
    return lambda run_id: f"{before}{run_id}{after}"


def _is_ours(layout: str) -> bool:
    """Whether the layout is our own base page, and not a file that the host put over it."""
    if layout != OWN_LAYOUT:
        return False
    file = current_app.jinja_env.get_template(layout).filename
    return file is not None and Path(file).is_relative_to(_PACKAGE)
