"""``create-service`` while its job process is killed with -9 right before or right after any request to the forge.

Nothing is there twice, nothing of somebody else's changes, and the run goes on and succeeds. A few moments are drawn by
``FORGE_KILLS_SEED``; with ``FORGE_KILLS=all``, as ``make chaos`` has it, every one is played.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from portal_actions_plugin.runs.forges import reaching
from tests.support.forges import create_service
from tests.support.forges.faults import Hang, Order, Respond
from tests.support.forges.request_log import Entry
from tests.support.forges.stages import STAGES, Stage
from tests.support.people import Person
from tests.support.waiting import wait_until
from tests.support.workers import Workers

EVERY = os.environ.get("FORGE_KILLS") == "all"
SEED = int(os.environ.get("FORGE_KILLS_SEED") or random.SystemRandom().randrange(10**6))
DRAWN = 3
REQUESTS_AT_LEAST = 10
PROVIDER = "forge"
QUICK = {
    "PORTAL_ACTIONS_LEASE_SECONDS": 4,
    "PORTAL_ACTIONS_LEASE_RENEW_SECONDS": 0.5,
    "PORTAL_ACTIONS_LAPSE_GRACE_SECONDS": 0.5,
    "PORTAL_ACTIONS_SWEEP_SECONDS": 0.3,
    "PORTAL_ACTIONS_RETRY_SECONDS": 0.1,
    "PORTAL_ACTIONS_RETRY_MAX_SECONDS": 1,
}
ENDED = ("success", "failed", "canceled")

on_each_forge = pytest.mark.parametrize("stage", STAGES, indirect=True)
on_some_forge = on_each_forge if EVERY else pytest.mark.parametrize("stage", ["drawn"], indirect=True)
pytestmark = [
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.timeout(3600 if EVERY else 900),
]


@pytest.fixture
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    kind = request.param
    if kind == "drawn":
        kind = random.Random(f"{SEED} {request.node.name}").choice(sorted(STAGES))
    with STAGES[kind](tmp_path / "forge") as made:
        made.somebody_makes("theirs")
        yield made
        made.verify()


@pytest.fixture
def portal_settings(stage: Stage, template_folder: Path) -> dict[str, Any]:
    create_service.write(template_folder, PROVIDER)
    return {
        "PORTAL_ACTIONS_SCM": {PROVIDER: dict(stage.settings)},
        "PORTAL_ACTIONS_SECRET_KEYS": [Fernet.generate_key().decode()],
        "PORTAL_ACTIONS_RATE_LIMIT": "10000 per minute",
    }


@pytest.fixture(autouse=True)
def known_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a forge once what a credential can do: the portal of this test would wait for a hanging answer as well."""
    monkeypatch.setattr(reaching, "KEPT_SECONDS", 1e9)


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str, portal_settings: dict[str, Any]) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, **portal_settings)
    with app.app_context():
        yield app


@dataclass
class Play:
    """Runs of the template on a stage, by workers whose job processes may be killed."""

    stage: Stage
    ada: Person
    workers: Workers
    theirs: Mapping[str, Any]
    """What somebody else has, as it was at the begin."""

    def start(self, name: str) -> str:
        body = {"inputs": create_service.inputs(name)}
        answer = self.ada.post("/api/v1/templates/create-service/runs", body)
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"]

    def retry(self, path: str) -> str:
        answer = self.ada.post(f"{path}/retry", {"secrets": {"webhookSecret": create_service.SECRET}})
        assert answer.status_code in (200, 202), answer.text
        return answer.headers.get("Location") or path

    def ended(self, path: str) -> dict[str, Any]:
        return wait_until(lambda: (run := self.ada.get(path).json)["status"] in ENDED and run)

    def run(self, name: str) -> dict[str, Any]:
        return self.ended(self.start(name))

    def kill_job_processes(self) -> None:
        victims = wait_until(self.workers.grandchildren)
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not set(victims) & set(self.workers.grandchildren()))

    def start_and_kill(self, name: str, order: Order, meanwhile: Callable[[], None] = lambda: None) -> str:
        """Start a run, and kill its job process as ``kill_at`` does."""
        path = self.start(name)
        self.kill_at(order, path, meanwhile)
        return path

    def kill_at(self, order: Order, path: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Kill the job process of a run while the forge hangs, and lose the request; a run without it just ends."""
        wait_until(lambda: order.has_happened or self.ada.get(path).json["status"] in ENDED)
        # While the forge hangs: the next attempt may begin as soon as the process is dead.
        meanwhile()
        if order.has_happened:
            self.kill_job_processes()
        order.drop()

    def check_made_once(self, name: str, where: str = "") -> None:
        """One repository, one commit on each of two branches, one pull request, one webhook with its secret, main protected."""
        double, full_name = self.stage.double, f"acme/{name}"
        assert double.repositories().count(full_name) == 1, where
        seen = self.stage.seen(full_name)
        counts = {branch: len(commits) for branch, commits in seen["commits"].items()}
        assert counts == {"main": 1, create_service.HEAD: 2}, where
        assert len(seen["pulls"]) == 1, where
        assert seen["hooks"] == [create_service.SECRET], where
        assert seen["protected"] == ["main"], where
        assert double.files(full_name)["README.md"].startswith(f"# {name}".encode()), where


@pytest.fixture
def play(stage: Stage, ada: Person, portal_settings: dict[str, Any], start_workers: Callable[..., Workers]) -> Play:
    settings = {key: value if isinstance(value, str) else json.dumps(value) for key, value in portal_settings.items()}
    workers = start_workers(**QUICK, **settings)
    wait_until(workers.grandchildren)
    return Play(stage, ada, workers, stage.seen("acme/theirs"))


def error_of(run: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(step["error"] for step in run["steps"] if step["error"])
    return found


def succeeded(run: dict[str, Any], where: str = "") -> None:
    assert run["status"] == "success", f"{error_of(run)} {where}"


@dataclass(frozen=True)
class Moment:
    """When to kill: at which request, counted from 1 among those of its kind, and whether the forge has done it by then."""

    method: str
    pattern: str
    nth: int
    after: bool

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.method} {self.pattern}, number {self.nth}"


def drawn(requests: list[Entry], name: str) -> list[Moment]:
    """Three writes of a run that went well: there it is easy to do something twice, or not at all.

    Args:
        requests: of that run.
        name: its repository's, which is another in the run that is killed.
    """
    kinds = [(one.method, re.sub(rf"{name}|[0-9a-f]{{40}}|\d+", "*", one.path)) for one in requests]
    writes = [number for number, (method, _) in enumerate(kinds) if method not in ("GET", "HEAD")]
    moments = [(number, after) for number in writes for after in (True, False)]
    return [
        Moment(*kinds[number], kinds[: number + 1].count(kinds[number]), after)
        for number, after in random.Random(SEED).sample(moments, DRAWN)
    ]


@on_each_forge
def test_a_service_is_made_once_whatever_request_its_job_process_is_killed_at(play: Play) -> None:
    succeeded(play.run("first"))
    play.check_made_once("first")
    if not EVERY:
        for number, moment in enumerate(drawn(play.stage.double.log.entries(), "first")):
            assert killed_at(play, f"shop-{number}", moment), moment
        return
    for after in (False, True):
        for nth in itertools.count(1):
            if not killed_at(play, f"shop-{nth}-{after}".lower(), Moment("*", "**", nth, after)):
                break
        assert nth > REQUESTS_AT_LEAST


def killed_at(play: Play, name: str, moment: Moment) -> bool:
    """Play a run whose job process is killed at a moment; False when it does not come."""
    double = play.stage.double
    double.log.clear()
    order = double.faults.order(moment.method, moment.pattern, Hang(), nth=moment.nth, after=moment.after)
    run = play.ended(play.start_and_kill(name, order))
    double.faults.clear()
    where = f"{moment} of {[str(entry) for entry in double.log.entries()]}; FORGE_KILLS_SEED={SEED}"
    succeeded(run, where)
    play.check_made_once(name, where)
    assert play.stage.seen("acme/theirs") == play.theirs, where
    return order.has_happened


@on_some_forge
def test_the_same_service_again_is_a_conflict_and_writes_nothing(play: Play) -> None:
    succeeded(play.run("shop"))
    before = play.stage.seen("acme/shop")
    again = play.run("shop")
    assert (again["status"], error_of(again)["code"]) == ("failed", "CONFLICT")
    assert play.stage.seen("acme/shop") == before
    play.check_made_once("shop")


@on_some_forge
def test_a_run_that_failed_on_its_way_goes_on_by_retry_and_makes_nothing_twice(play: Play) -> None:
    play.stage.double.faults.order("POST", "**/hooks", Respond(403, {"message": "403 Forbidden"}))
    path = play.start("shop")
    assert error_of(play.ended(path))["code"] == "AUTH_ERROR"
    succeeded(play.ended(play.retry(path)))
    play.check_made_once("shop")


@on_some_forge
def test_a_run_whose_every_attempt_was_killed_tells_so_and_goes_on_by_retry(play: Play) -> None:
    faults = play.stage.double.faults
    order = faults.order("POST", "**", Hang(), after=True)
    path = play.start_and_kill("shop", order)
    while order.has_happened:
        order = faults.order("*", "**", Hang())
        play.kill_at(order, path)
    run = play.ended(path)
    play.stage.double.faults.clear()
    assert error_of(run)["code"] == "WORKER_LOST"
    succeeded(play.ended(play.retry(path)))
    play.check_made_once("shop")


@on_some_forge
def test_what_somebody_else_makes_under_the_same_name_meanwhile_is_never_written_into(play: Play) -> None:
    def somebody_makes_it() -> None:
        play.stage.somebody_makes("shop")

    creates = {"github": "/orgs/acme/repos", "gitlab": "/projects"}[play.stage.settings["kind"]]
    order = play.stage.double.faults.order("POST", creates, Hang())
    run = play.ended(play.start_and_kill("shop", order, meanwhile=somebody_makes_it))
    assert order.has_happened
    assert (run["status"], error_of(run)["code"]) == ("failed", "CONFLICT")
    assert play.stage.double.files("acme/shop") == {"README.md": b"Somebody else's"}
    seen = play.stage.seen("acme/shop")
    assert (len(seen["commits"]["main"]), seen["pulls"], seen["hooks"]) == (1, [], [])
