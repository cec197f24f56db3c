"""One body, two readings: a v1beta3 document behaves as at home, a document of ours is strict."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.host import TemplateFinding
from portal_actions_plugin.software_templates import step_rendering
from portal_actions_plugin.software_templates.known_inputs import KnownInputs
from portal_actions_plugin.software_templates.loader import FolderTemplateSource
from portal_actions_plugin.software_templates.outputs import rendering
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.spec import ITEMS_OF_A_STEP, Template

BACKSTAGE, OURS = Reading.BACKSTAGE.value, Reading.STRICT.value

DOCUMENT = """\
apiVersion: {version}
kind: Template
metadata: {{name: t}}
spec:
  parameters:
    properties:
      name: {{type: string}}
      note: {{type: string}}
      port: {{type: integer}}
      yes: {{type: boolean}}
  steps:
    - id: first
      action: debug.log@v1
      input: {{message: a}}
{more}"""


def document(more: str, version: str = BACKSTAGE) -> str:
    return DOCUMENT.format(version=version, more=textwrap.indent(textwrap.dedent(more), "    "))


def listing(folder: Path, text: str) -> tuple[list[Template], list[TemplateFinding], list[TemplateFinding]]:
    (folder / "t.yaml").write_text(text, encoding="utf-8")
    found = FolderTemplateSource([folder], {"debug.log@v1"}).list()
    return list(found.templates), list(found.problems), list(found.warnings)


def loaded(folder: Path, text: str) -> Template:
    templates, problems, _ = listing(folder, text)
    assert not problems, problems
    return templates[0]


def context(parameters: Mapping[str, Any], outputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return step_rendering.step_context(parameters, outputs or {"first": {}}, {"ref": "user:ada"}, {})


def rendered(folder: Path, given: str, parameters: Mapping[str, Any], version: str = BACKSTAGE) -> Any:
    template = loaded(folder, document(f"- {{id: s, action: debug.log@v1, input: {given}}}", version))
    return step_rendering.render_step_input(template, 1, context(parameters), {})


@pytest.mark.parametrize(
    ("given", "parameters", "expected"),
    [
        ('{a: "${{ parameters.name }}", note: "${{ parameters.note }}"}', {"name": "x"}, {"a": "x"}),
        ('{a: "hello ${{ parameters.name }} ${{ parameters.note }}"}', {"name": "x"}, {"a": "hello x "}),
        ("{a: \"${{ ':' + parameters.port }}\"}", {"port": 8443}, {"a": ":8443"}),
        ('{a: "{% if parameters.yes %}yes{% endif %} end"}', {"yes": True}, {"a": "yes end"}),
        ('{a: "{% if parameters.yes %}true{% endif %}"}', {"yes": True}, {"a": True}),
        ('{u: "${{ steps.first.output.text }}", k: 1}', {}, {"k": 1}),
        ("{a: \"${{ 'x' if parameters.port === 8443 else 'y' }}\"}", {"port": 8443}, {"a": "x"}),
        ('{a: "${{ parameters.yes ? 1 : 2 }}"}', {}, {"a": "${{ parameters.yes ? 1 : 2 }}"}),
        ('{a: ["${{ parameters.note }}", 1], b: "", c: {d: "${{ parameters.note }}"}}', {}, {"a": [1], "b": "", "c": {}}),
        ("{t: 12:30, o: 010, e: 1e3, y: yes, d: 2026-01-02, em: , dot: .5}", {},
         {"t": "12:30", "o": 10, "e": 1000, "y": "yes", "d": "2026-01-02", "em": None, "dot": 0.5}),
    ],
)  # fmt: skip
def test_a_document_of_backstage_renders_as_at_home(
    tmp_path: Path, given: str, parameters: dict[str, Any], expected: object
) -> None:
    assert rendered(tmp_path, given, parameters) == expected


@pytest.mark.parametrize(
    ("condition", "parameters", "holds"),
    [
        ("${{ parameters.name }}", {}, False),
        ("${{ parameters.name }}", {"name": "x"}, True),
        ("${{ parameters.name == 'x' }}", {"name": "x"}, True),
        ("${{ [] }}", {}, False),
        ("${{ {} }}", {}, True),
        ("${{ not parameters.note }}", {}, True),
        ("${{ 'false' }}", {}, True),
        ("${{ parameters.name === 'x' and parameters.port > '9' }}", {"name": "x", "port": 10}, True),
    ],
)
def test_an_if_of_backstage_holds_as_at_home(
    tmp_path: Path, condition: str, parameters: dict[str, Any], holds: bool
) -> None:
    template = loaded(tmp_path, document(f'- {{id: s, if: "{condition}", action: debug.log@v1}}'))
    assert (step_rendering.next_step(template, 1, context(parameters)) == 1) is holds


def test_an_if_that_fails_at_run_time_fails_its_step_and_is_never_true(tmp_path: Path) -> None:
    template = loaded(tmp_path, document('- {id: s, if: "${{ parameters.note.x() }}", action: debug.log@v1}'))
    with pytest.raises(step_rendering.ConditionError, match=r"parameters\.note\.x is no function"):
        step_rendering.next_step(template, 1, context({}))


def test_an_if_that_cannot_be_read_is_a_problem_in_both_readings(tmp_path: Path) -> None:
    for version in (BACKSTAGE, OURS):
        templates, problems, _ = listing(
            tmp_path, document('- {id: s, if: "${{ a ? b : c }}", action: debug.log@v1}', version)
        )
        assert not templates
        assert problems[0].key == "spec.steps[1].if"
        assert problems[0].line == 15


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('{a: "${{ parameters.nope }}"}', "there is no parameter 'nope'"),
        ('{a: "${{ steps.nope.output.x }}"}', "there is no step 'nope'"),
        ('{a: "${{ github.ref }}"}', "'github' is unknown"),
        ('{a: "${{ parameters.yes ? 1 : 2 }}"}', "'?' cannot be used here"),
        ('{a: "${{ parameters.name | nope }}"}', "there is no filter 'nope'"),
        ("{a: {{ gitHost }}}", "Put the text in quotes"),
        ("{<<: {a: 1}}", "no merge keys"),
        ("{a: !Ref x}", "the tag !Ref means nothing here"),
    ],
)
def test_what_runs_at_home_is_a_warning_there_and_a_problem_in_ours(tmp_path: Path, given: str, said: str) -> None:
    more = f"- {{id: s, action: debug.log@v1, input: {given}}}"
    templates, problems, warnings = listing(tmp_path, document(more))
    assert templates
    assert not problems
    assert any(said in warning.message and warning.line == 15 for warning in warnings), warnings
    templates, problems, _ = listing(tmp_path, document(more, OURS))
    assert not templates
    assert any(problem.line == 15 for problem in problems)


def test_a_block_in_a_value_of_ours_is_a_problem_and_never_literal_text(tmp_path: Path) -> None:
    more = '- {id: s, action: debug.log@v1, input: {a: "{% if parameters.yes %}yes{% endif %}"}}'
    templates, (problem,), _ = listing(tmp_path, document(more, OURS))
    assert not templates
    assert problem.line == 15
    assert "blocks are not evaluated here" in problem.message


def test_a_value_of_ours_that_was_taken_away_at_run_time_is_an_error_that_names_it(tmp_path: Path) -> None:
    template = loaded(tmp_path, document('- {id: s, action: debug.log@v1, input: {a: "${{ parameters.note }}"}}'))
    with pytest.raises(ValidationError, match=r"\$\{\{ parameters\.note \}\}: 'note' was not given"):
        step_rendering.render_step_input(replace(template, reading=Reading.STRICT), 1, context({}), {})


def test_a_snapshot_keeps_its_reading_and_one_without_it_is_strict(tmp_path: Path) -> None:
    home = loaded(tmp_path, document("- {id: s, action: debug.log@v1}"))
    assert Template.from_snapshot(home.snapshot()) == home
    assert "api_version" not in loaded(tmp_path, document("- {id: s, action: debug.log@v1}", OURS)).snapshot()
    older = {name: value for name, value in home.snapshot().items() if name != "api_version"}
    assert Template.from_snapshot(older).reading is Reading.STRICT


@pytest.mark.parametrize("step_id", ["first", "a" * 64, "make it/so (1)", "1.2", "é"])
def test_an_id_that_only_home_takes_is_a_warning_there_and_a_problem_in_ours(tmp_path: Path, step_id: str) -> None:
    more = f'- {{id: "{step_id}", action: debug.log@v1}}'
    templates, problems, warnings = listing(tmp_path, document(more))
    assert [step.id for step in templates[0].steps] == ["first", step_id]
    assert not problems
    assert [(one.key, one.value) for one in warnings] == [("spec.steps[1].id", step_id)]
    assert not listing(tmp_path, document(more, OURS))[0]


@pytest.mark.parametrize("step_id", ["", "a" * 256, r"a\nb", r"a\0b"])
def test_an_id_that_cannot_be_stored_or_shown_is_a_problem_in_both_readings(tmp_path: Path, step_id: str) -> None:
    for version in (BACKSTAGE, OURS):
        assert not listing(tmp_path, document(f'- {{id: "{step_id}", action: debug.log@v1}}', version))[0]


def test_what_a_step_of_a_repeated_id_makes_is_known_when_it_has_run_only(tmp_path: Path) -> None:
    more = '- {id: first, action: debug.log@v1}\n- {id: s, action: debug.log@v1, input: {a: "${{ steps.first.output.a }}"}}'
    template = loaded(tmp_path, document(more))
    assert KnownInputs(template, context({}, {"first": {"a": 1}})).input(2) == {}
    assert [template.first_item(position) for position in range(3)] == [0, ITEMS_OF_A_STEP, 0]


def test_the_output_of_a_run_leaves_out_what_has_no_value(tmp_path: Path) -> None:
    text = document("[]").replace(textwrap.indent("[]", "    "), "") + textwrap.indent(
        textwrap.dedent("""\
        output:
          links:
            - {title: A, url: "${{ steps.first.output.url }}"}
            - {title: B, url: "https://x/${{ parameters.name }}", if: "${{ parameters.yes }}"}
          text: "${{ parameters.note or 'none' }}"
        """), "  ")  # fmt: skip
    template = loaded(tmp_path, text)
    found = rendering.render_output(template, context({"name": "n", "yes": True}))
    assert found == {"links": [{"title": "B", "url": "https://x/n"}], "text": "none"}


def test_what_is_made_of_secrets_is_known_in_both_readings(tmp_path: Path) -> None:
    for version in (BACKSTAGE, OURS):
        text = document('- {id: s, action: debug.log@v1, input: {a: "${{ secrets.name | upper }}", b: x}}', version)
        text = text.replace("  parameters:\n", "  parameters:\n    required: [name]\n")
        template = loaded(tmp_path, text.replace("name: {type: string}", "name: {type: string, writeOnly: true}"))
        made = step_rendering.made_of_secrets(
            template, 1, context({}), {"name": "s3cret"}, (context({}), {"name": "•••"})
        )
        assert list(made) == [("S3CRET", "•••")]
        assert template.requester_secrets == frozenset()
