"""Secret inputs: the handler gets the value, everything else the mask."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from marshmallow import Schema, fields
from sqlalchemy import select

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.errors import ConfigurationError, PermissionDeniedError, RemoteError, ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import Origin
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.secrets.sealing import seal, unseal
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from tests.support.portal import PEOPLE
from tests.support.run_helpers import work_off

ADA = PEOPLE["ada"]
CANARY = "canary-4711-secret"
WITH_TOKEN = """\
apiVersion: scaffolder.backstage.io/v1beta3
kind: Template
metadata: {name: with-token}
spec:
  owner: team:platform
  type: service
  parameters:
    required: [token]
    properties:
      token: {type: string, ui:field: Secret}
      fail: {type: boolean, default: false}
  steps:
    - id: use
      action: test.use@v1
      input: {token: "${{ parameters.token }}", greeting: "hi ${{ secrets.token }}", fail: "${{ parameters.fail }}"}
"""


class Use(Schema):
    token = fields.String(required=True, load_only=True)
    greeting = fields.String()
    fail = fields.Boolean(load_default=False)


@pytest.fixture
def got(make_app: Callable[..., Flask], template_folder: Path, database_url: str) -> Any:
    """What the handler was handed, in a portal with a key."""
    (template_folder / "with-token.yaml").write_text(WITH_TOKEN)
    handed: list[str] = []

    def use(ctx: Any, token: str, greeting: str = "", fail: bool = False) -> dict[str, Any]:
        handed.append(token)
        ctx.log(f"using {token}")
        ctx.redact("minted-token")
        if fail:
            raise RemoteError(f"{token} and minted-token were refused")
        return {"echo": f"{token}!", "minted": "minted-token"}

    app = make_app(
        PORTAL_ACTIONS_SECRET_KEYS=[Fernet.generate_key().decode()], PORTAL_ACTIONS_DATABASE_URL=database_url
    )
    with app.app_context():
        declared = action("test.use@v1", title="Use", input=Use)(use)
        extension().registry.add(declared, "the tests")
        yield handed


def everything_stored() -> str:
    with reading() as db:
        return str([db.rows(select(row)) for row in (tables.action_runs, tables.template_runs)]) + str(
            [queries.log_lines(run.id) for run in queries.action_runs(queries.RunFilter(), limit=50).items]
        )


@pytest.mark.parametrize("fail", [False, True])
def test_trap_4_the_handler_gets_the_value_and_everything_else_the_mask(got: list[str], fail: bool) -> None:
    run = service.start_template_run(ADA, "with-token", {"token": CANARY, "fail": fail}).run
    assert run.inputs == {"token": MASK, "fail": fail}
    assert CANARY not in everything_stored()
    work_off()
    assert got == [CANARY]
    done = queries.template_run(run.id)
    assert done.status == ("failed" if fail else "success")
    step = done.steps[0].run
    assert step
    assert step.input["token"] == MASK
    assert CANARY not in everything_stored()
    assert "minted-token" not in everything_stored()


@pytest.mark.parametrize(
    "greeting",
    [
        "${{ secrets.token | upper }}",
        "the end is ${{ parameters.token[5:] }}",
        "${{ secrets.token.split('-')[1] }}",
        "${{ secrets.token | list | join('.') }}",
    ],
)
def test_what_a_template_makes_of_a_secret_is_masked_too(
    got: list[str], template_folder: Path, greeting: str, caplog: pytest.LogCaptureFixture
) -> None:
    (template_folder / "with-token.yaml").write_text(WITH_TOKEN.replace("hi ${{ secrets.token }}", greeting))

    def greet(ctx: Any, token: str, greeting: str, fail: bool) -> dict[str, Any]:
        ctx.log(f"I say {greeting}.")
        got.append(greeting)
        return {"told": greeting}

    declared = replace(extension().registry.get("test.use@v1"), handler=greet)
    extension().registry._actions["test.use@v1"] = declared
    run = service.start_template_run(ADA, "with-token", {"token": CANARY}).run
    work_off()
    step = queries.template_run(run.id).steps[0].run
    assert step
    assert step.input == {"token": MASK, "greeting": MASK, "fail": False}
    assert step.outputs == {"told": MASK}
    assert got[0] != MASK
    assert got[0] not in everything_stored() + caplog.text


def test_what_a_template_only_says_beside_a_secret_is_not_masked(got: list[str], template_folder: Path) -> None:
    greeting = "hi ${{ secrets.token }}, ${{ 'known' if secrets.token else 'unknown' }}"
    (template_folder / "with-token.yaml").write_text(WITH_TOKEN.replace("hi ${{ secrets.token }}", greeting))
    run = service.start_template_run(ADA, "with-token", {"token": CANARY}).run
    work_off()
    step = queries.template_run(run.id).steps[0].run
    assert step
    assert step.input["greeting"] == f"hi {MASK}, known"


def test_a_secret_that_a_readable_field_repeats_is_refused_and_nothing_is_stored(got: list[str]) -> None:
    data = {"token": CANARY, "greeting": f"my token is {CANARY}"}
    with pytest.raises(ValidationError) as refused:
        service.start_action_run(ADA, "test.use@v1", data)
    assert refused.value.fields == {"greeting": ["Repeats a secret input."]}
    assert CANARY not in str(refused.value) + refused.value.hint + everything_stored()
    assert service.start_action_run(ADA, "test.use@v1", {"token": "main", "greeting": "the main one"}).run


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (Ask(entity=f"component:{CANARY}"), "entity"),
        (Ask(idempotency_key=f"key-{CANARY}"), "Idempotency-Key"),
        (Ask(origin=Origin("component:default/orders", "basics", CANARY)), "origin"),
        (Ask(entity=f"component:ghp_{'a1B2' * 9}"), "entity"),
    ],
)
def test_what_accompanies_a_start_holds_no_secret_either(got: list[str], ask: Ask, field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        service.start_action_run(ADA, "test.use@v1", {"token": CANARY}, ask)
    assert list(refused.value.fields) == [field]
    assert queries.action_runs(queries.RunFilter(), limit=1).items == []


def test_a_token_that_somebody_takes_for_a_name_is_in_no_audit_row(got: list[str]) -> None:
    token = f"ghp_{'a1B2' * 9}"
    with pytest.raises(PermissionDeniedError):
        service.start_template_run(PEOPLE["vera"], token, {})
    with reading() as db:
        [row] = db.rows(select(tables.audit))
    assert row["target"] == MASK


def test_an_error_that_cannot_be_shown_ends_its_run_all_the_same(got: list[str]) -> None:
    class UnshowableError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    def fail(ctx: Any, **_: Any) -> None:
        raise UnshowableError

    extension().registry.add(action("test.unshowable@v1", title="Fail", input=Use)(fail), "the tests")
    run = service.start_action_run(ADA, "test.unshowable@v1", {"token": CANARY}).run
    work_off()
    error = queries.action_run(run.id).error
    assert error
    assert (error.code, "it cannot be shown" in error.message) == ("INTERNAL_ERROR", True)


def test_secrets_are_wiped_at_the_end_and_asked_for_again_on_retry(got: list[str]) -> None:
    run = service.start_template_run(ADA, "with-token", {"token": CANARY, "fail": True}).run
    work_off()
    with reading() as db:
        assert [row["secrets"] for row in db.rows(select(tables.template_runs.c.secrets))] == [None]
    with pytest.raises(ValidationError) as refused:
        service.retry_template_run(ADA, run.id)
    assert refused.value.fields == {"secrets": {"token": ["Is needed again."]}}
    with pytest.raises(ValidationError, match="no secret input named fail"):
        service.retry_template_run(ADA, run.id, Ask(secrets={"token": "the new one", "fail": False}))
    service.retry_template_run(ADA, run.id, Ask(secrets={"token": "the new one"}))
    work_off()
    assert got == [CANARY, "the new one"]


def test_a_one_offs_secret_is_kept_the_same_way(got: list[str]) -> None:
    run = service.start_action_run(ADA, "test.use@v1", {"token": CANARY}).run
    assert run.input == {"token": MASK}
    work_off()
    assert got == [CANARY]
    assert queries.action_run(run.id).outputs == {"echo": f"{MASK}!", "minted": MASK}
    assert CANARY not in everything_stored()


def test_a_traceback_shows_no_secret(got: list[str], caplog: pytest.LogCaptureFixture) -> None:
    def leak(ctx: Any, token: str, **_: Any) -> None:
        raise ValueError(f"bad token {token}")

    extension().registry.add(action("test.leak@v1", title="Leak", input=Use)(leak), "the tests")
    run = service.start_action_run(ADA, "test.leak@v1", {"token": CANARY}).run
    work_off()
    assert "bad token" in caplog.text
    assert CANARY not in caplog.text
    assert CANARY not in str(queries.action_run(run.id))


SECRET = fields.String(load_only=True)


@pytest.mark.parametrize(
    "inner",
    [
        fields.List(fields.Nested(Use)),
        fields.List(SECRET),
        fields.List(fields.List(fields.String(metadata={"secret": True}))),
        fields.Dict(values=SECRET),
        fields.Dict(values=fields.Nested(Use)),
        fields.Tuple((fields.String(), SECRET)),
    ],
)
def test_a_secret_inside_another_field_is_refused_when_it_is_declared(inner: fields.Field[Any]) -> None:
    outer = Schema.from_dict({"inner": inner})
    with pytest.raises(ConfigurationError, match="inner"):
        action("test.nested@v1", title="Nested", input=outer)(lambda ctx, **_: None)


def test_a_schema_may_be_nested_in_itself() -> None:
    class Folder(Schema):
        name = fields.String()
        folders = fields.List(fields.Nested(lambda: Folder()))  # noqa: PLW0108 it is not there yet

    assert action("test.folders@v1", title="Folders", input=Folder)(lambda ctx, **_: None).secret_names() == frozenset()


def test_without_a_key_a_start_that_carries_a_secret_is_refused(
    make_app: Callable[..., Flask], template_folder: Path
) -> None:
    given = 'input: {message: "${{ secrets.token }}"}'
    (template_folder / "with-token.yaml").write_text(
        re.sub(r"input: \{.*\}", given, WITH_TOKEN.replace("test.use@v1", "debug.log@v1"))
    )
    with make_app().app_context():
        with pytest.raises(ConfigurationError, match="no key is set"):
            service.start_template_run(ADA, "with-token", {"token": CANARY})
        assert queries.template_runs(queries.RunFilter(), limit=1).items == []


def test_keys_rotate_newest_first() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = seal({"token": CANARY}, [old])
    assert unseal(sealed, [new, old]) == {"token": CANARY}
    with pytest.raises(ConfigurationError, match="No key opens"):
        unseal(sealed, [new])
