"""A host that decides by object: what it hides is not there, whichever way somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal_actions_plugin import Identity
from portal_actions_plugin.errors import ConflictError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import ActionRun, Origin, TemplateRun
from portal_actions_plugin.runs import scorecard_fixes, service
from portal_actions_plugin.runs.guards import offers
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import new_id, reading
from tests.support.people import Person
from tests.support.portal import PEOPLE, decide
from tests.support.run_helpers import ADA, run_one_off, work_off

BOB = PEOPLE["bob"]
LOG = "/api/v1/actions/debug.log@v1/runs"
TWO_STEPS = "/api/v1/templates/two-steps/runs"
HELLO = {"input": {"message": "hello"}}
NAMED = {"inputs": {"name": "orders"}}
ORIGIN = {"entity": "component:default/orders", "scorecard": "basics", "rule": "readme"}


@pytest.fixture
def portal(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app()
    with app.app_context():
        yield app


def own_runs_only(identity: Identity, _permission: str, target: Any) -> bool:
    return not isinstance(target, ActionRun | TemplateRun) or target.requested_by == identity.id


def test_the_host_is_asked_about_names_and_runs_and_never_about_a_runs_id(portal: Flask) -> None:
    one_off, canceled = run_one_off("debug.log@v1", {"message": "hello"}), canceled_template_run()
    work_off()
    names = ("debug.log@v1", "two-steps")
    decide(portal, lambda _identity, _permission, target: not isinstance(target, str) or target in names)
    ada = Person(portal.test_client(), "ada")
    assert offers.can_retry(ADA, queries.template_run(canceled))
    assert ada.post(f"/api/v1/template-runs/{canceled}/retry").status_code == 202
    assert ada.post(f"/api/v1/action-runs/{one_off}/retry").status_code == 202
    queued = service.start_template_run(ADA, "two-steps", NAMED["inputs"]).run.id
    assert ada.post(f"/api/v1/template-runs/{queued}/cancel").status_code == 200


@pytest.mark.parametrize(
    ("permission", "name", "start", "body", "read"),
    [
        ("template:read", "two-steps", TWO_STEPS, NAMED, "/api/v1/templates/two-steps"),
        ("action:read", "debug.log@v1", LOG, HELLO, "/api/v1/actions/debug.log@v1"),
    ],
    ids=["template", "action"],
)
def test_what_is_hidden_cannot_be_started(
    portal: Flask, permission: str, name: str, start: str, body: Any, read: str
) -> None:
    decide(portal, lambda _identity, asked, target: (asked, target) != (permission, name))
    ada = Person(portal.test_client(), "ada")
    refused = ada.post(start, body)
    assert (refused.status_code, refused.json) == (404, ada.get(read).json)
    assert not offers.may_start_template(ADA, extension().templates.get("two-steps")) or permission == "action:read"
    assert not offers.may_start_action(ADA, extension().registry.get("debug.log@v1")) or permission == "template:read"
    assert denials() == [(ADA.id, permission.replace(":read", "_run.start"), name)]
    with reading() as db:
        for row in (tables.action_runs, tables.template_runs):
            assert db.rows(select(func.count().label("n")).select_from(row))[0]["n"] == 0


def test_who_may_run_and_not_read_can_still_start_and_ask_again_with_the_same_key(portal: Flask) -> None:
    decide(portal, lambda _identity, permission, _target: permission.endswith(":run"))
    ada = Person(portal.test_client(), "ada")
    answers = [ada.post(LOG, HELLO, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 200]


def test_a_key_does_not_bring_back_a_run_that_is_hidden_by_now(portal: Flask) -> None:
    ada = Person(portal.test_client(), "ada")
    assert ada.post(LOG, HELLO, headers={"Idempotency-Key": "once"}).status_code == 202
    decide(portal, lambda _identity, _permission, target: not isinstance(target, ActionRun))
    answer = ada.post(LOG, HELLO, headers={"Idempotency-Key": "once"})
    assert answer.status_code == 404
    assert "input" not in answer.json


@pytest.mark.parametrize(("start", "body"), [(LOG, HELLO), (TWO_STEPS, NAMED)], ids=["action", "template"])
def test_somebody_elses_fix_that_is_hidden_is_told_of_and_not_shown(portal: Flask, start: str, body: Any) -> None:
    decide(portal, own_runs_only)
    ada, bob = Person(portal.test_client(), "ada"), Person(portal.test_client(), "bob")
    first = ada.post(LOG, {"input": {"message": "for Ada only"}, "origin": ORIGIN}).json["id"]
    refused = bob.post(start, {**body, "origin": ORIGIN}, headers={"Idempotency-Key": "once"})
    assert refused.status_code == 409
    assert "for Ada only" not in refused.text
    assert first not in refused.text
    with pytest.raises(ConflictError, match="you may not see it"):
        scorecard_fixes.start_fix(BOB, Origin(**ORIGIN), action="debug.log@v1", template=None, data=HELLO["input"])


def test_who_wants_to_change_a_run_that_is_hidden_is_told_nothing_and_leaves_a_row(portal: Flask) -> None:
    one_off, canceled = run_one_off("debug.log@v1", {"message": "hello"}), canceled_template_run()
    decide(portal, own_runs_only)
    bob = Person(portal.test_client(), "bob")
    wanted = [("action", one_off, "cancel"), ("action", one_off, "retry")]
    wanted += [("template", canceled, verb) for verb in ("cancel", "retry", "resume")]
    expected = []
    for kind, run_id, verb in wanted:
        refused = bob.post(f"/api/v1/{kind}-runs/{run_id}/{verb}")
        assert (refused.status_code, refused.json) == (404, bob.get(f"/api/v1/{kind}-runs/{run_id}").json)
        missing = new_id()
        assert bob.post(f"/api/v1/{kind}-runs/{missing}/{verb}").status_code == 404
        expected += [(BOB.id, f"{kind}_run.{verb}", one) for one in (run_id, missing)]
    assert denials() == expected, "one that is not there leaves the same row"


def denials() -> list[tuple[str, str, str]]:
    with reading() as db:
        rows = db.rows(select(tables.audit).where(tables.audit.c.outcome == "denied").order_by(tables.audit.c.id))
    return [(row["actor"], row["event"], row["target"]) for row in rows]


def canceled_template_run() -> str:
    run_id = service.start_template_run(ADA, "two-steps", NAMED["inputs"]).run.id
    service.cancel_template_run(ADA, run_id)
    return run_id
