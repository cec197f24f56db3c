"""The demo portal in this process, and a browser that somebody uses there."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from demo_portal.app import create_app
from demo_portal.settings import Settings
from flask import Flask
from flask.testing import FlaskClient


def make(folder: Path, redis_url: str, **config: Any) -> Flask:
    """A demo portal whose data is in a folder."""
    return create_app(Settings(folder, "http://localhost"), TESTING=True, PORTAL_ACTIONS_REDIS_URL=redis_url, **config)


def close(app: Flask) -> None:
    """Give back what a demo portal holds."""
    app.extensions["portal_actions"].database.close_connections()
    app.extensions["portal_actions"].redis.close()


class Browser:
    """A browser that somebody uses: it keeps cookies, follows redirects, and sends the forms that pages have."""

    def __init__(self, app: Flask, person: str | None = None) -> None:
        self.client: FlaskClient = app.test_client()
        if person:
            self.get("/sign-in")
            self.send("/sign-in", person=person)

    def get(self, path: str) -> str:
        self.answer = self.client.get(path, follow_redirects=True)
        return self._page()

    def send(self, action: str, **fields: str) -> str:
        """Send the form of the current page that posts to ``action``, with its hidden fields."""
        form = re.search(rf'<form method="post" action="{re.escape(action)}">(.*?)</form>', self.page, re.DOTALL)
        assert form, f"no form posts to {action}"
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[1]))
        self.answer = self.client.post(action, data={**hidden, **fields}, follow_redirects=True)
        return self._page()

    def _page(self) -> str:
        self.page = unescape(self.answer.text)
        self.path = self.answer.request.path
        return self.page


class _Controls(HTMLParser):
    """The controls of the first form that is sent somewhere, with what a browser sends for each that nobody has touched."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self._action = action
        self._inside = False
        self._text: str | None = None
        self._select: str | None = None
        self._options: list[tuple[str, bool]] = []
        self._value: str | None = None
        self._is_selected = False
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, given: list[tuple[str, str | None]]) -> None:
        attributes = dict(given)
        if tag == "form":
            self._inside = attributes.get("action") == self._action and not self.found
        name = attributes.get("name") or ""
        if not self._inside:
            return
        if tag == "input" and (attributes.get("type") not in ("checkbox", "radio") or "checked" in attributes):
            self.found.append((name, attributes.get("value") or ""))
        elif tag == "textarea":
            self._text, self._value = name, ""
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option":
            self._value, self._is_selected = attributes.get("value"), "selected" in attributes
            self._text = self._text or "option"

    def handle_data(self, data: str) -> None:
        if self._text and (self._text != "option" or self._value is None):
            self._value = data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "textarea" and self._text:
            self.found.append((self._text, (self._value or "").removeprefix("\n")))
            self._text = None
        elif tag == "option" and self._text:
            self._options.append((self._value or "", self._is_selected))
            self._text = None
        elif tag == "select" and self._select:
            chosen = [value for value, is_selected in self._options if is_selected] or [self._options[0][0]]
            self.found.append((self._select, chosen[0]))
            self._select = None


def sent_by(page: str, action: str) -> dict[str, list[str]]:
    """What a browser sends when somebody presses the button of a form and has changed nothing.

    Args:
        page: its HTML.
        action: where the form is sent.

    Returns:
        The values of each control by its name, in the order of the page.
    """
    parser = _Controls(action)
    parser.feed(page)
    sent: dict[str, list[str]] = {}
    for name, value in parser.found:
        sent.setdefault(name, []).append(value)
    return sent
