"""What of a YAML file is read otherwise than npm's ``yaml`` reads it. Both of our readings read it alike."""

from __future__ import annotations

from typing import Final

from portal_actions_plugin.software_templates.differences.difference import Difference, Kind

_INFINITE = tuple(f"a: {text}" for text in (".nan", ".inf", ".Inf", ".INF", "+.inf", "-.inf", ".NaN", ".NAN"))

OF_YAML: Final = (
    Difference(
        name="yaml-no-json",
        written="a value that JSON does not have: `.nan`, `1e400`, `!!binary`, `!!set`, a tag that its text does not fit",
        at_home="handed on as something else",
        backstage="a problem",
        ours="",
        why="Inputs are JSON.",
        examples=(
            *_INFINITE,
            *("a: 1e400", "a: -1e400", 'a: "\\ud83d"', "a: !!binary aGk=", "a: !!set {a}", "a: !!timestamp 2026-01-02"),
            *("a: !!merge x", "a: !!int x", "a: !!float x", "a: !!bool x", "a: !"),
        ),
        kind=Kind.YAML,
    ),
    Difference(
        name="yaml-exact",
        written="a whole number beyond 2^53; `-0`",
        at_home="rounded to what JavaScript has; has a sign",
        backstage="exact; 0",
        ours="",
        why="A project's number stays what it is.",
        examples=("a: 123456789012345678", "a: 9007199254740993", "a: -0", "a: -0.0"),
        kind=Kind.YAML,
    ),
    Difference(
        name="yaml-one-key-twice",
        written="one key as a text and as something else, such as `1:` and `'1':`",
        at_home="the last one counts",
        backstage="a problem, as any key that is there twice",
        ours="",
        why="JSON has one of each.",
        examples=("'1': a\n1: b", "true: 1\n'true': 2"),
        kind=Kind.YAML,
    ),
    Difference(
        name="yaml-line-ends",
        written="U+2028, U+0085 or a lone carriage return",
        at_home="a character as others",
        backstage="ends a line",
        ours="",
        why="PyYAML reads it so.",
        examples=("a: \u2028", "a: \u2028b", "a: b\x85c", "a: 1\rb: 2"),
        kind=Kind.YAML,
    ),
    Difference(
        name="yaml-form",
        written="what is at the edge of YAML's form: a tab within a text, `...` without `---`, a key that is nothing",
        at_home="taken",
        backstage="a problem that says so",
        ours="",
        why="PyYAML reads it so.",
        examples=("a: a\tb", "...\n", "a: 1\n...\nb: 2\n", ": a"),
        kind=Kind.YAML,
    ),
    Difference(
        name="yaml-form-taken",
        written="an indentation inside of brackets that is wrong; `%YAML 1.1`",
        at_home="an error; read as YAML 1.1",
        backstage="taken; read as YAML 1.2",
        ours="",
        why="What it means is clear.",
        examples=("a: [1,\n2]", "%YAML 1.1\n---\na: no\nb: 010"),
        kind=Kind.YAML,
    ),
    Difference(
        name="yaml-texts-of-keys",
        written="a mapping as a key, and `!!float 1`",
        at_home="`{ ? { a } : null }`; a text",
        backstage="`{ a }`, with a warning; 1",
        ours="",
        why="The texts are two ways to write the same.",
        examples=("{{ a }}: b", "a: !!float 1"),
        kind=Kind.YAML,
    ),
)
