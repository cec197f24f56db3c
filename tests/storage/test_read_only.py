"""A PostgreSQL that takes no writes for a moment, as in a failover: what is at work goes on when it is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from portal_actions_plugin.runner.process.shared_memory import SpokenLines
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from tests.support.failover import Failover
from tests.support.people import Person
from tests.support.run_helpers import ADA, perform, register, run_one_off, work_off
from tests.support.waiting import wait_until
from tests.support.workers import Workers


@pytest.fixture
def app(make_app: Callable[..., Flask], failover: Failover) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=failover.url)
    with app.app_context():
        yield app


def news(ctx: Any) -> dict[str, Callable[[], Any]]:
    return {
        "log": lambda: time.sleep(SpokenLines.WAIT_SECONDS) or ctx.log("hello"),
        "progress": lambda: ctx.progress(1, 2),
        "link": lambda: ctx.link("Made", "https://example.com"),
        "checkpoint": lambda: ctx.checkpoint("part", lambda: "done"),
        "nothing": lambda: None,
    }


@pytest.mark.fault("0c")
@pytest.mark.parametrize("what", ["log", "progress", "link", "checkpoint", "nothing"])
def test_a_step_whose_news_or_outcome_meets_a_read_only_moment_succeeds_after_it(
    app: Flask, failover: Failover, what: str
) -> None:
    made: list[threading.Thread] = []

    def handler(ctx: Any, value: Any = None) -> None:
        made.append(failover.begin())
        news(ctx)[what]()

    register(steady=handler)
    run_id = run_one_off("test.steady@v1")
    try:
        perform(run_id)
    finally:
        made[0].join()
    run = queries.action_run(run_id)
    assert (run.status, len(run.attempts), len(made)) == ("success", 1, 1), run.error


@pytest.mark.fault("0c")
def test_a_claim_in_a_read_only_moment_is_made_after_it(app: Flask, failover: Failover) -> None:
    run_id = run_one_off("debug.log@v1", {"message": "hello"})
    with failover.moment():
        perform(run_id)
    run = queries.action_run(run_id)
    assert (run.status, len(run.attempts)) == ("success", 1), run.error


@pytest.mark.fault("0c")
def test_a_next_step_that_is_claimed_along_meets_a_read_only_moment_and_succeeds(
    app: Flask, failover: Failover
) -> None:
    run = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    with failover.moment():
        perform(run.steps[0].run.id)
    work_off()
    whole = queries.template_run(run.id)
    assert (whole.status, [step.status for step in whole.steps]) == ("success", ["success", "skipped", "success"])


@pytest.mark.fault("0c")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the workers' own is another
def test_steps_of_real_workers_end_well_after_a_read_only_moment(
    app: Flask, failover: Failover, start_workers: Callable[..., Workers]
) -> None:
    ada = Person(app.test_client(), "ada")
    workers = start_workers(3, PORTAL_ACTIONS_DATABASE_URL=failover.url, PORTAL_ACTIONS_SWEEP_SECONDS=0.5)
    paths = [
        ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": seconds}}).headers["Location"]
        for seconds in (2, 3, 5)
    ]
    wait_until(lambda: all(ada.get(path).json["status"] == "running" for path in paths), 60)
    at_work = workers.children()
    with failover.moment():
        pass
    for path in paths:
        run = wait_until(lambda: (r := ada.get(path).json)["status"] in ("success", "failed") and r, 60)  # noqa: B023
        assert (run["status"], len(run["attempts"])) == ("success", 1), run
    assert workers.children() == at_work
    workers.stop()
