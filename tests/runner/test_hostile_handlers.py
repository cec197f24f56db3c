"""Handlers that do their worst to their process: their own run may fail, and the next one, of somebody else, must not notice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal_actions_plugin.runner.attempt import bounds
from portal_actions_plugin.runs.secrets.redaction import Redactor
from tests.support import hostile
from tests.support.people import Person
from tests.support.waiting import wait_until
from tests.support.workers import Workers

StartWorkers = Callable[..., Workers]
SHORT_LEASES = {
    "PORTAL_ACTIONS_LEASE_SECONDS": 4,
    "PORTAL_ACTIONS_LEASE_RENEW_SECONDS": 0.5,
    "PORTAL_ACTIONS_LAPSE_GRACE_SECONDS": 0.5,
    "PORTAL_ACTIONS_SWEEP_SECONDS": 0.3,
    "PORTAL_ACTIONS_RING_AGAIN_SECONDS": 2,
}
ENDED = ("success", "failed", "canceled")

EXPECTED: dict[str, tuple[str, str | None]] = {
    "may write nothing": ("success", None),
    "returns from a forked child": ("success", None),
    "returns from a forked child first": ("success", None),
    "fails in a forked child": ("success", None),
    "exits in a forked child": ("success", None),
    "uses ctx in a forked child": ("success", None),
    "uses a pool of processes": ("success", None),
    "exits with 0": ("failed", "WORKER_LOST"),
    "exits with 10": ("failed", "WORKER_LOST"),
    "exits with 11": ("failed", "WORKER_LOST"),
    "closes all descriptors": ("failed", "INTERNAL_ERROR"),
    "closes all descriptors and speaks": ("failed", "INTERNAL_ERROR"),
    "closes really all descriptors": ("failed", "INTERNAL_ERROR"),
    "closes all descriptors and fails": ("failed", "INTERNAL_ERROR"),
    "closes all descriptors and hangs": ("failed", "INTERNAL_ERROR"),
    "raises a huge error": ("failed", "INTERNAL_ERROR"),
    "raises an error that never says what it is": ("failed", "INTERNAL_ERROR"),
    "raises an error that cannot say what it is": ("failed", "INTERNAL_ERROR"),
    "raises an error that exits": ("failed", "INTERNAL_ERROR"),
    "raises a huge action error": ("failed", "INTERNAL_ERROR"),
    "logs a huge line": ("success", None),
    "logs a huge record": ("success", None),
    "makes a huge link": ("success", None),
    "warns hugely": ("success", None),
}
"""What becomes of a hostile run itself, where that is to be said."""


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_RATE_LIMIT="10000 per minute")
    monkeypatch.setenv("TEST_PORTAL_HOSTILE", "1")
    hostile.register(app)
    with app.app_context():
        yield app


def start(person: Person, action: str, **data: Any) -> str:
    answer = person.post(f"/api/v1/actions/{action}/runs", {"input": data})
    assert answer.status_code == 202, answer.json
    return answer.headers["Location"]


def ended(person: Person, path: str) -> dict[str, Any]:
    return wait_until(lambda: (run := person.get(path).json)["status"] in ENDED and run, 100)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    # How a process ended was seen before, too, if only when its lease was over.
    "kind",
    [kind if kind == "ends" else pytest.param(kind, marks=pytest.mark.fault("0e")) for kind in hostile.HOSTILE],
)
def test_a_run_after_a_hostile_one_finds_nothing_of_it(
    person: Callable[[str], Person], start_workers: StartWorkers, kind: str
) -> None:
    ada, bob = person("ada"), person("bob")
    workers = start_workers(**SHORT_LEASES)
    innocent = ended(bob, start(bob, "test.innocent@v1"))["outputs"]
    [worker] = workers.children()
    wrong: dict[str, Any] = {}
    for deed in hostile.HOSTILE[kind]:
        action = "test.hanging@v1" if deed in hostile.HANGS else "test.hostile@v1"
        run = ended(ada, start(ada, action, kind=kind, deed=deed))
        came_to = (run["status"], (run["error"] or {}).get("code"))
        if came_to != EXPECTED.get(deed, came_to):
            wrong[deed] = run["status"], run["error"]
        after = ended(bob, start(bob, "test.innocent@v1"))
        if after["status"] != "success" or len(after["attempts"]) != 1:
            wrong[f"after {deed}"] = after["status"], after["error"]
        elif after["outputs"]["seen"] != innocent["seen"]:
            wrong[f"after {deed}"] = {
                name: (value, innocent["seen"][name])
                for name, value in after["outputs"]["seen"].items()
                if value != innocent["seen"][name]
            }
    assert not wrong, json.dumps(wrong, indent=1)[:5000]
    assert workers.children() == [worker], "and the worker is the same"


@pytest.mark.fault("0e")
def test_a_handlers_limits_keep_neither_its_outcome_nor_the_hosts_receivers_from_writing(
    ada: Person, start_workers: StartWorkers, tmp_path: Path
) -> None:
    start_workers()
    run = ended(ada, start(ada, "test.hostile@v1", kind="limits", deed="may write nothing"))
    assert run["status"] == "success", run["error"]
    ends = tmp_path / "ends"
    assert wait_until(lambda: ends.exists() and run["id"] in ends.read_text())


@pytest.mark.fault("0e")
def test_a_handlers_forked_child_records_nothing(ada: Person, start_workers: StartWorkers, tmp_path: Path) -> None:
    """The child comes back at once; its parent's handler goes on for half a second."""
    start_workers()
    path = start(ada, "test.hostile@v1", kind="forks", deed="returns from a forked child first")
    innocent = start(ada, "test.innocent@v1")
    run, after = ended(ada, path), ended(ada, innocent)
    assert run["status"] == "success"
    assert run["duration_ms"] >= 500, "it was not over when its child came back"
    assert after["outputs"]["pid"] != run["outputs"]["pid"]
    said = (tmp_path / "workers.log").read_text()
    assert said.count("action_run.finish success: test.hostile@v1") == 1


@pytest.mark.fault("0e")
@pytest.mark.parametrize("status", [10, 11])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_exit_status_that_a_handler_chose_is_not_taken_for_a_good_end(
    ada: Person, start_workers: StartWorkers, tmp_path: Path, status: int
) -> None:
    """Else nobody looks after its run, or says anything, before its lease is over."""
    start_workers()
    path = start(ada, "test.hostile@v1", kind="ends", deed=f"exits with {status}")
    run = ended(ada, path)
    assert (run["status"], run["error"]["code"]) == ("failed", "WORKER_LOST")
    said = f"the job process of run {run['id']} ended with status {status}"
    assert said in (tmp_path / "workers.log").read_text()


@pytest.mark.fault("0e")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_randomness_that_a_handler_has_set_is_not_the_next_ones(
    person: Callable[[str], Person], start_workers: StartWorkers
) -> None:
    start_workers()
    numbers = set()
    for _ in range(3):
        ended(person("ada"), start(person("ada"), "test.hostile@v1", kind="settings", deed="is not random"))
        numbers.add(ended(person("bob"), start(person("bob"), "test.innocent@v1"))["outputs"]["random"])
    assert len(numbers) == 3


# -- what is cut -------------------------------------------------------------------------------------------------------


SECRET = "correct horse battery staple"


@pytest.mark.parametrize("before", [*range(80, 101), 150, 4000, 4196, 8290, 8300])
@pytest.mark.parametrize("filler", ["x", SECRET + " "])
def test_no_part_of_a_secret_stays_at_a_cut(before: int, filler: str) -> None:
    """However many other secrets were masked before it: each makes what comes after it move forward."""
    text = filler * (before // len(filler)) + "x" * (before % len(filler)) + SECRET + "y" * 20_000
    kept = bounds.masked(text, 100, Redactor([SECRET]))
    assert kept.endswith(bounds.CUT)
    assert len(kept) <= 100 + len(bounds.CUT)
    said = kept.removesuffix(bounds.CUT)
    parts = [SECRET[:length] for length in range(4, len(SECRET))]
    assert not [part for part in parts if part in said]


def test_what_is_short_is_masked_whole_and_cut_as_before() -> None:
    redactor = Redactor([SECRET])
    assert bounds.masked("short", 100, redactor) == "short"
    assert bounds.masked("x" * 100, 100, redactor) == "x" * 100
    assert bounds.masked("x" * 101, 100, redactor) == "x" * 100 + bounds.CUT
    assert bounds.masked("x" * 99 + SECRET, 100, redactor) == "x" * 99 + "•" + bounds.CUT
