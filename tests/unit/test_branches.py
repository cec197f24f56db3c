"""Values of branches that are not shown reach nobody, and the published schema judges just as the server does."""

from __future__ import annotations

import itertools
import json
import textwrap
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.expressions.limits import budget
from portal_actions_plugin.software_templates.parameters.formats import CHECKED, conforms, is_format
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.spec import Template, validate_inputs

HOSTS = """
    required: [host]
    properties: {host: {type: string, enum: [gh, gl]}}
    dependencies:
      host:
        oneOf:
          - {properties: {host: {enum: [gh]}, org: {type: string}}, required: [org]}
          - {properties: {host: {enum: [gl]}, group: {type: string}}, required: [group]}
"""
DEFAULT_HOST = HOSTS.replace("[gh, gl]}", "[gh, gl], default: gl}")
SWITCH = """
    properties: {live: {type: boolean, default: true}}
    if: {properties: {live: {const: true}}, required: [live]}
    then: {properties: {a: {type: string, default: x}}, dependencies: {a: {properties: {b: {type: string}}}}}
    else: {properties: {c: {type: string}}, required: [c]}
"""
ONE_OF = """
    properties: {live: {type: boolean}}
    oneOf:
      - {properties: {live: {const: true}, a: {type: string}}, required: [live]}
      - {properties: {live: {const: false}, b: {type: string}, c: {type: string}}, required: [live, b]}
"""
ANY_OF = """
    properties: {live: {type: boolean}}
    anyOf: [{properties: {a: {type: string}}, required: [a]}, {properties: {b: {type: string}, c: {type: string}}, required: [b]}]
"""
ALL_OF = """
    properties: {live: {type: boolean}}
    allOf:
      - {if: {properties: {live: {const: true}}, required: [live]}, then: {properties: {a: {type: string}}, required: [a]}}
      - {if: {required: [a]}, then: {properties: {b: {type: string}}}}
      - {properties: {c: {type: string}}}
"""
REQUIRED_BY = """
    properties: {live: {type: boolean, default: false}, a: {type: string}}
    dependencies: {a: [b], live: {properties: {c: {type: string}}, required: [c]}}
    anyOf: [{properties: {b: {type: string}}}]
"""


def form(parameters: str, reading: Reading) -> Template:
    pages = yaml.safe_load(textwrap.dedent(parameters))
    return Template(
        name="svc", title="", description="", tags=(), owner="", type="", steps=(), output={}, permissions=(),
        version="1", reading=reading, parameters=tuple(pages if isinstance(pages, list) else [pages]),
    )  # fmt: skip


def kept(parameters: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return validate_inputs(form(parameters, Reading.BACKSTAGE), inputs)


def is_taken(template: Template, inputs: dict[str, Any]) -> bool:
    try:
        validate_inputs(template, inputs)
    except ValidationError:
        return False
    return True


def refused(parameters: str, inputs: dict[str, Any], reading: Reading = Reading.STRICT) -> dict[str, Any]:
    with pytest.raises(ValidationError) as caught:
        validate_inputs(form(parameters, reading), inputs)
    return dict(caught.value.fields or {})


@pytest.mark.fault("D18")
@pytest.mark.parametrize("stale", ["acme", 5, None, {"x": []}])
def test_a_value_of_a_branch_that_is_not_shown_is_dropped_at_home_and_refused_in_ours(stale: object) -> None:
    assert kept(HOSTS, {"host": "gl", "group": "g", "org": stale}) == {"host": "gl", "group": "g"}
    assert refused(HOSTS, {"host": "gl", "group": "g", "org": stale}) == {"org": ["is unknown when host is gl"]}
    assert refused(HOSTS, {"org": stale})["org"] == ["is unknown when host is not given"]


@pytest.mark.fault("D18")
def test_what_leads_to_a_field_goes_with_it() -> None:
    stale = {"live": False, "a": "1", "b": "2", "c": "3"}
    assert kept(SWITCH, stale) == {"live": False, "c": "3"}
    assert kept(SWITCH, {"b": "2", "c": "3"}) == {"live": True, "a": "x", "b": "2"}
    assert refused(SWITCH, stale)["b"] == ["is unknown when live is false and a is not given"]


@pytest.mark.fault("D18")
def test_values_of_branches_in_objects_and_lists_go_too() -> None:
    inner = textwrap.indent(textwrap.dedent(HOSTS), "    ")
    parameters = f"properties:\n  deep: {{$ref: '#/definitions/d'}}\n  l:\n    items: {{$ref: '#/definitions/d'}}\ndefinitions:\n  d:\n{inner}"
    stale = {"host": "gl", "group": "g", "org": "o", "more": 1}
    given = {"deep": dict(stale), "l": [dict(stale), {"host": "gh", "org": "o", "group": "g"}]}
    clean = {"host": "gl", "group": "g", "more": 1}
    assert kept(parameters, given) == {"deep": clean, "l": [clean, {"host": "gh", "org": "o"}]}
    told = ["is unknown when host is gl"]
    assert refused(parameters, given) == {
        "deep": {"org": told},
        "l": {"0": {"org": told}, "1": {"group": ["is unknown when host is gh"]}},
    }
    assert given["deep"] == stale


def test_the_author_s_words_are_repeated_and_no_other_value_is() -> None:
    parameters = """
        properties: {key: {type: string, writeOnly: true}, kind: {type: string}}
        dependencies:
          key: {oneOf: [{properties: {key: {const: s3cret}, a: {}}}, {properties: {key: {const: other}, b: {}}}]}
          kind: {oneOf: [{properties: {kind: {const: k}, c: {}}}, {properties: {kind: {pattern: "^m"}, d: {}}}]}
    """
    said = refused(parameters, {"key": "s3cret", "kind": "mine", "b": 1, "c": 1})
    assert said == {"b": ["is unknown when key is what it is"], "c": ["is unknown when kind is what it is"]}


@pytest.mark.parametrize("parameters", [HOSTS, DEFAULT_HOST, SWITCH, ONE_OF, ANY_OF, ALL_OF, REQUIRED_BY])
@pytest.mark.fault("D18")
def test_the_published_schema_says_what_a_start_says(parameters: str) -> None:
    choices = {
        "host": ["gh", "gl"], "org": ["o"], "group": ["g"],
    } if "host" in parameters else {"live": [True, False], "a": ["1"], "b": ["1"], "c": ["1"]}  # fmt: skip
    options = [[(), *((name, value) for value in values)] for name, values in choices.items()]
    for reading in Reading:
        template = form(parameters, reading)
        schema = Draft202012Validator(template.published_schema)
        for picked in itertools.product(*options):
            given = dict(pair for pair in picked if pair)
            assert schema.is_valid(given) is is_taken(template, given), (reading, given)
        assert not schema.is_valid({"nobody": 1})


def test_a_published_list_of_objects_refuses_the_fields_of_other_branches_only() -> None:
    inner = textwrap.indent(textwrap.dedent(HOSTS), "      ")
    schema = form(f"properties:\n  l:\n    type: array\n    items:\n{inner}", Reading.STRICT).published_schema
    check = Draft202012Validator(schema)
    assert check.is_valid({"l": [{"host": "gl", "group": "g", "more": 1}]})
    assert not check.is_valid({"l": [{"host": "gl", "group": "g", "org": "o"}]})


@pytest.mark.fault("D18")
def test_what_is_shown_goes_by_what_is_shown() -> None:
    template = form(SWITCH, Reading.BACKSTAGE)
    (page,) = template.shown({"live": False, "a": "left over"})
    assert list(page["properties"]) == ["live", "c"]


@pytest.mark.parametrize("word", ["allOf", "anyOf", "oneOf"])
def test_branches_that_lead_to_ever_more_branches_end_in_time(word: str) -> None:
    twice = {f"d{n}": {word: [{"$ref": f"#/definitions/d{n + 1}"}] * 2} for n in range(30)}
    page = {
        "definitions": {**twice, "d30": {"properties": {"x": {}}}},
        "oneOf": [{"$ref": "#/definitions/d0"}],
        "properties": {"y": {}},
    }
    for reading in Reading:
        template = form(json.dumps(page), reading)
        with budget(seconds=0.1):
            assert not is_taken(template, {"x": 1, "y": {"z": [1]}})
        with budget(seconds=0.1):
            assert template.published_schema


@pytest.mark.parametrize("reading", Reading)
def test_many_pages_with_conditions_end_in_time(reading: Reading) -> None:
    fields = {f"f{n}": {"type": "string"} for n in range(30)}
    pages: list[dict[str, Any]] = [
        {
            "when": f"${{{{ parameters.p{n}f1 == 'x' or 1 == 1 }}}}",
            "properties": {f"p{n + 1}{name}": part for name, part in fields.items()},
        }
        for n in range(150)
    ]
    with budget(seconds=0.1):
        assert not is_taken(form(json.dumps(pages), reading), {f"p{n}f1": "x" for n in range(1, 150)})


RIGHT = {
    "date": "2026-02-28", "time": "09:30:00", "date-time": "2026-02-28T09:30:00+01:00", "duration": "P3D", "email": "a@b.de",
    "idn-email": "ä@ö.de", "hostname": "a.example", "idn-hostname": "ö.de", "ipv4": "1.2.3.4", "ipv6": "::1",
    "uri": "https://a.example/b", "uri-reference": "../b", "iri": "https://ö.de/ä", "iri-reference": "ä",
    "uri-template": "https://a/{b}", "uuid": "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "json-pointer": "/a/0", "regex": "^a+$",
    "relative-json-pointer": "1/a", "json-pointer-uri-fragment": "#/a", "url": "https://a.example", "byte": "YQ==",
    "data-url": "data:text/plain;base64,YQ==", "color": "#a1b2c3", "iso-time": "09:30:00Z", "iso-date-time": "2026-02-28 09:30:00Z",
    "int32": 5, "int64": 5,
}  # fmt: skip
WRONG = {
    "date": "2026-02-30", "time": "25:00:00", "date-time": "nope", "duration": "P", "email": "Ada <a@b.de>", "idn-email": "ä",
    "hostname": "-no pe-", "idn-hostname": "-", "ipv4": "1.2.3", "ipv6": "g::", "uri": "nope", "uri-reference": "a b",
    "iri": "ö", "iri-reference": "a b", "uri-template": "{", "uuid": "nope", "json-pointer": "a", "regex": "[a",
    "relative-json-pointer": "/a", "json-pointer-uri-fragment": "/a", "url": "mailto:a@b.de", "byte": "?", "data-url": "data:,a",
    "color": "#12", "iso-time": "nope", "iso-date-time": "nope", "int32": 2**31, "int64": 1.5,
}  # fmt: skip


@pytest.mark.fault("E23")
@pytest.mark.parametrize("name", sorted(set(CHECKED) - {"password", "binary", "float", "double"}))
def test_a_format_is_checked(name: str) -> None:
    assert conforms(RIGHT[name], name)
    assert not conforms(WRONG[name], name)
    assert not isinstance(RIGHT[name], str) or not conforms("a" * 10_001, name)
    assert refused(f"properties: {{x: {{format: {name}}}}}", {"x": WRONG[name]}) == {"x": [f"is no valid {name}"]}


def test_an_unknown_format_is_no_check() -> None:
    assert not is_format("entity-ref")
    assert kept("properties: {z: {type: string, format: entity-ref}}", {"z": "nope"}) == {"z": "nope"}
    assert conforms(5, "email")
    assert conforms("text", "int32")
