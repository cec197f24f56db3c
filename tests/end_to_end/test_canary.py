"""A secret that is given to a run is found nowhere: not in the database, in Redis, in a log, on a page or in an answer."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from redis import Redis

from portal_actions_plugin import signals
from portal_actions_plugin.cli import actions
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from tests.support import canary
from tests.support.canary import CANARY, require_absent
from tests.support.canary_places import everything_in_redis, everything_in_the_database, everything_shown
from tests.support.people import Person
from tests.support.waiting import wait_until
from tests.support.workers import Workers

KEY = Fernet.generate_key().decode()
LEASES = {
    "PORTAL_ACTIONS_SECRET_KEYS": KEY,
    "PORTAL_ACTIONS_RATE_LIMIT": "100 per minute",
    "PORTAL_ACTIONS_RETRY_SECONDS": 0.2,
    "PORTAL_ACTIONS_SWEEP_SECONDS": 0.3,
}


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str, template_folder: Path) -> Iterator[Flask]:
    (template_folder / "canary.yaml").write_text(canary.TEMPLATE)
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, **LEASES)
    canary.register(app)
    with app.app_context():
        yield app


@pytest.fixture
def commands(redis_url: str) -> Iterator[list[str]]:
    """Every command that Redis is sent."""
    heard: list[str] = []
    client = Redis.from_url(redis_url, socket_timeout=None)
    ended = threading.Event()

    def listen() -> None:
        with client.monitor() as monitor:
            heard.append("listening")
            for command in monitor.listen():
                heard.append(str(command))
                if "the canary is done" in heard[-1] or ended.is_set():
                    return

    thread = threading.Thread(target=listen)
    thread.start()
    wait_until(lambda: heard)
    yield heard
    ended.set()
    with Redis.from_url(redis_url) as other:
        other.ping()
    thread.join(10)
    client.close()


@pytest.fixture
def told(app: Flask) -> Iterator[list[str]]:
    """Every run that a receiver in the web process is handed."""
    runs: list[str] = []

    def heard(_app: Flask, run: Any, **_: Any) -> None:
        runs.append(repr(run))

    names = ("action_run_queued", "action_run_finished", "template_run_finished")
    for name in names:
        getattr(signals, name).connect(heard, sender=app, weak=False)
    yield runs
    for name in names:
        getattr(signals, name).disconnect(heard, sender=app)


def test_a_secret_is_found_nowhere(  # noqa: C901 one long way, with a look at each bend
    app: Flask,
    database_url: str,
    redis_url: str,
    person: Callable[[str], Person],
    ada: Person,
    start_workers: Callable[..., Workers],
    commands: list[str],
    told: list[str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)

    def look(moment: str) -> None:
        require_absent(f"{moment}: the database", everything_in_the_database(app, database_url))
        require_absent(f"{moment}: Redis", everything_in_redis(redis_url))
        require_absent(f"{moment}: what Redis was sent", "\n".join(commands))

    def start(path: str, body: dict[str, Any], status: int = 202) -> str:
        answer = ada.post(f"/api/v1/{path}", body)
        assert answer.status_code == status, answer.json
        require_absent(path, answer.get_data(as_text=True) + str(answer.headers))
        return str(answer.headers.get("Location", ""))

    def state(path: str) -> str:
        return str(ada.get(path).json["status"])

    one_off, template = "actions/canary.use@v1/runs", "templates/canary/runs"
    refused = [
        (one_off, {"input": {"token": f"bad {CANARY}", "way": "none"}}, 422),
        (one_off, {"input": {"token": f"odd {CANARY}", "way": "none"}}, 500),
        (one_off, {"input": {"token": [CANARY], "way": "none"}}, 422),
        (template, {"inputs": {"token": CANARY * 9, "way": "none"}}, 422),
    ]
    for path, body, status in refused:
        start(path, body, status)
    ways = {
        "end": "success",
        "fail": "failed",
        "bug": "failed",
        "exit": "failed",
        "die": "failed",
        "die once": "success",
    }
    runs = {start(template, {"inputs": {"token": CANARY, "way": way}}): end for way, end in ways.items()}
    failed = list(runs)[1]
    one_offs = {way: start(one_off, {"input": {"token": CANARY, "way": way}}) for way in ("end", "fail", "die")}
    for given in (
        ["run-template", "canary", "--inputs", '{"way": "end"}'],
        ["run-action", "canary.use@v1", "--input", '{"way": "end"}'],
    ):
        done = app.test_cli_runner().invoke(actions, [*given, "--secrets", "-"], input=json.dumps({"token": CANARY}))
        assert done.exit_code == 0, done.output
    waiting = start(template, {"inputs": {"token": CANARY, "way": "wait"}})
    canceled_at_once = start(template, {"inputs": {"token": CANARY, "way": "wait"}})
    ada.post(f"{canceled_at_once}/cancel")
    look("queued")

    monkeypatch.setenv("TEST_PORTAL_CANARY", "1")
    workers = start_workers(2, **LEASES)
    for path, end in runs.items():
        assert wait_until(lambda path=path: state(path) in ("success", "failed") and state(path)) == end
    for path in one_offs.values():
        wait_until(lambda path=path: state(path) in ("success", "failed"))
    wait_until(lambda: state(waiting) == "running" and "kept" in str(checkpoints(app)))
    look("running")
    at_work = set(workers.grandchildren())
    ada.post(f"{waiting}/cancel")
    wait_until(lambda: not at_work <= set(workers.grandchildren()))
    again = start(f"{failed.removeprefix('/api/v1/')}/retry", {"secrets": {"token": CANARY}})
    wait_until(lambda: state(again) == "failed")
    wait_until(lambda: not ada.get("/api/v1/action-runs?status=queued&status=running").json["data"])
    look("over")
    for where, text in everything_shown(app, person):
        require_absent(where, text)
    workers.stop()
    look("stopped")

    # What was said was said, and not by nobody: else this test would look at nothing.
    standard, structured = (tmp_path / "workers.log").read_text(), (tmp_path / "structured.log").read_text()
    for said in (f"out {MASK}", f"err {MASK}", f"without an end {MASK}", "a thread with", f"deprecated {MASK}"):
        assert said in standard
    assert "POST https://example.com/" in structured
    assert MASK in str(ada.get(one_offs["end"]).json)
    for where, text in {
        "standard output": standard,
        "the structured log": structured,
        "the worker's signals": (tmp_path / "signals.log").read_text(),
        "the web's signals": "\n".join(told),
        "the web's log": caplog.text + "".join(repr(record.__dict__) for record in caplog.records),
    }.items():
        assert len(text) > 500, where
        require_absent(where, text)
    handed = [json.loads(line) for line in structured.splitlines() if '"vendor.client"' in line]
    assert {line["run_id"] for line in handed} > {"theirs"}
    require_marked(handed)


def checkpoints(app: Flask) -> Any:
    from sqlalchemy import select

    from portal_actions_plugin.storage import tables
    from portal_actions_plugin.storage.sessions import reading

    assert extension()
    with reading() as db:
        return db.rows(select(tables.checkpoints))


def require_marked(lines: list[dict[str, Any]]) -> None:
    """A third party's records say which run they belong to."""
    marked = [line for line in lines if line["run_id"] != "theirs"]
    for line in marked:
        assert line["action"] in ("canary.use@v1", "canary.again@v1")
        assert line["requested_by"].startswith(("user:ada", "system:cli"))
        assert line["attempt"] in (1, 2, 3)
    assert {line["step_id"] for line in marked} == {"use", "again", None}
    assert any(line["template_run_id"] for line in marked)
