"""Which fields a form shows for the answers so far, and that defaults fill only what no page showed."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest
import yaml

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.spec import Template, validate_inputs


def template(parameters: str) -> Template:
    pages = yaml.safe_load(textwrap.dedent(parameters))
    return Template(
        name="svc",
        title="A service",
        description="",
        tags=(),
        owner="",
        type="service",
        parameters=tuple(pages if isinstance(pages, list) else [pages]),
        steps=(),
        output={},
        permissions=(),
        version="1",
    )


def names(found: Template, inputs: dict[str, Any], **more: Any) -> list[str]:
    """The fields of all pages, those that must be answered with a star."""
    return [
        f"{name}*" if name in page.get("required", ()) else name
        for page in found.shown(inputs, **more)
        for name in page["properties"]
    ]


HOSTS = """
    required: [host]
    properties: {host: {type: string, enum: [gh, gl], default: gh}}
    dependencies:
      host:
        oneOf:
          - {properties: {host: {enum: [gh]}, org: {type: string}}, required: [org]}
          - {properties: {host: {enum: [gl]}, group: {type: string}}, required: [group]}
"""


def test_the_branch_of_what_is_chosen_or_else_of_the_default_is_shown() -> None:
    hosts = template(HOSTS)
    assert names(hosts, {}) == ["host*", "org*"]
    assert names(hosts, {"host": "gl"}) == ["host*", "group*"]
    assert names(hosts, {"host": "gl", "org": "acme"}) == ["host*", "group*"]
    assert names(hosts, {}, left_empty={("host",)}) == ["host*"]


def test_what_chooses_a_branch_keeps_all_its_options_in_each() -> None:
    for chosen in ("gh", "gl"):
        page = template(HOSTS).shown({"host": chosen})[0]
        assert page["properties"]["host"]["enum"] == ["gh", "gl"]


def test_a_branch_whose_field_is_not_valid_yet_stays() -> None:
    found = template("""
        properties: {kind: {enum: [a, b]}}
        dependencies:
          kind:
            oneOf:
              - properties: {kind: {const: a}, name: {type: string, minLength: 5}}
              - properties: {kind: {const: b}}
    """)
    assert names(found, {"kind": "a", "name": "x"}) == ["kind", "name"]


@pytest.mark.parametrize(
    ("answers", "shown"),
    [({}, ["db"]), ({"db": False}, ["db"]), ({"db": True}, ["db", "engine*"]),
     ({"db": True, "engine": "pg"}, ["db", "engine*", "size"])],
)  # fmt: skip
def test_a_condition_may_lead_to_the_next_one(answers: dict[str, Any], shown: list[str]) -> None:
    found = template("""
        properties: {db: {type: boolean}}
        if: {properties: {db: {const: true}}, required: [db]}
        then:
          properties: {engine: {enum: [pg, my]}}
          required: [engine]
          allOf:
            - if: {properties: {engine: {const: pg}}, required: [engine]}
              then: {properties: {size: {type: integer}}}
    """)
    assert names(found, answers) == shown


def test_a_condition_of_one_page_may_look_at_another_page() -> None:
    found = template("""
        - {properties: {stage: {enum: [test, live]}}}
        - properties: {days: {type: integer}}
          if: {properties: {stage: {const: live}}, required: [stage]}
          then: {properties: {ticket: {type: string}}, required: [ticket]}
    """)
    assert names(found, {"stage": "test"}) == ["stage", "days"]
    assert names(found, {"stage": "live"}) == ["stage", "days", "ticket*"]


def test_a_branch_may_narrow_another_field_and_take_one_away() -> None:
    found = template("""
        properties: {cloud: {enum: [a, b]}, region: {enum: [a1, b1]}, zone: {type: string}}
        if: {properties: {cloud: {const: a}}, required: [cloud]}
        then: {properties: {region: {enum: [a1]}, zone: false}}
    """)
    shown = found.shown({"cloud": "a"})[0]["properties"]
    assert shown["region"] == {"enum": ["a1"]}
    assert list(shown) == ["cloud", "region"]


def test_one_of_without_a_field_of_the_page_brings_the_field_that_chooses() -> None:
    found = template("""
        properties: {}
        oneOf:
          - {properties: {kind: {type: string, const: a}, x: {type: string}}, required: [kind, x]}
          - {properties: {kind: {type: string, const: b}, y: {type: string}}, required: [kind, y]}
    """)
    assert found.shown({})[0]["properties"] == {"kind": {"type": "string", "enum": ["a", "b"]}}
    assert names(found, {"kind": "b"}) == ["kind*", "y*"]


def test_branches_that_nothing_tells_apart_are_all_shown_and_none_is_demanded() -> None:
    found = template("""
        properties: {}
        anyOf:
          - {properties: {mail: {type: string}}, required: [mail]}
          - {properties: {phone: {type: string}}, required: [phone]}
    """)
    assert names(found, {}) == ["mail", "phone"]


def test_dependent_fields_are_demanded_once_the_other_is_given() -> None:
    found = template("{properties: {a: {type: string}, b: {type: string}}, dependencies: {a: [b]}}")
    assert names(found, {}) == ["a", "b"]
    assert names(found, {"a": "x"}) == ["a", "b*"]


def test_nested_objects_rows_and_references_are_worked_out_too() -> None:
    found = template("""
        definitions:
          port:
            type: object
            properties: {kind: {enum: [tcp, http]}}
            dependencies:
              kind:
                oneOf:
                  - {properties: {kind: {const: tcp}}}
                  - {properties: {kind: {const: http}, path: {type: string}}, required: [path]}
        properties:
          main: {$ref: '#/definitions/port', title: Main}
          more: {type: array, items: {$ref: '#/definitions/port'}}
    """)
    shown = found.shown({"main": {"kind": "http"}, "more": [{"kind": "tcp"}, {"kind": "http"}]})[0]["properties"]
    assert (shown["main"]["title"], list(shown["main"]["properties"])) == ("Main", ["kind", "path"])
    assert [list(row["properties"]) for row in shown["more"]["prefixItems"]] == [["kind"], ["kind", "path"]]
    assert list(shown["more"]["items"]["properties"]) == ["kind"]


def test_options_with_titles_stay_options_and_null_is_no_choice() -> None:
    found = template("""
        properties:
          one: {type: string, oneOf: [{const: m, title: Em}, {const: n, title: En}]}
          maybe: {anyOf: [{type: 'null'}, {type: integer, minimum: 3}]}
    """)
    shown = found.shown({})[0]["properties"]
    assert shown["one"]["oneOf"][1] == {"const": "n", "title": "En"}
    assert shown["maybe"] == {"type": "integer", "minimum": 3}


def test_a_form_that_leads_back_to_itself_ends() -> None:
    found = template("""
        definitions:
          tree: {type: object, properties: {left: {$ref: '#/definitions/tree'}, right: {$ref: '#/definitions/tree'}}}
        properties: {tree: {$ref: '#/definitions/tree'}}
    """)
    assert found.shown({})[0]["properties"]["tree"]["properties"]["left"] == {"type": "object"}
    deeper = found.shown({"tree": {"left": {}}})[0]["properties"]["tree"]["properties"]
    assert (deeper["left"]["properties"].keys(), deeper["right"]) == ({"left", "right"}, {"type": "object"})


# -- defaults --------------------------------------------------------------------------------------------------------

WITH_DEFAULTS = """
    properties:
      n: {type: integer, default: 3}
      l: {type: array, items: {type: string}, default: [p, q]}
      db: {type: object, properties: {size: {type: integer, default: 10}, name: {type: string, default: main}}}
      rows: {type: array, items: {type: object, properties: {v: {type: integer, default: 1}}}}
"""


def test_no_default_fills_what_was_left_empty() -> None:
    found = template(WITH_DEFAULTS)
    assert validate_inputs(found, {"l": []}, {("n",)}) == {"l": [], "db": {"size": 10, "name": "main"}}
    left_empty = {("n",), ("l",), ("db", "size"), ("rows", 1, "v")}
    assert validate_inputs(found, {"db": {}, "rows": [{}, {}]}, left_empty) == {
        "db": {"name": "main"},
        "rows": [{"v": 1}, {}],
    }


def test_what_must_be_there_is_refused_beside_its_field_when_it_was_left_empty() -> None:
    found = template("{required: [n], properties: {n: {type: integer, default: 3}}}")
    with pytest.raises(ValidationError) as caught:
        validate_inputs(found, {}, {("n",)})
    assert caught.value.fields == {"n": ["is required"]}


def test_what_a_run_was_left_without_is_known_by_its_inputs() -> None:
    found = template(WITH_DEFAULTS)
    inputs = validate_inputs(found, {"db": {}}, {("n",), ("db", "size")})
    assert found.input_check.left_empty(inputs) == {("n",), ("db", "size")}
    assert found.input_check.left_empty(validate_inputs(found, {})) == frozenset()
