"""One person's long steps, and everybody else: with the setting alone, as a portal has it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from tests.support.people import Person
from tests.support.run_helpers import HELLO, claim, perform

TOKEN = "7f3f1e9c-6f3c-7bb0-8d39-3a1a2d7f0c12"


def start(person: Person) -> str:
    answer = person.post(f"/api/v1/actions/{HELLO['action']}/runs", {"input": HELLO["input"]})
    assert answer.status_code == 202
    return str(answer.json["id"])


@pytest.mark.fault("B10")
def test_with_a_bound_of_one_the_second_step_of_one_person_waits_and_somebody_else_s_does_not(
    make_app: Callable[..., Flask], database_url: str
) -> None:
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_MAX_RUNNING_PER_IDENTITY=1)
    ada, bob = Person(app.test_client(), "ada"), Person(app.test_client(), "bob")
    first, second, bobs = start(ada), start(ada), start(bob)
    with app.app_context():
        assert claim(first, TOKEN)
        perform(second)
        perform(bobs)
    held = ada.get(f"/api/v1/action-runs/{second}").json
    assert held["status"] == "queued"
    assert held["waits_for"]
    assert bob.get(f"/api/v1/action-runs/{bobs}").json["status"] == "success"
