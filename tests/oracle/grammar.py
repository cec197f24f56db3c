"""Texts made from a grammar, for comparing with the oracle what nobody thought of.

It makes what ``docs/template-language.md`` says exists, but for what is different on purpose.
"""

from __future__ import annotations

import re

from hypothesis import strategies as st

from tests.oracle.questions import CONTEXT


def _of(words: str) -> st.SearchStrategy[str]:
    """One of several sources; two spaces or a new line part them."""
    return st.sampled_from(re.split(r"  +|\n", words.strip()))


_NAMES = st.sampled_from(
    [
        *(f"parameters.{name}" for name in CONTEXT["parameters"]),  # type: ignore[attr-defined]
        *(
            [
                "missing",
                "missing.deeper",
                "parameters.missing",
                "parameters.nested.list",
                "steps.publish.output",
                "user.entity",
            ]
        ),
        *(
            [
                "steps.skipped.output.x",
                "secrets.token",
                "environment.parameters.region",
                "user.ref",
                "loop",
                "loop.index",
                "x",
                "y",
            ]
        ),
    ]
)
_LITERALS = _of(r"""
0  1  2  -1  1.5  0.1  10  100  7  255  9007199254740993  (0 / 0)  (1 / 0)  (-1 / 0)  (-0)  0.000001  1000000000000000000000
''  'a'  'A b'  '10'  ' 7 '  '0x1f'  'true'  'é'  'a-b-c'  'ß'  'İi'  '\u2028'  '\\'  '`&"<'  '2026-01-02'  '12:30'  "it's"  'a\nb'
true  false  null  none  []  {}  [1, 2]  ['b', 'a']  {a: 1}  [[1], [2]]  [null]  {length: 2, '0': 'q'}  [missing]  {a: missing, b: null}
'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy zzzzzzzz'
""")
_BINARY = _of("+  -  *  /  //  %  **  ~  ==  !=  ===  !==  <  <=  >  >=  and  or  in  not in")
_TESTS = _of("""
defined  undefined  null  none  number  string  mapping  iterable  even  odd  truthy  falsy  lower  upper  divisibleby(2)  divisibleby(0)
eq(1)  equalto('a')  ne('a')  gt(1)  ge(2)  greaterthan('b')  lt('a')  le(2)  lessthan(10)  sameas('a')  callable  escaped  nope  even(1)  eq
""")
_FILTERS = _of(r"""
abs  capitalize  default('d')  default('d', true)  d('d')  d(default_value='d')  default('d', boolean=true)  dump  dump(1)  dump('--')  first  float  float(0)
int  int(7)  int(0, 16)  int(default=3)  int(base=2)  join  join('-')  join(1)  join(',', 'name')  last  length  list  lower  replace('a', 'x')  replace('b', '')
replace('', '-')  replace('a', 'x', 1)  replace(1, 2)  replace('a')  reverse  round  round(1)  round(1, 'floor')  round(0, 'ceil')  round(-1)
sort  sort(true)  sort(reverse=true)  sort(case_sensitive=true)  sort(attribute='age')  sort(false, true)  string  sum  sum('age')  sum(start=2)  title  trim
truncate(2)  truncate(5, true)  truncate(3, false, '!')  truncate  upper  urlencode  urlize  urlize(4)  urlize(3, true)  wordcount  batch(2)  batch(3, 'f')
slice(2)  slice(3, 'f')  dictsort  dictsort(true)  dictsort(false, 'value')  select  reject  select('odd')  reject('gt', 1)  select('string')
selectattr('age')  rejectattr('age')  indent  indent(1)  indent(2, true)  center(6)  center  escape  e  forceescape  safe  striptags  striptags(true)  nl2br
pick('a')  pick('metadata.name')  pick('[0]')  pick('nope', 'd')  groupby('age')  groupby('name')  parseEntityRef  parseEntityRef({defaultKind: 'user'})
parseRepoUrl  projectSlug  nope  upper | lower  trim | title | safe
""")
_MEMBERS = _of(r"""
.length  .a  ['a']  [0]  [-1]  [1:]  [:1]  [::-1]  [1:3:2]  [::2]  ['length']  .name  .val  [1.0]  ['0']  [null]  [parameters.zero]  [missing]
.join('-')  .join()  .split('-')  .split('')  .split()  .split('-', 1)  .split('a', -1)  .includes('a')  .includes('a', 1)  .includes(missing)
.startsWith('a')  .startsWith('b', 1)  .endsWith('c')  .endsWith('b', 1)  .toUpperCase()  .toLowerCase()  .trim()  .trimStart()  .trimEnd()
.indexOf('b')  .indexOf('a', 1)  .lastIndexOf('a')  .lastIndexOf('a', 0)  .slice(1)  .slice(-1)  .slice(1, -1)  .slice()  .replace('a', 'x')  .replace('a', '$&$&')
.replace('', '$`')  .concat('z')  .concat(1, null)  .concat([1], 2)  .charAt(0)  .charAt()  .charCodeAt(0)  .substring(1, 2)  .substring(2, 0)
.toFixed(1)  .toFixed()  .toFixed(-1)  .toPrecision(2)  .toPrecision()  .toExponential()  .toExponential(3)  .toString()  .toString(2)  .toString(16)
.at(0)  .at(-1)  .flat()  .flat(2)  .reverse()  .sort()  .push(1)  .push()  .pop()  .shift()  .unshift('u')  .splice(1, 1)  .splice(0, 0, 'n')  .splice(-1)
.fill(0)  .fill('f', 1, 2)  .copyWithin(0, 1)  .nope()  .length()  .a.b  .a()
""")
_CALLS = _of("range(3)  range(1, 4)  range(4, 1, -1)  range(2, 2)  range('2')  always()  failure()  range(0, 1, 0.25)")


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = inner.map(lambda one: f"({one})")
    return st.one_of(
        st.tuples(inner, _BINARY, inner).map(" ".join),
        st.tuples(group, _BINARY, inner).map(" ".join),
        st.tuples(inner, _BINARY, group).map(" ".join),
        st.tuples(inner, _FILTERS).map(" | ".join),
        st.tuples(group, _FILTERS).map(" | ".join),
        st.tuples(inner, _FILTERS, _FILTERS).map(" | ".join),
        st.tuples(group, _MEMBERS).map("".join),
        st.tuples(_NAMES, _MEMBERS).map("".join),
        st.tuples(_NAMES, _MEMBERS, _MEMBERS).map("".join),
        st.tuples(inner, _TESTS).map(" is ".join),
        st.tuples(inner, _TESTS).map(" is not ".join),
        st.tuples(st.sampled_from(["not ", "-", "+", "not not ", "- "]), inner).map("".join),
        st.tuples(inner, inner, inner).map(lambda three: f"{three[0]} if {three[1]} else {three[2]}"),
        st.tuples(inner, inner).map(lambda two: f"{two[0]} if {two[1]}"),
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(inner, max_size=2).map(lambda items: f"({', '.join(items)})"),
        st.tuples(inner, inner).map(lambda two: f"{{a: {two[0]}, 'b c': {two[1]}}}"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]})[{two[1]}]"),
        st.tuples(inner, inner).map(lambda two: f"{two[0]} | default({two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}).concat({two[1]})"),
        group,
    )


EXPRESSIONS = st.recursive(st.one_of(_NAMES, _LITERALS, _CALLS), _compound, max_leaves=6)
"""Sources of expressions over the names of ``questions.CONTEXT``."""

_SPOTS = st.one_of(EXPRESSIONS.map("${{{{ {} }}}}".format), _NAMES.map("${{{{- {} -}}}}".format))
_PLAIN = _of(
    'a  -  12  true  null  .  {  [1]  "q"  ~  {# note #}  {#- note -#}  {% raw %}${{ x }}{% endraw %}  {% verbatim %}{% x %}{% endverbatim %}'
)
_SPACED = st.tuples(st.sampled_from(["", " ", "\n", "  \n "]), _PLAIN, st.sampled_from(["", " ", "\n"])).map("".join)


def _blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    tests = _TESTS.map("x is {}".format)
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, _SPACED, inner).map("".join),
        st.tuples(EXPRESSIONS, inner).map(lambda two: f"{{% if {two[0]} %}}{two[1]}{{% endif %}}"),
        st.tuples(EXPRESSIONS, inner, inner).map(
            lambda three: f"{{%- if {three[0]} -%}} {three[1]} {{%- else %}}{three[2]}{{% endif -%}}"
        ),
        st.tuples(EXPRESSIONS, inner, EXPRESSIONS, inner, inner).map(
            lambda of: f"{{% if {of[0]} %}}{of[1]}{{% elif {of[2]} %}}{of[3]}{{% else %}}{of[4]}{{% endif %}}"
        ),
        st.tuples(EXPRESSIONS, inner).map(
            lambda two: f"{{% for x in {two[0]} %}}{two[1]}{{% else %}}none{{% endfor %}}"
        ),
        st.tuples(EXPRESSIONS, inner).map(
            lambda two: f"{{% for x, y in {two[0]} %}}{two[1]}${{{{ y }}}}{{% endfor %}}"
        ),
        st.tuples(EXPRESSIONS, inner).map(
            lambda two: f"{{% for x in {two[0]} %}}${{{{ loop.index0 }}}}{two[1]}${{{{ loop.last }}}}{{% endfor %}}"
        ),
        st.tuples(EXPRESSIONS, inner).map(lambda two: f"{{% set x = {two[0]} %}}{two[1]}"),
        st.tuples(EXPRESSIONS, inner).map(lambda two: f"{{% set x, y = {two[0]} %}}{two[1]}"),
        st.tuples(inner, inner).map(lambda two: f"{{% set x %}}{two[0]}{{% endset %}}{two[1]}${{{{ x }}}}"),
        st.tuples(_FILTERS, inner).map(lambda two: f"{{% filter {two[0]} %}}{two[1]}{{% endfilter %}}"),
        st.tuples(EXPRESSIONS, EXPRESSIONS, inner, inner).map(
            lambda of: f"{{% switch {of[0]} %}}{{% case {of[1]} %}}{of[2]}{{% default %}}{of[3]}{{% endswitch %}}"
        ),
        inner.map(lambda one: f"{{% block b %}}{one}{{% endblock %}}"),
        st.tuples(tests, inner).map(lambda two: f"{{% if {two[0]} %}}{two[1]}{{% endif %}}"),
    )


TEXTS = st.one_of(
    EXPRESSIONS.map("${{{{ {} }}}}".format),
    EXPRESSIONS.map("a ${{{{ {} }}}}-b".format),
    st.tuples(EXPRESSIONS, EXPRESSIONS).map(lambda two: f"${{{{ {two[0]} }}}}${{{{ {two[1]} }}}}"),
    st.recursive(st.one_of(_SPOTS, _PLAIN), _blocks, max_leaves=3),
)
"""Texts with such expressions, alone, beside each other and in blocks."""
