"""Templates as files: what is accepted, and what each mistake is told to be."""

from __future__ import annotations

import contextlib
import json
import os
import textwrap
import time
from pathlib import Path

import pytest

from portal_actions_plugin.errors import ConfigurationError, ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.software_templates.loader import FolderTemplateSource, read_skeleton
from portal_actions_plugin.software_templates.spec import Template, validate_inputs

ACTIONS = {"scm.createRepo@v1", "scm.openPrOrMr@v1", "scm.pushSkeleton@v1", "debug.log@v1"}

GOOD = """\
    apiVersion: portal-actions/v1
    kind: Template
    metadata: {name: create-service, title: Create a service, description: All of it, tags: [python]}
    spec:
      owner: team:platform
      type: service
      permissions: [template:create-service]
      parameters:
        - title: About the service
          required: [name, owner]
          properties:
            name: {type: string, title: Name, pattern: "^[a-z][a-z0-9-]{2,30}$"}
            owner: {type: string, title: Organisation, "ui:field": OwnerPicker}
            review: {type: boolean, default: true}
        - title: Secrets
          required: [token]
          properties:
            token: {type: string, "ui:field": Secret}
            password: {type: string, writeOnly: true}
      steps:
        - id: create-repo
          name: Create the repository
          action: scm.createRepo@v1
          input: {owner: "${{ parameters.owner }}", repo: "${{ parameters.name }}", token: "${{ secrets.token }}"}
        - id: open-pr
          if: ${{ parameters.review }}
          action: scm.openPrOrMr@v1
          input:
            repo: ${{ steps['create-repo'].output.repo }}
      output:
        links: [{title: Repository, url: "${{ steps['create-repo'].output.repoUrl }}"}]
    """


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def source(*folders: Path) -> FolderTemplateSource:
    return FolderTemplateSource(folders, ACTIONS)


def minimal(name: str, steps: str = "[{action: debug.log@v1}]", more: str = "") -> str:
    head = f"apiVersion: portal-actions/v1\nkind: Template\nmetadata: {{name: {name}}}\nspec:\n"
    inside = steps if steps.startswith("[") else textwrap.indent(textwrap.dedent(steps), "    ").rstrip()
    return f"{head}  steps: {inside}\n{textwrap.indent(textwrap.dedent(more), '  ')}"


def load(tmp_path: Path, text: str) -> Template:
    write(tmp_path / "one.yaml", text)
    listing = source(tmp_path).list()
    assert not listing.problems, [str(problem) for problem in listing.problems]
    return listing.templates[0]


def problems(tmp_path: Path, text: str) -> list[tuple[int, str, str]]:
    file = write(tmp_path / "one.yaml", text)
    listing = source(tmp_path).list()
    assert not listing.templates
    assert {problem.path for problem in listing.problems} <= {str(file)}
    return [(problem.line, problem.key, problem.message) for problem in listing.problems]


def only(tmp_path: Path, text: str) -> tuple[int, str, str]:
    found = problems(tmp_path, text)
    assert len(found) == 1, found
    return found[0]


# --- what is read


def test_a_template_is_read_whole(tmp_path):
    template = load(tmp_path, GOOD)
    assert (template.name, template.title, template.description) == ("create-service", "Create a service", "All of it")
    assert (template.tags, template.owner, template.type) == (("python",), "team:platform", "service")
    assert template.permissions == ("template:create-service",)
    assert [page["title"] for page in template.parameters] == ["About the service", "Secrets"]
    first, second = template.steps
    assert (first.id, first.name, first.action, first.condition) == (
        "create-repo", "Create the repository", "scm.createRepo@v1", None,
    )  # fmt: skip
    assert (second.name, second.condition) == ("open-pr", "${{ parameters.review }}")
    assert template.secret_names == {"token", "password"}
    assert template.folder == str(tmp_path)
    assert len(template.version) == 16


def test_a_snapshot_is_json_and_gives_the_same_template_back(tmp_path):
    (tmp_path / "skeleton").mkdir()
    (tmp_path / "skeleton" / "a.txt").write_text("a")
    template = load(
        tmp_path, minimal("x", "[{action: debug.log@v1, if: false, input: {skeleton: ./skeleton, a: [1, null]}}]")
    )
    kept = json.loads(json.dumps(template.snapshot()))
    assert Template.from_snapshot(kept) == template
    assert Template.from_snapshot(kept).snapshot() == kept


@pytest.mark.parametrize(("condition", "is_new"), [("always()", True), ("not  failure ()", True), ("1 == 1", False)])
def test_a_step_that_cleans_up_has_a_key_that_stops_workers_which_know_no_cleanup(tmp_path, condition, is_new):
    steps = f'[{{action: debug.log@v1, if: "${{{{ {condition} }}}}", input: {{message: a}}}}]'
    template = load(tmp_path, minimal("x", steps))
    kept = template.snapshot()
    assert ("concurrency" in kept["steps"][0]) is is_new
    assert Template.from_snapshot(kept) == template


def test_a_snapshot_shares_nothing_with_its_template(tmp_path):
    template = load(tmp_path, GOOD)
    template.snapshot()["steps"][0]["input"]["owner"] = "somebody else"
    assert template.steps[0].input["owner"] == "${{ parameters.owner }}"


def test_backstages_own_version_and_defaults_are_accepted(tmp_path):
    text = minimal("x", "[{action: debug.log@v1}, {action: debug.log@v1}]").replace(
        "portal-actions/v1", "scaffolder.backstage.io/v1beta3"
    )
    template = load(tmp_path, text)
    assert [step.id for step in template.steps] == ["step-1", "step-2"]
    assert template.title == "x"
    assert template.parameters == ()


def test_one_page_of_parameters_needs_no_list(tmp_path):
    template = load(tmp_path, minimal("x", more="parameters: {properties: {name: {type: string}}}"))
    assert template.parameters == ({"properties": {"name": {"type": "string"}}},)


def test_yaml_files_of_a_folder_and_template_files_one_level_down_are_found(tmp_path):
    write(tmp_path / "b.yml", minimal("b"))
    write(tmp_path / "a.yaml", minimal("a"))
    write(tmp_path / "folder" / "template.yaml", minimal("c"))
    write(tmp_path / "other" / "template.yml", minimal("d"))
    write(tmp_path / "folder" / "not-a-template.yaml", minimal("no1"))
    write(tmp_path / "folder" / "deeper" / "template.yaml", minimal("no2"))
    write(tmp_path / ".hidden" / "template.yaml", minimal("no3"))
    write(tmp_path / "readme.md", "kind: Template")
    listing = source(tmp_path).list()
    assert [template.name for template in listing.templates] == ["a", "b", "c", "d"]
    assert not listing.problems


def test_documents_of_another_kind_are_ignored(tmp_path):
    write(tmp_path / "a.yaml", "kind: Component\n---\n" + minimal("a") + "---\njust a text\n---\n- 1\n")
    write(tmp_path / "empty.yaml", "")
    listing = source(tmp_path).list()
    assert [template.name for template in listing.templates] == ["a"]
    assert not listing.problems


def test_a_folder_that_is_named_twice_is_read_once(tmp_path):
    write(tmp_path / "all" / "x" / "template.yaml", minimal("a"))
    listing = source(tmp_path / "all", tmp_path / "all" / "x", tmp_path / "all").list()
    assert [template.name for template in listing.templates] == ["a"]
    assert not listing.problems


def test_a_template_is_got_by_its_name(tmp_path):
    write(tmp_path / "a.yaml", minimal("a"))
    assert source(tmp_path).get("a").name == "a"


def test_an_unknown_name_is_not_found_and_the_hint_says_where_to_look(tmp_path):
    write(tmp_path / "a.yaml", minimal("a"))
    with pytest.raises(NotFoundError) as caught:
        source(tmp_path).get("b")
    assert caught.value.message == "There is no template b."
    assert "The list of templates has those that there are" in caught.value.hint
    assert "There is a" not in caught.value.hint, "whoever asks may not know of it"


@pytest.mark.fault("D22")
def test_a_date_stays_the_text_that_it_is_and_so_does_what_yaml_1_1_takes_for_a_number_or_truth(tmp_path):
    written = "{day: 2024-01-31, n: 1_000, at: 12:30, on: no, octal: 010}"
    template = load(tmp_path, minimal("x", f"[{{action: debug.log@v1, input: {written}}}]"))
    assert template.steps[0].input == {"day": "2024-01-31", "n": "1_000", "at": "12:30", "on": "no", "octal": 10}


MERGED = "[{id: a, action: &a debug.log@v1, input: &i {x: 1, y: 2}}, {id: b, action: *a, input: {<<: *i, y: 3}}]"


def test_anchors_are_written_out_and_a_merge_key_is_a_problem_that_says_what_it_is(tmp_path):
    assert problems(tmp_path, minimal("x", MERGED)) == [
        (5, "spec.steps[1].input.<<", "YAML 1.2 has no merge keys: << is a key like others. Write its content out")
    ]


def test_merged_mappings_are_written_out_in_a_portal_that_asks_for_it(tmp_path):
    write(tmp_path / "one.yaml", minimal("x", MERGED))
    (template,) = FolderTemplateSource([tmp_path], ACTIONS, yaml_merge=True).list().templates
    assert template.steps[1].action == "debug.log@v1"
    assert template.steps[1].input == {"x": 1, "y": 3}


# --- what is wrong


def test_a_broken_file_hides_only_itself(tmp_path):
    write(tmp_path / "a.yaml", "kind: Template\n  bad: [\n")
    write(tmp_path / "b.yaml", minimal("b"))
    write(tmp_path / "c.yaml", minimal("c", "[{action: nope@v1}]"))
    listing = source(tmp_path).list()
    assert [template.name for template in listing.templates] == ["b"]
    assert {Path(problem.file).name for problem in listing.problems} == {"a.yaml", "c.yaml"}


def test_a_broken_template_is_a_configuration_error_that_quotes_its_problems(tmp_path):
    write(tmp_path / "c.yaml", minimal("c", "[{action: nope@v1}]"))
    with pytest.raises(ValidationError) as caught:
        source(tmp_path).get("c")
    assert caught.value.message == (
        "The template c cannot be used: c.yaml:5: spec.steps[0].action: there is no action 'nope@v1'"
    )


def test_a_file_whose_yaml_is_broken_is_still_known_by_its_name(tmp_path):
    write(tmp_path / "f.yaml", minimal("create-service") + "  [\n")
    write(tmp_path / "shop" / "template.yaml", "kind: Template\n\t- x")
    for name in ("create-service", "shop"):
        with pytest.raises(ValidationError, match=f"{name} cannot be used"):
            source(tmp_path).get(name)


def test_a_syntax_error_names_its_line(tmp_path):
    line, key, message = only(tmp_path, "kind: Template\nmetadata:\n  name: [x\nspec: 1\n")
    assert (line, key) == (4, "yaml")
    assert "expected ',' or ']'" in message


def test_a_missing_folder_is_a_problem(tmp_path):
    write(tmp_path / "a.yaml", minimal("a"))
    listing = source(tmp_path / "gone", tmp_path).list()
    assert [template.name for template in listing.templates] == ["a"]
    (problem,) = listing.problems
    assert (problem.file, problem.key, problem.path) == ("gone", "folder", str(tmp_path / "gone"))


def test_of_several_templates_with_one_name_none_can_be_used_and_each_names_the_others(tmp_path):
    first = write(tmp_path / "a.yaml", minimal("x"))
    second = write(tmp_path / "b" / "template.yaml", "# a comment\n" + minimal("x"))
    found = source(tmp_path)
    assert [(one.path, one.file, one.line, one.key, one.template) for one in found.list().problems] == [
        (str(first), "a.yaml", 3, "metadata.name", "x"),
        (str(second), "b/template.yaml", 4, "metadata.name", "x"),
    ]
    assert found.list().problems[0].message == (
        "the name 'x' is that of b/template.yaml too, so neither can be used: give one another name"
    )
    assert found.list().templates == ()
    with pytest.raises(ValidationError, match=r"that of b/template.yaml too.*that of a.yaml too"):
        found.get("x")
    second.unlink()
    assert found.get("x").version == load(tmp_path / "alone", minimal("x")).version


def test_every_problem_of_a_file_is_told_at_once_with_its_line(tmp_path):
    found = problems(
        tmp_path,
        """\
        apiVersion: portal-actions/v2
        kind: Template
        metadata: {title: 5}
        spec:
          parameters:
            properties:
              name: {type: strng}
          steps:
            - id: a b
              action: nope@v1
              each: 5
            - id: two
              actoin: debug.log@v1
            - just a text
            - id: two
              action: debug.log
              input: [1]
              if: 5
          output: text
        """,
    )
    assert [(line, key) for line, key, _ in found] == [
        (1, "apiVersion"),
        (3, "metadata.name"),
        (3, "metadata.title"),
        (7, "spec.parameters.properties.name.type"),
        (9, "spec.steps[0].id"),
        (10, "spec.steps[0].action"),
        (11, "spec.steps[0].each"),
        (12, "spec.steps[1].action"),
        (13, "spec.steps[1].actoin"),
        (14, "spec.steps[2]"),
        (14, "spec.steps[2].action"),
        (15, "spec.steps[3].id"),
        (16, "spec.steps[3].action"),
        (17, "spec.steps[3].input"),
        (18, "spec.steps[3].if"),
        (19, "spec.output"),
    ]
    messages = {key: message for _, key, message in found}
    assert messages["spec.steps[0].each"] == "this must be a list, an object or an expression that gives one"
    known = "id, name, action, input, if, each, backstage:permissions, concurrency"
    assert messages["spec.steps[1].actoin"] == f"unknown key; a step has {known}"
    assert messages["spec.steps[3].id"] == "the step id 'two' is taken already, by spec.steps[1]; write another id"
    assert messages["spec.steps[3].action"] == "there is no action 'debug.log'; did you mean debug.log@v1?"


@pytest.mark.parametrize(
    ("text", "key", "part"),
    [
        ("kind: Template\nkind: Template\n", "kind", "there twice"),
        (minimal("x", "[{action: debug.log@v1, input: {a: .nan}}]"), "spec.steps[0].input.a", "no JSON value"),
        (minimal("x", "[{action: debug.log@v1, input: {a: !!binary aGk=}}]"), "spec.steps[0].input.a", "no JSON value"),
        (minimal("x", "[{action: debug.log@v1, input: {a: !!python/object:os.system x}}]"), "spec.steps[0].input.a",
         "no JSON value"),
        (minimal("x", "[{action: debug.log@v1, input: {a: !!set {b}}}]"), "spec.steps[0].input.a", "no JSON value"),
        *[
            (minimal("x", f"[{{action: debug.log@v1, input: {{a: {wrong}}}}}]"), "spec.steps[0].input.a", "no JSON value")
            for wrong in ("0x" + "f" * 5000, "1" * 300 + ".5", "!!int ''", "!!float ''", "!!bool x",
                          "!!timestamp x", '"\\ud800"')
        ],
        (minimal("x", "[{action: debug.log@v1, input: {0x" + "f" * 900 + ": 1}}]"), "spec.steps[0].input",
         "a key must be a text"),
        (minimal("x", "[{action: debug.log@v1, input: {" + "k" * 501 + ": 1}}]"), "spec.steps[0].input", "at most 500"),
        (minimal("x", "[" + "{action: debug.log@v1}, " * 201 + "]"), "spec.steps", "at most 200 steps"),
        (minimal("x", "[]"), "spec.steps", "at least one step"),
        (minimal("../x"), "metadata.name", "at most 63"),
        (minimal("x", more="ouput: {}"), "spec.ouput", "did you mean output?"),
        (minimal("x", more="permissions: admin"), "spec.permissions", "list of texts"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_document_is_told(tmp_path, text, key, part):
    found = problems(tmp_path, text)
    assert any(found_key == key and part in message for _, found_key, message in found), found


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("${{ parameters.nmae }}", "there is no parameter 'nmae'; did you mean 'name'?"),
        ("${{ parameters['nmae'] }}", "there is no parameter 'nmae'"),
        ("${{ steps.third.output.x }}", "the step 'third' has not run yet"),
        ("${{ steps['second'].output.x }}", "the step 'second' has not run yet"),
        ("${{ steps['frist'].output.x }}", "there is no step 'frist'; did you mean 'first'?"),
        ("${{ steps.create.output.x }}", "an id with a dash is written steps['create-…']"),
        ("${{ steps.first.result }}", "a step has only 'output'"),
        ("${{ nmae }}", "'nmae' is unknown"),
        ("${{ each.value }}", "each is the item of a step that has `each`"),
        ("${{ always }}", "always is a function, and is not called here"),
        ("${{ 1 + }}", "unexpected"),
        ("${{ 1", "not closed"),
        ("${{ parameters.name | nope }}", "there is no filter 'nope'"),
        ("${{ secrets.nope }}", "no parameter 'nope' is marked as a secret"),
    ],
)
def test_a_mistake_in_an_expression_is_told_with_its_place(tmp_path, expression, part):
    steps = f"""
        - {{id: first, action: debug.log@v1}}
        - id: second
          action: debug.log@v1
          input:
            deep:
              - message: "a {expression} b"
        - {{id: third, action: debug.log@v1}}
        - {{id: create-repo, action: debug.log@v1}}
        """
    line, key, message = only(tmp_path, minimal("x", steps, "parameters: {properties: {name: {type: string}}}"))
    assert (line, key) == (11, "spec.steps[1].input.deep[0].message")
    assert part in message
    assert message.startswith("${{" if "not closed" not in part else "a ${{")


def test_secrets_can_be_named_in_inputs_only(tmp_path):
    parameters = "parameters: {properties: {token: {type: string, writeOnly: true}}}\n"
    fine = "[{action: debug.log@v1, input: {a: '${{ secrets.token or 1 }}'}}]"
    load(tmp_path, minimal("x", fine, parameters))
    for wrong in ("secrets.token", "parameters.token"):
        _, key, message = only(
            tmp_path, minimal("x", f"[{{action: debug.log@v1, if: '${{{{ {wrong} }}}}'}}]", parameters)
        )
        assert (key, "input only" in message) == ("spec.steps[0].if", True)
        _, key, message = only(tmp_path, minimal("x", more=f"{parameters}output: {{a: '${{{{ {wrong} }}}}'}}"))
        assert (key, "input only" in message) == ("spec.output.a", True)


def test_any_parameter_may_be_named_where_a_page_allows_any(tmp_path):
    steps = "[{action: debug.log@v1, input: {a: '${{ parameters.anything }}'}}]"
    assert load(tmp_path, minimal("x", steps, "parameters: {additionalProperties: true}")).name == "x"


def test_a_parameter_that_only_a_condition_asks_for_may_be_named(tmp_path):
    parameters = """
        parameters:
          properties: {kind: {enum: [a, b]}}
          dependencies: {kind: {oneOf: [{properties: {kind: {enum: [a]}, size: {type: integer, default: 3}}}]}}
        """
    steps = "[{action: debug.log@v1, input: {a: '${{ parameters.size }}'}}]"
    assert load(tmp_path, minimal("x", steps, parameters)).parameter_names == {"kind", "size"}


@pytest.mark.parametrize(
    ("parameters", "key", "part"),
    [
        ("text", "spec.parameters", "must be a JSON Schema object"),
        ("[text]", "spec.parameters[0]", "must be a JSON Schema object"),
        ("{type: array}", "spec.parameters.type", "type object"),
        ("{properties: {a: {type: strng}}}", "spec.parameters.properties.a.type", "invalid JSON Schema"),
        ("{properties: {a: {pattern: '('}}}", "spec.parameters.properties.a.pattern", "invalid JSON Schema"),
        ("{properties: {a: }}", "spec.parameters.properties.a", "invalid JSON Schema"),
        ("{required: [a], properties: {b: {}}}", "spec.parameters.required", "there is no parameter 'a'"),
        ("{properties: {a: {type: integer, default: x}}}", "spec.parameters.properties.a.default", "default"),
        ("{properties: {a: {$ref: 'https://example.com/x.json'}}}", "spec.parameters.properties.a.$ref", "only a $ref into"),
        ("{properties: {a: {$ref: '#/definitions/x'}}}", "spec.parameters.properties.a.$ref", "leads nowhere"),
        ("{definitions: {x: {allOf: [{$ref: '#/definitions/x'}]}}}", "spec.parameters.definitions.x.allOf[0].$ref",
         "leads back to itself"),
        ("{definitions: {x: {$ref: '#/definitions/x'}}}", "spec.parameters.definitions.x.$ref", "leads nowhere"),
        ("{x-a: {pattern: '('}, properties: {a: {$ref: '#/x-a'}}}", "spec.parameters.properties.a.$ref", "no JSON Schema"),
        ("{properties: {a: {$dynamicRef: 'http://example.com/x'}}}", "spec.parameters.properties.a.$dynamicRef", "$ref"),
        ("{patternProperties: {'^(a+)+$': {}}}", "spec.parameters.patternProperties", "a form cannot ask"),
        ("{dependentSchemas: 5, dependencies: {a: {}}}", "spec.parameters.dependentSchemas", "invalid JSON Schema"),
        ("{properties: {a: {pattern: 'a{99999999999999999999}'}}}", "spec.parameters.properties.a.pattern", "regex"),
        ("{properties: {a: {pattern: '" + "a" * 2001 + "'}}}", "spec.parameters.properties.a.pattern", "invalid"),
        ("{properties: {a: {enum: [" + "1, " * 5000 + "]}}}", "spec.parameters", "at most 5,000 values"),
        ("{properties: {a: {type: integer, writeOnly: true}}}", "spec.parameters.properties.a", "type string"),
        ("{properties: {a: {properties: {b: {type: string, 'ui:field': Secret}}}}}",
         "spec.parameters.properties.a.properties.b", "parameter of its own"),
        ("{properties: {a: {'backstage:permissions': {tags: x}}}}",
         "spec.parameters.properties.a.backstage:permissions", "a list of texts"),
        ("{properties: {a: {properties: {b: {'backstage:permissions': {tags: [x]}}}}}}",
         "spec.parameters.properties.a.properties.b.backstage:permissions", "only a page, or a parameter"),
        ("{properties: {a: {'backstage:permissions': {tags: [x]}}}, dependencies: {a: {properties: {b: {}}}}}",
         "spec.parameters.properties.a.backstage:permissions", "only a page, or a parameter"),
        ("[{properties: {a: {type: string}}}, {properties: {a: {type: integer}}}]", "spec.parameters[1].properties.a",
         "another page"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_parameters_is_told(tmp_path, parameters, key, part):
    found = problems(tmp_path, minimal("x", more=f"parameters: {parameters}"))
    assert any(found_key == key and part in message for _, found_key, message in found), found


def test_ui_keys_and_secrets_of_conditions_are_fine(tmp_path):
    parameters = """
        parameters:
          ui:order: [items, "*"]
          properties: {items: {type: string, "ui:widget": textarea, "ui:options": {rows: 3}}}
          allOf: [{if: {required: [items]}, then: {properties: {properties: {type: string, writeOnly: true}}}}]
        """
    assert load(tmp_path, minimal("x", more=parameters)).secret_names == {"properties"}


# --- files that want to hurt


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "a: &a {k: x}\n"
        + "".join(
            f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 10)}]}}\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "a: &a [*a]\n",
        "a: " + "[" * 5000 + "\n",
        "a: " + "{a: " * 60 + "1" + "}" * 60 + "\n",
        "a: " + "9" * 10000 + "\n",
        "[" + "1," * 60_000 + "]\n",
        "[" + "1," * 400_000 + "]\n",
        "---\n" * 200_000,
        "---\nkind: Template\n" * 40_000,
        f"a: &a {'x' * 100_000}\nb: [{'*a, ' * 1000}]\n",
        "a: 1" + ":1" * 100_000 + "\n",
        "a: 1" + ":1" * 1000 + ".5\n",
        "a: [" + ".nan, " * 40_000 + "]\n",
        "spec: {steps: [" + "{action: x}, " * 16_000 + "]}\n",
        f"spec: {{output: {{a: &a '${{{{ {'1 + ' * 200} 1 }}}}', b: [{'*a, ' * 1_000}]}}}}\n",
        "spec: {output: [" + ", ".join(f"'${{{{ {number} }}}}'" for number in range(9_000)) + "]}\n",
        f"spec: {{output: {{{'k' * 400}: [{'1, ' * 40_000}]}}}}\n",
        "x: '" + "x" * 1_000_001 + "'\n",
        "kind: \x07\n",
    ],
)
def test_a_hostile_file_is_a_problem_and_not_a_hang(tmp_path, text):
    (tmp_path / "one.yaml").write_text("kind: Template\n" + text if not text.startswith("[") else text)
    began = time.thread_time()
    listing = source(tmp_path).list()
    assert time.thread_time() - began < 10
    assert not listing.templates
    assert listing.problems


_WRONG = (
    *("~", "5", "-1.5", "true", "text", "''", "[]", "{}", "[[]]", "{a: 1}", "[1, a]", "{a: {b: [~]}}", "!!binary aGk="),
    *("&a [*a]", "*nope", "!!python/name:os.system ''", "{<<: 5}", "{5: 5}", "{[1]: 2}", "0x" + "f" * 9000, ".inf"),
    *('"\\ud800"', '"\\0"', "'${{'", "'${{ 1 + }}'", "'${{ x | y }}'", "{$ref: '#/'}", "{type: [1]}", "{$ref: 5}"),
)
_PLACES = (
    *("{0}", "kind: Template\nspec: {0}", "kind: Template\n{0}: 1", "kind: Template\nmetadata: {0}\nspec: {0}"),
    *(minimal("x").replace("name: x", "name: {0}"), minimal("x").replace("[{action: debug.log@v1}]", "{0}")),
    *(minimal("x").replace("action: debug.log@v1", f"{word}: {{0}}") for word in ("id", "action", "if", "each")),
    *(minimal("x").replace("debug.log@v1", f"debug.log@v1, {word}: {{0}}") for word in ("input", "if", "id", "name")),
    minimal("x").replace("debug.log@v1", "debug.log@v1, input: {skeleton: {0}}"),
    *(minimal("x", more=f"{word}: {{0}}") for word in ("output", "permissions", "owner", "parameters")),
    *(
        minimal("x", more=f"parameters: {{{word}: {{0}}}}")
        for word in (
            "properties",
            "required",
            "allOf",
            "if",
            "dependencies",
            "dependentSchemas",
            "$ref",
            "items",
            "title",
        )
    ),
    minimal("x", more="parameters: {properties: {a: {0}}, dependencies: {a: {0}}, dependentRequired: {0}}"),
    minimal("x", more="parameters: {definitions: {a: {0}}, properties: {a: {$ref: '#/definitions/a', default: {0}}}}"),
)
_DOCUMENTS = [place.replace("{0}", wrong) for place in _PLACES for wrong in _WRONG]


def test_whatever_is_written_as_a_document_only_ever_becomes_findings(tmp_path):
    assert len(set(_DOCUMENTS)) > 500
    broken = 0
    file = tmp_path / "one.yaml"
    for text in _DOCUMENTS:
        file.write_text(text)
        listing = source(tmp_path).list()
        broken += bool(listing.problems)
        for template in listing.templates:
            json.dumps(template.snapshot(), ensure_ascii=False, allow_nan=False).encode()
            for given in ({}, {"a": 1}, {"a": "x" * 100}, {"a": {"b": [None]}, "c": 1e308}):
                with contextlib.suppress(ValidationError):
                    validate_inputs(template, given)
    assert broken > 300


@pytest.mark.parametrize("linked", ["one.yaml", "folder"])
def test_a_link_that_leads_out_of_the_template_folder_is_a_problem_and_not_read(tmp_path, linked):
    write(tmp_path / "elsewhere" / "template.yaml", minimal("a"))
    (tmp_path / "here").mkdir()
    target = tmp_path / "elsewhere" / ("template.yaml" if linked == "one.yaml" else ".")
    (tmp_path / "here" / linked).symlink_to(target)
    listing = source(tmp_path / "here").list()
    assert not listing.templates
    assert ["leads out of the template folder" in problem.message for problem in listing.problems] == [True]


def test_links_inside_the_template_folder_and_to_it_are_followed(tmp_path):
    write(tmp_path / "versions" / "..1" / "template.yaml", minimal("a"))
    (tmp_path / "versions" / "a.yaml").symlink_to("..1/template.yaml")
    (tmp_path / "current").symlink_to("versions")
    assert [template.name for template in source(tmp_path / "current").list().templates] == ["a"]


def test_a_pipe_among_the_templates_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "one.yaml")
    assert not source(tmp_path).list().templates


def test_a_template_names_only_so_many_skeletons(tmp_path):
    steps = ", ".join(f"{{action: debug.log@v1, input: {{skeleton: s{number}}}}}" for number in range(21))
    for number in range(21):
        write(tmp_path / f"s{number}" / "x", "x")
    _, key, message = only(tmp_path, minimal("svc", f"[{steps}]"))
    assert (key, message) == ("spec.steps", "the steps name more than 20 skeleton folders")


def test_a_skeleton_that_is_too_deep_is_told(with_skeleton):
    write(with_skeleton / "skeleton" / "/".join("a" * 50) / "x", "x")
    (problem,) = source(with_skeleton.parent).list().problems
    assert "deeper than 40 folders" in problem.message


def test_a_file_that_is_not_utf8_is_a_problem_with_its_line(tmp_path):
    (tmp_path / "one.yaml").write_bytes(b"kind: Template\nmetadata: {name: caf\xe9}\n")
    (problem,) = source(tmp_path).list().problems
    assert (problem.line, problem.key, problem.message) == (2, "file", "this is no UTF-8 text")


# --- reading again


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(tmp_path):
    file = write(tmp_path / "a.yaml", minimal("a"))
    write(tmp_path / "b.yaml", minimal("b"))
    found = source(tmp_path)
    before, other = found.get("a"), found.get("b")
    assert found.get("a") is before
    write(file, minimal("a", more="owner: team:new"))
    assert found.get("a").owner == "team:new"
    assert found.get("a").version != before.version
    assert found.get("b") is other


def test_added_and_removed_files_are_noticed(tmp_path):
    found = source(tmp_path)
    assert not found.list().templates
    file = write(tmp_path / "a.yaml", minimal("a"))
    assert found.get("a")
    file.unlink()
    with pytest.raises(NotFoundError):
        found.get("a")


def test_a_problem_goes_away_once_it_is_corrected(tmp_path):
    file = write(tmp_path / "a.yaml", minimal("a", "[{action: nope@v1}]"))
    found = source(tmp_path)
    assert found.list().problems
    write(file, minimal("a"))
    assert found.get("a")
    assert not found.list().problems


def test_the_version_does_not_depend_on_where_the_file_is(tmp_path):
    assert load(tmp_path / "a", minimal("x")).version == load(tmp_path / "b", minimal("x")).version


# --- skeletons

SKELETON = "[{action: scm.pushSkeleton@v1, input: {skeleton: ./skeleton/}}]"


@pytest.fixture
def with_skeleton(tmp_path) -> Path:
    write(tmp_path / "svc" / "template.yaml", minimal("svc", SKELETON))
    write(tmp_path / "svc" / "skeleton" / "README.md", "# ${{ values.name }}\n")
    script = write(tmp_path / "svc" / "skeleton" / "bin" / "run.sh", "#!/bin/sh\n")
    script.chmod(0o755)
    write(tmp_path / "svc" / "skeleton" / ".gitignore", "x\n")
    return tmp_path / "svc"


def test_the_files_of_a_skeleton_are_hashed_and_read_in_order(with_skeleton):
    template = source(with_skeleton.parent).get("svc")
    assert list(template.skeleton_files) == ["skeleton/.gitignore", "skeleton/README.md", "skeleton/bin/run.sh"]
    assert all(len(digest) == 64 for digest in template.skeleton_files.values())
    files = read_skeleton(template, "./skeleton")
    assert [(file.path, file.executable) for file in files] == [
        (".gitignore", False),
        ("README.md", False),
        ("bin/run.sh", True),
    ]
    assert files[1].content == b"# ${{ values.name }}\n"
    assert files[1].source == with_skeleton / "skeleton" / "README.md"


def test_a_changed_skeleton_is_a_new_version(with_skeleton):
    found = source(with_skeleton.parent)
    before = found.get("svc")
    assert found.get("svc") is before
    write(with_skeleton / "skeleton" / "README.md", "# changed\n")
    after = found.get("svc")
    assert after.version != before.version
    write(with_skeleton / "skeleton" / "new.txt", "x")
    assert found.get("svc").version != after.version


def _change(folder: Path) -> str:
    write(folder / "skeleton" / "README.md", "# changed\n")
    return "skeleton/README.md changed"


def _remove(folder: Path) -> str:
    (folder / "skeleton" / "README.md").unlink()
    return "skeleton/README.md was removed"


def _add(folder: Path) -> str:
    write(folder / "skeleton" / "bin" / "new", "x")
    return "skeleton/bin/new was added"


def _move_away(folder: Path) -> str:
    (folder / "skeleton").rename(folder / "other")
    return "there is no skeleton folder skeleton"


def _lead_out(folder: Path) -> str:
    (folder / "skeleton" / "README.md").unlink()
    (folder / "skeleton" / "README.md").symlink_to("/etc/hostname")
    return "README.md is a link that leads out"


@pytest.mark.parametrize("meddle", [_change, _remove, _add, _move_away, _lead_out])
def test_a_skeleton_that_is_not_what_it_was_is_a_conflict_that_names_the_file(with_skeleton, meddle):
    template = Template.from_snapshot(source(with_skeleton.parent).get("svc").snapshot())
    what = meddle(with_skeleton)
    with pytest.raises(ConflictError, match=what) as caught:
        read_skeleton(template, "./skeleton")
    assert "start the template again" in caught.value.message


def test_a_template_without_files_has_no_skeleton(with_skeleton):
    data = source(with_skeleton.parent).get("svc").snapshot() | {"folder": None}
    with pytest.raises(ConfigurationError, match="came without files"):
        read_skeleton(Template.from_snapshot(data), "./skeleton")


@pytest.mark.parametrize("folder", ["other", "../svc/skeleton", "/etc", ".", "", "skeleton/../../x"])
def test_only_a_skeleton_folder_that_the_template_names_can_be_read(with_skeleton, folder):
    write(with_skeleton / "other" / "x", "x")
    with pytest.raises(ValidationError):
        read_skeleton(source(with_skeleton.parent).get("svc"), folder)


@pytest.mark.parametrize(
    ("folder", "part"),
    [
        ("./gone", "there is no skeleton folder gone"),
        ("template.yaml", "there is no skeleton folder"),
        ("./empty", "is empty"),
        ("/etc", "below the template's file"),
        ("../svc/skeleton", "below the template's file"),
        ("skeleton/../../x", "below the template's file"),
        (".", "a folder of its own"),
        ("./link-out", "leads out"),
        ("./has-link-out", "leads out"),
        ("./has-folder-link", "a link to a folder"),
        ("./has-broken-link", "cannot be read"),
        ("./has-pipe", "no regular file"),
        ("./has-loop", "cannot be read"),
    ],
)
def test_a_skeleton_that_cannot_be_used_is_told(with_skeleton, folder, part):
    for name in ("empty", "has-link-out", "has-folder-link", "has-broken-link", "has-pipe", "has-loop"):
        (with_skeleton / name).mkdir()
    (with_skeleton / "link-out").symlink_to("/etc")
    (with_skeleton / "has-link-out" / "passwd").symlink_to("/etc/passwd")
    (with_skeleton / "has-folder-link" / "x").symlink_to(with_skeleton / "skeleton")
    (with_skeleton / "has-broken-link" / "x").symlink_to(with_skeleton / "nothing")
    (with_skeleton / "has-loop" / "x").symlink_to(with_skeleton / "has-loop" / "x")
    os.mkfifo(with_skeleton / "has-pipe" / "x")
    write(
        with_skeleton / "template.yaml", minimal("svc", f"[{{action: debug.log@v1, input: {{skeleton: '{folder}'}}}}]")
    )
    (problem,) = source(with_skeleton.parent).list().problems
    assert (problem.line, problem.key) == (5, "spec.steps[0].input.skeleton")
    assert part in problem.message


def test_a_link_to_a_file_inside_the_templates_folder_is_followed(with_skeleton):
    write(with_skeleton / "shared.txt", "shared")
    (with_skeleton / "skeleton" / "LICENSE").symlink_to("../shared.txt")
    template = source(with_skeleton.parent).get("svc")
    assert {file.path: file.content for file in read_skeleton(template, "skeleton")}["LICENSE"] == b"shared"


def test_a_missing_skeleton_that_appears_makes_the_template_usable(tmp_path):
    write(tmp_path / "template.yaml", minimal("svc", SKELETON))
    found = source(tmp_path)
    assert found.list().problems
    write(tmp_path / "skeleton" / "a", "a")
    assert found.get("svc").skeleton_files.keys() == {"skeleton/a"}


# --- inputs


def template_with(tmp_path: Path, parameters: str) -> Template:
    return load(tmp_path, minimal("x", more="parameters:\n" + textwrap.indent(textwrap.dedent(parameters), "  ")))


def errors(template: Template, inputs: object) -> dict:
    with pytest.raises(ValidationError) as caught:
        validate_inputs(template, inputs)
    return caught.value.fields


def test_defaults_are_applied_in_nested_objects_too(tmp_path):
    template = template_with(
        tmp_path,
        """
        properties:
          name: {type: string}
          review: {type: boolean, default: true}
          db: {type: object, properties: {size: {type: integer, default: 10}, name: {type: string}}}
          optional: {type: object, required: [a], properties: {a: {type: string}, b: {default: 1}}}
          ports: {type: array, items: {type: object, properties: {protocol: {default: tcp}}}}
        """,
    )
    assert validate_inputs(template, {"name": "x", "ports": [{}, {"protocol": "udp"}]}) == {
        "name": "x",
        "review": True,
        "db": {"size": 10},
        "ports": [{"protocol": "tcp"}, {"protocol": "udp"}],
    }
    assert validate_inputs(template, {"db": {"name": "y"}, "review": False})["db"] == {"size": 10, "name": "y"}


def test_the_inputs_and_the_template_are_left_as_they_were(tmp_path):
    template = template_with(tmp_path, "properties: {tags: {type: array, default: [a]}, db: {type: object}}")
    given = {"db": {}}
    validate_inputs(template, given)["tags"].append("b")
    assert given == {"db": {}}
    assert validate_inputs(template, given)["tags"] == ["a"]


def test_what_checks_inputs_is_made_once_and_forgets_what_it_has_seen(tmp_path):
    form = """
        properties: {port: {$ref: "#/$defs/port"}}
        $defs: {port: {type: integer, maximum: 65535}}
        """
    template = template_with(tmp_path, form)
    check = template.input_check
    for wrong in ({"port": 70_000}, {"port": "x"}, {"unknown": 1}):
        with pytest.raises(ValidationError):
            validate_inputs(template, wrong)
        assert validate_inputs(template, {"port": 80}) == {"port": 80}
    assert template.input_check is check


def test_every_error_is_told_at_once_field_by_field(tmp_path):
    template = template_with(
        tmp_path,
        """
        - required: [name, owner]
          properties:
            name: {type: string, pattern: "^[a-z]+$", minLength: 3}
            owner: {type: string}
            visibility: {type: string, enum: [private, public]}
            size: {type: integer, minimum: 1, maximum: 5}
            mail: {type: string, format: email}
            db: {type: object, required: [kind], properties: {kind: {type: string}, port: {type: integer}}}
            tags: {type: array, maxItems: 3, items: {type: string}}
        - properties: {review: {type: boolean}}
        """,
    )
    with pytest.raises(ValidationError) as caught:
        validate_inputs(
            template,
            {"name": "X1", "visibility": "all", "size": 9, "mail": "nobody", "db": {"port": "x"}, "tags": ["a", 1],
             "review": "yes", "nmae": 1},
        )  # fmt: skip
    assert caught.value.fields == {
        "name": ["must match ^[a-z]+$", "must have at least 3 characters"],
        "owner": ["is required"],
        "visibility": ["must be one of private, public"],
        "size": ["must be at most 5"],
        "mail": ["is no valid email"],
        "db": {"kind": ["is required"], "port": ["must be a whole number"]},
        "tags": {"1": ["must be a text"]},
        "review": ["must be true or false"],
        "nmae": ["is unknown"],
    }
    assert caught.value.message.startswith("x cannot take these inputs: see ")
    assert all(field in caught.value.message for field in caught.value.fields)


def test_no_message_repeats_a_value(tmp_path):
    template = template_with(
        tmp_path,
        """
        properties:
          token: {type: string, writeOnly: true, pattern: "^x$", minLength: 99, maxLength: 999, not: {const: a}, format: email}
          other: {type: string, "ui:field": Secret, not: {type: string}, oneOf: [{const: a}, {const: b}]}
        """,
    )
    with pytest.raises(ValidationError) as caught:
        validate_inputs(template, {"token": "s3cret-1", "other": "s3cret-2"})
    said = json.dumps(caught.value.fields) + caught.value.message
    assert caught.value.fields.keys() == {"token", "other"}
    assert "s3cret" not in said


@pytest.mark.parametrize("inputs", [None, [], "text", 5])
def test_inputs_that_are_no_object_are_refused(tmp_path, inputs):
    assert errors(template_with(tmp_path, "properties: {a: {}}"), inputs) == {"inputs": ["must be an object"]}


def test_a_template_without_parameters_takes_none(tmp_path):
    template = load(tmp_path, minimal("x"))
    assert validate_inputs(template, {}) == {}
    assert errors(template, {"a": 1}) == {"a": ["is unknown"]}


def test_the_schema_of_all_pages_is_one_object(tmp_path):
    schema = template_with(
        tmp_path,
        """
        - required: [a]
          properties: {a: {type: string, "ui:autofocus": true}}
        - required: [b, a]
          properties: {b: {type: integer}}
        """,
    ).inputs_schema()
    assert schema["type"] == "object"
    assert schema["required"] == ["a", "b"]
    assert schema["properties"] == {"a": {"type": "string", "ui:autofocus": True}, "b": {"type": "integer"}}
    assert schema["additionalProperties"] is False


def test_a_page_may_allow_unknown_fields(tmp_path):
    template = template_with(tmp_path, "[{additionalProperties: {type: string}}, {properties: {a: {}}}]")
    assert validate_inputs(template, {"z": "x"}) == {"z": "x"}
    assert errors(template, {"z": 1}) == {"z": ["must be a text"]}


def test_fields_that_depend_on_an_answer_are_asked_for_checked_and_get_their_defaults(tmp_path):
    template = template_with(
        tmp_path,
        """
        properties: {database: {type: boolean, default: false}, kind: {enum: [small, large]}}
        dependencies:
          database:
            oneOf:
              - properties: {database: {const: false}}
              - required: [engine]
                properties:
                  database: {const: true}
                  engine: {type: string}
                  size: {type: integer, default: 5}
          kind: [database]
        """,
    )
    assert validate_inputs(template, {}) == {"database": False}
    assert validate_inputs(template, {"database": True, "engine": "pg"}) == {
        "database": True,
        "engine": "pg",
        "size": 5,
    }
    assert errors(template, {"database": True}) == {"engine": ["is required"]}
    assert errors(template, {"database": True, "engine": 5, "x": 1}) == {
        "engine": ["must be a text"],
        "x": ["is unknown"],
    }
    assert template.inputs_schema()["unevaluatedProperties"] is False


def test_if_then_else_and_required_together_work(tmp_path):
    template = template_with(
        tmp_path,
        """
        properties: {kind: {enum: [a, b]}, x: {type: string}, y: {type: string}}
        if: {properties: {kind: {const: a}}, required: [kind]}
        then: {required: [x]}
        else: {properties: {y: {default: why}}}
        dependencies: {x: [y]}
        """,
    )
    assert errors(template, {"kind": "a"}) == {"x": ["is required"]}
    assert errors(template, {"kind": "a", "x": "1"}) == {"y": ["is required when x is given"]}
    assert validate_inputs(template, {"kind": "b"}) == {"kind": "b", "y": "why"}


def test_definitions_may_be_shared_and_may_nest(tmp_path):
    template = template_with(
        tmp_path,
        """
        definitions:
          node: {type: object, properties: {child: {$ref: "#/definitions/node"}, size: {type: integer, default: 1}}}
          token: {type: string, minLength: 2}
        properties: {tree: {$ref: "#/definitions/node"}, t: {$ref: "#/definitions/token"}}
        """,
    )
    assert validate_inputs(template, {"tree": {"child": {}}}) == {"tree": {"child": {"size": 1}, "size": 1}}
    assert errors(template, {"tree": {"child": {"child": {"size": "x"}}}, "t": ""}) == {
        "tree": {"child": {"child": {"size": ["must be a whole number"]}}},
        "t": ["must have at least 2 characters"],
    }


def test_inputs_that_are_nested_beyond_reason_are_refused(tmp_path):
    template = template_with(
        tmp_path, """
        definitions: {node: {properties: {child: {$ref: "#/definitions/node"}}}}
        properties: {tree: {$ref: "#/definitions/node"}}
        """,
    )  # fmt: skip
    deep: dict = {}
    for _ in range(900):
        deep = {"child": deep}
    with pytest.raises(ValidationError, match="nested too deeply"):
        validate_inputs(template, {"tree": deep})


_DOUBLING = (
    "definitions: {n: {properties: {c: {allOf: [{$ref: '#/definitions/n'}, {$ref: '#/definitions/n'}]}}}}\n"
    "properties: {a: {$ref: '#/definitions/n'}}"
)
_DEFAULTS = f"properties: {{a: {{items: {{properties: {{b: {{default: {'x' * 200_000}}}}}}}}}}}"


def _nest(levels: int) -> dict:
    return {"c": _nest(levels - 1)} if levels else {}


@pytest.mark.parametrize(
    ("parameters", "given"),
    [
        ("properties: {a: {pattern: '^(a+)+$'}}", "a" * 50_000 + "!"),
        ("properties: {a: {pattern: '^(?=(a+)+$)b'}}", "a" * 50_000 + "!"),
        ("properties: {a: {pattern: 'a*a*a*a*a*b'}}", "a" * 50_000),
        ("properties: {a: {propertyNames: {pattern: '^(a|a)*$'}}}", {"a" * 100 + "!": 1}),
        ("properties: {a: {format: regex}}", "a{99999999999999999999}"),
        ("properties: {a: {format: idn-email}}", "@" * 20_000),
        ("properties: {a: {multipleOf: 0.1}}", 10**800),
        ("properties: {a: {multipleOf: 0.1}}", float("nan")),
        ("properties: {a: {uniqueItems: true}}", [*[[number] if number % 2 else str(number) for number in range(9_000)], "0"]),
        ("properties: {a: {uniqueItems: true}}", [{"a": 1}, {"a": 1.0}]),
        (f"properties: {{a: {{anyOf: [{'{type: integer}, ' * 2000}]}}}}", "x" * 100_000),
        (f"properties: {{a: {{items: {{enum: [{'x' * 100_000}]}}}}}}", [1] * 20_000),
        (_DOUBLING, _nest(25)),
        (_DEFAULTS, [{}] * 20_000),
    ],
)  # fmt: skip
def test_hostile_parameters_and_inputs_are_refused_at_once(tmp_path, parameters, given):
    template = template_with(tmp_path, parameters)
    began = time.thread_time()
    with pytest.raises(ValidationError) as caught:
        validate_inputs(template, {"a": given})
    assert time.thread_time() - began < 3
    assert len(json.dumps(caught.value.fields)) < 1_000_000


def test_a_schema_that_doubles_at_every_reference_is_read_at_once(tmp_path):
    shared = [f"d{number}: {{allOf: [{{$ref: '#/definitions/d{number + 1}'}}, {{$ref: '#/definitions/d{number + 1}'}}]}}"
              for number in range(30)]  # fmt: skip
    parameters = f"definitions: {{{', '.join(shared)}, d30: {{}}}}\nproperties: {{a: {{$ref: '#/definitions/d0'}}}}"
    began = time.thread_time()
    template = template_with(tmp_path, parameters)
    with pytest.raises(ValidationError, match="the check was given up"):
        validate_inputs(template, {"a": 1})
    assert time.thread_time() - began < 5


def test_patterns_are_those_of_json_schema(tmp_path):
    template = template_with(tmp_path, r"properties: {a: {pattern: '^(?!-)[\p{L}\d]+(-[a-z]+)*$'}}")
    assert validate_inputs(template, {"a": "é1-b"}) == {"a": "é1-b"}
    assert (
        errors(template, {"a": "-a"})
        == errors(template, {"a": "a\n"})
        == {"a": [r"must match ^(?!-)[\p{L}\d]+(-[a-z]+)*$"]}
    )


def test_equal_items_are_those_of_json_schema(tmp_path):
    template = template_with(tmp_path, "properties: {a: {uniqueItems: true}}")
    assert validate_inputs(template, {"a": [1, True, "1", [1], None]})
    assert errors(template, {"a": [1, 1.0]}) == {"a": ["must not have the same item twice"]}


def test_a_parameter_marked_secret_beside_its_reference_is_a_secret(tmp_path):
    parameters = """
        definitions: {token: {type: string, minLength: 2}}
        properties: {t: {$ref: "#/definitions/token", writeOnly: true}}
        """
    assert template_with(tmp_path, parameters).secret_names == {"t"}


def test_an_if_without_its_delimiters_is_told_since_it_would_always_be_true(tmp_path):
    parameters = "parameters: {properties: {x: {type: boolean}}}"
    _, key, message = only(tmp_path, minimal("x", "[{action: debug.log@v1, if: parameters.x}]", parameters))
    assert key == "spec.steps[0].if"
    assert message == "this is a text, and so always true"
    assert source(tmp_path).list().problems[0].write == "${{ parameters.x }}"
