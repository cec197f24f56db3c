"""A client as simple as can be, for the tests of the double itself; nothing of the package's own."""

from __future__ import annotations

import json
from typing import Any, Self

import urllib3

from tests.support.waiting import PATIENCE_SECONDS


class Asker:
    """Asks with one token, and fails when the status is another than what the test expects."""

    def __init__(self, api_url: str, token: str) -> None:
        self.api_url, self.token = api_url, token
        self._pool = urllib3.PoolManager(retries=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._pool.clear()

    def raw(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        kind: str = "",
        headers: dict[str, str] | None = None,
        timeout: float = PATIENCE_SECONDS,
    ) -> urllib3.BaseHTTPResponse:
        """The whole answer; redirects are not followed."""
        own = (
            {"Authorization": f"Bearer {self.token}"}
            if self.token.startswith("gloas-")
            else {"PRIVATE-TOKEN": self.token}
        )
        sent = dict(own if headers is None else headers)
        if kind:
            sent["Content-Type"] = kind
        return self._pool.request(
            method, self.api_url + path, body=body, headers=sent, timeout=timeout, redirect=False, retries=False
        )

    def get(self, path: str, *, status: int = 200, timeout: float = PATIENCE_SECONDS) -> Any:
        return self._json("GET", path, None, status, timeout)

    def post(self, path: str, value: object, *, status: int = 201) -> Any:
        return self._json("POST", path, value, status)

    def put(self, path: str, value: object, *, status: int = 200) -> Any:
        return self._json("PUT", path, value, status)

    def patch(self, path: str, value: object, *, status: int = 200) -> Any:
        return self._json("PATCH", path, value, status)

    def delete(self, path: str, *, status: int = 204) -> Any:
        return self._json("DELETE", path, None, status)

    def _json(self, method: str, path: str, value: object, status: int, timeout: float = PATIENCE_SECONDS) -> Any:
        body = None if value is None else json.dumps(value).encode()
        answer = self.raw(method, path, body=body, kind="application/json" if body else "", timeout=timeout)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.data.decode(errors='replace')}"
        return answer.json() if answer.data else None
