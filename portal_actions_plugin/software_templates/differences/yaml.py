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
            *(
                "a: !!merge x",
                "a: !!int x",
                "a: !!float x",
                "a: !!bool x",
                "a: !!null x",
                "a: !!bool yes",
                "a: !!int 1.5",
            ),
            *(
                "a: !!str [a]",
                "a: !!map [a]",
                "a: !!seq {a: 1}",
                "a: !!omap [a: 1]",
                "a: !!pairs [a: 1]",
                "a: !!unknown x",
            ),
            *(
                "a: !!set\n  ? a\n  ? b",
                "a: !!python/object:os.system x",
                "a: !!js/function 'x'",
                "a: 1e309",
                "a: -1e309",
            ),
            *('a: "\\uD800"', 'a: "\\uDC00"', 'a: "\\ude00\\ud83d"'),
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
        examples=(
            *("a: 123456789012345678", "a: 9007199254740993", "a: -9007199254740993", "a: 100000000000000000000"),
            *("a: -0", "a: -0.0", "a: -00"),
        ),
        kind=Kind.YAML,
    ),
    Difference(
        name="yaml-one-key-twice",
        written="one key as a text and as something else, such as `1:` and `'1':`",
        at_home="the last one counts",
        backstage="a problem, as any key that is there twice",
        ours="",
        why="JSON has one of each.",
        examples=(
            *("'1': a\n1: b", "1: a\n'1': b", "true: 1\n'true': 2", "~: a\n'': b", "[a]: 1\n[a]: 2", "&x a: b\n*x : c"),
        ),
        kind=Kind.YAML,
    ),
    Difference(
        name="yaml-line-ends",
        written="U+2028, U+0085 or a lone carriage return",
        at_home="a character as others",
        backstage="ends a line",
        ours="",
        why="PyYAML reads it so.",
        examples=("a: \u2028", "a: \u2028b", "a: b\x85c", "a: 1\rb: 2", "\u2028: 1"),
        kind=Kind.YAML,
    ),
    Difference(
        name="yaml-form",
        written="what is at the edge of YAML's form: a tab in an indentation, `...` without `---`, a key that is nothing",
        at_home="taken",
        backstage="a problem that says so",
        ours="",
        why="PyYAML reads it so.",
        examples=(
            *(
                "a:\n  \tb",
                "a: b\n  \tc",
                "...\n",
                "...",
                "a: 1\n...\nb: 2\n",
                ": a",
                ": 1",
                "a: {: b}",
                "a: [: b]",
                "a: [:x]",
            ),
            *("|\nx", "--- |\nx\n--- >\ny\n", "a: [a, b]: c", "a: [!!str]", "%YAML 2.0\n---\na: 1", "? a\n  : b"),
            *("%YAML 1.2\n%YAML 1.2\n---\na: 1", "%a: 1", "a: '''", "a: 'a''"),
        ),
        kind=Kind.YAML,
    ),
    Difference(
        name="yaml-form-taken",
        written="an indentation inside of brackets or quotes that is wrong; `#` right behind a value; `%YAML 1.1`; `!` alone",
        at_home="an error; an error; read as YAML 1.1; a text",
        backstage="taken; a comment; read as YAML 1.2; as if it were not there",
        ours="",
        why="What it means is clear.",
        examples=(
            *("a: [1,\n2]", "a: [b,\n\tc]", "a: 'x\n\ty'", 'a: "x\n"', "a: 'x\ny'", 'a: "x\ny"'),
            *("a: [#c\n  b]", "a: []#c", "a: 'x'# c", 'a: "x"#c', "%YAML 1.1\n---\na: no\nb: 010"),
            *("a: 1\n%YAML 1.2\n---\nb: 1", "a: !", "a: ! 12", "a: !a,b x", "a: [-]", "a: [?x]"),
        ),
        kind=Kind.YAML,
    ),
    Difference(
        name="yaml-texts-of-keys",
        written="a list or a mapping as a key, `.inf` as a key, `!!float 1`",
        at_home="the key's text has signs of its own: `{ ? { a } }`; `Infinity`; a text",
        backstage="`{ { a } }`, with a warning; `inf`; 1",
        ours="",
        why="The texts are two ways to write the same.",
        examples=(
            *("{{ a }}: b", "{{ x }}: {{ y }}", "a: {{{ x }}}", "a: {{ 'x': 1 }}", "- {{ x }}: 1"),
            *("[a, 'b c']: d", "[1, null]: d", ".inf: a", ".nan: a", "a: !!float 1"),
        ),
        kind=Kind.YAML,
    ),
    Difference(
        name="yaml-limits",
        written="a key of more than 500 characters; more than 50,000 values, 1 MB or 40 levels",
        at_home="taken, but for a key of more than 1,024 characters",
        backstage="a problem",
        ours="",
        why="A file is somebody else's, and must not keep your portal busy.",
        examples=("k" * 501 + ": 1", "? " + "k" * 1100 + "\n: 1"),
        kind=Kind.YAML,
    ),
)
