"""Expressions that neither of our readings evaluates as Backstage's engine does."""

from __future__ import annotations

from typing import Final

from portal_actions_plugin.software_templates.differences.difference import Difference

_STAYS = "not supported: the text stays as it is written, with a warning"
_PROBLEM = "a problem"

OF_EXPRESSIONS: Final = (
    Difference(
        name="hole-of-list",
        written="an item of a list that has no value",
        at_home="`null` at its place",
        backstage="the item is left out",
        ours="an error that names it",
        why="An action gets no item that nobody has written.",
        examples=(["${{ missing }}", 1],),
    ),
    Difference(
        name="literal-empty-text",
        written='`""` as a value',
        at_home="its key is left out",
        backstage='`""`',
        ours="",
        why="Who writes an empty text wants one.",
        examples=("",),
    ),
    Difference(
        name="repository-hosts",
        written="`parseRepoUrl` of a host that no integration knows",
        at_home="fails: the text stays as it is written",
        backstage="takes the address apart",
        ours="",
        why="Which forge an address belongs to is said by the action that uses it.",
        examples=("${{ 'nope.example?owner=a&repo=b' | parseRepoUrl }}",),
    ),
    Difference(
        name="regular-expressions",
        written="look-around, back references and the flag `y` in a regular expression, `r/…/g`",
        at_home="exist",
        backstage=_STAYS,
        ours=_PROBLEM,
        why="The engine needs time in line with its text, whatever the pattern is. What it has needs the extra `regex`.",
        examples=(
            "${{ 'ab'.replace(r/a(?=b)/, 'x') }}",
            "${{ 'aab' | replace(r/(a)\\1/, 'x') }}",
            "${{ r/a/y.test('ba') }}",
        ),
    ),
    Difference(
        name="macros",
        written="`macro`, `call`, `cycler()`, `joiner()`",
        at_home="exist",
        backstage=_STAYS,
        ours=_PROBLEM,
        why="None of the templates that we have read uses them.",
        examples=(
            "${{ cycler }}",
            "{% macro m(a) %}<${{ a }}>{% endmacro %}${{ m(1) }}",
            "{% set c = cycler('a', 'b') %}${{ c.next() }}${{ c.next() }}",
            "{% set j = joiner('-') %}${{ j() }}a${{ j() }}b",
        ),
    ),
    Difference(
        name="characters",
        written="a character beyond U+FFFF, such as an emoji, in a length or a place",
        at_home="counts as two, and can be cut in two",
        backstage="is one character",
        ours="",
        why="Half a character is none, and no database stores it.",
        examples=(
            "${{ '\U0001f600'.length }}",
            "${{ '\U0001f600' | length }}",
            "${{ 'a\U0001f600b' | reverse }}",
            '{% if 1 %}"\\ud83d"{% endif %}',
        ),
    ),
    Difference(
        name="numbers-beyond-json",
        written="an infinite number, or the zero with a sign, in a value that is one block",
        at_home="`Infinity`, `-0`",
        backstage="`null`, `0`",
        ours=_PROBLEM,
        why="Inputs are JSON.",
        examples=("{% if 1 %}1e400{% endif %}", "{% if 1 %}-0{% endif %}"),
    ),
    Difference(
        name="digits-of-bases",
        written="`.toString(7)` and the like of a number beyond 2^53",
        at_home="has digits where a number has none any more",
        backstage="has others there",
        ours="an error: our own documents have no such method",
        why="They mean nothing.",
        examples=("${{ (parameters.huge * 12345.678).toString(7) }}",),
    ),
    Difference(
        name="limits",
        written="more than the sandbox's limits: 1,000 numbers of a `range`, 256,000 characters, 2 seconds of processor time",
        at_home="has its own, which are larger, and none on time",
        backstage="fails the step, and says which limit",
        ours="",
        why="A template is somebody else's program in your portal.",
        examples=("${{ range(2000) | length }}",),
    ),
)
