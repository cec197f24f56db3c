"""What one start may carry, and that what is refused costs next to nothing: counted, never timed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from flask.json.provider import DefaultJSONProvider
from marshmallow import Schema, fields
from sqlalchemy import update

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_fields import FileInput
from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.guards.input_bounds import MAX_SECRET_CHARS, MAX_VALUES, require_few_values
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.secrets import redaction, sealing
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import transaction
from tests.support.people import Person
from tests.support.portal import PEOPLE
from tests.support.run_helpers import work_off

LOG = "/api/v1/actions/debug.log@v1/runs"
PUSH = "/api/v1/actions/scm.pushSkeleton@v1/runs"
USE = "/api/v1/actions/test.secretive@v1/runs"
WRONG = {"input": {}}


class Secretive(Schema):
    token = fields.Raw(load_only=True)
    other = fields.Raw(load_only=True)
    note = fields.String()
    notes = fields.List(fields.String())


@action("test.secretive@v1", title="Takes secrets", input=Secretive)
def secretive(_ctx: Any, **_given: Any) -> dict[str, Any]:
    return {}


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    """A portal that takes secrets."""
    key = Fernet.generate_key().decode()
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_SECRET_KEYS=key)
    with app.app_context():
        extension().registry.add(secretive, "the tests")
        yield app


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Characters that are spelled to be masked, and how often a value is written as JSON to be looked through."""
    counts = {"spelled": 0, "written": 0}
    spell, write = redaction.spellings, sealing._as_json

    def spelled(value: str) -> Iterator[str]:
        counts["spelled"] += len(value)
        return spell(value)

    def written(value: object) -> str:
        counts["written"] += 1
        return write(value)

    monkeypatch.setattr(redaction, "spellings", spelled)
    monkeypatch.setattr(sealing, "_as_json", written)
    return counts


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_a_secret_of_870_kb_is_refused_before_it_is_looked_at(ada: Person, counted: dict[str, int]) -> None:
    answer = ada.post(USE, {"input": {"token": "line of a secret\n" * 51_000}})
    assert answer.status_code == 422
    assert "at most 64,000 characters" in answer.json["errors"]["token"][0]
    assert counted == {"spelled": 0, "written": 0}


@pytest.mark.parametrize(
    "given",
    [
        {"token": "x" * MAX_SECRET_CHARS, "other": ["y" * MAX_SECRET_CHARS, "z"]},
        {"token": "a line\n" * 1_000},
        {"token": {"deep": [{"er": "x" * (MAX_SECRET_CHARS + 1)}]}},
    ],
    ids=["all together", "many short lines", "inside a table"],
)
def test_secrets_have_bounds_together_by_lines_and_inside_of_tables(ada: Person, given: dict[str, object]) -> None:
    assert ada.post(USE, {"input": given}).status_code == 422


def test_a_secret_as_large_as_allowed_is_taken_and_masked_when_it_is_run_not_before(
    ada: Person, counted: dict[str, int]
) -> None:
    assert ada.post(USE, {"input": {"token": "s" * MAX_SECRET_CHARS}}).status_code == 202
    assert counted["spelled"] == 0


def test_each_value_is_written_once_however_many_secrets_are_looked_for_in_it(
    ada: Person, counted: dict[str, int]
) -> None:
    secrets = [f"secret-number-{n:04}" for n in range(50)]
    answer = ada.post(USE, {"input": {"token": secrets, "note": "n" * 700_000}})
    assert answer.status_code == 202
    assert counted["written"] <= 50 + 5


@pytest.mark.usefixtures("app")
def test_a_worker_fails_a_secret_that_is_too_long_to_mask_without_looking_at_it(counted: dict[str, int]) -> None:
    sealed = sealing.seal({"token": "line of a secret\n" * 51_000}, extension().config.secret_keys)
    run = service.start_action_run(PEOPLE["ada"], "test.secretive@v1", {"token": "short and sweet"}).run
    with transaction("test") as tx:
        tx.execute(update(tables.action_runs).values(secrets=sealed))
    counted.update(spelled=0)
    work_off()
    failed = queries.action_run(run.id)
    assert failed.status == "failed"
    assert failed.error
    assert failed.error.code == "VALIDATION_ERROR"
    assert "866,999 characters" in failed.error.message
    assert counted["spelled"] == 0


def test_a_handler_may_ask_for_no_more_to_be_masked_than_a_run_can_look_for() -> None:
    redactor = redaction.Redactor(["first-secret"])
    with pytest.raises(ValidationError, match="300,012 characters"):
        redactor.add("x" * 300_000)
    assert redactor.text("the first-secret") == f"the {MASK}"


# -- many values -------------------------------------------------------------------------------------------------------


def test_more_values_than_an_input_may_have_are_refused_before_they_are_checked(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[object] = []
    load = Secretive.load
    monkeypatch.setattr(Secretive, "load", lambda self, data: checked.append(data) or load(self, data))
    answer = ada.post(USE, {"input": {"notes": ["n"] * (MAX_VALUES + 1)}})
    assert answer.status_code == 422
    assert "more than 20,000 values" in answer.json["message"]
    assert not checked


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_body_of_too_many_values_is_not_even_parsed(
    ada: Person, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    parsed: list[object] = []
    loads = DefaultJSONProvider.loads
    monkeypatch.setattr(DefaultJSONProvider, "loads", lambda self, s, **o: parsed.append(s) or loads(self, s, **o))
    body = f'{{"input": {{"notes": {"[" * 10 + ",".join(["[[]]"] * 50_000) + "]" * 10}}}}}'.encode(encoding)
    answer = ada.post(USE, data=body, content_type="application/json")
    assert (answer.status_code, parsed) == (422, [])
    assert "more than 20,000 values" in answer.json["message"]


def test_commas_and_brackets_of_a_text_are_no_values() -> None:
    text = json.dumps({"a": '\\"[,{"' * 20_000, "b": "\\", "c": "[" * 50_000})
    require_few_values(text.encode())
    require_few_values(text[: len(text) // 3].encode() + b"," * 30_000)  # its text is not closed
    require_few_values(b'"' + b'\\"' * 200_000 + b"," * 30_000 + b"\\")
    with pytest.raises(ValidationError, match="more than 20,000 values"):
        require_few_values(text.encode() + b"," * 30_000)


def test_the_check_of_thousands_of_wrong_files_ends_at_the_first_fifty(
    ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []
    load = FileInput.load
    monkeypatch.setattr(FileInput, "load", lambda self, *a, **o: loaded.append(1) or load(self, *a, **o))
    repo = {"provider": "local", "owner": "acme", "repo": "orders"}
    answer = ada.post(PUSH, {"input": {"repo": repo, "files": [{"path": "/x"}] * 4_000}})
    assert answer.status_code == 422
    assert len(answer.json["errors"]["files"]) == len(loaded) == 50


def test_of_thousands_of_texts_that_cannot_be_stored_a_hundred_are_named(ada: Person) -> None:
    answer = ada.post(USE, {"input": {"notes": ["\0"] * 5_000}})
    assert answer.status_code == 422
    assert len(answer.json["errors"]) == 100
    assert len(answer.json["message"]) < 500


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_large_start_that_is_over_the_limit_is_not_checked(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(10):
        ada.post(LOG, {"input": {"message": "hello"}})
    checked: list[object] = []
    load = Secretive.load
    monkeypatch.setattr(Secretive, "load", lambda self, data: checked.append(data) or load(self, data))
    assert ada.post(USE, {"input": {"note": "n" * 700_000}}).status_code == 429
    assert not checked
