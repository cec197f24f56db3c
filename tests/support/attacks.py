"""Expressions and files of hostile authors, which every reading of templates has to stand."""

from __future__ import annotations

REACHING = [
    "''.__class__.__mro__",
    "''['__class__']",
    "parameters.__class__",
    "parameters | attr('__class__')",
    "[''] | map(attribute='__class__') | list",
    "[''] | map('attr', '__class__') | list",
    "range.__globals__",
    "parameters.name.upper.__self__",
    "'{0.__class__}'.format(1)",
    "'{0.__class__}' | format(1)",
    "'%s' % parameters",
    "self.__init__",
    "cycler.__init__.__globals__",
    "lipsum()",
    "namespace()",
    "parameters.update({'a': 1})",
    "parameters.tags.append(1)",
    "parameters.tags.pop()",
    "parameters.name.encode()",
    "parameters.tags | map('upper', **{'__class__': 1}) | list",
    "get_flashed_messages()",
    "dict(a=1)",
    "range | upper",
    "range | urlencode",
    "[range] | capitalize",
    "{'a': range} | title",
    "parameters.name.upper | lower",
    "self | upper",
    "self | list",
    "'a' | truncate(1, true, 'abc')",
    "'a'.upper(**{'x': 1})",
    "range(*[1, 2])",
]
"""These reach for what is no value of a template."""

GREEDY = [
    "'a' * 10 ** 10",
    "10 ** 10 * 'a'",
    "[1] * 10 ** 9",
    "2 ** (10 ** 9)",
    "9 ** (9 ** (9 ** 9))",
    "(2 ** 900) * (2 ** 900)",
    "1e308 * 10",
    "range(10 ** 9)",
    "range(10 ** 30)",
    "'a'.ljust(10 ** 10)",
    "'a' | center(10 ** 10)",
    "'%1000000000d' % 1",
    "'%1000000000d' is even",
    "'%1000000000d' is odd",
    "'%1000000000d' is divisibleby(7)",
    "['%1000000000d'] | select('odd') | list",
    "(1,) * 10 ** 10",
    "parameters.db.items() | first * 10 ** 10",
    "0x" + "f" * 3000 + " // 0x" + "e" * 1500 + " > 1",
    "numbers | reject('in', numbers) | list",
    "numbers | map(attribute=numbers) | list",
    "collisions | unique | list",
    "[" + ", ".join(["wide[1:].count('x')"] * 300) + "]",
    "wide.strip(wide ~ 'x')",
    "wide | trim(wide ~ 'x')",
    "range(" + ", ".join(f"wide ~ {number}" for number in range(500)) + ")",
    "[" + ", ".join(f"(wide ~ {number}).count('x')" for number in range(250)) + "]",
    "'a' | indent(10 ** 9, true)",
    "'\n' | indent(10 ** 9)",
    "5 | round(-10 ** 9)",
    "1 | dump(10 ** 400)",
    "big ~ big ~ big",
    "big + big",
    "big.replace('x', big)",
    "big | replace('', big)",
    "big.join(numbers)",
    "numbers | join(big)",
    "numbers | map('replace', '1', big) | list",
    "numbers | map('default', big) | map('string') | list | join(big)",
    "[numbers, numbers, numbers, numbers, numbers, numbers, numbers]",
    "{'a': [big, big]}",
    "[" * 100 + "]" * 100,
    "(" * 900 + "1" + ")" * 900,
    "not " * 1900 + "1",
    "a" + ".a" * 3900,
    "1" + " + 1" * 3000,
    "1 if 0 else " * 600 + "1",
]
"""These ask for too much memory or time."""

LARGE: dict[str, object] = {
    "big": "x" * 200_000,
    "numbers": list(range(40_000)),
    "wide": "\U0001f600" * 200_000,
    "collisions": [number * (2**61 - 1) for number in range(20_000)],  # all have the hash 0
}
"""What they may name."""

FILES = [
    "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in values.many %}{% for b in values.many %}{% for c in values.many %}x{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in values.many %}${{ values.big }}{% endfor %}",
    "{% set a = 'xxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 40,
    "{% set a = [1] %}" + "{% set a = [a, a] %}" * 40 + "${{ a == a }}",
    "{% set a = [1] %}" + "{% set a = [a] %}" * 500,
    "{% macro f() %}${{ f() }}${{ f() }}{% endmacro %}${{ f() }}",
    "{% for x in [1] recursive %}${{ loop([1]) }}{% endfor %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% extends 'x' %}",
    "{% set x %}a{% endset %}",
    "{% filter upper %}a{% endfilter %}",
    "{% for x in values.many %}" * 30 + "{% endfor %}" * 30,
    "${{ loop }}${{ ''.__class__ }}",
    "{% for x in [1] %}${{ loop.__class__ }}{% endfor %}",
    "{% for x in [1] %}${{ loop._iterable }}{% endfor %}",
    "{% for x in [1] %}${{ loop | upper }}{% endfor %}",
    "{% for a in values.many %}{% for b in range(100) %}{% if 'xy' in values.big %}{% endif %}{% endfor %}{% endfor %}",
    "{% for a in values.many %}{% for b in range(100) %}" + "{% set c = 1 %}" * 2000 + "{% endfor %}{% endfor %}",
    "{% set a = values.big %}" + "".join(f"{{% set a{number} = a ~ {number} %}}" for number in range(500)),
    "{% if 0 %}" + "{% elif 0 %}" * 4000 + "{% endif %}",
    "${{ 1 }}" * 10_000,
    "${{ 1 }}" + "x" * 2_000_000,
    "${{ '\\ud800' }}",
]
"""The same as files of a skeleton."""

_PIECES = (
    *("parameters", "parameters.name", "parameters.tags", "'%s{0}'", "1", "-1.5", "true", "null", "nmae", "range"),
    *("loop", "self", "[]", "{}", "{'a': [1]}", "9" * 5000, "0x" + "f" * 400, "1e400", r"'\ud800'", "(1, 'a')"),
    *("..", "|", "(", "]", "}}", "if", "'", "\x02%", "\N{BOM}", "\x00", "é", "__class__"),
)
_SHAPES = (
    *("{0}", "{0}.{1}", "{0}[{1}]", "{0}({1})", "{0} | {1}", "{0} is {1}", "{0} + {1}", "{0} * {1}", "{0} ** {1}"),
    *("{0} % {1}", "{0} // {1}", "{0} ~ {1}", "{0} < {1} < {0}", "{0} in {1}", "not {0}", "{0} if {1} else {0}"),
    *("{0} if {1}", "{{{0}: {1}}}", "[{0}, {1}][::{0}]", "{0} | map({1}) | list", "{0} | sort(attribute={1})"),
    *("{0} | round({1})", "{0} | int({1}, {1})", "{0} | join({1}, {0})", "{0}.get({1}).replace({0}, {1}, {1})"),
    *("{0} | truncate({1}, {0}, {0}, {1})", "{0} | indent({1})", "{0} | dictsort(by={1})", "{0} | dump({1})"),
    *("{0} | parseEntityRef({1})", "{0} | parseRepoUrl", "({0})|unique|sum({1})", "{0} | replace({1}, {0}, {1})"),
)
MADE = [
    shape.format(_PIECES[number % len(_PIECES)], _PIECES[(number * 7 + 3) % len(_PIECES)])
    for number, shape in enumerate(_SHAPES * 30)
]
"""Expressions that nobody would write."""
