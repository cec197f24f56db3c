"""What a template's author has tagged is shown, asked for and run only for those whom the host lets have it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal_actions_plugin import Identity
from portal_actions_plugin.errors import PermissionDeniedError, ValidationError
from portal_actions_plugin.host import TemplatePart
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.reading import permitted, queries
from portal_actions_plugin.software_templates.spec import Template
from tests.support.portal import PEOPLE, decide
from tests.support.run_helpers import ADA

BOB = PEOPLE["bob"]
TAGGED = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: tagged}
spec:
  presentation: {buttonLabels: {createButtonText: Order it}}
  parameters:
    - required: [name, budget]
      properties:
        name: {type: string}
        budget: {type: integer, default: 5, backstage:permissions: {tags: [money]}}
    - title: For operators
      backstage:permissions: {tags: [operators]}
      required: [host]
      properties: {host: {type: string}}
  steps:
    - {id: say, action: debug.log@v1, input: {message: "${{ parameters.name }}"}}
    - {id: do, action: debug.log@v1, backstage:permissions: {tags: [operators, money]}, input: {message: do}}
    - id: tell
      if: ${{ not parameters.host and not steps['do'].output.x }}
      action: debug.log@v1
      input: {message: "${{ parameters.budget | default('none') }}"}
"""


@pytest.fixture
def portal(make_app: Callable[..., Flask], tmp_path: Path) -> Flask:
    (tmp_path / "tagged").mkdir()
    (tmp_path / "tagged" / "template.yaml").write_text(TAGGED)
    app = make_app(PORTAL_ACTIONS_TEMPLATE_PATH=[str(tmp_path / "tagged")])
    decide(app, lambda who, _permission, target: not isinstance(target, TemplatePart) or who.id == ADA.id)
    return app


def test_the_host_is_asked_for_each_tagged_part_and_for_no_other(portal: Flask) -> None:
    asked: list[tuple[str, TemplatePart]] = []

    def note(_who: Identity, permission: str, target: Any) -> bool:
        if isinstance(target, TemplatePart):
            asked.append((permission, target))
        return True

    decide(portal, note)
    with portal.app_context():
        whole = permitted.template(BOB, "tagged")
    assert [step.id for step in whole.steps] == ["say", "do", "tell"]
    assert asked == [
        ("parameter:read", TemplatePart("tagged", "parameter", "budget", ("money",))),
        ("parameter:read", TemplatePart("tagged", "page", "For operators", ("operators",))),
        ("step:run", TemplatePart("tagged", "step", "do", ("operators", "money"))),
    ]


def test_what_somebody_may_not_have_is_not_published_refused_and_not_run(portal: Flask) -> None:
    with portal.app_context():
        for template in (permitted.template(BOB, "tagged"), permitted.templates(BOB).templates[0]):
            assert set(template.published_schema["properties"]) == {"name"}
            assert "backstage:permissions" not in str(template.published_schema)
            assert [set(page["properties"]) for page in template.shown({})] == [{"name"}]
        with pytest.raises(ValidationError) as caught:
            service.start_template_run(BOB, "tagged", {"name": "x", "budget": 1, "host": "h"})
        assert caught.value.fields == {"budget": ["is unknown"], "host": ["is unknown"]}
        run = queries.template_run(service.start_template_run(BOB, "tagged", {"name": "x"}).run.id)
        assert run.inputs == {"name": "x"}
        assert [step.step_id for step in run.steps] == ["say", "tell"]
        ours = service.start_template_run(ADA, "tagged", {"name": "x", "host": "h"}).run.id
        assert queries.template_run(ours).inputs == {"name": "x", "host": "h", "budget": 5}
        assert permitted.template(ADA, "tagged").presentation == {"buttonLabels": {"createButtonText": "Order it"}}


def test_a_run_keeps_what_was_withheld(portal: Flask) -> None:
    with portal.app_context():
        for who in (ADA, BOB):
            template = permitted.template(who, "tagged")
            again = Template.from_snapshot(template.snapshot())
            assert (again.steps, again.parameters) == (template.steps, template.parameters)
            assert again.parameter_names == {"name", "budget", "host"}
            assert again.withheld_steps == template.withheld_steps
        assert permitted.template(BOB, "tagged") is permitted.template(BOB, "tagged")
        assert "withheld_steps" not in permitted.template(ADA, "tagged").snapshot()


def test_a_run_with_tagged_parts_is_not_resumed_by_those_who_may_not_have_them(portal: Flask) -> None:
    with portal.app_context():
        whole = permitted.template(ADA, "tagged")
        assert access.permitted_template(ADA, whole) is whole
        assert access.permitted_template(BOB, whole) is not whole
        run = service.start_template_run(ADA, "tagged", {"name": "x", "host": "h"}).run.id
        service.cancel_template_run(ADA, run)
        with pytest.raises(PermissionDeniedError):
            service.resume_template_run(BOB, run)
        assert service.retry_template_run(ADA, run)


@pytest.mark.parametrize("version", ["scaffolder.backstage.io/v1beta3", "portal-actions/v1"])
@pytest.mark.parametrize(
    "more",
    [
        "additionalProperties: true",
        "allOf: [{if: {properties: {budget: {const: 7}}, required: [budget]}, then: {properties: {why: {type: string}}}}]",
    ],
)
def test_a_withheld_parameter_cannot_be_given_where_other_fields_or_conditions_let_it_through(
    portal: Flask, tmp_path: Path, version: str, more: str
) -> None:
    text = TAGGED.replace("portal-actions/v1", version).replace("  steps:", f"    - {more}\n  steps:", 1)
    (tmp_path / "tagged" / "template.yaml").write_text(text)
    with portal.app_context():
        assert "budget" in permitted.template(BOB, "tagged").withheld_parameters
        with pytest.raises(ValidationError) as caught:
            service.start_template_run(BOB, "tagged", {"name": "x", "budget": 7})
        assert caught.value.fields == {"budget": ["is unknown"]}
        run = queries.template_run(service.start_template_run(BOB, "tagged", {"name": "x"}).run.id)
        assert "budget" not in run.inputs
        assert service.start_template_run(ADA, "tagged", {"name": "x", "host": "h", "budget": 7}).run.id


@pytest.mark.parametrize("version", ["scaffolder.backstage.io/v1beta3", "portal-actions/v1"])
@pytest.mark.parametrize("written", ["{tag: [operators]}", "{}", "", "[operators]", "{tags: operators}", "{tags: [1]}"])
def test_tags_that_nobody_reads_are_a_problem_and_not_an_open_part(
    make_app: Callable[..., Flask], tmp_path: Path, written: str, version: str
) -> None:
    text = TAGGED.replace("portal-actions/v1", version).replace("{tags: [operators]}", written)
    (tmp_path / "template.yaml").write_text(text)
    app = make_app(PORTAL_ACTIONS_TEMPLATE_PATH=[str(tmp_path)])
    with app.app_context():
        listing = permitted.templates(ADA)
    assert [found.name for found in listing.templates] == []
    assert "spec.parameters[1].backstage:permissions" in {found.key for found in listing.problems}
