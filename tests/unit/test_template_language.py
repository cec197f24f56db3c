"""The reference of the language: every example gives what it says, at home as well, and nothing that exists is missing."""

from __future__ import annotations

import re
from collections.abc import Collection

import pytest

from portal_actions_plugin.software_templates.differences import DIFFERENCES
from portal_actions_plugin.software_templates.expressions.filters import FILTERS as OUR_FILTERS
from portal_actions_plugin.software_templates.expressions.filters import METHODS as OUR_METHODS
from portal_actions_plugin.software_templates.expressions.filters import TESTS as OUR_TESTS
from portal_actions_plugin.software_templates.nunjucks.blocks import BLOCKS, RAW
from portal_actions_plugin.software_templates.nunjucks.calls.filters import FILTERS
from portal_actions_plugin.software_templates.nunjucks.calls.methods import OF_LISTS, OF_TEXTS
from portal_actions_plugin.software_templates.nunjucks.calls.number_methods import OF_NUMBERS
from portal_actions_plugin.software_templates.nunjucks.calls.tests import TESTS
from portal_actions_plugin.software_templates.nunjucks.evaluation import ARITHMETIC, COMPARISONS
from portal_actions_plugin.software_templates.nunjucks.loops import loop_values
from portal_actions_plugin.software_templates.readings import Reading
from tests.oracle import reference
from tests.oracle.recorded import table
from tests.oracle.reference import SAME, STAYS, Example, Kind

PAGE = reference.PAGE.read_text(encoding="utf-8")
EXAMPLES = list(reference.examples(PAGE))
NAMES = reference.context(PAGE)
SECTIONS = list(dict.fromkeys(example.section for example in EXAMPLES))

EXCUSED = {
    '{a: ["${{ parameters.note }}", 1]}': "hole-of-list",
    '{a: ""}': "literal-empty-text",
    "${{ parameters.yes ? 1 : 2 }}": "if-that-cannot-be-read",
    "${{ parameters.name.nope() }}": "if-that-cannot-be-read",
    "{% macro m(a) %}x{% endmacro %}": "macros",
    "a: .inf": "yaml-no-json",
}
"""Examples of the page that home has otherwise, and the difference that says so."""


def of(section: str) -> list[Example]:
    found = [example for example in EXAMPLES if example.section == section]
    assert found, section
    return found


@pytest.mark.parametrize("section", SECTIONS)
def test_every_example_of_the_reference_gives_what_it_says(section: str) -> None:
    for example in of(section):
        backstage = reference.here(example, NAMES, Reading.BACKSTAGE)
        assert example.cells[0] == backstage, example.written
        if example.kind is not Kind.YAML:
            ours = reference.here(example, NAMES, Reading.STRICT)
            assert example.cells[1] == (SAME if ours == backstage else ours), example.written


def test_every_example_of_the_reference_gives_what_it_gives_at_home() -> None:
    recorded = table("reference")
    assert [{**row, "answer": None} for row in recorded] == [{**one, "answer": None} for one in reference.questions()]
    names = {one.name for one in DIFFERENCES}
    for example, row in zip(EXAMPLES, recorded, strict=True):
        home, here = reference.at_home(example, row["answer"]), example.cells[0]
        if home == "refused":
            assert here.startswith("refused"), example.written
        elif home != here:
            assert EXCUSED.get(example.written) in names, (example.written, home, here)


def test_nothing_is_excused_that_is_as_at_home() -> None:
    rows = zip(EXAMPLES, table("reference"), strict=True)
    unlike = {one.written for one, row in rows if reference.at_home(one, row["answer"]) != one.cells[0]}
    assert {written for written in EXCUSED if written not in unlike} == set()


def listed(section: str) -> set[str]:
    """What the first column of a section names."""
    return {name.replace("\\|", "|") for example in of(section) for name in re.findall(r"`([^`]+)`", example.names)}


def works(example: Example) -> tuple[bool, bool]:
    """Whether it gives a value in documents of Backstage, and in our own."""
    backstage = example.cells[0] != STAYS
    ours = backstage if example.cells[1] == SAME else not example.cells[1].startswith("refused")
    return backstage, ours


@pytest.mark.parametrize(
    ("section", "backstage", "ours"),
    [
        ("Filters", FILTERS, {name for name in OUR_FILTERS if not name.startswith(" ")}),
        ("Tests", TESTS, OUR_TESTS),
        ("Methods of texts", {*OF_TEXTS, "length"}, {*OUR_METHODS[0][1], "length"}),
        ("Methods of lists", {*OF_LISTS, "length"}, {*OUR_METHODS[2][1], "length"}),
        ("Methods of numbers", OF_NUMBERS, ()),
        ("Methods of objects", (), OUR_METHODS[1][1]),
    ],
)
def test_the_reference_has_what_exists_and_nothing_else(
    section: str, backstage: Collection[str], ours: Collection[str]
) -> None:
    assert listed(section) == {*backstage, *ours}
    for index, existing in enumerate((backstage, ours)):
        shown = {
            name for example in of(section) if works(example)[index] for name in re.findall(r"`([^`]+)`", example.names)
        }
        also_known = {"none"} if section == "Tests" and index == 0 else set()  # none is null there
        assert shown - also_known == {*existing}, ("documents of Backstage", "our own")[index]


@pytest.mark.parametrize("section", ["Filters", "Tests", "Methods of texts", "Methods of lists", "Methods of numbers"])
def test_an_example_uses_what_it_is_an_example_of(section: str) -> None:
    for example in of(section):
        (name,) = re.findall(r"`([^`]+)`", example.names)
        assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", example.written), example.written


def test_the_reference_has_every_operator_and_block() -> None:
    spelled = {"and", "or", "not", "in", "not in", "is", "is not", "~", "//", "a if b else c", "a if b", "|"}
    assert listed("Operators") >= {*ARITHMETIC, *COMPARISONS, "+", *spelled}
    assert listed("Blocks") >= {*BLOCKS, *RAW, "loop"}
    parts = " ".join(example.written for example in of("Blocks"))
    assert [name for name in loop_values(0, 1) if f"loop.{name}" not in parts] == []
    assert "range" in listed("Functions")


def test_what_nobody_has_filled_in_is_filled_in() -> None:
    empty = re.sub(r"(\| `2 \* 3` \|).*", r"\1 | |", PAGE)
    assert empty != PAGE
    assert reference.filled(empty) == PAGE
