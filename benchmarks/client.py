"""A light HTTP client: it shares the cores with what it measures."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.portal import THREE_STEPS, person


@dataclass(frozen=True)
class Answer:
    """What came back, and after how many seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Client:
    """One kept connection, as one person."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=60)

    def ask(
        self, method: str, path: str, number: int = 0, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request as the person of this number, and read the whole answer."""
        sent = {"Authorization": f"Bearer {person(number)}", "Content-Type": "application/json", **(headers or {})}
        data = json.dumps(body) if body is not None else None
        began = time.perf_counter()
        try:
            self._connection.request(method, path, data, sent)
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()  # the server had closed an idle one
            began = time.perf_counter()
            self._connection.request(method, path, data, sent)
            answer = self._connection.getresponse()
        content = answer.read()
        return Answer(answer.status, dict(answer.headers), content, time.perf_counter() - began)

    def start(self, number: int = 0, template: str = THREE_STEPS, **inputs: object) -> tuple[str, float]:
        """Start a template run as the person of this number; its id, and how long the answer took."""
        return self._started(f"/api/v1/templates/{template}/runs", number, {"inputs": {"name": "x", **inputs}})

    def start_one_off(self, number: int, action: str, **given: object) -> tuple[str, float]:
        """Start an action run with no template run likewise."""
        return self._started(f"/api/v1/actions/{action}/runs", number, {"input": given})

    def _started(self, path: str, number: int, body: object) -> tuple[str, float]:
        answer = self.ask("POST", path, number, body)
        if answer.status != 202:
            raise SystemExit(f"a start was answered {answer.status}: {answer.body[:500]!r}")
        return json.loads(answer.body)["id"], answer.seconds
