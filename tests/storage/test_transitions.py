"""Guarded updates: whoever does not hold the row changes nothing."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from portal_actions_plugin.errors import RemoteError
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.changes import claims, transitions
from portal_actions_plugin.runs.changes.claims import Claim, LeaseLostError, StepRef
from portal_actions_plugin.runs.changes.steps import prepare_step, queue_step
from portal_actions_plugin.runs.changes.transitions import Again, End, Result
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.portal import PEOPLE

ADA = PEOPLE["ada"]
AGAIN = Again("lost", 0, 30)


def start() -> tuple[str, StepRef]:
    run = service.start_template_run(ADA, "two-steps", {"name": "orders"}).run
    return run.id, StepRef(run.steps[0].run.id, run.id)


def claim(ref: StepRef, token: str, attempt: int = 0) -> bool:
    with transaction("test") as tx:
        return claims.claim(tx, Claim(ref, attempt, token, "test", 30, 60))


def token() -> str:
    return str(uuid.uuid4())


def test_a_second_ring_claims_nothing(app: Flask) -> None:
    _, ref = start()
    assert claim(ref, token())
    assert not claim(ref, token())
    assert queries.action_run(ref.id).attempt == 1


def test_a_late_result_with_an_old_token_changes_nothing(app: Flask) -> None:
    run_id, ref = start()
    first, second = token(), token()
    assert claim(ref, first)
    with transaction("test") as tx:
        transitions.queue_again(tx, ref, first, RemoteError("gone"), AGAIN)
    assert claim(ref, second, attempt=1)
    with pytest.raises(LeaseLostError), transaction("test") as tx:
        transitions.succeed(tx, ref, first, Result({"late": True}))
    run = queries.action_run(ref.id)
    assert (run.status, run.outputs) == ("running", {})
    assert queries.template_run(run_id).status == "running"


def test_a_canceled_run_never_becomes_anything_else(app: Flask) -> None:
    run_id, ref = start()
    mine = token()
    assert claim(ref, mine)
    service.cancel_template_run(ADA, run_id)
    with pytest.raises(LeaseLostError), transaction("test") as tx:
        transitions.succeed(tx, ref, mine, Result())
    with pytest.raises(LeaseLostError), transaction("test") as tx:
        transitions.fail(tx, ref, mine, RemoteError("late"), Result(), End({}))
    with pytest.raises(LeaseLostError), transaction("test") as tx:
        transitions.queue_again(tx, ref, mine, RemoteError("late"), AGAIN)
    assert not claim(ref, token(), attempt=1)
    run = queries.template_run(run_id)
    assert (run.status, run.steps[0].status) == ("canceled", "canceled")
    assert [step.status for step in run.steps[1:]] == ["not_run", "not_run"]


def test_a_step_cannot_be_queued_twice(app: Flask) -> None:
    from portal_actions_plugin.runner.attempt.queued_run import load_queued_run

    _, ref = start()
    step = prepare_step(load_queued_run(ref.id).course, 0)
    with pytest.raises(IntegrityError), transaction("test") as tx:
        queue_step(tx, step)


def test_a_lease_is_never_renewed_past_the_deadline(app: Flask) -> None:
    _, ref = start()
    mine = token()
    with transaction("test") as tx:
        claims.claim(tx, Claim(ref, 0, mine, "test", 5, 10))
    with transaction("test") as tx:
        assert claims.renew(tx, mine, 3600) == 1
    with transaction("test") as tx:
        row: Any = tx.row(tables.action_runs.select().where(tables.action_runs.c.id == ref.id))
    assert row["lease_expires_at"] == row["deadline_at"]


def test_a_page_says_worker_lost_as_soon_as_the_lease_has_lapsed(app: Flask) -> None:
    _, ref = start()
    assert claim(ref, token())
    assert not queries.action_run(ref.id).worker_lost
    with transaction("test") as tx:
        tx.execute(update(tables.action_runs).values(lease_expires_at=now_plus(-1)))
    assert queries.action_run(ref.id).worker_lost


def test_transactions_are_never_nested(app: Flask) -> None:
    with pytest.raises(RuntimeError, match="inside"), transaction("test"), transaction("test"):
        pass


def test_news_are_delivered_after_the_commit_doorbells_first(app: Flask) -> None:
    heard: list[str] = []
    with transaction("test") as tx:
        tx.tell_after_rings(lambda: heard.append("signal"))
        tx.ring_after_commit(lambda: heard.append("doorbell"))
        assert heard == []
    assert heard == ["doorbell", "signal"]


def test_a_rolled_back_transaction_delivers_no_news(app: Flask) -> None:
    heard: list[str] = []
    with pytest.raises(ZeroDivisionError), transaction("test") as tx:
        tx.tell_after_rings(lambda: heard.append("signal"))
        heard.append(str(1 / 0))
    assert heard == []


def test_broken_news_do_not_stop_the_other_news(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []
    with transaction("test") as tx:
        tx.tell_after_rings(lambda: 1 / 0)
        tx.tell_after_rings(lambda: heard.append("signal"))
    assert heard == ["signal"]
    assert "what was committed stays" in caplog.text
