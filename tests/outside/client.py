"""Somebody who uses a portal over HTTP, and asks again as long as it does not answer."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

PATIENCE_SECONDS = 150
ANSWER_SECONDS = 10


class Client:
    """What was asked for, and what the portal has said to it."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}/api/v1"
        self._lock = threading.Lock()
        self.accepted: dict[str, tuple[str, float]] = {}
        self.asked_to_cancel: set[str] = set()
        self.canceled_at: dict[str, float] = {}
        self.answers: Counter[str] = Counter()
        self.bare: list[str] = []
        self.unanswered: list[str] = []

    def start_template(self, name: str, inputs: Mapping[str, Any], *, key: str, who: str = "margaret") -> str:
        """Start a template run: it counts as accepted once the portal has said so. Its id."""
        return self._start(f"/templates/{name}/runs", {"inputs": inputs}, key, who)

    def start_action(self, name: str, given: Mapping[str, Any], *, key: str, who: str = "margaret") -> str:
        """Start a one-off: it counts as accepted once the portal has said so. Its id."""
        return self._start(f"/actions/{name}/runs", {"input": given}, key, who)

    def _start(self, path: str, body: Mapping[str, Any], key: str, who: str) -> str:
        status, answer = self.insist("POST", path, body, {"Idempotency-Key": key}, who)
        assert status in (200, 202), (status, answer)
        with self._lock:
            self.accepted[key] = (answer["id"], time.monotonic())
        run_id: str = answer["id"]
        return run_id

    def cancel(self, run_id: str) -> None:
        with self._lock:
            self.asked_to_cancel.add(run_id)
        status, answer = self.insist("POST", f"/template-runs/{run_id}/cancel", {}, {}, "margaret")
        assert status in (200, 404, 409), (status, answer)
        if status == 200:
            with self._lock:
                self.canceled_at[run_id] = time.monotonic()

    def action_run(self, run_id: str) -> dict[str, Any]:
        _, answer = self.insist("GET", f"/action-runs/{run_id}", None, {}, "margaret")
        found: dict[str, Any] = answer
        return found

    def insist(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], who: str
    ) -> tuple[int, Any]:
        """Ask until there is an answer that is not the portal's trouble."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            status, answer = self.ask(method, path, body, headers, who)
            if 0 < status < 500:
                return status, answer
            if time.monotonic() > give_up:
                self.unanswered.append(f"{method} {path}: {status} {str(answer)[:200]}")
                raise TimeoutError(self.unanswered[-1])
            time.sleep(0.3)

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str], who: str
    ) -> tuple[int, Any]:
        """Ask once; status 0 means that nobody answered."""
        everything = {"Authorization": f"Bearer {who}", "Content-Type": "application/json", **headers}
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self._base + path, data, everything, method=method)
        status, answer = _answer(asked)
        with self._lock:
            self.answers[str(status or "none")] += 1
            if status >= 500 and status != 503:
                self.bare.append(f"{method} {path}: {status} {str(answer)[:300]}")
        return status, answer


def _answer(asked: urllib.request.Request) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(asked, timeout=ANSWER_SECONDS) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")
    except (OSError, HTTPException, ValueError) as error:
        return 0, repr(error)
