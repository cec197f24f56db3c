"""A person with a browser that has no JavaScript: cookies, forms and redirects."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from html import unescape
from http.client import HTTPMessage
from http.cookiejar import CookieJar
from typing import Any, NamedTuple

PATIENCE_SECONDS = 240
_INPUT = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL)


class Answer(NamedTuple):
    status: int
    address: str
    headers: HTTPMessage
    body: str

    def json(self) -> Any:
        return json.loads(self.body)

    def form(self, has: str) -> tuple[str, dict[str, str]]:
        """Where the form with these words in it leads, and its hidden and preset fields."""
        found = [(form[1], form[2]) for form in _FORM.finditer(self.body) if has in form[2]]
        assert found, f"{self.address} has no form with {has}: {self.status} {self.body[:3000]}"
        attributes, inside = found[0]
        inputs = [dict(_ATTRIBUTE.findall(tag)) for tag in _INPUT.findall(inside)]
        fields = {one["name"]: unescape(one.get("value", "")) for one in inputs if one.get("name")}
        action = unescape(dict(_ATTRIBUTE.findall(attributes)).get("action", ""))
        return urllib.parse.urljoin(self.address, action), fields


class Browser:
    def __init__(self, base: str) -> None:
        self._base = base
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path: str, **headers: str) -> Answer:
        return self._send("GET", path, None, headers)

    def submit(self, form: tuple[str, dict[str, str]], **fields: str) -> Answer:
        address, preset = form
        body = urllib.parse.urlencode({**preset, **fields}).encode()
        return self._send("POST", address, body, {"Referer": address})

    def post_json(self, path: str, data: Any, **headers: str) -> Answer:
        given = {"Content-Type": "application/json", **headers}
        return self._send("POST", path, json.dumps(data).encode(), given)

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        address = urllib.parse.urljoin(self._base, path)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(address, body, names, method=method)
        try:
            with self._opener.open(request, timeout=PATIENCE_SECONDS) as answer:
                return Answer(answer.status, answer.url, answer.headers, answer.read().decode(errors="replace"))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.url, error.headers, error.read().decode(errors="replace"))
