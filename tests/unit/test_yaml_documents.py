"""Templates' YAML is read as Backstage reads it: compared with what npm's ``yaml`` said, recorded in ``tests/oracle``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from portal_actions_plugin.software_templates.yaml.documents import (
    Document,
    UnreadableError,
    read_documents,
    with_merges,
)
from tests.oracle.recorded import table

ROWS = [(row["yaml"], row["answer"]) for row in table("yaml")]

WRONG_IN_1_1 = [
    "a: no",
    "a: on",
    "a: 12:30",
    "a: 010",
    "a: 0o17",
    "a: 1e3",
    "a: 2026-01-02",
    "a: yes",
    "a: .5",
    "1: a\n2.0: b",
]


def read(text: str) -> dict[str, Any]:
    """What ours says, in the oracle's words; a problem is an error."""
    try:
        documents = read_documents(text)
    except UnreadableError as error:
        return {"error": error.message}
    problems = [problem for document in documents for problem in document.problems]
    return {"error": problems[0][1]} if problems else {"value": [document.data for document in documents]}


def alike(ours: dict[str, Any], home: dict[str, Any]) -> bool:
    """Types count: 1 and 1.0 are written otherwise, true and 1 as well. What an error says does not."""
    if "error" in ours or "error" in home:
        return "error" in ours and "error" in home
    return json.dumps(ours["value"], sort_keys=True) == json.dumps(home["value"], sort_keys=True)


@pytest.mark.fault("D22")
@pytest.mark.parametrize("text", WRONG_IN_1_1)
def test_what_readers_of_yaml_1_1_get_wrong_is_read_as_at_home(text: str) -> None:
    assert alike(read(text), dict(ROWS)[text])


def test_every_text_is_read_as_at_home_unless_the_list_of_differences_has_it() -> None:
    from portal_actions_plugin.software_templates.differences import DIFFERENCES, Kind  # commits before had none

    different = {example for one in DIFFERENCES if one.kind is Kind.YAML for example in one.examples}
    assert len(ROWS) > 1000
    unlike = {text for text, home in ROWS if not alike(read(text), home)}
    assert unlike == different


def only(text: str) -> Document:
    (document,) = read_documents(text)
    return document


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("a:\n- {{ gitHost }}", ("a", 0, "{ gitHost }"), "Put the text in quotes"),
        ("a: {{ b }}", ("a", "{ b }"), "Put the text in quotes"),
        ("a:\n  <<: {b: 1}", ("a", "<<"), "no merge keys"),
        ("a: !Ref b", ("a",), "the tag !Ref means nothing here"),
    ],
)
def test_what_is_read_as_something_else_than_it_looks_like_is_told_with_its_place(
    text: str, place: tuple[str | int, ...], said: str
) -> None:
    document = only(text)
    assert not document.problems
    ((found, message),) = document.cautions
    assert found == place
    assert said in message
    assert document.line(found) == text.count("\n") + 1


@pytest.mark.parametrize("text", ["a: b", "a: '<<'", "'<<': 1", "a: '{{ b }}'", "1: a", "true: a", "~: a"])
def test_what_is_what_it_looks_like_is_not_told(text: str) -> None:
    assert not only(text).cautions


@pytest.mark.parametrize(
    "text", ["? &a [*a]\n: b", "&a {*a : b}: c", "? " + "[" * 250 + "]" * 250 + "\n: a", "&a [&b [*a, *a]]: 1"]
)
def test_a_key_that_contains_itself_or_is_deep_ends_in_our_error(text: str) -> None:
    assert "error" in read(text)


@pytest.mark.parametrize(
    ("text", "merged"),
    [
        ("x: &x {a: 1, b: 1}\ny: {<<: *x, b: 2}", {"a": 1, "b": 2}),
        ("x: &x {a: 1}\ny: {b: 2, <<: [*x, {a: 3, c: 3}]}", {"a": 1, "b": 2, "c": 3}),
        ("y:\n  <<: {<<: {a: 1}, b: 2}\n", {"a": 1, "b": 2}),
        ("y: {'<<': {a: 1}}", {"<<": {"a": 1}}),
    ],
)
def test_merge_keys_are_written_out_when_they_are_asked_for(text: str, merged: dict[str, int]) -> None:
    document = with_merges(only(text))
    assert document.mapping["y"] == merged
    assert not document.problems
    assert not document.cautions


def test_a_merge_key_of_anything_else_is_a_problem() -> None:
    assert with_merges(only("<<: 1")).problems == [(("<<",), "<< takes a mapping, or a list of mappings")]


@pytest.mark.parametrize("line", ["a: {b: hello ${{ parameters.name }}}", "  c: {d: x {{ y }} z}"])
def test_braces_that_break_a_mapping_are_told_with_what_helps(line: str) -> None:
    with pytest.raises(UnreadableError, match=r"; put the text that has \{\{ in quotes$"):
        list(read_documents(f"x:\n{line}\n"))
    with pytest.raises(UnreadableError, match=r"got '\{'$"):
        list(read_documents("a: {b: hello {c}}\n"))
