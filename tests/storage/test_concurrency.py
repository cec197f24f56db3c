"""Limits, keys and fixes stay exact when everybody asks at once."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal_actions_plugin import Origin
from portal_actions_plugin.runner.attempt import execute
from portal_actions_plugin.runner.attempt.prepare import Performer
from portal_actions_plugin.runner.attempt.queued_run import load_queued_run
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.changes import cancels, claims, transitions
from portal_actions_plugin.runs.changes.claims import Claim, StepRef
from portal_actions_plugin.runs.changes.steps import prepare_step, queue_step
from portal_actions_plugin.runs.changes.transitions import Result
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage.sessions import transaction
from tests.support.people import Person
from tests.support.portal import PEOPLE

LOG = "/api/v1/actions/debug.log@v1/runs"
HELLO = {"input": {"message": "hello"}}


def at_once(number: int, call: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(call, range(number)))


def test_of_thirty_starts_at_once_exactly_ten_are_accepted(app: Flask) -> None:
    answers = at_once(30, lambda _: Person(app.test_client(), "ada").post(LOG, HELLO))
    assert Counter(answer.status_code for answer in answers) == {202: 10, 429: 20}
    assert sorted(int(a.headers["RateLimit-Remaining"]) for a in answers if a.status_code == 202) == list(range(10))


def test_twenty_starts_with_one_key_are_one_run_and_nineteen_replays(app: Flask) -> None:
    key = {"Idempotency-Key": "the same"}
    answers = at_once(20, lambda _: Person(app.test_client(), "ada").post(LOG, HELLO, headers=key))
    assert Counter(answer.status_code for answer in answers) == {202: 1, 200: 19}
    assert len({answer.json["id"] for answer in answers}) == 1


def test_a_fix_that_many_people_click_at_once_is_one_run(app: Flask) -> None:
    ask = Ask(origin=Origin("component:default/orders", "production", "readme"))
    people = [PEOPLE["ada"], PEOPLE["bob"], PEOPLE["margaret"]]

    def click(number: int) -> str:
        with app.app_context():
            return service.start_action_run(people[number % 3], "debug.log@v1", {"message": "fixed"}, ask).run.id

    assert len(set(at_once(12, click))) == 1


def test_a_cancel_and_a_claim_at_once_leave_one_truth(app: Flask) -> None:
    for _ in range(5):
        run = service.start_template_run(PEOPLE["margaret"], "two-steps", {"name": "orders"}).run
        step = run.steps[0].run.id

        def act(number: int, run_id: str = run.id, step: str = step) -> None:
            with app.app_context():
                if number:
                    execute.perform(step, Performer(str(uuid.uuid4()), "test"))
                else:
                    service.cancel_template_run(PEOPLE["margaret"], run_id)

        at_once(2, act)
        ended = queries.template_run(run.id)
        assert ended.status == "canceled"
        assert {step.status for step in ended.steps} <= {"canceled", "success", "not_run", "skipped"}


def test_a_cancel_waits_for_a_finish_that_is_on_its_way_and_cancels_the_next_step(app: Flask) -> None:
    """Without the lock on the template run, the two pass each other and the canceled run goes on."""
    run = service.start_template_run(PEOPLE["ada"], "two-steps", {"name": "orders"}).run
    ref, token = StepRef(run.steps[0].run.id, run.id), str(uuid.uuid4())
    step = prepare_step(load_queued_run(ref.id).course, 2)
    with transaction("test") as tx:
        assert claims.claim(tx, Claim(ref, 0, token, "test", 30, 60))

    def cancel() -> None:
        with app.app_context():
            service.cancel_template_run(PEOPLE["ada"], run.id)

    with ThreadPoolExecutor(1) as pool:
        with transaction("test") as tx:
            transitions.succeed(tx, ref, token, Result())
            canceling = pool.submit(cancel)
            with pytest.raises(TimeoutError):
                canceling.result(0.5)
            queue_step(tx, step)
        canceling.result()
    ended = queries.template_run(run.id)
    assert (ended.status, [step.status for step in ended.steps]) == ("canceled", ["success", "skipped", "canceled"])


def test_a_step_that_is_claimed_while_a_cancel_begins_has_not_started_after_the_cancel(app: Flask) -> None:
    """A transaction's CURRENT_TIMESTAMP is when it began, and a claim may be quicker to the lock: found by chaos."""
    run = service.start_template_run(PEOPLE["ada"], "two-steps", {"name": "orders"}).run
    claim = Claim(StepRef(run.steps[0].run.id, run.id), 0, str(uuid.uuid4()), "test", 30, 60)
    one_writer = app.extensions["portal_actions"].database.engine.dialect.name == "sqlite"

    def is_claimed() -> bool:
        with app.app_context(), transaction("claim") as tx:
            return claims.claim(tx, claim)

    if one_writer:
        assert is_claimed()
    with transaction("cancel") as tx:
        tx.row(select(1))  # it has begun
        if not one_writer:
            assert at_once(1, lambda _: is_claimed()) == [True]
        assert len(cancels.cancel_template_run(tx, run.id) or ()) == 1
    [attempt] = queries.action_run(claim.ref.id).attempts
    assert attempt.finished_at is not None
    assert attempt.started_at <= attempt.finished_at
    assert attempt.started_at <= queries.template_run(run.id).finished_at
