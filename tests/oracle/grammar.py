"""Expressions made from a grammar, for comparing with the oracle what nobody thought of."""

from __future__ import annotations

from hypothesis import strategies as st

_NAMES = st.sampled_from(
    [
        *("parameters.name", "parameters.missing", "parameters.empty", "parameters.port", "parameters.ratio", "parameters.zero"),
        *("parameters.yes", "parameters.no", "parameters.nothing", "parameters.tags", "parameters.none", "parameters.object"),
        *("parameters.blank", "parameters.numbers", "parameters.mixed", "parameters.people", "parameters.digits", "missing"),
        *("parameters.nested.list", "steps.publish.output", "parameters.text", "parameters.html", "missing.deeper", "user.entity"),
    ]
)  # fmt: skip
_LITERALS = st.sampled_from(
    [
        *("0", "1", "2", "-1", "1.5", "0.1", "10", "100", "1e1", "''", "'a'", "'A b'", "'10'", "' 7 '", "'0x1f'", "'true'", "'é'"),
        *("'a-b-c'", "true", "false", "null", "none", "[]", "{}", "[1, 2]", "['b', 'a']", "{a: 1}", "[[1], [2]]", "[null]"),
    ]
)  # fmt: skip
_BINARY = st.sampled_from(
    [
        *(
            "+",
            "-",
            "*",
            "/",
            "//",
            "%",
            "**",
            "~",
            "==",
            "!=",
            "===",
            "!==",
            "<",
            "<=",
            ">",
            ">=",
            "and",
            "or",
            "in",
            "not in",
        ),
    ]
)
_TESTS = st.sampled_from(
    [
        *(
            "defined",
            "undefined",
            "null",
            "number",
            "string",
            "mapping",
            "iterable",
            "even",
            "odd",
            "truthy",
            "falsy",
            "lower",
        ),
        *(
            "upper",
            "divisibleby(2)",
            "eq(1)",
            "ne('a')",
            "gt(1)",
            "le(2)",
            "sameas('a')",
            "callable",
            "escaped",
            "nope",
        ),
    ]
)
_FILTERS = st.sampled_from(
    [
        *("abs", "capitalize", "default('d')", "default('d', true)", "dump", "dump(1)", "first", "float", "float(0)", "int", "int(7)"),
        *("join", "join('-')", "last", "length", "list", "lower", "replace('a', 'x')", "replace('b', '')", "reverse", "round"),
        *("round(1)", "round(1, 'floor')", "round(0, 'ceil')", "sort", "sort(true)", "string", "sum", "title", "trim", "truncate(2)"),
        *("upper", "urlencode", "wordcount", "batch(2)", "slice(2)", "dictsort", "select", "reject", "select('odd')", "indent(1)"),
        *("center(6)", "escape", "safe", "striptags", "nl2br", "pick('a')", "pick('metadata.name')", "groupby('age')", "sum('age')"),
        *("sort(attribute='age')", "selectattr('age')", "join(',', 'name')", "parseEntityRef", "nope", "replace(1, 2)", "int(0, 16)"),
    ]
)  # fmt: skip
_MEMBERS = st.sampled_from(
    [
        *(".length", ".a", "['a']", "[0]", "[-1]", "[1:]", "[:1]", "[::-1]", ".name", ".join('-')", ".split('-')", ".includes('a')"),
        *(".startsWith('a')", ".endsWith('c')", ".toUpperCase()", ".toLowerCase()", ".trim()", ".indexOf('b')", ".slice(1)"),
        *(".slice(-1)", ".replace('a', 'x')", ".concat('z')", ".charAt(0)", ".substring(1, 2)", ".toFixed(1)", ".at(0)", ".nope()"),
        *(".lastIndexOf('a')", ".flat()", ".toString()", ".reverse()", ".sort()", ".push(1)", ".pop()", "[parameters.zero]"),
    ]
)  # fmt: skip


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = inner.map(lambda one: f"({one})")
    return st.one_of(
        st.tuples(inner, _BINARY, inner).map(" ".join),
        st.tuples(group, _BINARY, inner).map(" ".join),
        st.tuples(inner, _FILTERS).map(" | ".join),
        st.tuples(group, _FILTERS).map(" | ".join),
        st.tuples(group, _MEMBERS).map("".join),
        st.tuples(_NAMES, _MEMBERS).map("".join),
        st.tuples(inner, _TESTS).map(" is ".join),
        st.tuples(inner, _TESTS).map(" is not ".join),
        st.tuples(st.sampled_from(["not ", "-", "+"]), inner).map("".join),
        st.tuples(inner, inner, inner).map(lambda three: f"{three[0]} if {three[1]} else {three[2]}"),
        st.tuples(inner, inner).map(lambda two: f"{two[0]} if {two[1]}"),
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        inner.map(lambda one: f"{{a: {one}}}"),
        group,
    )


EXPRESSIONS = st.recursive(st.one_of(_NAMES, _LITERALS), _compound, max_leaves=6)
"""Sources of expressions over the names of ``questions.CONTEXT``."""

TEXTS = st.one_of(
    EXPRESSIONS.map("${{{{ {} }}}}".format),
    EXPRESSIONS.map("a ${{{{ {} }}}}-b".format),
    st.tuples(EXPRESSIONS, EXPRESSIONS).map(lambda two: f"${{{{ {two[0]} }}}}${{{{ {two[1]} }}}}"),
    st.tuples(EXPRESSIONS, EXPRESSIONS).map(
        lambda two: f"{{% if {two[0]} %}}${{{{ {two[1]} }}}}{{% else %}}12{{% endif %}}"
    ),
    st.tuples(EXPRESSIONS, EXPRESSIONS).map(
        lambda two: f"{{% for x in {two[0]} %}}[${{{{ {two[1]} }}}}${{{{ x }}}}]{{% endfor %}}"
    ),
    st.tuples(EXPRESSIONS, EXPRESSIONS).map(lambda two: f"{{% set x = {two[0]} %}}${{{{ x }}}}|${{{{ {two[1]} }}}}"),
)
"""Texts with such expressions, alone, beside each other and in blocks."""
