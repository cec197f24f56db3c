"""A client that sends exactly what a test says, for tests of the doubles themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import urllib3


@dataclass
class Client:
    """Sends what a test says, and follows nothing."""

    http: urllib3.PoolManager
    url: str
    token: str | None = None

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> urllib3.BaseHTTPResponse:
        sent = {"User-Agent": "tests"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        url = path if path.startswith("http") else self.url + path
        return self.http.request(method, url, json=body, headers=sent, redirect=False, retries=False)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer that must be a good one."""
        answer = self(method, path, body)
        assert answer.status < 300, answer.data
        return answer.json() if answer.data else None

    def by(self, token: str | None) -> Client:
        """Somebody else."""
        return Client(self.http, self.url, token)
