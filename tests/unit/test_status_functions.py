"""`always()` and `failure()`: where they may be called, what they answer, and what calling them means after a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from portal_actions_plugin.host import TemplateFinding
from portal_actions_plugin.software_templates.loader import FolderTemplateSource
from portal_actions_plugin.software_templates.nunjucks.rendering import StatusCheck
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.spec import Template
from portal_actions_plugin.software_templates.step_rendering import (
    ConditionError,
    next_step,
    next_step_after_failure,
    render_step_input,
    step_context,
)

BOTH = pytest.mark.parametrize("reading", list(Reading))
LOG = {"id": "made", "action": "debug.log@v1", "input": {"message": "hello"}}


def loaded(folder: Path, reading: Reading, *steps: dict[str, Any], **spec: Any) -> tuple[Template | None, list[Any]]:
    document = {
        "apiVersion": reading.value,
        "kind": "Template",
        "metadata": {"name": "t", "title": "t"},
        "spec": {
            "owner": "team:platform",
            "type": "service",
            "parameters": [{"properties": {"x": {"type": "boolean", "default": False}}}],
            "steps": [
                {"name": "A step", "action": "debug.log@v1", "input": {"message": "x"}, **step} for step in steps
            ],
            **spec,
        },
    }
    (folder / "t.yaml").write_text(yaml.safe_dump(document))
    listing = FolderTemplateSource([folder], {"debug.log@v1"}).list()
    found: list[TemplateFinding] = [*listing.problems, *listing.warnings]
    return next(iter(listing.templates), None), [(one.key, one.message, one.write) for one in found]


def context(failed: tuple[str, ...] = ("made",), outputs: dict[str, Any] | None = None) -> dict[str, Any]:
    return step_context({"x": False}, outputs or {}, {}, {}, failed_steps=failed)


@BOTH
@pytest.mark.parametrize(
    ("condition", "after_failure", "after_success"),
    [
        ("${{ always() }}", True, True),
        ("${{ failure() }}", True, False),
        ("${{ not failure() }}", False, True),
        ("${{ parameters.x and always() }}", False, False),
        ("${{ not parameters.x and always() }}", True, True),
        ("${{ parameters.x or failure() }}", True, False),
        ("${{ true or always() }}", False, True),
        ("${{ always() and false }}", False, False),
        ("${{ failure() and steps.made.output.url }}", False, False),
        ("${{ failure() and steps.made.status == 'failed' }}", True, False),
        ("${{ 'always' }}", False, True),
        ("yes, ${{ always() }}", True, True),
        (True, False, True),
        (None, False, True),
    ],
)
def test_after_a_failure_a_step_runs_whose_if_called_one_of_them_and_is_true(
    tmp_path: Path, reading: Reading, condition: Any, after_failure: bool, after_success: bool
) -> None:
    template, found = loaded(tmp_path, reading, LOG, {"id": "it", **({} if condition is None else {"if": condition})})
    assert template is not None, found
    assert next_step_after_failure(template, 1, context()) == (1 if after_failure else None)
    assert next_step(template, 1, context((), {"made": {"url": None}})) == (1 if after_success else None)


@BOTH
def test_an_if_that_fails_once_it_has_called_one_of_them_is_told_of_and_any_other_is_passed_over(
    tmp_path: Path, reading: Reading
) -> None:
    fails = "parameters.x.y.z.w()" if reading is Reading.BACKSTAGE else "1 / 0"
    template, found = loaded(
        tmp_path,
        reading,
        LOG,
        {"id": "a", "if": f"${{{{ {fails} or always() }}}}"},
        {"id": "b", "if": f"${{{{ always() and {fails} }}}}"},
    )
    assert template is not None, found
    with pytest.raises(ConditionError) as refused:
        next_step_after_failure(template, 1, context())
    assert refused.value.position == 2


@BOTH
def test_an_input_may_ask_too(tmp_path: Path, reading: Reading) -> None:
    said = "${{ 'failed' if failure() else 'done' }}"
    template, found = loaded(tmp_path, reading, {"id": "it", "if": "${{ always() }}", "input": {"message": said}})
    assert template is not None, found
    assert render_step_input(template, 0, context(), {}, StatusCheck(has_failed=True)) == {"message": "failed"}
    assert render_step_input(template, 0, context(()), {}) == {"message": "done"}


@BOTH
def test_a_function_that_is_not_called_is_told_of_with_what_to_write(tmp_path: Path, reading: Reading) -> None:
    _, found = loaded(tmp_path, reading, {"id": "it", "if": "${{ always }}"})
    assert ("spec.steps[0].if", "${{ always }}: always is a function, and is not called here", "always()") in found


@BOTH
def test_there_is_no_success_and_a_page_of_the_form_can_ask_for_nothing(tmp_path: Path, reading: Reading) -> None:
    template, found = loaded(tmp_path, reading, {"id": "it", "if": "${{ success() }}"})
    assert template is None
    assert "there is no function 'success'" in found[0][1]
    page = {"title": "One", "when": "${{ always() }}", "properties": {}}
    _, found = loaded(tmp_path, reading, {"id": "it"}, parameters=[page])
    assert any(key == "spec.parameters[0].when" and "no function 'always'" in message for key, message, _ in found)


def test_what_cleans_up_must_not_need_what_a_failed_step_has_not_made(tmp_path: Path) -> None:
    needs = {"message": "${{ steps.made.output.url }}"}
    template, found = loaded(tmp_path, Reading.STRICT, LOG, {"id": "it", "if": "${{ always() }}", "input": needs})
    assert template is None
    assert "the step made may have failed" in found[0][1]
    asks = {"id": "it", "if": "${{ always() and steps.made.output.url }}", "input": needs}
    assert loaded(tmp_path, Reading.STRICT, LOG, asks)[0] is not None
    assert loaded(tmp_path, Reading.STRICT, LOG, {"id": "it", "input": needs})[0] is not None
    same_if = {"if": "${{ parameters.x }}"}
    both = {"id": "it", "if": "${{ parameters.x and always() }}", "input": needs}
    assert loaded(tmp_path, Reading.STRICT, {**LOG, **same_if}, both)[0] is None, "it may have failed all the same"
