"""What the pages' layout needs: navigation, who is signed in, and times as people say them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from flask import Flask, request, url_for

from demo_portal import people


class Entry(NamedTuple):
    """An entry of the navigation; plugins give objects with the same attributes."""

    label: str
    url: str
    active: bool


_PAGES = {"home": "Home", "catalog": "Catalog", "launcher": "Templates", "scorecards": "Scorecards"}


def init_app(app: Flask) -> None:
    app.add_template_filter(ago)
    app.add_template_filter(exactly)
    app.add_template_filter(here)
    app.context_processor(lambda: {"navigation": navigation, "person": people.signed_in(), "may": people.may})


def navigation(of_plugins: list[Any]) -> list[Any]:
    """Our pages, with the plugins' entries before the last one."""
    ours = [Entry(label, url_for(f"{name}.{name}"), request.blueprint == name) for name, label in _PAGES.items()]
    return [*ours[:-1], *of_plugins, ours[-1]]


def here(url: str) -> str:
    """An address of this portal as a path: whoever came by another host name keeps that, and the session with it."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def ago(moment: datetime | str) -> str:
    """How long ago a moment was, in one unit."""
    seconds = max(0, int((datetime.now(UTC) - _moment(moment)).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit} ago"
    return f"{seconds}s ago" if seconds else "just now"


def exactly(moment: datetime | str) -> str:
    """A moment in full."""
    return f"{_moment(moment).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _moment(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
