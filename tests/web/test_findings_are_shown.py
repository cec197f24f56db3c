"""What is wrong with templates, as people, owners and operators are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal_actions_plugin.doctor import examination
from portal_actions_plugin.runs.reading import queries
from tests.support.people import Person
from tests.support.run_helpers import work_off

OF_BACKSTAGE = """\
apiVersion: scaffolder.backstage.io/v1beta3
kind: Template
metadata: {name: shaped}
spec:
  type: service
  parameters: {properties: {n: {type: integer, default: 9, maximum: 5}}}
  steps:
    - {id: say, action: debug.log@v1, input: {message: made}}
    - {id: push, action: scm.pushSkeleton@v1, input: {provider: local, repo: x, skelton: ./skeleton}}
"""
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def shaped(template_folder: Path) -> Path:
    file = template_folder / "shaped.yaml"
    file.write_text(OF_BACKSTAGE)
    return file


@ON_SQLITE
@pytest.mark.fault("E23")
def test_a_backstage_template_with_warnings_runs_and_its_failed_step_says_what_is_wrong_by_field(
    ada: Person, margaret: Person, shaped: Path
) -> None:
    listing = margaret.get("/api/v1/templates").json
    assert "shaped" in [one["name"] for one in listing["data"]]
    assert listing["problems"] == []
    told = {one["key"]: one for one in listing["warnings"]}
    assert told["spec.parameters.properties.n.default"] | {"message": ""} == {
        "severity": "warning", "template": "shaped", "file": "shaped.yaml", "line": 6, "value": "9", "message": "",
        "key": "spec.parameters.properties.n.default", "write": "",
    }  # fmt: skip
    assert (told["spec.steps[1].input.skelton"]["line"], told["spec.steps[1].input.skelton"]["write"]) == (
        9,
        "skeleton",
    )
    started = ada.post("/api/v1/templates/shaped/runs", {"inputs": {}})
    assert started.status_code == 202, started.text
    assert started.json["inputs"] == {}
    work_off()
    step = queries.template_run(started.json["id"]).steps[1].run
    assert step is not None
    assert step.error is not None
    assert sorted(step.error.message.splitlines()[1:]) == [
        "provider: is unknown", "repo: must be an object", "skelton: is unknown",
    ]  # fmt: skip


@ON_SQLITE
@pytest.mark.fault("E23")
def test_the_same_template_of_our_own_is_left_out_and_a_start_says_why(ada: Person, shaped: Path) -> None:
    shaped.write_text(OF_BACKSTAGE.replace("scaffolder.backstage.io/v1beta3", "portal-actions/v1"))
    listing = ada.get("/api/v1/templates").json
    assert "shaped" not in [one["name"] for one in listing["data"]]
    assert {one["severity"] for one in listing["problems"]} == {"problem"}
    assert {one["key"] for one in listing["problems"]} >= {
        "spec.parameters.properties.n.default", "spec.steps[1].input.repo", "spec.steps[1].input.skelton",
    }  # fmt: skip
    refused = ada.post("/api/v1/templates/shaped/runs", {"inputs": {}})
    assert refused.status_code == 422
    assert "the default of n is read as 9" in refused.json["message"]


@ON_SQLITE
def test_warnings_are_for_who_may_edit_the_template(app: Flask, ada: Person, margaret: Person, shaped: Path) -> None:
    assert ada.get("/api/v1/templates").json["warnings"] == []
    assert margaret.get("/api/v1/templates").json["warnings"]
    asked: list[Any] = []

    def may(identity: Any, permission: str, target: Any) -> bool:
        asked.append((permission, target))
        return permission != "template:edit"

    app.extensions["portal_actions"].hook_table.register("authorizer", may, replaces=True, how="")
    assert margaret.get("/api/v1/templates").json["warnings"] == []
    assert ("template:edit", "shaped") in asked


@ON_SQLITE
def test_the_doctor_counts_warnings_and_is_not_worried(app: Flask, shaped: Path) -> None:
    (told,) = [one for one in examination.examine() if one.part == "templates"]
    assert told.level == "ok"
    assert told.message.startswith("4 warnings about 1 template that can be used, such as")
    assert f"{shaped}:6: spec.parameters.properties.n.default: the default of n" in told.message
