"""Two steps of one id in a document of Backstage: both may run, and ``steps.<id>`` is the last that ran."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from marshmallow import Schema, fields

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.errors import AuthError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from tests.support.people import Person
from tests.support.run_helpers import work_off

TEMPLATE = """\
apiVersion: scaffolder.backstage.io/v1beta3
kind: Template
metadata: {name: twice}
spec:
  parameters:
    required: [token]
    properties:
      both: {type: boolean, default: false}
      token: {type: string, ui:field: Secret}
  steps:
    - {id: publish, name: First, action: test.make@v1, input: {value: one}}
    - {id: publish, name: Second, if: "${{ parameters.both }}", action: test.make@v1, input: {value: two, token: "${{ secrets.token }}"}}
    - {id: a long id with spaces/and signs, action: test.make@v1, input: {value: "${{ steps.publish.output.value }}"}}
    - {id: publish, name: Third, if: "${{ parameters.both }}", action: test.check@v1, input: {value: three}}
    - {id: tell, action: test.make@v1, input: {value: "${{ steps.publish.output.value }}-${{ steps.publish.status }}"}}
  output:
    links: [{title: Made, url: "https://forge.example/${{ steps.publish.output.value }}"}]
"""


class Anything(Schema):
    value = fields.Raw()
    token = fields.Raw(load_only=True)


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str) -> Iterator[Flask]:
    """A portal on each kind of database that takes secrets."""
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, PORTAL_ACTIONS_SECRET_KEYS=Fernet.generate_key().decode())
    with app.app_context():
        yield app


@pytest.fixture
def broken(app: Flask, template_folder: Path) -> list[str]:
    """What keeps ``test.check@v1`` from succeeding, while it is not empty."""
    wrong: list[str] = []

    def make(_ctx: Any, value: Any = None, token: Any = None) -> dict[str, Any]:
        return {"value": value, "said": token}

    def check(_ctx: Any, value: Any = None) -> dict[str, Any]:
        if wrong:
            raise AuthError(wrong[0])
        return {"value": value}

    for name, handler in (("make", make), ("check", check)):
        declared = action(f"test.{name}@v1", title=name, input=Anything)(handler)
        extension().registry.add(declared, "the tests")
    (template_folder / "twice.yaml").write_text(TEMPLATE)
    return wrong


def start(person: Person, **inputs: Any) -> str:
    answer = person.post("/api/v1/templates/twice/runs", {"inputs": {"token": "canary-4711-secret", **inputs}})
    assert answer.status_code == 202, answer.json
    location: str = answer.headers["Location"]
    work_off()
    return location


def made(run: Any) -> list[Any]:
    return [step["outputs"].get("value") for step in run["steps"]]


def test_both_run_and_each_step_sees_the_last_that_ran(broken: list[str], ada: Person) -> None:
    run = ada.get(start(ada, both=True)).json
    assert run["status"] == "success", run
    assert [step["step_id"] for step in run["steps"]].count("publish") == 3
    assert made(run) == ["one", "two", "two", "three", "three-success"]
    assert run["steps"][1]["outputs"]["said"] == MASK
    assert run["links"] == [{"title": "Made", "url": "https://forge.example/three"}]
    page = ada.get(run["html_url"]).text
    assert all(page.count(name) for name in ("First", "Second", "Third", "a long id with spaces/and signs"))


def test_of_steps_that_exclude_each_other_the_one_that_ran_counts(broken: list[str], ada: Person) -> None:
    run = ada.get(start(ada)).json
    assert made(run) == ["one", None, "one", None, "one-success"]
    assert [step["status"] for step in run["steps"]] == ["success", "skipped", "success", "skipped", "success"]


def test_a_resumed_run_goes_on_at_the_very_step_that_failed(broken: list[str], ada: Person) -> None:
    broken.append("not now")
    failed = start(ada, both=True)
    assert [step["status"] for step in ada.get(failed).json["steps"]] == [
        "success",
        "success",
        "success",
        "failed",
        "not_run",
    ]
    broken.clear()
    answer = ada.post(f"{failed}/resume", {"secrets": {"token": "canary-4711-secret"}})
    if answer.status_code != 202:
        answer = ada.post(f"{failed}/resume")
    assert answer.status_code == 202, answer.json
    work_off()
    run = ada.get(answer.headers["Location"]).json
    assert made(run) == ["one", "two", "two", "three", "three-success"]
    assert run["steps"][0]["taken_over_from"]
    assert 'at <em dir="auto">Third</em>' in ada.get(run["html_url"]).text
    again = ada.post(f"{failed}/retry", {"secrets": {"token": "canary-4711-secret"}})
    assert again.status_code == 202, again.json
    work_off()
    assert made(ada.get(again.headers["Location"]).json) == made(run)
