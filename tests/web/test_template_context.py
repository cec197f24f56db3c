"""What expressions may name of the portal and of the requester: ``environment`` and ``user.entity``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields
from sqlalchemy import select

from portal_actions_plugin import plugin
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.errors import ConfigurationError, NotFoundError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.settings.config import Config
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from tests.support.people import Person
from tests.support.run_helpers import work_off

SECRET = "portal-4711-secret"
TEMPLATE = """\
apiVersion: {version}
kind: Template
metadata: {{name: t}}
spec:
  steps:
    - id: use
      if: ${{{{ environment.parameters.region == 'eu' }}}}
      action: test.use@v1
      input:
        a: ${{{{ environment.parameters.region }}}}
        b: "Bearer ${{{{ environment.secrets.token }}}}"
        c: ${{{{ environment.secrets.token | upper }}}}
        d: ${{{{ environment.parameters.missing or 'none' }}}}
        e: ${{{{ {entity} }}}}
        f: ${{{{ context.task.id == context.runId }}}}
        g: branch-${{{{ '' | now }}}}
  output:
    links: [{{title: Region, url: "https://${{{{ environment.parameters.region }}}}.example/${{{{ user.ref }}}}"}}]
"""
BOTH = pytest.mark.parametrize("version", ["scaffolder.backstage.io/v1beta3", "portal-actions/v1"])


class Anything(Schema):
    a = b = c = d = e = f = g = fields.Raw()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_ENVIRONMENT={"parameters": {"region": "eu"}, "secrets": {"token": SECRET}})
    with app.app_context():
        yield app


@pytest.fixture
def got(app: Flask, template_folder: Path) -> list[dict[str, Any]]:
    """What the handler was handed."""
    handed: list[dict[str, Any]] = []

    def use(ctx: Any, **given: Any) -> dict[str, Any]:
        handed.append(given)
        ctx.log(f"{given['b']} {given['c']}")
        return {"said": given["b"], "branch": given["g"]}

    extension().registry.add(action("test.use@v1", title="Use", input=Anything)(use), "the tests")
    return handed


def write(folder: Path, version: str, entity: str = "user.entity.spec.profile.email or user.ref") -> None:
    (folder / "t.yaml").write_text(TEMPLATE.format(version=version, entity=entity))


def start(person: Person) -> Any:
    answer = person.post("/api/v1/templates/t/runs", {"inputs": {}})
    assert answer.status_code == 202, answer.json
    work_off()
    return person.get(answer.headers["Location"]).json


@BOTH
def test_a_step_gets_what_the_portal_has_and_nobody_is_shown_its_secrets(
    got: list[dict[str, Any]], template_folder: Path, ada: Person, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(template_folder, version)
    run = start(ada)
    assert run["status"] == "success", run
    (given,) = got
    assert (given["a"], given["b"], given["c"], given["d"]) == ("eu", f"Bearer {SECRET}", SECRET.upper(), "none")
    assert (given["e"], given["f"]) == ("user:ada@example.com", True)
    step = run["steps"][0]
    assert step["input"]["b"] == f"Bearer {MASK}"
    assert step["input"]["c"] == MASK
    assert step["input"]["g"] == step["outputs"]["branch"] == given["g"]
    assert run["links"][0]["url"] == "https://eu.example/user:ada@example.com"
    with reading() as db:
        stored = str([db.rows(select(table)) for table in (tables.action_runs, tables.template_runs, tables.log_lines)])
    assert not {SECRET, SECRET.upper()} & {word for word in (SECRET, SECRET.upper()) if word in stored + caplog.text}
    assert "environment" not in str(run["inputs"])


@BOTH
def test_the_entity_of_the_requester_is_asked_once_and_only_where_it_is_named(
    app: Flask, got: list[dict[str, Any]], template_folder: Path, ada: Person, version: str
) -> None:
    asked: list[str] = []

    def entity(identity: Any) -> dict[str, Any] | None:
        asked.append(identity.id)
        return {"metadata": {"name": "ada"}, "spec": {"profile": {"email": "ada@corp.example"}}}

    plugin.of(app).user_entity(entity)
    write(template_folder, version)
    start(ada)
    assert got[-1]["e"] == "ada@corp.example"
    assert asked == ["user:ada@example.com"]
    write(template_folder, version, entity="user.ref")
    start(ada)
    assert len(asked) == 1


def test_an_entity_that_cannot_be_had_refuses_the_start(
    app: Flask, got: list[dict[str, Any]], template_folder: Path, ada: Person
) -> None:
    write(template_folder, "portal-actions/v1")
    for wrong in ({"a": object()}, {"a": "x" * 70_000}, ["a"], NotFoundError("gone")):

        def entity(_identity: Any, wrong: Any = wrong) -> Any:
            if isinstance(wrong, Exception):
                raise wrong
            return wrong

        plugin.of(app).user_entity(entity, replace=True)
        answer = ada.post("/api/v1/templates/t/runs", {"inputs": {}})
        assert answer.json["error_code"] == "CONFIGURATION_ERROR", answer.json
    assert not got


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("x", "a table with"),
        ({"other": {}}, "a table with"),
        ({"parameters": [1]}, "a table in"),
        ({"secrets": {"a": 1}}, "no text in secrets.a"),
        ({"secrets": {"a": ""}}, "no text in secrets.a"),
        ({"parameters": {"a": object()}}, "JSON values"),
        ({"parameters": {"a": "x" * 70_000}}, "at most 64,000"),
    ],
)
def test_a_wrong_environment_stops_the_start_and_shows_no_secret(given: Any, said: str) -> None:
    app = Flask(__name__)
    app.config["PORTAL_ACTIONS_ENVIRONMENT"] = given
    with pytest.raises(ConfigurationError, match=said):
        Config.from_app(app)
    app.config["PORTAL_ACTIONS_ENVIRONMENT"] = {"secrets": {"token": SECRET}}
    assert SECRET not in repr(Config.from_app(app))


@BOTH
@pytest.mark.parametrize("part", ["if: '${{ environment.secrets.token }}'", "input: {a: '${{ environment.nope }}'}"])
def test_a_secret_of_the_portal_is_for_inputs_only(app: Flask, template_folder: Path, version: str, part: str) -> None:
    (template_folder / "t.yaml").write_text(
        f"apiVersion: {version}\nkind: Template\nmetadata: {{name: t}}\n"
        f"spec: {{steps: [{{action: debug.log@v1, {part}}}]}}\n"
    )
    listing = extension().templates.list()
    assert any("environment" in one.message for one in (*listing.problems, *listing.warnings))
