"""Templates that work in their requester's name: their own token comes from the host, for this very run, and it ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from cryptography.fernet import Fernet
from marshmallow import Schema, fields
from sqlalchemy import select

from portal_actions_plugin import plugin
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.errors import ConfigurationError, RemoteError, ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs import bulk, service
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from tests.support.portal import PEOPLE
from tests.support.run_helpers import work_off

ADA, BOB, MARGARET = PEOPLE["ada"], PEOPLE["bob"], PEOPLE["margaret"]
TEMPLATE = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: own}
spec:
  owner: team:platform
  type: service
  parameters:
    properties:
      where:
        type: string
        ui:field: RepoUrlPicker
        ui:options: {requestUserCredentials: {secretsKey: GHE_TOKEN}}
  steps:
    - {id: first, action: debug.log@v1, input: {message: hi}}
    - {id: use, action: test.use@v1, input: {token: "${{ secrets.USER_OAUTH_TOKEN }}"}}
"""


class Use(Schema):
    token = fields.String(required=True, load_only=True)


class Host:
    """What a host has of its people, and what it was asked."""

    def __init__(self):
        self.tokens = {ADA.id: "ada-s3cret-token", BOB.id: "bob-s3cret-token"}
        self.asked = []
        self.used = []
        self.fails = False

    def __call__(self, identity, keys):
        self.asked.append((identity.id, keys))
        return dict.fromkeys(keys, self.tokens.get(identity.id))


@pytest.fixture
def host():
    return Host()


@pytest.fixture
def portal(make_app, template_folder, host):
    (template_folder / "own.yaml").write_text(TEMPLATE)

    def use(ctx: Any, token: str) -> dict[str, Any]:
        host.used.append(token)
        ctx.log(f"with {token}")
        if host.fails:
            raise RemoteError("It is away.")
        return {}

    app = make_app(PORTAL_ACTIONS_SECRET_KEYS=[Fernet.generate_key().decode()])
    with app.app_context():
        extension().registry.add(action("test.use@v1", title="Use", input=Use, max_attempts=1)(use), "the tests")
        plugin.of(app).requester_secrets(host)
        yield app


def stored():
    with reading() as db:
        return str([db.rows(select(table)) for table in (tables.action_runs, tables.template_runs, tables.log_lines)])


def finished(run_id):
    work_off()
    return queries.template_run(run_id)


def a_failed_run_of(person, host):
    host.fails = True
    run = service.start_template_run(person, "own", {}).run
    assert finished(run.id).status == "failed"
    host.fails = False
    return run


def test_the_requesters_own_token_reaches_the_step_and_is_stored_nowhere(portal, host):
    run = service.start_template_run(ADA, "own", {}).run
    assert host.asked == [(ADA.id, ("USER_OAUTH_TOKEN",))]
    assert "s3cret" not in stored()
    assert finished(run.id).status == "success"
    assert host.used == ["ada-s3cret-token"]
    assert "s3cret" not in stored()


def test_it_is_asked_for_once_and_only_by_templates_that_use_it(portal, host):
    service.start_template_run(ADA, "two-steps", {"name": "orders"})
    assert host.asked == []


def test_whom_the_host_has_none_of_cannot_start_it(portal, host):
    with pytest.raises(ValidationError, match="no USER_OAUTH_TOKEN of yours") as caught:
        service.start_template_run(MARGARET, "own", {})
    assert list(caught.value.fields["secrets"]) == ["USER_OAUTH_TOKEN"]
    assert queries.template_runs(queries.RunFilter(), limit=5).items == []


def test_a_retry_by_somebody_else_is_in_their_name(portal, host):
    """Also one of many: what it will do is said before, and nobody's token is used for another."""
    run = a_failed_run_of(ADA, host)
    step = queries.template_run(run.id).steps[1].run
    (planned,) = bulk.plan(BOB, bulk.RETRY, [step.id])
    assert planned.words.endswith("in your name, with USER_OAUTH_TOKEN of yours.")
    (result,) = bulk.carry_out(BOB, bulk.RETRY, [step.id], None)
    assert finished(result.again.id).status == "success"
    assert result.again.requested_by == BOB.id
    assert host.used == ["ada-s3cret-token", "bob-s3cret-token"]


def test_a_retry_by_whom_the_host_has_none_of_is_refused(portal, host):
    run = a_failed_run_of(ADA, host)
    (result,) = bulk.carry_out(MARGARET, bulk.RETRY, [queries.template_run(run.id).steps[1].run.id], None)
    assert "no USER_OAUTH_TOKEN of yours" in result.error.message


def test_a_second_retry_finds_the_first_one_though_tokens_change(portal, host):
    run = a_failed_run_of(ADA, host)
    first = service.retry_template_run(ADA, run.id).run
    host.tokens[ADA.id] = "ada-s3cret-token-2"
    assert service.retry_template_run(ADA, run.id).run.id == first.id


def test_a_resumed_run_has_a_new_one(portal, host):
    run = a_failed_run_of(ADA, host)
    host.tokens[ADA.id] = "ada-s3cret-token-2"
    again = service.resume_template_run(ADA, run.id).run
    assert finished(again.id).status == "success"
    assert host.used[-1] == "ada-s3cret-token-2"


def test_it_ends_after_hours(portal, host):
    run = service.start_template_run(ADA, "own", {}).run
    with time_machine.travel(timedelta(hours=9)):
        done = finished(run.id)
    assert [step.run.status for step in done.steps] == ["success", "failed"]
    error = done.steps[1].run.error
    assert error.code == "AUTH_ERROR"
    assert "USER_OAUTH_TOKEN of the requester has ended" in error.message
    assert host.used == []


class TestTheHook:
    def test_without_one_it_is_named(self, portal, host, make_app):
        with make_app().app_context(), pytest.raises(ConfigurationError) as caught:
            extension().registry.add(action("test.use@v1", title="Use", input=Use)(lambda _ctx, token: {}), "the tests")
            service.start_template_run(ADA, "own", {})
        assert "@plugin.requester_secrets" in caught.value.hint

    def test_one_that_fails_shows_no_secret(self, portal, host, caplog):
        def fail(_identity, _keys):
            raise RuntimeError("ada-s3cret-token")

        plugin.of(portal).requester_secrets(fail, replace=True)
        with pytest.raises(ConfigurationError, match="failed when it was asked for USER_OAUTH_TOKEN: RuntimeError"):
            service.start_template_run(ADA, "own", {})
        assert "s3cret" not in caplog.text

    @pytest.mark.parametrize("answer", [None, "ada-s3cret-token", {"USER_OAUTH_TOKEN": 7}])
    def test_one_that_answers_something_else_is_named(self, portal, answer):
        plugin.of(portal).requester_secrets(lambda _identity, _keys: answer, replace=True)
        with pytest.raises(ConfigurationError, match="instead of a mapping") as caught:
            service.start_template_run(ADA, "own", {})
        assert "s3cret" not in str(caught.value)


class TestTheTemplate:
    def test_a_picker_names_another_one(self, portal, host, template_folder):
        (template_folder / "own.yaml").write_text(TEMPLATE.replace("secrets.USER_OAUTH_TOKEN", "secrets.GHE_TOKEN"))
        service.start_template_run(ADA, "own", {})
        assert host.asked == [(ADA.id, ("GHE_TOKEN",))]

    def test_any_other_secret_is_a_problem(self, portal, template_folder):
        (template_folder / "own.yaml").write_text(TEMPLATE.replace("secrets.USER_OAUTH_TOKEN", "secrets.OTHER"))
        (problem,) = extension().folder_templates.list().problems
        assert "no parameter 'OTHER' is marked as a secret" in problem.message
