"""What the oracle was asked about expressions: the features are those that templates use."""

from __future__ import annotations

import re
from collections.abc import Iterator

from portal_actions_plugin.software_templates.differences import DIFFERENCES, Kind

CONTEXT = {
    "parameters": {
        "name": "orders", "empty": "", "port": 8443, "ratio": 2.5, "zero": 0, "yes": True, "no": False, "nothing": None,
        "text": "Hello World", "digits": "42", "tags": ["java", "api", "api"], "none": [], "object": {"a": 1, "b": "two"},
        "blank": {}, "repoUrl": "github.com?owner=acme&repo=orders", "ref": "group:default/team-a", "nested": {"list": [{"n": 1}, {"n": 2}]},
        "numbers": [3, 10, 2], "mixed": ["b", 1, None, True, "A"], "people": [{"name": "bo", "age": 3}, {"name": "Al", "age": 10}],
        "html": "<b>a & b</b>", "lines": "a\nb\r\nc", "true_text": "true", "null_text": "null", "huge": 1e21, "tiny": 1e-7,
    },
    "steps": {"publish": {"output": {"remoteUrl": "https://github.com/acme/orders", "commitHash": "abc"}}, "skipped": {}},
    "user": {"entity": {"metadata": {"name": "ada"}, "spec": {"profile": {"email": "ada@example.com"}}}, "ref": "user:default/ada"},
    "context": {"task": {"id": "1"}},
    "environment": {"parameters": {"region": "eu"}},
    "secrets": {"token": "s3cret"},
}  # fmt: skip
"""What every expression may name."""

_EXPRESSIONS = r"""
parameters.name|parameters.missing|parameters.missing.deeper|missing|missing.deeper|parameters['name']|parameters["port"]
parameters.nothing|parameters.empty|parameters.none|parameters.blank|parameters.object|parameters.tags|parameters.ratio
steps.publish.output.remoteUrl|steps['publish'].output.commitHash|steps.skipped.output.x|steps.nope.output.x|user.entity.metadata.name
1|1.0|1.|0.1 + 0.2|1e3|.5|-1|- 1|--1|+1|-parameters.port|+parameters.digits|-'a'|not 1|not ''|'a'|"b"|'a\'b'|'a\nb'|"\u0041"|''|true|false|null|none
True|False|None|undefined|[]|{}|[1, 'a', null]|[1,]|{a: 1}|{'a': 1, b: [2]}|{a: 1,}|{1: 2}|{true: 1}|(1)|(1, 2)|()
1 == 1|1 == '1'|1 === '1'|1 === 1.0|'a' === 'a'|null == missing|null === missing|missing === missing|0 == ''|0 == false|'' == false|null == 0
null == false|[] == ''|[] == 0|[1] == 1|{} == '[object Object]'|true == 1|true === 1|true == 'true'|'1' == true|[] == []|parameters.tags == parameters.tags
1 != '1'|1 !== '1'|'a' != 'b'|parameters.port == '8443'|parameters.port === 8443|parameters.name != 'x'|not parameters.name == 'orders'|not (parameters.name == 'orders')
1 < 2|'10' > 9|'10' > '9'|'a' < 'B'|null < 1|missing < 1|missing > 1|null >= 0|'x' < 1|1 < 2 < 3|3 > 2 > 1|[2] > 1|true > false|'é' > 'z'
1 + 2|1 + '2'|'a' + 1|':' + parameters.port|1 + null|1 + true|1 + missing|[] + []|[1] + 2|{} + 1|null + null|'a' + null|'a' + missing|true + true
5 - '2'|'5' * 2|4 / 2|1 / 3|1 / 0|-1 / 0|0 / 0|7 // 2|-7 // 2|7 % 3|-7 % 3|7 % -3|5.5 % 2|2 ** 3|2 ** -1|2 ** 3 ** 2|-2 ** 2|'a' * 2|1 % 0|10 - 2 - 3
2 + 3 * 4|(2 + 3) * 4|2 * 3 % 4|2 * 7 // 2|8 / 2 * 4|7 % 4 // 2|1 + 2 ~ 3|1 ~ 2 + 3|'a' ~ 1 ~ null ~ missing|[1, 2] ~ ''|{a: 1} ~ ''|true ~ false
parameters.ratio * 2|9007199254740993|123456789012345678901234567890|0.000001|0.0000001|1000000000000000000000|100000000000000000000|parameters.huge|parameters.tiny|parameters.tiny ~ ''
missing or 'd'|parameters.none or 'd'|parameters.blank or 'd'|parameters.empty or 'd'|0 or 'd'|null or false|'a' and 'b'|'' and 'b'|[] and 1|1 and 0|not []|not {}|not missing
parameters.name or missing.x()|1 or 2 and 3|not 1 or 2|not 1 and 2|not not 1|not 1 + 1|not 'a' ~ 'b'|not 1 < 2|not 2 in [2]|true and not false
'a' if true else 'b'|'a' if false else 'b'|'a' if false|'a' if missing|1 if [] else 2|'a' if 0 else 'b' if 1 else 'c'|('a' if 0 else 'b') ~ 'c'|'x' ~ 'a' if 1 else 'b'
'a' in 'cat'|'x' in 'cat'|'api' in parameters.tags|1 in ['1']|'a' in parameters.object|'z' not in parameters.object|1 in missing|'a' in null|not 'a' in 'cat'|2 in [1, 2] in [true]
parameters.name is defined|missing is defined|missing is undefined|missing is not defined|null is defined|null is null|parameters.nothing is null|1 is number|'1' is number|'a' is string
[] is iterable|{} is mapping|'a' is iterable|missing is iterable|2 is even|3 is odd|-3 is odd|4 is divisibleby(2)|4 is divisibleby 2|4 is eq(4)|4 is sameas('4')|1 is gt(0)|1 is lt(0)|1 is ge(1)|1 is nope
'A' is upper|'a' is lower|1 is lower|0 is falsy|[] is truthy|parameters.name is callable|range is callable|1 is equalto(1)|1 is ne(2)|true is boolean|'x' is escaped
parameters.tags.length|'abc'.length|parameters.object.length|parameters.tags[0]|parameters.tags[5]|parameters.tags[-1]|parameters.tags['1']|parameters.tags['01']|'abc'[1]|'abc'[-1]|1.length
parameters.tags[0:1]|parameters.tags[1:]|parameters.tags[:-1]|parameters.tags[::2]|parameters.tags[::-1]|parameters.numbers[-2:]|'abcdef'[1:3]|'abcdef'[:2]|parameters.tags[5:]|parameters.tags[0:9]|missing[0:1]
parameters.tags.join('-')|parameters.tags.join()|parameters.mixed.join()|'a-b'.split('-')|'abc'.split('')|'abc'.split()|'a-b-c'.split('-', 2)|'Hello'.toLowerCase()|'Hello'.toUpperCase()|' a '.trim()
'abc'.includes('b')|'abc'.startsWith('a')|'abc'.endsWith('c')|'abc'.indexOf('c')|'abcabc'.lastIndexOf('b')|'abc'.charAt(1)|'abc'.charAt(9)|'abc'.charCodeAt(0)|'abc'.slice(1)|'abc'.slice(-2)|'abc'.slice(2, 1)
'abc'.substring(2, 0)|'abc'.substring(-1)|'aab'.replace('a', 'x')|'abc'.concat('d', 1)|'abc'.replaceAll('a', 'b')|'abc'.padStart(5)|'abc'.length()|'abc'.toString()|(5).toString()|(1.005).toFixed(2)|(2.5).toFixed()|(0.000001).toFixed(7)
parameters.tags.includes('api')|parameters.tags.indexOf('api')|parameters.tags.lastIndexOf('api')|parameters.tags.concat(['x'], 'y')|[[1], [2, [3]]].flat()|[1, 2, 3].slice(1)|[1, 2].at(-1)|[3, 10, 2].sort()|[1, 2].reverse()|[1].push(2)
parameters.tags.push('x')|parameters.tags.pop()|[1, 2].map(1)|[1].forEach()|parameters.object.keys()|parameters.object.get('a')|parameters.tags.filter()|parameters.name()|missing()|missing.x()|parameters.object.a.b.c
parameters.name \| upper|parameters.text \| lower|parameters.text \| title|'heLLo wORLD' \| capitalize|parameters.missing \| upper|null \| upper|1 \| upper|true \| lower|false \| lower|parameters.text \| length|missing \| length
parameters.tags \| length|parameters.object \| length|1 \| length|parameters.tags \| first|parameters.tags \| last|[] \| first|'abc' \| first|missing \| first|parameters.tags \| join(', ')|parameters.tags \| join|missing \| join|parameters.people \| join(',', 'name')
missing \| default('d')|null \| default('d')|'' \| default('d')|'' \| default('d', true)|0 \| default(1, true)|missing \| d('x')|parameters.missing \| default(parameters.name)|missing \| default|'' \| default('d', boolean=true)
'a-b-c' \| replace('-', '_')|'a-b-c' \| replace('-', '_', 1)|'abc' \| replace('', '.')|5 \| replace('5', '6')|['a'] \| replace('a', 'b')|'a.b' \| replace('.', '')|missing \| replace('a', 'b')|'aaa' \| replace('a', 'b', 2)
' a ' \| trim|missing \| trim|'5' \| int|'5.7' \| int|'x' \| int|'x' \| int(3)|'ff' \| int(0, 16)|'0x1f' \| int|5.9 \| int|'' \| int|null \| int|'5.5' \| float|'x' \| float|'x' \| float(1)|'1e3x' \| float|true \| int
2.5 \| round|-2.5 \| round|2.567 \| round(2)|2.5 \| round(0, 'floor')|2.1 \| round(0, 'ceil')|'2.6' \| round|'x' \| round|-5 \| abs|'-5' \| abs|'x' \| abs|1.005 \| round(2)|1234.5 \| round(-2)
parameters.object \| dump|parameters.tags \| dump|parameters.object \| dump(2)|'a' \| dump|null \| dump|missing \| dump|1.0 \| dump|parameters.tiny \| dump|[1, [2], {}] \| dump(2)|'é"\\' \| dump|{a: missing} \| dump|[missing] \| dump
parameters.numbers \| sort|parameters.tags \| sort(true)|['b', 'A', 'c'] \| sort|['b', 'A', 'c'] \| sort(false, true)|parameters.people \| sort(attribute='age')|parameters.people \| sort(false, false, 'name')|parameters.mixed \| sort|'cab' \| sort
parameters.tags \| reverse|'abc' \| reverse|parameters.object \| list|'abc' \| list|1 \| list|parameters.object \| dictsort|{b: 1, A: 2} \| dictsort|{b: 1, a: 2} \| dictsort(false, 'value')|parameters.tags \| batch(2)|parameters.tags \| batch(2, 'x')|parameters.tags \| slice(2)|[1, 2, 3, 4] \| slice(3, 'x')
parameters.numbers \| sum|parameters.people \| sum('age')|parameters.people \| sum('age', 5)|['a', 'b'] \| sum|parameters.people \| groupby('name')|parameters.people \| selectattr('age')|parameters.people \| rejectattr('age')|[0, 1, 2] \| select|[0, 1, 2] \| select('odd')|[0, 1, 2] \| reject('gt', 1)
parameters.people \| map('name')|parameters.people \| map(attribute='name')|parameters.tags \| unique|parameters.tags \| min|parameters.tags \| tojson|parameters.object \| items|parameters.x \| nope|parameters.tags \| random \| length > 0|'a' \| string|1 \| string|[1, 2] \| string|{} \| string|missing \| string
parameters.html \| escape|parameters.html \| e|parameters.html \| safe|parameters.html \| striptags|parameters.lines \| nl2br|parameters.lines \| indent(2)|parameters.lines \| indent(2, true)|'a' \| center(5)|'ab' \| center(5)|'a b' \| urlencode|{a: 'b c', d: 1} \| urlencode|[['a', 1]] \| urlencode|'a/b?c' \| urlencode
'hello world foo' \| truncate(8)|'hello world foo' \| truncate(8, true)|'hello world' \| truncate(5, true, '!')|'a b  c' \| wordcount|'' \| wordcount|0 \| wordcount|'a' \| forceescape|'<' \| escape \| escape|'<' \| safe \| escape|'a' \| upper \| lower|-5 \| abs + 1|'a' ~ 'b' \| upper|'a' + 'b' \| upper
parameters.repoUrl \| parseRepoUrl|parameters.repoUrl \| parseRepoUrl \| pick('owner')|(parameters.repoUrl \| parseRepoUrl).repo|parameters.repoUrl \| projectSlug|missing \| parseRepoUrl|'x' \| parseRepoUrl|'github.com?owner=a' \| parseRepoUrl|'nope.example?owner=a&repo=b' \| parseRepoUrl
'gitlab.com?owner=a%2Fb&repo=c' \| parseRepoUrl \| pick('owner')|parameters.ref \| parseEntityRef|parameters.ref \| parseEntityRef \| pick('name')|'ada' \| parseEntityRef({defaultKind: 'user'})|'ada' \| parseEntityRef|'user:ada' \| parseEntityRef \| pick('namespace')|missing \| parseEntityRef
user.entity \| pick('metadata.name')|user.entity \| pick('nope')|user.entity.spec.profile.email|user.ref|parameters.nested.list[1].n|parameters.nested['list'][0]['n']|parameters.nested \| pick('list[1].n')|missing \| pick('a')|secrets.token|environment.parameters.region
range(3)|range(1, 4)|range(0, 10, 5)|range(3, 0, -1)|range()|range('2')|always()|failure()|always|not failure()|always() and failure()|range(2) \| join|cycler|joiner(',')|lipsum()|dict()|namespace()
a ? b : c|true ? 1 : 2|a && b|!a|a \|\| b|a => b|`x`|a?.b|a ?? b|1 1|a b|a.|a[|(1|'a|a..b|a.1|a.0b|a['__proto__']|a.constructor|parameters.__proto__|a \| |\| upper|1 +|+|not|if|a if|in|is
parameters.name, 1|parameters;|new Date()|this|self|loop|caller|super()|parameters.tags[parameters.zero]|parameters[parameters.missing]|parameters['na' + 'me']|parameters['na' ~ 'me']|parameters.tags['length']|parameters . name|parameters .name
'a-b-c'.replace(r/-/g, '_')|'a-b-c'.replace(r/-/, '_')|'a-b-c' \| replace(r/-/g, '_')|'A' \| replace(r/a/i, 'x')|'a b'.replace(r/\s+/g, '-')|'a1b2'.split(r/\d/)|'a1b2c3'.split(r/\d/, 2)|'abc'.split(r/(b)/)|'abc'.split(r/x*/)|''.split(r/x*/)
r/a/.test('cat')|r/^a/.test(parameters.name)|r/a/.test(missing)|r/a/.test()|r/a/|r/a/ig ~ ''|[r/a/]|r/a/ \| dump|not r/a/|r/a/ is mapping|r/a/ is string|'a' == r/a/|r/a/ == r/a/|'x' in r/a/|r/a/.source|r/a/ \| length|r / 2|r/2|r/a/q|r/a/gg|r/a/s|r/[/]/|r/(/
'it\'s'.replace(r/'/g, '')|'a}}b'.replace(r/}}/g, '')|'a"b' \| replace(r/"/g, '')|'ab'.replace(r/(a)(b)/, '$2$1')|'abab' \| replace(r/(a)(b)/g, '[$2$1$&$$$9]')|'ab'.replace(r/(?<y>a)/, '<$<y>>')|'foo' \| replace(r/o/g, missing)|'foo'.replace(r/o/, 1)|8 \| replace(r/8/, 'x')
'abc'.replace(r/x*/g, '-')|'baac'.replace(r/a*/g, '-')|'a\nb'.replace(r/^b/m, 'x')|'a\n'.replace(r/a$/, 'x')|'a\nb'.replace(r/a.b/, 'x')|'é'.replace(r/\w/, '_')|'aBc'.replace(r/[A-Z]/g, '-$&')|'a.b' \| replace(r/\./g, '-') \| upper|'z'.startsWith(r/z/)|'z'.includes(r/z/)|'a[b' \| replace(r/[[]/, 'x')|'a/b'.replace(r/\//, '-')|'x' \| replace(r/\u0078/, 'y')
"""

_TEXTS_WITH = (
    *("a${{ parameters.name }}b", "${{ parameters.name }}${{ parameters.port }}", "${{ 1 }}${{ 2 }}", " ${{ 1 }}", "${{ 1 }} ", "${{ 1 }}\n"),
    *("a ${{ missing }} b", "${{ missing }}${{ missing }}", "a ${{ null }}", "a ${{ [1, {}] }}", "a ${{ {} }}", "a ${{ true }}", "a ${{ 1.0 }}"),
    *("a ${{ 1e }}", "a ${{ 1 / 0 }} b", "${{ 1 / 0 }}", "${{ 0 / 0 }}", "${{ [0 / 0] }}", "", " ", "plain", "{{ x }}", "${ x }", "$${{ 1 }}", "${{1}}"),
    *("{% if parameters.yes %}yes{% endif %}", "{% if parameters.no %}yes{% endif %}", "{% if missing %}a{% else %}b{% endif %}", "{% if 1 %}12{% endif %}"),
    *("{% if 1 %}true{% endif %}", "{% if 1 %}null{% endif %}", '{% if 1 %}"q"{% endif %}', "{% if 1 %}[1, 2]{% endif %}", "{% if 1 %}${{ parameters.tags }}{% endif %}"),
    *("{% if 1 %}${{ parameters.name }}{% endif %}", "{% if 1 %} ${{ parameters.port }} {% endif %}", "{% if 1 %}a${{ parameters.port }}{% endif %}", "x{% if 1 %}12{% endif %}"),
    *("{% if 0 %}a{% elif 1 %}b{% endif %}", "{% if 0 %}a{% elseif 0 %}b{% else %}c{% endif %}", "{% for t in parameters.tags %}${{ t }},{% endfor %}", "{% for t in parameters.tags %}${{ t }}{% endfor %}"),
    *("{% for n in parameters.numbers %}${{ n }}{% endfor %}", "{% for k, v in parameters.object %}${{ k }}=${{ v }};{% endfor %}", "{% for x in missing %}a{% else %}none{% endfor %}", "{% for x in [] %}a{% else %}none{% endfor %}"),
    *("{% for c in 'ab' %}[${{ c }}]{% endfor %}", "{% for x in parameters.object %}a{% endfor %}", "{% for t in [1, 2] %}${{ loop.index }}${{ loop.last }} {% endfor %}", "{% for a, b in [[1, 2], [3, 4]] %}${{ a + b }} {% endfor %}"),
    *("{% set x = 1 %}${{ x + 1 }}", "{% set x %}a${{ 1 }}{% endset %}${{ x }}!", "{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{% endfor %}${{ x }}", "{% for i in [1] %}{% set y = i %}{% endfor %}${{ y }}"),
    *("{% set parameters = 1 %}${{ parameters }}", "{% set a, b = 2 %}${{ a + b }}", "{% filter upper %}abc${{ 1 }}{% endfilter %}", "{% filter replace('a', 'b') %}aa{% endfilter %}", "{# note #}", "a{# note #}b", "${{ 1 }}{# note #}"),
    *("{% raw %}${{ x }}{% endraw %}", "a{% raw %}{{ b }}{% endraw %}c", "{% verbatim %}{% if %}{% endverbatim %}", "a {%- if 1 -%} b {%- endif -%} c", "a ${{- 1 -}} b", "${{- 1 -}}", "{%- if 1 %}1{% endif -%}"),
    *("{% switch parameters.port %}{% case 8443 %}tls{% default %}plain{% endswitch %}", "{% switch 1 %}{% case 1 %}{% case 2 %}two{% endswitch %}", "{% switch 9 %}{% case 1 %}x{% endswitch %}", "{% switch 1 %}x{% case 1 %}{% endswitch %}"),
    *("{% if %}a{% endif %}", "{% if 1 %}a", "{% endif %}", "{% nope %}", "{% %}", "{% if 1 %}a{% endfor %}", "{% else %}", "{% for x %}{% endfor %}", "{% for in x %}{% endfor %}", "{% set %}", "{% set x %}", "{% include 'a' %}"),
    *("${{", "${{ 1", "${{ }}", "${{}}", "}}", "%}", "#}", "{#", "{%", "a ${{ 'b }}' }}", '${{ "}}" }}', "${{ '${{ x }}' }}", "${{ {a: {b: 1}} }}", "${{ {a: {b: 1}}.a.b }}", "${{ github.ref }}", "a-${{ github.sha }}-b"),
    *("{% if 1 %}${{ missing }}{% endif %}", "{% if 1 %}${{ null }}{% endif %}", "{% if 1 %}01{% endif %}", "{% if 1 %}1 2{% endif %}", "{% if 1 %}\n12\n{% endif %}", "{% if 1 %}\ntrue\n{% endif %}", "{% for x in [1] %}${{ [x] }}{% endfor %}"),
    *("{% for x in [1, 2] %}${{ [x] }}{% endfor %}", "{% for t in parameters.tags %}{% if loop.first %}${{ t }}{% endif %}{% endfor %}", "{% for p in parameters.people %}${{ p.name }}:${{ p.age }}{% if not loop.last %}, {% endif %}{% endfor %}"),
    *("${{ 'a'\n~ 'b' }}", "${{\n  parameters.name\n}}", "line\n${{ parameters.name }}\nline", "${{ parameters.name }}-${{ parameters.missing }}", "https://${{ (parameters.repoUrl | parseRepoUrl).host }}/x", "${{ parameters.missing | parseRepoUrl }} x"),
    *("{% macro m(a) %}<${{ a }}>{% endmacro %}${{ m(1) }}", "{% block b %}x{% endblock %}", "${{ parameters.tags | length }} tags", "{%if parameters.yes%}x{%endif%}", "{% if parameters.name == 'orders' and parameters.port > 1 %}a{% endif %}"),
)  # fmt: skip

_CALLS = (
    "${{ parameters.huge.toString(16) }}",
    "${{ parameters.huge.toString(3) }}",
    "${{ (1 / 0).toString(2) }}",
    "${{ 'user:ada' | parseEntityRef | parseEntityRef }}",
    "${{ {name: 'ada'} | parseEntityRef({defaultKind: 'user', defaultNamespace: 'x'}) }}",
    "${{ {kind: 'user', name: 'ada'} | parseEntityRef }}",
    "${{ {kind: 'user', name: ''} | parseEntityRef }}",
    "${{ {kind: 'user', namespace: '', name: 'a'} | parseEntityRef }}",
    "${{ {} | parseEntityRef }}",
    "{% for x, y in 'ab' | safe %}[${{ x }}|${{ y }}]{% endfor %}",
    "{% for x, y in 'ab' %}[${{ x }}|${{ y }}]{% endfor %}",
    "{% for x in 'ab' | safe %}[${{ x }}]{% endfor %}",
    "{% for x, y, z in 'ab' | safe %}[${{ x }}|${{ y }}|${{ z }}]{% endfor %}",
    "{% for x, y, z in 'ab' %}[${{ x }}|${{ y }}|${{ z }}]{% endfor %}",
    "{% for x, y in [['a', 'b'] | join | safe] %}[${{ x }}|${{ y }}]{% endfor %}",
    "${{ 'a' in 'a' | safe }}",
    "${{ ('a' | safe) in 'a' }}",
    "${{ ('a' | safe) in ['a'] }}",
    "${{ 'a' in {a: 1} }}",
    "${{ ('a' | safe) in {a: 1} }}",
    "${{ 'length' in ('a' | safe) }}",
    "${{ 'val' in ('a' | safe) }}",
    "${{ 0 in ('a' | safe) }}",
    "${{ '0' in ('a' | safe) }}",
    "${{ ('a' | safe).val }}",
    "${{ ('a' | safe)[0] }}",
    "${{ -0 }}",
    "${{ 1 / -0 }}",
    "${{ -parameters.zero }}",
    "a ${{ -0 }}",
    "${{ [-0] | dump }}",
    "${{ -0 === 0 }}",
    "${{ 0 * -1 }}",
    "${{ -0 | round }}",
    "${{ -0.4 | round }}",
    "${{ (-0).toFixed(1) }}",
    "${{ (-0).toString() }}",
    "${{ -0 or 'd' }}",
    "${{ '-0' | int }}",
    "${{ '-0' | float }}",
    "${{ -0 ** 2 }}",
    "{% if 1 %}123456789012345678901{% endif %}",
    "{% if 1 %}9007199254740993{% endif %}",
    "{% if 1 %}1.0{% endif %}",
    "{% if 1 %}1e3{% endif %}",
    '{% if 1 %}{"a": 1, "a": 2}{% endif %}',
    '{% if 1 %}{"__proto__": 1}{% endif %}',
    "${{ {a: [{b: 1}]} | pick('a[0].b') }}",
    "${{ [[1]] | pick('[0][0]') }}",
    "${{ [[1]] | pick(0) }}",
    "${{ {'a.b': 1} | pick('a.b') }}",
    "${{ {a: {'b c': 1}} | pick(\"a['b c']\") }}",
    "${{ {a: {b: 1}} | pick(['a', 'b']) }}",
    "${{ {a: {b: 1}} | pick([]) }}",
    "${{ {a: {b: 1}} | pick }}",
    "${{ {a: {b: 1}} | pick('a..b', 'd') }}",
    "${{ {a: {b: 1}} | pick('.a', 'd') }}",
    "${{ {'': {a: 1}} | pick('.a', 'd') }}",
    "${{ {a: [1]} | pick('a[-1]', 'd') }}",
    "${{ {a: [1]} | pick('a.length') }}",
    "${{ {undefined: 3} | pick }}",
    "${{ {null: 3} | pick(null) }}",
    "${{ missing | pick('a', 'd') }}",
    "${{ {a: null} | pick('a', 'd') }}",
    "${{ {a: 1} | pick(key='a') }}",
    "${{ 'x' | parseEntityRef(defaultKind='user') }}",
    "${{ missing | default('d', boolean=false) }}",
    "${{ '' | default('d', boolean=false) }}",
    "${{ '' | default(default_value='d', boolean=true) }}",
    "${{ [1, 2] | sum(start=2) }}",
    "${{ ['a', 'b'] | join(d='-') }}",
    "${{ 'x' | indent(width=2) }}",
    "${{ 'abc' | truncate(length=1) }}",
    "${{ 'abc' | replace('a', new='x') }}",
    "${{ '12' | int(base=8) }}",
    "${{ 'q' | int(default=8) }}",
    "${{ [1, 2] | sort(reverse=true) }}",
    "{% block a %}1{% endblock %}{% block a %}2{% endblock %}",
    "{% block a %}1{% endblock %}{% block b %}2{% endblock %}",
    "{% block a %}{% block b %}2{% endblock %}{% endblock %}",
    "{% if 0 %}{% block a %}1{% endblock %}{% endif %}{% block a %}2{% endblock %}",
    "{% block a %}{% endblock a %}",
    "{% block a %}{% endblock b %}",
    "{% block %}{% endblock %}",
    "{% block a b %}{% endblock %}",
    "{% block a, b %}{% endblock %}",
    "${{ 'ab'.replace('a', \"[$&$$$1$`$']\") }}",
    "${{ 'abc'.replace('', 'x') }}",
    "${{ 'a\\\\b`\"\\'' | escape }}",
    "${{ 'see http://a.example/x, www.b.org (c.com) <d@e.fr> x' | urlize }}",
    "${{ 'see http://a.example/x, www.b.org (c.com) <d@e.fr> x' | urlize(3, true) }}",
    "${{ 'www.a@b.com' | urlize }}",
    "${{ (255).toString(16) }}",
    "${{ (255.5).toString(16) }}",
    "${{ (0.1).toString(2) }}",
    "${{ (0.1).toString(3) }}",
    "${{ (-0.7).toString(36) }}",
    "${{ (123.456).toString(7) }}",
    "${{ (1).toString(1) }}",
    "${{ (1e21).toString(16) }}",
    "${{ (1.5).toPrecision(3) }}",
    "${{ (123456).toPrecision(2) }}",
    "${{ (0.000001234).toPrecision(2) }}",
    "${{ (0.0000001234).toPrecision(2) }}",
    "${{ (0).toPrecision(3) }}",
    "${{ (99.99).toPrecision(3) }}",
    "${{ (15).toExponential() }}",
    "${{ (0).toExponential(2) }}",
    "${{ (9.99).toExponential(1) }}",
    "${{ (-123456).toExponential(2) }}",
    "${{ (0.00015).toExponential() }}",
    "${{ (1.005).toFixed(2) }}",
    "${{ (1e20).toFixed(2) }}",
    "${{ (2.5).toFixed(0) }}",
    "${{ (-1.5).toFixed(0) }}",
    "${{ (-0.0001).toFixed(2) }}",
    "${{ [1,2,3].splice(1, 1) }}",
    "${{ [1,2,3].splice(1) }}",
    "${{ [1,2,3].splice() }}",
    "${{ [1,2,3].splice(-1, 1, 'x', missing) }}",
    "{% set l = [1,2,3] %}{% set r = l.splice(1, 1, 'x', missing) %}${{ l | dump }}",
    "{% set l = [1,2,3] %}{% set r = l.splice(-1, 0, [9]) %}${{ l | dump }}",
    "{% set l = [1,2,3,4,5] %}${{ l.copyWithin(0, 3) }}",
    "${{ [1,2,3,4,5].copyWithin(1, 0, 3) }}",
    "${{ [1,2,3].fill(0, 1) }}",
    "${{ [1,2,3].fill(missing) | dump }}",
    "${{ [1].concat(missing, [2]) | dump }}",
    "${{ 'a'.concat(missing, 1) }}",
    "{% set l = [1] %}${{ l.push(missing) }}${{ l | dump }}",
    "${{ '<<b>i>x</i>' | striptags }}",
    "${{ '<a<a<a<a<a<a<a<a<a<a>>>>>>>>>>x' | striptags }}",
    "${{ '<b>a & b</b>\\n\\n\\n x' | striptags(true) }}",
    "${{ ' a  <br/> b ' | striptags }}",
    "${{ '<é>a<b é>' | striptags }}",
)

_VALUES = (
    {"a": "${{ missing }}", "b": "${{ parameters.name }}"}, ["${{ missing }}", "${{ 1 }}"], {"a": ["${{ missing }}"]}, {"a": {"b": "${{ missing }}"}}, {"a": ""}, [""], {"a": "${{ parameters.empty }}"},
    {"${{ parameters.name }}": 1}, {"a": 1, "b": None, "c": True, "d": 1.5, "e": []}, {"a": "${{ a ? b : c }}"}, {"a": {"b": ["${{ parameters.tags }}", {"c": "${{ parameters.object }}"}]}}, "${{ missing }}", {"a": "{% if 0 %}x{% endif %}"},
)  # fmt: skip


def expressions() -> Iterator[dict[str, object]]:
    """What is rendered as the input of a step."""
    for line in _EXPRESSIONS.strip("\n").split("\n"):
        for source in re.split(r"(?<!\\)\|", line):
            yield {"render": "${{ " + source.replace("\\|", "|") + " }}"}
    for text in (*_TEXTS_WITH, *_CALLS, *_VALUES):
        yield {"render": text}


def differences() -> Iterator[dict[str, object]]:
    """The values that the list of differences has as examples, each in a step's input."""
    for one in DIFFERENCES:
        if one.kind is Kind.VALUE:
            yield from ({"render": {"a": example}} for example in one.examples)
