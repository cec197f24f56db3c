"""A database that is away for a moment just as an attempt begins, or for as long as one lasts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from portal_actions_plugin.errors import RemoteError
from portal_actions_plugin.runner.attempt import recorder
from portal_actions_plugin.runs.reading import queries
from tests.support.blinking import blinking
from tests.support.run_helpers import make_due, perform, register, run_one_off


@pytest.mark.fault("C13")
def test_a_second_attempt_does_not_notice_that_the_database_blinks_as_it_begins(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        ctx.log(f"attempt {ctx.run.attempt}")
        if ctx.run.attempt == 1:
            raise RemoteError("down")

    register(again=handler)
    run_id = run_one_off("test.again@v1")
    perform(run_id)
    make_due(run_id)
    left = blinking(monkeypatch, recorder)
    perform(run_id)
    assert left() == 0
    assert queries.action_run(run_id).status == "success"
    assert [line.message for line in queries.log_lines(run_id)] == ["attempt 1", "attempt 2"]


@pytest.mark.fault("C13")
def test_a_database_that_stays_away_from_a_handler_is_no_bug_of_its_action(
    make_app: Callable[..., Flask], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own connection alone: its parent's would have ended it."""

    def handler(ctx: Any, value: Any = None) -> None:
        blinking(monkeypatch, recorder, times=1000)
        ctx.progress(1, 2)

    with make_app(
        PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_LEASE_SECONDS=1, PORTAL_ACTIONS_LEASE_RENEW_SECONDS=0.5
    ).app_context():
        register(again=handler)
        run_id = run_one_off("test.again@v1")
        perform(run_id)
        run = queries.action_run(run_id)
    assert run.status == "queued", "to be tried again"
    [attempt] = run.attempts
    assert (attempt.outcome, attempt.error_code) == ("failed", "REMOTE_ERROR")
    assert "BEGIN" not in attempt.error_message
