"""What is known of a template before anybody starts it: told when it is loaded, and how bad it is in each reading."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema, fields, validate, validates_schema
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.registry import Registry, action
from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.expressions import rendering
from portal_actions_plugin.software_templates.loader import FolderTemplateSource

OURS, BACKSTAGE = "portal-actions/v1", "scaffolder.backstage.io/v1beta3"
BOTH = pytest.mark.parametrize("version", [OURS, BACKSTAGE])


class Place(Schema):
    provider = fields.String(required=True)
    size = fields.Integer(strict=True)


class Input(Schema):
    text = fields.String(required=True, validate=validate.Length(max=5))
    level = fields.String(validate=validate.OneOf(["low", "high"]))
    place = fields.Nested(Place)
    places = fields.List(fields.Nested(Place))
    sizes = fields.Dict(keys=fields.String(), values=fields.Integer(strict=True))
    token = fields.String(load_only=True, validate=validate.Length(max=3))

    @validates_schema
    def agree(self, data: dict[str, Any], **_options: object) -> None:
        if data.get("level") == "low" and data["text"] != "low":
            raise SchemaError("must be low as well", "text")


class Anything(Schema):
    skeleton = fields.Raw()
    values = fields.Raw()


class Crooked(Schema):
    text = fields.String()

    @validates_schema
    def look_at_the_run(self, _data: dict[str, Any], **_options: object) -> None:
        raise RuntimeError("there is no run")


@pytest.fixture(scope="module")
def registry() -> Registry:
    known = Registry()
    for name, schema in (("lab.strict", Input), ("lab.echo", Anything), ("lab.crooked", Crooked)):
        known.add(action(f"{name}@v1", title=name, input=schema)(lambda _ctx, **_given: None), "the tests")
    return known


@pytest.fixture
def found(tmp_path: Path, registry: Registry) -> Callable[..., list[tuple[int, str, str]]]:
    """Load a template; give line, key and message of each finding, and see that all are as bad as its version says."""

    def load(version: str, spec: str) -> list[tuple[int, str, str]]:
        head = f"apiVersion: {version}\nkind: Template\nmetadata: {{name: x}}\nspec:\n"
        (tmp_path / "x.yaml").write_text(head + textwrap.indent(textwrap.dedent(spec), "  "))
        listing = FolderTemplateSource([tmp_path], registry).list()
        told, others = listing.problems, listing.warnings
        if version == BACKSTAGE:
            told, others = others, told
            assert [template.name for template in listing.templates] == ["x"]
        else:
            assert not (told and listing.templates)
        assert not others
        assert all(one.template == "x" and one.file == "x.yaml" for one in told)
        return [(one.line, one.key, str(one).partition(f"{one.key}: ")[2]) for one in told]

    return load


ECHO = "steps: [{action: lab.echo@v1}]\n"


# -- values that a form brings along ---------------------------------------------------------------------------------


@BOTH
@pytest.mark.fault("E23")
def test_a_default_that_its_own_schema_refuses_is_told_with_what_it_is_read_as_and_each_rule(found, version):
    told = found(
        version,
        """\
        parameters:
          properties:
            name: {type: string, default: Not A Valid Name, pattern: '^[a-z-]+$', maxLength: 5}
            n: {type: integer, default: 9, maximum: 5}
            l: {type: array, items: {type: string, enum: [a]}, default: [b]}
            note: {type: string, default: null}
            fine: {type: integer, default: 3, maximum: 5}
        """
        + ECHO,
    )
    assert [(line, key.removeprefix("spec.parameters.properties.")) for line, key, _ in told] == [
        (7, "name.default"), (8, "n.default"), (9, "l.default"), (10, "note.default"),
    ]  # fmt: skip
    name, number, items, note = (message for _, _, message in told)
    assert 'the default of name is read as "Not A Valid Name"' in name
    assert "must match ^[a-z-]+$ (pattern)" in name
    assert "must have at most 5 characters (maxLength)" in name
    assert "the default of n is read as 9" in number
    assert "must be at most 5 (maximum)" in number
    assert 'read as ["b"]' in items
    assert "[0] must be one of a (enum)" in items
    assert "the default of note is read as null" in note
    assert "must be a text (type)" in note


@BOTH
@pytest.mark.fault("E23")
def test_a_default_in_the_depth_of_a_form_is_judged_as_well(found, version):
    told = found(
        version,
        """\
        parameters:
          definitions: {small: {type: integer, maximum: 3}}
          properties:
            where: {type: object, properties: {city: {type: string, minLength: 3, default: a}}}
            kind: {type: string, enum: [x, y]}
            size: {$ref: '#/definitions/small', default: 4}
          dependencies:
            kind:
              oneOf:
                - properties: {kind: {enum: [x]}, day: {type: string, format: date, default: soon}}
        """
        + ECHO,
    )
    assert [message.partition(" is read as ")[0] for _, _, message in told] == [
        "the default of where.city", "the default of size", "the default of day",
    ]  # fmt: skip


@BOTH
@pytest.mark.fault("E23")
def test_options_that_the_parameter_refuses_itself_are_told(found, version):
    told = found(
        version,
        """\
        parameters:
          properties:
            mode: {type: string, enum: [true, b]}
            only: {type: integer, const: "3"}
            none: {type: string, enum: [1, 2]}
            size: {type: integer, enum: [1, 20], maximum: 10}
          dependencies:
            mode: {oneOf: [{properties: {mode: {const: c}}}, {properties: {mode: {const: b}}}]}
        """
        + ECHO,
    )
    said = [message for _, _, message in told]
    assert "an option of mode is read as true, which the parameter itself refuses: it must be a text (type)" in said[0]
    assert said[0].endswith('write "true"')
    assert 'the only value of only is read as "3"' in said[1]
    assert any(message == "nothing satisfies none: it refuses each of its own options" for message in said)
    assert any("an option of size is read as 20" in message and "(maximum)" in message for message in said)
    assert any(message.startswith('mode is never "c", which this condition asks for') for message in said)
    assert not any('"b"' in message.partition(":")[0] for message in said)


def test_a_value_that_yaml_reads_as_something_else_is_told_as_it_is_written(found):
    (told,) = found(OURS, "parameters: {properties: {code: {type: string, default: 1.50}}}\n" + ECHO)
    assert "is read as 1.5 (written 1.50)" in told[2]
    assert told[2].endswith('write default: "1.50"')


@pytest.mark.fault("E23")
def test_a_default_that_its_own_schema_refuses_counts_as_none(tmp_path, registry):
    text = """\
        apiVersion: scaffolder.backstage.io/v1beta3
        kind: Template
        metadata: {name: x}
        spec:
          parameters:
            properties:
              n: {type: integer, default: 9, maximum: 5}
              note: {type: string, default: null}
              city: {type: string, default: Oslo}
          steps: [{action: lab.echo@v1}]
        """
    (tmp_path / "x.yaml").write_text(textwrap.dedent(text))
    template = FolderTemplateSource([tmp_path], registry).get("x")
    assert template.input_check.fill({}) == {"city": "Oslo"}
    assert "default" not in template.inputs_schema()["properties"]["n"]


def test_a_secret_default_is_not_repeated(found):
    ((_, _, said),) = found(
        OURS, "parameters: {properties: {t: {type: string, writeOnly: true, default: 12345}}}\n" + ECHO
    )
    assert "12345" not in said.partition("; write")[0]


# -- literal inputs --------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.fault("E23")
def test_what_an_action_refuses_of_a_literal_input_is_told_at_its_own_line(found, version):
    told = found(
        version,
        """\
        steps:
          - action: lab.strict@v1
            input:
              txt: hello
              level: middle
              place: {size: "3", colour: red}
              places: [{provider: a}, nothing]
              sizes: {a: 1, b: two}
              token: abcd
        """,
    )
    at = {key.removeprefix("spec.steps[0].input."): (line, message) for line, key, message in told}
    assert {key: line for key, (line, _) in at.items()} == {
        "txt": 8, "text": 7, "level": 9, "place.size": 10, "place.colour": 10, "place.provider": 10,
        "places[1]": 11, "sizes.b": 12, "token": 13,
    }  # fmt: skip
    assert at["txt"][1] == "lab.strict@v1 cannot take this input: txt is unknown; write text"
    assert "text is required" in at["text"][1]
    assert "level must be one of low, high" in at["level"][1]
    assert "place.size must be a whole number" in at["place.size"][1]
    assert "place.provider is required" in at["place.provider"][1]
    assert "abcd" not in at["token"][1]


@BOTH
def test_an_expression_stands_for_anything(found, version):
    anything = "${{ parameters.x }}"
    told = found(
        version,
        f"""\
        parameters: {{properties: {{x: {{type: string, default: low}}}}}}
        steps:
          - action: lab.strict@v1
            input: {{text: "{anything}", level: "{anything}", place: "{anything}", sizes: {{a: "{anything}", b: 2}}}}
          - action: lab.strict@v1
            input: {{text: high, level: "{anything}", places: [{{provider: "{anything}"}}, "{anything}"]}}
          - action: lab.strict@v1
            input: {{text: high, level: low, token: "{anything}"}}
        """,
    )
    assert told == []


@BOTH
@pytest.mark.fault("E23")
def test_what_is_wrong_beside_an_expression_is_told(found, version):
    anything = "${{ parameters.x }}"
    told = found(
        version,
        f"""\
        parameters: {{properties: {{x: {{type: string, default: low}}}}}}
        steps:
          - action: lab.strict@v1
            input: {{text: "{anything}", txt: "{anything}", level: middle, place: {{size: "{anything}"}}, sizes: {{a: "{anything}", b: no}}}}
        """,
    )
    assert [key.removeprefix("spec.steps[0].input.") for _, key, _ in told] == [
        "level", "place.provider", "sizes.b", "txt",
    ]  # fmt: skip


def test_an_action_whose_own_check_fails_says_nothing_of_a_template(found):
    assert found(OURS, "steps: [{action: lab.crooked@v1, input: {text: a}}]") == []


# -- skeletons -------------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.fault("E23")
def test_all_files_of_a_skeleton_that_cannot_be_rendered_are_told_each_with_its_own_line(tmp_path, version):
    known = Registry()
    known.add(action("scm.pushSkeleton@v1", title="Push", input=Anything)(lambda _ctx, **_given: None), "the tests")
    folder = tmp_path / "t" / "skeleton"
    folder.mkdir(parents=True)
    for name, text in (
        ("a.txt", "line one\n${{ values.name \nline three\n"),
        ("b-${{ values. }}.txt", "fine"),
        ("c.txt", "one\ntwo\n{% if values.x %}\n"),
        ("d.txt", "one\n${{ values.x | shout }}\n"),
        ("fine.txt", "${{ values.x }} {% raw %}${{ a b }}{% endraw %}"),
        ("workflow.yml", "a: ${{ values.x }}\nrun: echo ${{ github['ref'] }}"),
        (
            "known.txt",
            "{% set y = 1 %}{% for z in values.x %}${{ y }}${{ z.a }}${{ loop.index }}{% endfor %}${{ range(2) }}",
        ),
    ):
        (folder / name).write_text(text)
    (folder / "e.bin").write_bytes(b"\xff${{ a b }}")
    (tmp_path / "t" / "template.yaml").write_text(
        f"apiVersion: {version}\nkind: Template\nmetadata: {{name: x}}\n"
        "spec:\n  steps:\n    - {action: scm.pushSkeleton@v1, input: {values: {}, skeleton: ./skeleton}}\n"
    )
    listing = FolderTemplateSource([tmp_path], known).list()
    told = [one for one in (*listing.warnings, *listing.problems) if one.file != "t/template.yaml"]
    assert bool(listing.templates) is (version == BACKSTAGE)
    assert [(one.file, one.line, one.value, one.message.partition("rendered: ")[2]) for one in told] == [
        (
            "t/skeleton/a.txt",
            2,
            "${{ values.name",
            "'line' is not expected here: an operator or }} is missing before it",
        ),
        ("t/skeleton/b-${{ values. }}.txt", 1, "skeleton/b-${{ values. }}.txt", "a name is missing after a dot"),
        ("t/skeleton/c.txt", 3, "{% if values.x %}", "the block 'if' is not closed"),
        ("t/skeleton/d.txt", 2, "${{ values.x | shout }}", "there is no filter 'shout'"),
        (
            "t/skeleton/workflow.yml",
            2,
            "run: echo ${{ github['ref'] }}",
            (
                "'github' is unknown in a file, which knows values: "
                "put what is not for this portal between {% raw %} and {% endraw %}"
            ),
        ),
    ]
    assert {one.key for one in told} == {"spec.steps[0].input.skeleton"}


def test_a_skeleton_that_was_corrected_is_read_again(tmp_path):
    known = Registry()
    known.add(action("scm.pushSkeleton@v1", title="Push", input=Anything)(lambda _ctx, **_given: None), "the tests")
    (tmp_path / "t" / "s").mkdir(parents=True)
    file = tmp_path / "t" / "s" / "a.txt"
    file.write_text("${{ a b }}")
    (tmp_path / "t" / "template.yaml").write_text(
        f"apiVersion: {OURS}\nkind: Template\nmetadata: {{name: x}}\n"
        "spec: {steps: [{action: scm.pushSkeleton@v1, input: {values: {}, skeleton: ./s}}]}\n"
    )
    source = FolderTemplateSource([tmp_path], known)
    assert source.list().problems[0].file == "t/s/a.txt"
    file.write_text("${{ values.a }}")
    assert not [one for one in source.list().problems if one.file == "t/s/a.txt"]


# -- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.fault("E28")
@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("':' + 8443", "a text and a number cannot be added: ~ joins them, as does one text with both in it"),
        ("5 + 'a'", "+ cannot be used between a number and a text"),
        ("'a' < 3", "< cannot compare a text with a number"),
        ("[] | length + none", "+ cannot be used between a number and null"),
        ("none()", "null cannot be called"),
    ],
)
def test_what_python_says_of_types_is_said_in_a_templates_words(expression, said):
    with pytest.raises(ValidationError) as caught:
        rendering.render("${{ " + expression + " }}", {}, "here")
    assert said in caught.value.message


@pytest.mark.fault("E28")
def test_no_message_of_marshmallows_own_reaches_anybody():
    class Everything(Schema):
        text = fields.String()
        number = fields.Integer(validate=validate.Range(min=1, max=5))
        when = fields.AwareDateTime()
        day = fields.Date()
        flag = fields.Boolean()
        items = fields.List(fields.String(), validate=validate.Length(max=1))
        table = fields.Dict()
        inner = fields.Nested(Place)
        null = fields.String()
        short = fields.String(validate=validate.Length(min=3))
        exact = fields.String(validate=validate.Equal("a"))
        needed = fields.String(required=True)

    declared = action("lab.all@v1", title="All", input=Everything)(lambda _ctx, **_given: None)
    with pytest.raises(ValidationError) as caught:
        declared.load_input(
            {
                "text": 1, "number": 9, "when": "2026-01-01T00:00:00", "day": "soon", "flag": "maybe", "items": ["a", "b"],
                "table": 1, "inner": 1, "null": None, "short": "a", "exact": "b", "extra": 1,
            }
        )  # fmt: skip
    assert caught.value.fields == {
        "day": ["must be a date, such as 2026-11-29"],
        "exact": ["must be a"],
        "extra": ["is unknown"],
        "flag": ["must be true or false"],
        "inner": {"_schema": ["must be an object"]},
        "items": ["must have a length of at most 1"],
        "needed": ["is required"],
        "null": ["must not be empty (null)"],
        "number": ["must be from 1 to 5"],
        "short": ["must have a length of at least 3"],
        "table": ["must be an object"],
        "text": ["must be a text"],
        "when": ["must be a time with its zone, such as 2026-11-29T12:00:00Z"],
    }


@pytest.mark.fault("E28")
@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("^[a-z][a-z0-9-]{2,30}$", "must be a small letter, then 2 to 30 small letters, digits or -"),
        (r"^v?\d+$", "must be perhaps v, then digits, one or more"),
        (r"^(?!-)[a-z]+(-[a-z]+)*$", "does not have the form that is asked for"),
    ],
)
def test_below_a_help_text_a_pattern_is_said_in_words(found, tmp_path, registry, pattern, said):
    spec = f"parameters: {{properties: {{n: {{type: string, pattern: '{pattern}', description: Help}}}}}}\n{ECHO}"
    assert found(BACKSTAGE, spec) == []
    template = FolderTemplateSource([tmp_path], registry).get("x")
    with pytest.raises(ValidationError) as caught:
        template.input_check.fill({"n": "?"})
    assert caught.value.fields == {"n": [said]}


def test_a_hostile_pattern_is_put_into_words_at_once():
    from portal_actions_plugin.software_templates.parameters.patterns import in_words

    assert in_words("^[" + "a-z" * 600 + "$") is None
    assert in_words("^" + "[a-z]+" * 30 + "$") is None


@BOTH
def test_keys_that_nothing_reads_are_told_and_load_at_home(found, version):
    told = found(
        version,
        """\
        outputs: {text: []}
        notes: of the owner
        steps:
          - {action: lab.echo@v1, force: true, parameters: {url: ./here}}
        """,
    )
    ours = ", concurrency" if version.startswith("portal") else ""
    step = f"unknown key; a step has id, name, action, input, if, each, backstage:permissions{ours}"
    assert {key: message for _, key, message in told} == {
        "spec.outputs": "unknown key; did you mean output?",
        "spec.steps[0].force": step,
        "spec.steps[0].parameters": step,
    }


# -- what forms at home take as it is ----------------------------------------------------------------------------------


@BOTH
def test_what_forms_take_as_it_is_is_told_and_loads_at_home(found, version):
    told = found(
        version,
        """\
        parameters:
          - required: [a, a, nobody]
            properties:
              a: {type: [string, "null"], enum: [x, y, x], enumNames: [An x]}
              b: {type: string, format: emial}
              c: {type: string, const: fixed}
          - properties:
              a: {type: string, maxLength: 5}
        """
        + ECHO,
    )
    said = {key.removeprefix("spec.parameters"): message for _, key, message in told}
    assert said == {
        "[0].required[1]": '"a" is required already: it counts once; write it once',
        "[0].required": "there is no parameter 'nobody': nobody can give it, and nothing can be started; write nobody in properties, or leave it out",
        "[0].properties.a.enum[2]": '"x" is an option already: it counts once; write it once',
        "[0].properties.a.enumNames": "there are 1 names for 3 options: an option without one is shown as it is; "
        "write a name for each option, in their order",
        "[0].properties.b.format": "nothing checks the format 'emial': any value has it; write format: email",
        "[1].properties.a": "another page declares this parameter differently: a value has to fit both",
    }


@BOTH
def test_a_boolean_may_name_its_two_answers_without_listing_them(found, version):
    page = "parameters: {properties: {flow: {type: boolean, enumNames: NAMES}}}\n" + ECHO
    assert not found(version, page.replace("NAMES", "[GitFlow, GitHubFlow]"))
    [(_, key, said)] = found(version, page.replace("NAMES", "[GitFlow]"))
    assert key == "spec.parameters.properties.flow.enumNames"
    assert said.startswith("there are 1 names for 2 options")


def test_pages_that_are_shown_in_turn_may_declare_the_same_parameter(found):
    told = found(
        OURS,
        """\
        parameters:
          - {properties: {kind: {type: string, default: a}}}
          - {when: "${{ parameters.kind == 'a' }}", properties: {size: {type: integer}}}
          - {when: "${{ parameters.kind == 'b' }}", properties: {size: {type: string}}}
        """
        + ECHO,
    )
    assert told == []


@BOTH
def test_a_when_that_says_nothing_is_told(found, version):
    told = found(
        version,
        """\
        parameters:
          - {properties: {kind: {type: string, default: a}}}
          - {when: "${{ parameters.knd }}", properties: {x: {type: string}}}
          - {when: "${{ parameters.kind === }}", properties: {y: {type: string}}}
          - {when: 5, properties: {z: {type: string}}}
        """
        + ECHO,
    )
    said = [(key, message) for _, key, message in told]
    assert [key for key, _ in said] == [f"spec.parameters[{index}].when" for index in (1, 2, 3)]
    assert "there is no parameter 'knd'; did you mean 'kind'?" in said[0][1]
    assert "this is no expression, true or false: its page is always shown" in said[2][1]


@BOTH
def test_form_decorators_run_nowhere_and_are_told(found, version):
    told = found(version, "EXPERIMENTAL_formDecorators: [{id: getToken}]\n" + ECHO)
    assert [(key, "none runs here" in message) for _, key, message in told] == [
        ("spec.EXPERIMENTAL_formDecorators", True)
    ]


def test_a_picker_brings_its_secret_wherever_it_is(found):
    picker = "{type: string, ui:field: RepoUrlPicker, ui:options: {requestUserCredentials: {secretsKey: KEY, additionalScopes: {github: [workflow]}}}}"
    secret = "${{ secrets.KEY }}"
    step = f"steps: [{{action: lab.echo@v1, input: {{values: '{secret}'}}}}]\n"
    for parameters in (
        f"{{properties: {{repo: {picker}}}}}",
        f"{{properties: {{deep: {{type: object, properties: {{repo: {picker}}}}}}}}}",
        f"{{properties: {{on: {{type: boolean}}}}, dependencies: {{on: {{properties: {{repo: {picker}}}}}}}}}",
    ):
        assert found(OURS, f"parameters: {parameters}\n{step}") == []
    assert found(OURS, step)
