"""Who talks to a portal: somebody with a token, or somebody with a browser."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support import page_html
from tests.support.page_html import Element


class Person:
    """Somebody who talks to the API with a Bearer token."""

    def __init__(self, client: FlaskClient, token: str) -> None:
        self._client = client
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, **kw: Any) -> Any:
        return self._client.get(path, headers={**self.headers, **kw.pop("headers", {})}, **kw)

    def post(self, path: str, json: Any = None, **kw: Any) -> Any:
        return self._client.post(path, json=json, headers={**self.headers, **kw.pop("headers", {})}, **kw)


class Visitor:
    """Somebody with a browser, known by a cookie."""

    def __init__(self, app: Flask, name: str) -> None:
        self._client = app.test_client()
        self._client.set_cookie("person", name)

    def get(self, path: str, **kw: Any) -> TestResponse:
        return self._client.get(path, buffered=True, **kw)

    def see(self, path: str, status: int = 200, **kw: Any) -> Element:
        answer = self.get(path, **kw)
        assert answer.status_code == status, answer.text
        assert answer.mimetype == "text/html"
        return page_html.read(answer.text)

    def post(self, path: str, fields: dict[str, str] | None = None, **kw: Any) -> TestResponse:
        return self._client.post(path, data=fields or {}, **kw)

    def press(self, page: Element, button: str, **fields: str) -> TestResponse:
        action, hidden = page.form(button)
        return self.post(action, {**hidden, **fields})
