"""Which step comes next, what it gets, and what a run gives in the end."""

from __future__ import annotations

import time

import pytest

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.outputs.rendering import render_output
from portal_actions_plugin.software_templates.spec import Step, Template
from portal_actions_plugin.software_templates.step_rendering import (
    ConditionError,
    next_step,
    render_step_input,
    step_context,
)


def template(*steps: Step, output: dict | None = None, parameters: dict | None = None) -> Template:
    return Template(
        name="create-service",
        title="Create a service",
        description="",
        tags=(),
        owner="team:platform",
        type="service",
        parameters=({"properties": parameters or {}},),
        steps=steps,
        output=output or {},
        permissions=(),
        version="0" * 16,
    )


def step(step_id: str, condition: str | bool | None = None, **data) -> Step:
    return Step(step_id, step_id, "debug.log@v1", data, condition)


def context(inputs: dict | None = None, outputs: dict | None = None) -> dict:
    return step_context(inputs or {}, outputs or {}, user={"id": "user:ada"}, context={"runId": "0199"})


def test_the_context_has_what_expressions_may_name():
    assert context({"name": "x"}, {"a": {"url": "u"}}) == {
        "parameters": {"name": "x"},
        "steps": {"a": {"output": {"url": "u"}, "outputs": {"url": "u"}, "status": "success"}},
        "user": {"id": "user:ada"},
        "context": {"runId": "0199"},
        "environment": {},
    }


def test_steps_without_an_if_come_one_after_the_other():
    plan = template(step("a"), step("b"))
    assert [next_step(plan, position, context()) for position in range(3)] == [0, 1, None]


def test_steps_whose_if_is_false_are_passed_over_also_the_first():
    plan = template(step("a", "${{ parameters.x }}"), step("b", condition=False), step("c"), step("d", condition=False))
    assert next_step(plan, 0, context({"x": False})) == 2
    assert next_step(plan, 0, context({"x": True})) == 0
    assert next_step(plan, 3, context()) is None


def test_an_if_sees_the_outputs_of_the_steps_before_it():
    plan = template(step("a"), step("b", "${{ steps.a.output.changed }}"))
    assert next_step(plan, 1, context(outputs={"a": {"changed": True}})) == 1
    assert next_step(plan, 1, context(outputs={"a": {"changed": False}})) is None


@pytest.mark.parametrize("condition", ["${{ parameters.review }}", "${{ parameters.review == 'x' }}",
                                       "${{ not not parameters.review }}", "${{ parameters.review and true }}",
                                       "${{ steps.a.output.prUrl }}", "${{ steps['a'].output.prUrl != null }}"])  # fmt: skip
def test_a_parameter_that_was_not_given_and_a_skipped_steps_output_count_as_false(condition):
    plan = template(step("a", condition=False), step("b", condition), parameters={"review": {"type": "string"}})
    assert next_step(plan, 0, context()) is None


@pytest.mark.parametrize("condition", ["${{ parameters.nope }}", "${{ nope }}", "${{ steps.nope.output.x }}",
                                       "${{ steps.a.output.nope }}", "${{ 1 / 0 }}", "${{ 1 + }}"])  # fmt: skip
def test_an_if_that_cannot_be_evaluated_names_its_step_and_position(condition):
    plan = template(step("a"), step("b", condition=False), step("c", condition))
    with pytest.raises(ConditionError) as caught:
        next_step(plan, 1, context(outputs={"a": {}}))
    assert caught.value.position == 2
    assert caught.value.message.startswith("step c: steps[2].if: ${{")
    assert isinstance(caught.value, ValidationError)


def test_an_input_is_rendered_with_secrets():
    plan = template(step("a", repo="${{ parameters.name }}", token="${{ secrets.token }}", n=["${{ user.id }}", 5]))
    assert render_step_input(plan, 0, context({"name": "x"}), {"token": "t"}) == {
        "repo": "x",
        "token": "t",
        "n": ["user:ada", 5],
    }


def test_secrets_are_in_inputs_only():
    plan = template(step("a", "${{ secrets.token }}"), output={"token": "${{ secrets.token }}"})
    with pytest.raises(ConditionError, match="'secrets' is undefined"):
        next_step(plan, 0, context())
    assert render_output(plan, context()) == {}


def test_an_input_that_cannot_be_rendered_names_step_field_and_expression():
    plan = template(step("a"), step("b", repo={"owner": ["${{ parameters.nope }}"]}))
    with pytest.raises(ValidationError) as caught:
        render_step_input(plan, 1, context({"name": "x"}), {})
    assert caught.value.message == (
        "step b: steps[1].input.repo.owner[0]: ${{ parameters.nope }}: 'nope' is undefined; there is name."
    )


def test_an_input_never_gets_a_value_that_was_not_given_but_may_have_a_default():
    parameters = {"description": {"type": "string"}}
    plan = template(step("a", text="${{ parameters.description }}"), parameters=parameters)
    with pytest.raises(ValidationError, match="'description' was not given: write a default"):
        render_step_input(plan, 0, context(), {})
    plan = template(step("a", text="${{ parameters.description or 'none' }}"), parameters=parameters)
    assert render_step_input(plan, 0, context(), {}) == {"text": "none"}
    plan = template(step("a", text="${{ parameters.description | default('none') }}"), parameters=parameters)
    assert render_step_input(plan, 0, context(), {}) == {"text": "none"}


def test_an_input_that_reads_a_skipped_step_says_so():
    plan = template(step("a", condition=False), step("b", url="${{ steps.a.output.url }}"))
    with pytest.raises(ValidationError, match=r"step b: .*'a' has no output: that step was skipped"):
        render_step_input(plan, 1, context(), {})


def test_the_output_drops_what_a_skipped_step_would_have_given():
    plan = template(
        step("repo"),
        step("pr", condition=False),
        output={
            "links": [
                {"title": "Repository", "url": "${{ steps.repo.output.url }}"},
                {"title": "Pull request", "url": "${{ steps.pr.output.prUrl }}"},
                {"title": "In a text", "url": "https://x/${{ steps.pr.output.number }}"},
            ],
            "text": ["${{ steps.pr.output.number }}", "done"],
            "number": "${{ steps.pr.output.number }}",
            "deep": {"a": {"b": "${{ steps.pr.output.number | upper }}", "c": 1}},
        },
    )
    assert render_output(plan, context(outputs={"repo": {"url": "u"}})) == {
        "links": [{"title": "Repository", "url": "u"}],
        "text": ["done"],
        "deep": {"a": {"c": 1}},
    }


def test_an_item_of_the_output_may_have_an_if_of_its_own():
    links = [{"if": "${{ parameters.review }}", "title": "A", "url": "a"}, {"if": "${{ not parameters.review }}", "url": "b"},
             {"if": "${{ 1 / 0 }}", "url": "c"}]  # fmt: skip
    plan = template(step("a"), output={"links": links})
    assert render_output(plan, context({"review": True})) == {"links": [{"title": "A", "url": "a"}]}


def test_the_output_of_a_run_that_succeeded_never_fails(caplog):
    plan = template(
        step("a"),
        output={
            "bad": "${{ 1 / 0 }}",
            "big": "${{ 'x' * 10 ** 9 }}",
            "open": "${{ 1 +",
            "good": "${{ parameters.name }}",
        },
    )
    assert render_output(plan, context({"name": "x"})) == {"good": "x"}
    assert "output.bad: ${{ 1/0 }}" in caplog.text.replace(" / ", "/")


def test_the_conditions_of_all_steps_together_are_stopped_at_once():
    slow = "${{ range(1000) | map('replace', '1', 'x' * 200) | join | length > 0 and false }}"
    plan = template(*[step(f"s{number}", slow) for number in range(2_000)])
    began = time.thread_time()
    with pytest.raises(ConditionError, match=r"longer than|along the way"):
        next_step(plan, 0, context())
    assert time.thread_time() - began < 3
