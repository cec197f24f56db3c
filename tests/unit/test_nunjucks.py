"""A v1beta3 document means what it means at home: compared with Backstage's own engine, recorded in ``tests/oracle``."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import pytest

from portal_actions_plugin.software_templates.expressions.limits import budget
from portal_actions_plugin.software_templates.nunjucks import patterns, rendering
from portal_actions_plugin.software_templates.nunjucks.javascript import Undefined
from portal_actions_plugin.software_templates.nunjucks.references import references
from tests.oracle.comparing import DIFFERENT, as_at_home, ours
from tests.oracle.questions import CONTEXT
from tests.oracle.recorded import table
from tests.support import attacks

HAS_ENGINE = find_spec("re2") is not None
"""Whether the engine of regular expressions is installed: it comes with the extra ``dev``."""
SECONDS = 0.5
"""Of processor time for what is hostile: less than a render has, so that many can be tried."""

ROWS = [(row["render"], row["answer"]) for row in table("expressions")]


def test_every_expression_gives_the_value_and_the_type_that_it_gives_at_home() -> None:
    assert len(ROWS) > 500
    asked = [
        (given, home) for given, home in ROWS if str(given) not in DIFFERENT and (HAS_ENGINE or "r/" not in str(given))
    ]
    assert [(given, home, here) for given, home in asked if (here := as_at_home(given)) != home] == []


def test_a_regular_expression_that_is_global_goes_on_where_it_was() -> None:
    pytest.importorskip("re2")
    assert ours("{% set p = r/a/g %}${{ p.test('a') }}${{ p.test('a') }}", CONTEXT) == "truefalse"


def test_without_its_extra_a_regular_expression_is_never_a_division(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    patterns.compiled.cache_clear()
    (found,) = references("${{ r/1/g }}")
    patterns.compiled.cache_clear()
    assert "pip install 'portal-actions-plugin[regex]'" in found.problems[0]


@pytest.mark.parametrize(
    "text",
    [
        "${{ parameters.tags.push('x') }}${{ parameters.tags.sort().join() }}",
        "${{ parameters.tags['pu' ~ 'sh']('x') }}",
        "{% set change = parameters.tags['so' ~ 'rt'] %}${{ change() }}",
        "{% for name in ['re' ~ 'verse'] %}${{ parameters.tags[name]() }}{% endfor %}",
    ],
)
def test_a_list_of_the_run_stays_what_it_is_whatever_an_expression_calls_on_it(text: str) -> None:
    assert ours(text, CONTEXT)
    assert CONTEXT["parameters"]["tags"] == ["java", "api", "api"]  # type: ignore[index]


# --- hostile authors


def stands(text: str, context: dict[str, Any]) -> None:
    """Rendering ends soon, with JSON or with an error that we know."""
    began = time.thread_time()
    with budget(seconds=SECONDS), suppress(*rendering.FAILURES):
        found = rendering.evaluate(text, context, {})
        json.dumps(None if isinstance(found, Undefined) else found, ensure_ascii=False, allow_nan=False).encode()
    assert time.thread_time() - began < SECONDS + 1


@pytest.mark.parametrize("expression", attacks.REACHING)
def test_an_expression_reaches_nothing_but_values(expression: str) -> None:
    found = repr(ours(f"${{{{ {expression} }}}}", CONTEXT))
    assert "object at 0x" not in found
    assert "<class" not in found
    assert "function" not in found


@pytest.mark.parametrize("expression", attacks.GREEDY)
def test_an_expression_that_asks_for_too_much_is_stopped(expression: str) -> None:
    stands(f"${{{{ {expression} }}}}", dict(attacks.LARGE))
    stands(f"a ${{{{ {expression} }}}}", dict(attacks.LARGE))


@pytest.mark.parametrize("text", [
    "{% set l = [1] %}" + "{% set l = l.concat(l) %}" * 40 + "${{ l }}",
    "{% set l = [1] %}" + "{% set l = [l, l, l, l] %}" * 35 + "${{ l }}",
    "{% set l = [[1]] %}" + "{% set l = [l] %}" * 200 + "${{ l.flat(1000) | dump }}",
    "${{ big | striptags }}", "${{ ('<a' ~ big) | striptags | urlencode }}", "${{ wide | urlencode }}", "${{ wide | escape | e }}",
    "${{ numbers | sort | batch(1) | groupby('length') }}", "${{ numbers | select('sameas', numbers) }}", "${{ 'x' | center(9999999) }}",
    "${{ (1e300).toFixed(100) }}", "${{ (0.1).toFixed(101) }}", "${{ 2 ** 100000 }}", "${{ numbers | slice(100000000) }}",
    "${{ {length: 9007199254740991} | list }}", "${{ {length: 9007199254740991} | sort }}", "${{ [1] | batch(100000000, 'x') }}",
    "${{ big.replace(r/(x+)+y/g, '') }}", "${{ big | replace(r/x/g, big) }}", "${{ big.replace(r/x*/g, '$`') }}", "${{ big.split(r//) }}",
    "${{ big.split(r/(x)(x)(x)/) }}", "${{ big.replace(r/((((x?){100}){100}){100}){100}/, '') }}", "${{ r/(x|y|z)*(x|y){500}$/.test(big) }}",
    "${{ 'x'.replace(r/" + "(" * 900 + ")" * 90 + "/, '') }}", "${{ r/" * 5_000, "${{ 'a'.replace(r/[" * 2_000,
    "${{" * 20_000, "{%" * 20_000, "{#" * 20_000, "{% raw %}" * 5_000, "${{ '" * 20_000, "{% if 1 %}" * 500, "{% set x %}" * 500,
])  # fmt: skip
def test_a_hostile_text_is_stopped(text: str) -> None:
    stands(text, dict(attacks.LARGE))
    assert isinstance(references(text), tuple)


@pytest.mark.parametrize("text", attacks.FILES)
def test_hostile_blocks_are_stopped(text: str) -> None:
    stands(text, {"values": {"many": list(range(1000)), "big": "x" * 100_000}})


def test_whatever_is_written_as_an_expression_only_ever_raises_what_rendering_may_raise() -> None:
    for expression in attacks.MADE:
        stands(f"${{{{ {expression} }}}}", dict(CONTEXT))
        stands(f"{{% if {expression} %}}a{{% endif %}}", dict(CONTEXT))
        assert isinstance(references(f"${{{{ {expression} }}}}"), tuple)


# --- what is known at load


def test_references_name_what_an_expression_and_its_blocks_name() -> None:
    (found,) = references(
        "{% for p in parameters.people %}${{ p.x }}{% endfor %}${{ steps['a-b'].output.y or secrets.t }}{% set z = 1 %}${{ z }}"
    )
    assert found.names == {"parameters", "steps", "secrets"}
    assert (found.parameters, found.steps, found.secrets) == ({"people"}, {"a-b"}, {"t"})
    assert not found.problems


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("${{ a ? b : c }}", "'?' cannot be used here"),
        ("${{ x", "not closed"),
        ("${{ x | nope }}", "there is no filter 'nope'"),
        ("${{ x is nope }}", "there is no test 'nope'"),
        ("${{ name.replace(r/-, '_') }}", "not closed"),
        ("${{ name.replace(r/(?=a)/g, '_') }}", "look-around is not supported"),
        ("${{ name.replace(r/(a)\\1/g, '_') }}", "back references are not supported"),
        ("${{ name.replace(r/(/g, '_') }}", "this is no regular expression"),
        ("${{ name.replace(r/a/y, '_') }}", "the flags g, i and m, not y"),
        ("{% include 'x' %}", "include is not supported"),
        ("${{ " + "(" * 3000 + " }}", "nested deeper"),
    ],
)
def test_references_say_what_is_wrong_with_an_expression(text: str, part: str) -> None:
    (found,) = references(text)
    assert part in " ".join(found.problems)


def test_a_problem_of_a_text_of_several_lines_knows_its_line() -> None:
    with pytest.raises(rendering.NunjucksSyntaxError) as caught:
        rendering.evaluate("a\n${{ 1 }}\n{% if 1 %}${{ a\n b }}{% endif %}", {}, {})
    assert caught.value.line == 4
