"""Limits, keys and fixes are exact over several web processes, as a portal really runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from tests.support.portal import PEOPLE
from tests.support.waiting import PATIENCE_SECONDS, wait_until

START = "/api/v1/actions/debug.log@v1/runs"
HELLO = {"input": {"message": "hello"}}

Answer = tuple[int, dict[str, str], Any]


class Web:
    """Three web processes behind one address."""

    def __init__(self, base: str) -> None:
        self._base = base

    def post(self, path: str, person: str, **headers: str) -> Answer:
        sent = {"Authorization": f"Bearer {person}", "Content-Type": "application/json", **headers}
        request = Request(self._base + path, json.dumps(HELLO).encode(), sent)
        try:
            with urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, dict(answer.headers), json.load(answer)
        except HTTPError as error:
            with error:
                return error.code, dict(error.headers), json.load(error)

    def all_at_once(self, asks: list[Callable[[], Answer]]) -> list[Answer]:
        barrier = Barrier(len(asks))

        def ask(one: Callable[[], Answer]) -> Answer:
            barrier.wait()
            return one()

        with ThreadPoolExecutor(len(asks)) as pool:
            return list(pool.map(ask, asks))


@pytest.fixture
def web(app: Flask, settings: dict[str, Any], database_url: str, tmp_path: Path) -> Iterator[Web]:
    everything = {**settings, "PORTAL_ACTIONS_DATABASE_URL": database_url}
    everything.pop("INSTANCE_PATH")
    environment = {
        **os.environ,
        "TEST_PORTAL_FOLDER": str(tmp_path),
        **{f"TEST_PORTAL_CONFIG_{key}": str(value) for key, value in everything.items()},
    }
    log = tmp_path / "web.log"
    command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--workers", "3", "--threads", "8"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "tests.support.portal:create_app()"],
            env=environment,
            cwd=Path(__file__).parent.parent.parent,
            stdout=out,
            stderr=out,
        )
    try:
        wait_until(lambda: log.read_text().count("Booting worker") == 3)
        base = log.read_text().partition("Listening at: ")[2].partition(" ")[0]
        yield Web(base)
    finally:
        process.terminate()
        process.wait()


def audit_counts() -> dict[str, int]:
    with reading() as db:
        rows = db.rows(
            select(tables.audit.c.outcome, func.sum(tables.audit.c.count).label("n")).group_by(tables.audit.c.outcome)
        )
    return {row["outcome"]: int(row["n"]) for row in rows}


def number_of_runs() -> int:
    with reading() as db:
        row = db.row(select(func.count().label("n")).select_from(tables.action_runs))
    return int(row["n"]) if row else 0


def test_of_fifty_starts_at_once_exactly_ten_are_let_through(web: Web) -> None:
    answers = web.all_at_once([lambda: web.post(START, "ada")] * 50)
    assert Counter(status for status, _, _ in answers) == {202: 10, 429: 40}
    for status, headers, body in answers:
        if status == 429:
            assert 0 < int(headers["Retry-After"]) <= 60
            assert body["retry_after"] == int(headers["Retry-After"])
            assert headers["RateLimit-Remaining"] == "0"
    left = sorted(int(headers["RateLimit-Remaining"]) for status, headers, _ in answers if status == 202)
    assert left == list(range(10)), "each start was told its own place"
    assert number_of_runs() == 10
    assert audit_counts() == {"accepted": 10, "rate_limited": 40}
    assert web.post(START, "bob")[0] == 202, "one person's limit is nobody else's"


def test_of_twenty_starts_with_one_key_one_is_a_start_and_nineteen_are_replays(web: Web) -> None:
    key = {"Idempotency-Key": "one-click"}
    answers = web.all_at_once([lambda: web.post(START, "ada", **key)] * 20)
    assert Counter(status for status, _, _ in answers) == {202: 1, 200: 19}
    assert len({body["id"] for _, _, body in answers}) == 1
    assert number_of_runs() == 1
    assert audit_counts() == {"accepted": 1}, "a replay is no start"
    _, headers, _ = web.post(START, "ada", **key)
    assert headers["RateLimit-Remaining"] == "9", "a replay costs nothing"
    assert web.post(START, "bob", **key)[0] == 202, "a key means nothing to anybody else"
    web.all_at_once([lambda: web.post(START, "ada")] * 9)
    assert web.post(START, "ada")[0] == 429
    status, headers, body = web.post(START, "ada", **key)
    assert (status, body["id"], headers["RateLimit-Remaining"]) == (200, answers[0][2]["id"], "0")


def test_a_fix_that_many_people_click_at_once_is_one_run(web: Web) -> None:
    people = [name for name in PEOPLE if name != "vera"] * 8
    answers = web.all_at_once([lambda person=person: web.post("/fix", person) for person in people])
    assert {status for status, _, _ in answers} == {200}
    assert len({body["run"] for _, _, body in answers}) == 1
    assert number_of_runs() == 1
    assert audit_counts() == {"accepted": 1}
