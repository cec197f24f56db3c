"""A document of ours says at load what may not be there when a step runs; a document of Backstage need not."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from portal_actions_plugin.host import TemplateFinding
from portal_actions_plugin.software_templates import step_rendering
from portal_actions_plugin.software_templates.expressions.presence import Optional, facts_of, lacks
from portal_actions_plugin.software_templates.loader import FolderTemplateSource
from portal_actions_plugin.software_templates.nunjucks.suggestions import instead_of
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.spec import Template
from tests.support import attacks

BACKSTAGE, OURS = Reading.BACKSTAGE.value, Reading.STRICT.value
HEAD = """\
apiVersion: {version}
kind: Template
metadata: {{name: t}}
spec:
  parameters:
    required: [name, place]
    properties:
      name: {{type: string}}
      kind: {{type: string, default: a}}
      note: {{type: string}}
      tags: {{type: array, items: {{type: string}}}}
      port: {{type: integer}}
      place: {{type: object, required: [city], properties: {{city: {{type: string}}, room: {{type: string}}}}}}
      token: {{type: string, ui:field: Secret}}
    dependencies:
      kind:
        oneOf:
          - {{properties: {{kind: {{const: a}}, size: {{type: integer}}}}, required: [size]}}
          - {{properties: {{kind: {{const: b}}}}}}
  steps:
    - {{id: first, action: debug.log@v1, input: {{message: a}}}}
    - {{id: gh, if: "${{{{ parameters.kind == 'gh' }}}}", action: debug.log@v1, input: {{message: a}}}}
    - {{id: noted, if: "${{{{ parameters.note }}}}", action: debug.log@v1, input: {{message: a}}}}
"""

Found = Callable[..., list[TemplateFinding]]


@pytest.fixture
def found(tmp_path: Path) -> Found:
    def load(step: str, version: str = OURS) -> list[TemplateFinding]:
        text = HEAD.format(version=version) + textwrap.indent(f"- {{id: s, action: debug.log@v1, {step}}}\n", "    ")
        (tmp_path / "t.yaml").write_text(text, encoding="utf-8")
        listing = FolderTemplateSource([tmp_path], {"debug.log@v1"}).list()
        return [*listing.problems, *listing.warnings]

    return load


@pytest.mark.fault("E23")
@pytest.mark.parametrize(
    ("expression", "said", "write"),
    [
        ("parameters.note", "parameters.note may not be given", "${{ parameters.note | default('') }}"),
        ("parameters['note']", "parameters.note may not be given", "${{ parameters.note | default('') }}"),
        ("parameters.tags", "parameters.tags may not be given", "${{ parameters.tags | default([]) }}"),
        ("parameters.port", "parameters.port may not be given", "${{ parameters.port | default(0) }}"),
        ("parameters.note | upper", "parameters.note may not be given", "(parameters.note | default(''))"),
        ("parameters.note ~ 'x'", "parameters.note may not be given", "(parameters.note | default(''))"),
        ("[parameters.note]", "parameters.note may not be given", "(parameters.note | default(''))"),
        ("{a: parameters.note}", "parameters.note may not be given", "(parameters.note | default(''))"),
        ("parameters.note.split('-')", "parameters.note may not be given", "(parameters.note | default(''))"),
        ("parameters.note and 'x'", "parameters.note may not be given", "(parameters.note | default(''))"),
        ("parameters.name or parameters.note", "parameters.note may not be given", "(parameters.note | default(''))"),
        ("'x' if parameters.port > 1 else 'y'", "parameters.port may not be given", "(parameters.port | default(0))"),
        ("parameters.note if parameters.name else 'y'", "parameters.note may not", "(parameters.note | default(''))"),
        ("parameters.place.room", "parameters.place.room may not be given", "${{ parameters.place.room | default('') }}"),
        ("parameters.size", "parameters.size may not be given", "${{ parameters.size | default(0) }}"),
        ("steps.gh.output.url", "the step gh may be skipped", "${{ steps.gh.output.url | default('') }}"),
        ("steps['gh'].output.url | upper", "the step gh may be skipped", "(steps.gh.output.url | default(''))"),
        ("steps.gh.output", "the step gh may be skipped", "${{ steps.gh.output | default('') }}"),
        ("'x' if parameters.note", "it has no value where its if is false", "… else ''"),
    ],
)  # fmt: skip
def test_what_may_have_no_value_is_a_problem_of_ours_that_says_how_to_write_it(
    found: Found, expression: str, said: str, write: str
) -> None:
    (told,) = found(f'input: {{message: "${{{{ {expression} }}}}"}}')
    assert said in told.message
    assert told.write == write
    assert (told.line, told.key) == (24, "spec.steps[3].input.message")
    assert told.value == f"${{{{ {expression} }}}}"
    assert found(f'input: {{message: "${{{{ {expression} }}}}"}}', BACKSTAGE) == []


@pytest.mark.parametrize(
    "expression",
    [
        *("parameters.name", "parameters.kind", "parameters.place.city", "parameters.note | default('x')"),
        *("parameters.note or 'x'", "parameters.note is defined", "parameters.note == none", "not parameters.note"),
        *("parameters.note if parameters.note else 'x'", "parameters.note | upper if parameters.note else 'x'"),
        *("parameters.note and parameters.note | upper or 'x'", "'x' if parameters.note is undefined else parameters.note"),
        *("'x' if not parameters.note else parameters.note", "parameters.note if parameters.note != null else 'x'"),
        *("parameters.place.room or 'x'", "steps.gh.output.url or steps.first.output.url", "steps.gh.output.url | d('x')"),
        *("parameters.size | default(1)", "'x' if parameters.port == 3 else 'y'", "parameters.tags or []"),
        *("parameters.size if parameters.kind == 'a' else 1", "context.runId", "user.ref"),
    ],
)  # fmt: skip
def test_what_has_a_default_or_is_asked_for_first_is_none(found: Found, expression: str) -> None:
    assert found(f'input: {{message: "${{{{ {expression} }}}}"}}') == []


def test_what_a_steps_own_if_asks_for_is_there_in_its_input(found: Found) -> None:
    for condition, expression in (
        ("parameters.note", "parameters.note | upper"),
        ("parameters.note and parameters.kind", "parameters.note"),
        ("parameters.place.room != none", "parameters.place.room"),
        ("steps.gh.output.url", "steps.gh.output.url ~ '/x'"),
        ("parameters.kind == 'gh'", "steps.gh.output.url"),
        ("parameters.kind == 'gh' and parameters.tags", "steps.gh.output.url ~ parameters.tags | length"),
        ("steps.noted.output.x", "parameters.note"),
        ("parameters.kind == 'a'", "parameters.size"),
    ):
        step = f'if: "${{{{ {condition} }}}}", input: {{message: "${{{{ {expression} }}}}"}}'
        assert found(step) == [], (condition, expression)


def test_an_if_needs_no_value_alone_but_what_it_computes_does(found: Found) -> None:
    assert found('if: "${{ parameters.note }}"') == []
    assert found('if: "${{ parameters.place.room and not steps.gh.output.x }}"') == []
    (told,) = found('if: "${{ parameters.port > 80 }}"')
    assert told.key == "spec.steps[3].if"
    assert told.write == "(parameters.port | default(0))"


def test_several_expressions_of_one_text_need_each_of_their_values(found: Found) -> None:
    told = found('input: {message: "a ${{ parameters.note }} ${{ parameters.kind }}", b: ["${{ parameters.port }}"]}')
    assert [one.key for one in told] == ["spec.steps[3].input.b[0]", "spec.steps[3].input.message"]


def test_a_part_of_an_object_that_was_not_given_counts_as_false(tmp_path: Path, found: Found) -> None:
    assert found('if: "${{ parameters.place.room }}", input: {message: "${{ parameters.place.room or 1 }}"}') == []
    template: Template = FolderTemplateSource([tmp_path], {"debug.log@v1"}).get("t")
    context = step_rendering.step_context({"name": "n", "place": {"city": "Oslo"}}, {}, {}, {})
    assert step_rendering.next_step(template, 3, context) is None
    assert step_rendering.render_step_input(template, 3, context, {}) == {"message": 1}


@pytest.mark.parametrize("version", [OURS, BACKSTAGE])
def test_a_secret_that_is_read_as_a_parameter_is_told(found: Found, version: str) -> None:
    (told,) = found('input: {message: "${{ parameters.token or 1 }}"}', version)
    assert "'token' is a secret, and read as a parameter" in told.message
    assert told.write == "secrets.token"
    assert told.severity == ("problem" if version == OURS else "warning")
    (told,) = found('input: {message: "${{ parameters | dump }}"}', version)
    assert "all parameters are given, the secret token too" in told.message


@pytest.mark.parametrize("version", [OURS, BACKSTAGE])
@pytest.mark.parametrize(
    ("expression", "said", "write"),
    [
        ("user.email", "there is no user.email; user has displayName, entity, id, ref", ""),
        ("context.nope", "there is no context.nope", ""),
        ("True and nothing", "'nothing' is unknown", ""),
        ("nope(1)", "there is no function 'nope'", ""),
        ("ranges(1)", "there is no function 'ranges'; did you mean 'range'?", ""),
        ("parameters()", "parameters is no function", ""),
        ("parameters.name ? 'a' : 'b'", "'?' ", "${{ 'a' if parameters.name else 'b' }}"),
        ("parameters.name && !parameters.kind", "'&' ", "${{ parameters.name and not parameters.kind }}"),
        ("parameters.name | uper", "there is no filter 'uper'", ""),
    ],
)
def test_what_cannot_be_read_or_is_not_there_is_told_with_what_to_write(
    found: Found, version: str, expression: str, said: str, write: str
) -> None:
    told = found(f'input: {{message: "${{{{ {expression} }}}}"}}', version)
    assert any(said in one.message or "unexpected char" in one.message for one in told), told
    assert {one.severity for one in told} == {"problem" if version == OURS else "warning"}
    assert not write or write in {one.write for one in told}


@pytest.mark.parametrize("version", [OURS, BACKSTAGE])
@pytest.mark.parametrize("expression", ["nope()", "a ? b : c", "parameters.name | nope", "x is nope"])
def test_an_if_that_would_be_a_text_is_a_problem_in_both_readings(found: Found, version: str, expression: str) -> None:
    told = found(f'if: "${{{{ {expression} }}}}"', version)
    assert "problem" in {one.severity for one in told}


@pytest.mark.parametrize(
    "expression",
    [
        *(
            "parameters" + "[parameters.name]" * 400,
            "parameters.note" + ".a" * 900,
            " and ".join(["parameters.note"] * 400),
        ),
        *(
            "(" * 300 + "parameters.note" + ")" * 300,
            " or ".join(["parameters.note == 'a'"] * 300),
            "not " * 900 + "parameters.note",
        ),
        *(" if parameters.note else ".join(["parameters.port"] * 200), "parameters[" * 200 + "1" + "]" * 200),
    ],
    ids=lambda one: one[:30],
)
def test_looking_for_what_may_not_be_there_takes_no_time_that_grows_with_a_power(expression: str) -> None:
    began = time.thread_time()
    optional = Optional({("parameters", "note"): "''"}, frozenset(), frozenset())
    lacks(f"${{{{ {expression} }}}}", optional, facts_of(f"${{{{ {expression} }}}}"), value_needed=True)
    assert time.thread_time() - began < 2


def test_whatever_is_written_is_looked_at_without_an_error_of_ours() -> None:
    for expression in (*attacks.MADE, *attacks.REACHING, *attacks.GREEDY):
        text = f"${{{{ {expression} }}}}"
        assert isinstance(lacks(text, Optional(), facts_of(text), value_needed=True), tuple)
        assert isinstance(instead_of(text), str)


@pytest.mark.parametrize("text", ["${{" + " " * 130 + "?" + " " * 128 + ":" + " " * 128 + "?}}", "${{ a ? b : " + " " * 300 + "}}", "${{ " + "!" * 390 + "}}"])  # fmt: skip
def test_what_to_write_instead_is_found_at_once(text: str) -> None:
    began = time.thread_time()
    instead_of(text)
    assert time.thread_time() - began < 1
