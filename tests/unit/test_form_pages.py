"""A page of a form that is not shown asks for nothing and gives nothing, and the published schema says so."""

from __future__ import annotations

import itertools
import textwrap
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.parameters.when import condition_schema
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.spec import Template, validate_inputs

PAGES = """
    - properties:
        kind: {type: string, enum: [a, b], default: a}
        size: {type: integer}
        live: {type: boolean}
        tags: {type: array, items: {type: string}}
    - title: More
      when: WHEN
      required: [more]
      properties: {more: {type: string}, rest: {type: string, default: r}}
    - title: Last
      when: ${{ parameters.more }}
      properties: {last: {type: string, default: l}}
"""


def form(when: Any, reading: Reading, pages: str = PAGES) -> Template:
    found = yaml.safe_load(textwrap.dedent(pages))
    if "when" in found[1]:
        found[1]["when"] = when
    return Template(
        name="svc", title="", description="", tags=(), owner="", type="", steps=(), output={}, permissions=(),
        version="1", reading=reading, parameters=tuple(found),
    )  # fmt: skip


def refusal(template: Template, inputs: dict[str, Any]) -> dict[str, Any] | None:
    try:
        validate_inputs(template, inputs)
    except ValidationError as error:
        return dict(error.fields or {})
    return None


def shown(template: Template, inputs: dict[str, Any]) -> list[str]:
    return [page.get("title", "") for page in template.shown(inputs)]


@pytest.mark.parametrize("reading", Reading)
def test_a_page_that_is_not_shown_asks_for_nothing_and_gives_nothing(reading: Reading) -> None:
    template = form("${{ parameters.kind == 'b' }}", reading)
    assert validate_inputs(template, {}) == {"kind": "a"}
    assert shown(template, {}) == [""]
    assert refusal(template, {"kind": "b"}) == {"more": ["is required"]}
    given = {"kind": "b", "more": "m"}
    assert validate_inputs(template, given) == {**given, "rest": "r", "last": "l"}
    assert shown(template, given) == ["", "More", "Last"]


def test_a_value_of_a_page_that_is_not_shown_is_dropped_at_home_and_refused_in_ours() -> None:
    when = "${{ parameters.kind == 'b' }}"
    assert validate_inputs(form(when, Reading.BACKSTAGE), {"more": "m", "last": 5}) == {"kind": "a"}
    told = ["is unknown: its page is not shown with these answers"]
    assert refusal(form(when, Reading.STRICT), {"more": "m", "last": 5}) == {"more": told, "last": told}
    assert shown(form(when, Reading.STRICT), {"more": "m"}) == [""]


@pytest.mark.parametrize(
    ("when", "inputs", "is_shown"),
    [
        ("parameters.kind === 'a'", {}, True),
        ("  ", {}, True),
        (False, {}, False),
        (True, {}, True),
        (5, {}, True),
        ("${{ parameters.tags }}", {"tags": []}, False),
        ("${{ parameters.tags }}", {"tags": ["x"]}, True),
        ("${{ parameters.size > 3 and parameters.kind == 'a' }}", {"size": 5}, True),
        ("${{ parameters.size > 3 }}", {}, False),
        ("${{ parameters.kind === }}", {}, True),
        ("${{ parameters.kind | nope }}", {}, True),
        ("${{ parameters.kind }} text", {"kind": "a"}, True),
        ("false", {}, False),
    ],
)
def test_a_document_of_backstage_shows_a_page_as_at_home(when: Any, inputs: dict[str, Any], is_shown: bool) -> None:
    assert ("More" in shown(form(when, Reading.BACKSTAGE), inputs)) is is_shown


def test_a_condition_that_fails_hides_a_page_of_ours() -> None:
    assert shown(form("${{ parameters.size > 3 }}", Reading.STRICT), {}) == [""]
    assert shown(form("${{ parameters.size > 3 }}", Reading.STRICT), {"size": 4}) == ["", "More"]


@pytest.mark.parametrize(
    "when",
    [
        "${{ parameters.kind == 'b' }}", "${{ parameters.kind != 'b' }}", "${{ parameters.live }}", "${{ not parameters.live }}",
        "${{ parameters.tags }}", "${{ parameters['kind'] == \"b\" and parameters.live }}",
        "${{ parameters.kind == 'b' or not parameters.tags }}", True, False,
    ],
)  # fmt: skip
@pytest.mark.parametrize("reading", Reading)
def test_the_published_schema_says_when_a_page_is_asked_for(when: Any, reading: Reading) -> None:
    template = form(when, reading)
    schema = Draft202012Validator(template.published_schema)
    options: dict[str, list[Any]] = {
        "kind": ["a", "b"], "live": [True, False], "tags": [[], ["x"]], "more": ["", "m"], "rest": ["r"], "last": ["l"],
    }  # fmt: skip
    for picked in itertools.product(*([(), *((name, one) for one in values)] for name, values in options.items())):
        given = dict(pair for pair in picked if pair)
        assert schema.is_valid(given) is (refusal(template, given) is None), given


@pytest.mark.parametrize("reading", Reading)
def test_a_condition_that_json_schema_cannot_say_refuses_nothing(reading: Reading) -> None:
    for when in (
        "${{ parameters.size > 3 }}",
        "${{ parameters.kind | upper == 'A' }}",
        "${{ parameters.a and b or c }}",
    ):
        assert condition_schema(when, reading) is None
    schema = Draft202012Validator(form("${{ parameters.size > 3 }}", reading).published_schema)
    assert schema.is_valid({})
    assert schema.is_valid({"size": 5, "more": "m"})
    assert not schema.is_valid({"nobody": 1})


def test_what_a_hidden_page_defines_others_may_refer_to() -> None:
    pages = """
        - {properties: {a: {type: string}}}
        - {when: false, definitions: {short: {type: string, maxLength: 3}}, properties: {b: {type: string}}}
        - {title: C, properties: {c: {$ref: '#/definitions/short'}}}
    """
    template = form(False, Reading.BACKSTAGE, pages)
    assert refusal(template, {"c": "long"}) == {"c": ["must have at most 3 characters"]}


def test_a_secret_on_a_page_of_its_own_stays_a_secret() -> None:
    pages = """
        - {properties: {a: {type: string}}}
        - {when: "${{ parameters.a | length > 2 }}", properties: {token: {type: string, writeOnly: true}}}
    """
    template = form("${{ parameters.a | length > 2 }}", Reading.STRICT, pages)
    assert template.secret_names == {"token"}
    assert template.parameter_names == {"a", "token"}
    assert validate_inputs(template, {"a": "abc", "token": "t"}) == {"a": "abc", "token": "t"}


def test_two_pages_with_one_parameter_both_count() -> None:
    pages = """
        - {properties: {a: {type: string, minLength: 2}}}
        - {properties: {a: {type: string, maxLength: 3}}}
    """
    template = form(False, Reading.BACKSTAGE, pages)
    assert refusal(template, {"a": "x"})
    assert refusal(template, {"a": "long"})
    assert refusal(template, {"a": "abc"}) is None


def test_what_was_left_empty_is_known_of_the_pages_that_were_shown() -> None:
    template = form("${{ parameters.kind == 'b' }}", Reading.STRICT)
    assert template.input_check.left_empty({"kind": "b", "more": "m", "last": "l"}) == {("rest",)}
    assert template.input_check.left_empty({"kind": "a"}) == frozenset()
