"""Somebody who uses the portal over HTTP, and asks again as long as it does not answer."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from http.client import HTTPException
from typing import Any

PATIENCE_SECONDS = 600
ANSWER_SECONDS = 60


class Client:
    """What was asked for, and what the portal has said to it."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}/api/v1"
        self._lock = threading.Lock()
        self.runs: dict[str, str] = {}
        self.gone: set[str] = set()
        """Runs that could not be resumed, since their workspace is gone."""
        self.asked_to_cancel: set[str] = set()
        self.canceled_at: dict[str, float] = {}
        self.answers: Counter[str] = Counter()

    def start(self, key: str, template: str, inputs: dict[str, Any]) -> str:
        """Start a run: it counts as accepted once the portal has said so."""
        headers = {"Idempotency-Key": key}
        status, body = self._insist(f"/templates/{template}/runs", {"inputs": inputs}, headers)
        assert status in (200, 202), (status, body)
        with self._lock:
            self.runs[key] = body["id"]
        run_id: str = body["id"]
        return run_id

    def resume(self, run_id: str) -> None:
        """Resume a run that has failed: that counts as accepted as a start does. Its workspace may be gone by now."""
        key = f"resume-{run_id}"
        status, body = self._insist(f"/template-runs/{run_id}/resume", {}, {"Idempotency-Key": key})
        if status == 409 and "workspace of this run is gone" in body:
            with self._lock:
                self.gone.add(run_id)
            return
        assert status in (200, 202), (status, body)
        with self._lock:
            self.runs[key] = body["id"]

    def cancel(self, run_id: str) -> None:
        with self._lock:
            self.asked_to_cancel.add(run_id)
        status, body = self._insist(f"/template-runs/{run_id}/cancel", {}, {})
        assert status in (200, 404, 409), (status, body)
        if status == 200:
            with self._lock:
                self.canceled_at[run_id] = time.monotonic()

    def be_refused(self) -> None:
        status, body = self._insist("/templates/chaos-plain/runs", {"inputs": {}}, {}, person="vera")
        assert status == 403, (status, body)

    def _insist(
        self, path: str, body: dict[str, Any], headers: dict[str, str], person: str = "margaret"
    ) -> tuple[int, Any]:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            status, answer = self._post(path, body, headers, person)
            if 0 < status < 500:
                return status, answer
            assert time.monotonic() < give_up, f"POST {path} is not answered: {status} {answer}"
            time.sleep(0.2)

    def _post(self, path: str, body: dict[str, Any], headers: dict[str, str], person: str) -> tuple[int, Any]:
        everything = {"Authorization": f"Bearer {person}", "Content-Type": "application/json", **headers}
        asked = urllib.request.Request(self._base + path, json.dumps(body).encode(), everything, method="POST")
        try:
            return self._counted(*_answer(asked))
        except (OSError, HTTPException, ValueError) as error:
            return self._counted(0, repr(error))

    def _counted(self, status: int, answer: Any) -> tuple[int, Any]:
        with self._lock:
            self.answers[str(status or "none")] += 1
        return status, answer


def _answer(asked: urllib.request.Request) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(asked, timeout=ANSWER_SECONDS) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")
