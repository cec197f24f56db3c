"""What a start may not carry, as one who calls the API sees it: nothing here knows how it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from marshmallow import Schema, fields

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.extension import extension
from tests.support.people import Person

MASK = "•••"
LOG = "/api/v1/actions/debug.log@v1/runs"
PUSH = "/api/v1/actions/scm.pushSkeleton@v1/runs"
USE = "/api/v1/actions/test.secretive@v1/runs"
WRONG = {"input": {}}


class Secretive(Schema):
    token = fields.Raw(load_only=True)


@action("test.secretive@v1", title="Takes a secret", input=Secretive)
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


@pytest.mark.fault("D19")
@pytest.mark.parametrize("given", [MASK, f" {MASK}\n", f"Bearer {MASK}", {"X-Token": MASK}, ["a", {"b": [MASK]}]])
def test_the_mask_that_pages_show_is_not_taken_for_a_secret(ada: Person, given: object) -> None:
    answer = ada.post(USE, {"input": {"token": given}})
    assert answer.status_code == 422
    assert "give the secret itself" in answer.json["errors"]["token"][0]


@pytest.mark.fault("D19")
def test_a_retry_with_the_mask_in_place_of_its_wiped_secret_is_refused(ada: Person) -> None:
    run = ada.post(USE, {"input": {"token": "a-real-secret"}}).headers["Location"]
    ada.post(f"{run}/cancel", {})
    assert ada.post(f"{run}/retry", {"secrets": {"token": MASK}}).status_code == 422
    assert ada.post(f"{run}/retry", {"secrets": {"token": "the-same-secret"}}).status_code == 202


@pytest.mark.fault("B9")
def test_a_secret_that_is_too_long_to_be_masked_is_refused(ada: Person) -> None:
    answer = ada.post(USE, {"input": {"token": "s" * 65_000}})
    assert answer.status_code == 422
    assert "at most 64,000 characters" in answer.json["errors"]["token"][0]


@pytest.mark.fault("B9")
def test_of_hundreds_of_wrong_files_fifty_are_named(ada: Person) -> None:
    repo = {"provider": "local", "owner": "acme", "repo": "orders"}
    answer = ada.post(PUSH, {"input": {"repo": repo, "files": [{"path": "/x"}] * 200}})
    assert answer.status_code == 422
    assert len(answer.json["errors"]["files"]) == 50


@pytest.mark.fault("B9")
def test_refused_starts_have_a_limit_of_their_own_ten_times_as_many(ada: Person, margaret: Person) -> None:
    for _ in range(100):
        assert ada.post(LOG, WRONG).status_code == 422
    answer = ada.post(LOG, WRONG)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert answer.json["error_code"] == "RATE_LIMITED"
    assert ada.post(LOG, {"input": {"message": "now it is right"}}).status_code == 429
    assert margaret.post(LOG, {"input": {"message": "hello"}}).status_code == 202


def test_refused_starts_take_none_of_those_that_are_left(ada: Person) -> None:
    for _ in range(50):
        ada.post(LOG, WRONG)
    assert ada.post(LOG, {"input": {"message": "hello"}}).headers["RateLimit-Remaining"] == "9"
