"""What npm's ``yaml`` was asked: what readers of YAML 1.1 get wrong, and what lies at the edges of YAML's form."""

from __future__ import annotations

from portal_actions_plugin.software_templates.differences import DIFFERENCES, Kind

_SCALARS = """
12:30|1:20:30|190:20:30|2026-01-02|2026-01-02T03:04:05Z|2026-01-02 03:04:05|no|No|NO|yes|Yes|on|On|off|OFF|y|n|true|True
TRUE|tRUE|false|False|FALSE|null|Null|NULL|nULL|~||none|None|010|0o17|0O17|0x1F|0xfg|0b11|1_000|1e3|1E3|1e+3|1e-3|+1|-1|-0
+0|0|00|007|1.|.5|+.5|-.5|.|1.5|1.50|1.5e3|1.e2|.5e1|1e|e1|.inf|.Inf|.INF|+.inf|-.inf|.nan|.NaN|.NAN|inf|nan|-.nan|0.0
-0.0|00.5|1.2.3|v1.0|1,000|1 000|0x|0o|0o8|-0x1|-0o7|+0x1|123456789012345678|9007199254740993|1e400|-1e400|0.1|1e21|!|!x
=|=a|'|"|''|""|'no'|"no"|'a''b'|"a\\nb"|"\\u00e9"|"\\ud83d\\ude00"|"\\x41"|"\\e"|"\\/"|"\\q"|a: b|a:b|a #b|a#b|#b|*x|&x y
&x|@a|`a|%a|- a|-a|? a|?a|:a|a:|[a, b]|[a, b,]|[a: b]|[a,, b]|{a: b}|{a}|{a, b: c}|{a: b,}|{ a : b }|{"a":b}|{a:b}|[ ]|{ }
{{ x }}|${{ x }}|"${{ x }}"|'${{ x }}'|${{ x }} and {{ y }}|[${{ x }}]|{a: ${{ x }}}|- {{ gitHost }}|!!str 12|!!int "12"
!!float 1|!!bool "true"|!!null ""|!!str|!foo bar|!!binary aGk=|!!set {a}|!!timestamp 2026-01-02|!!map {a: b}|!!seq [a]
>|\u00e9|\u2028|\ufeff|\U0001f600|a\tb|a\\nb|<<|<|!!merge x|0.|1__0|_1|+|-|--|---a|...a|1:2|0:0|:1|::|a::b|.1.|1e1.5|infinity
""".replace("\n", "|").strip("|")
"""Each is the value of a key."""

_TEXTS = (
    *(
        "",
        "\n",
        "# only a comment",
        "---",
        "---\n---\n",
        "a",
        "a: 1\n---\nb: 2\n",
        "--- a\n...\n--- b\n",
        "%YAML 1.2\n---\na: no",
    ),
    *("%YAML 1.1\n---\na: no\nb: 010", "%TAG ! tag:x,2000:\n---\na: 1", "...\n", "a: 1\n...\n", "a: 1\n...\nb: 2\n"),
    *(
        "1: a\n2.0: b",
        "true: a",
        "no: a",
        "~: a",
        "null: a",
        ": a",
        "? a",
        "? a\n: b",
        "? [a]\n: b",
        "? {a: b}\n: c",
        "0x10: a",
    ),
    *(
        "1e3: a",
        "010: a",
        "12:30: a",
        "'1': a\n1: b",
        "true: 1\n'true': 2",
        "- {{ gitHost }}",
        "a: {{ b }}",
        "{{ a }}: b",
    ),
    *("a: 1\na: 2", "a: {b: 1, b: 2}", "a:\n  b: 1\n  b: 2", "<<: {a: 1}\nb: 2", "x: &x {a: 1}\ny:\n  <<: *x\n  b: 2"),
    *(
        "x: &x {a: 1}\ny: *x",
        "a: &a [1]\nb: [*a, *a]",
        "a: *nope",
        "a: &a\n  b: 1\nc: *a",
        "&a a: 1\nb: *a",
        "a: &x 1\nb: &x 2\nc: *x",
    ),
    *(
        "a: |\n  b\n  c\n",
        "a: |-\n  b\n",
        "a: |+\n  b\n\n\n",
        "a: >\n  b\n  c\n\n  d\n",
        "a: >-\n  b\n  c",
        "a: |2\n    b\n",
        "a: |\n\n\n  b",
    ),
    *(
        "a: >\n  b\n    c\n  d\n",
        "a: >+\n\n  b\n\n",
        "a: |\n  b\n # c\n",
        "a: |\n  b # c\n",
        "a: |\n \n  b",
        "a: |-\n  ${{ x }}\n",
    ),
    *(
        "a: b\n  c",
        "a: b\n  c\n\n  d",
        'a: "b\n  c"',
        "a: 'b\n\n  c'",
        'a: "b\\\n   c"',
        "a:\n- b\n- c",
        "a:\n  - b\n  - - c\n    - d",
    ),
    *(
        "- a: 1\n  b: 2\n- c",
        "-\n  a: 1",
        "- - - a",
        "a:\n\n  b: 1",
        "a:\n  b:\n c: 1",
        "a: 1\n b: 2",
        "\ta: 1",
        "a:\n\tb: 1",
        "a: [1,\n2]",
    ),
    *(
        "a: {b: 1,\n  c: 2}",
        "a: [1, 2",
        "a: 'b",
        "a: }",
        "a: ]",
        "a: [b]]",
        "a: b: c",
        "a: - b",
        "[a, b]: c",
        "{a: b}: c",
        "a: ,",
        "a: [,]",
    ),
    *(
        "a: !!str no\nb: !!str 12:30",
        "a: !local {b: 1}",
        "!!map {a: 1}",
        "!!seq [a]",
        "a: !!int x",
        "a: !!float x",
        "a: !!bool x",
    ),
    *(
        "a: 'it''s'",
        'a: "tab\\tend"',
        'a: "\\ud83d\\ude00"',
        'a: "\\ud83d"',
        "a: 'b' c",
        'a: "b" c',
        "a: b # c",
        "a: 'b' # c",
        "a: b#c",
    ),
    *(
        "a: 1 # c\n# d\nb: 2",
        "a: # c\n  b: 1",
        "a: |  # c\n  b",
        "a: [b, # c\n  d]",
        "# c\n\n# d\na: 1",
        "a: 1\r\nb: 2\r\n",
        "a: |\r\n  b\r\n  c\r\n",
    ),
    *(
        "a: 1\rb: 2",
        "\ufeffa: 1",
        "a: \u2028b",
        "a: b\u0085c",
        "a:   b   ",
        "a : b",
        "a  :  b",
        "'a' : b",
        '"a": b',
        "a:b: c",
        "a::b",
        "- a:b",
    ),
    *(
        "http://x: y",
        "a: http://x:80/y",
        "a: x:y",
        "a: x:\n  b",
        "a: -",
        "- -",
        "-",
        "- ",
        "a: ?",
        "? ",
        "a: !",
        "a: &b",
        "a: *",
        "a: |\n",
        "a: >\n",
    ),
)

_MORE = (  # each part is about what its comment says
    # anchors and aliases
    "a: &x\nb: *x", "- &x 1\n- *x\n- &x 2\n- *x", "a: &x [1, 2]\nb: *x\nc: *x", "&x a: 1", "&x\na: 1\nb: 2", "&x [a]", "a: &x.y-z_1 1\nb: *x.y-z_1",
    "a: &é 1\nb: *é", "*x : 1", "&x a: b\n*x : c", "a: &x {b: *x}", "a: &x &y 1", "a: & 1", "a: *", "a: &x !!str 1\nb: *x", "a: !!str &x 1\nb: *x", "a: &x\n  !!str 1\nb: *x",
    "{a: &x 1, b: *x}", "[&x a, *x]", "[&x a, *x, b: *x]", "? &x a\n: *x", "a: &x\n  - 1\n  - 2\nb: *x", "a: &x |\n  t\nb: *x", "a: *x\nb: &x 1",
    # tags
    "!!map\na: 1", "!!seq\n- a", "!t\na: 1", "!t [a]", "!t {a: 1}", "!t a", "a: !<tag:yaml.org,2002:str> 1", "a: !<!foo> 1", "%TAG !e! tag:e,2000:\n---\na: !e!x 1", "a: !e!x 1",
    "a: !!str\nb: 1", "a: !!null x", "a: !!bool yes", "a: !!int 1.5", "a: !!int 0o17", "a: !!int 0x1f", "a: !!float 1.5", "a: !!float .5", "a: !!str ~", "a: !!str true", "a: !!str [a]",
    "a: !!map [a]", "a: !!seq {a: 1}", "a: !!omap [a: 1]", "a: !!pairs [a: 1]", "a: !!set\n  ? a\n  ? b", "a: !!unknown x", "a: ! 12", "a: !!", "a: !!str|", "- !!str a\n- !!int 3",
    "a: !Sub '${x}'", "a: !GetAtt a.b", "a: !!python/object:os.system x", "a: !!js/function 'x'", "a: !%20 x", "a: !a,b x", "a: !!str, b",
    # block scalars
    "a: |\n  x\n   y\n  z\n", "a: |1\n x\n", "a: |9\n         x", "a: |0\n x", "a: |-2\n   x", "a: |2-\n   x", "a: |+1\n  x\n\n", "a: | # c\n  x\n", "a: |#c\n  x\n", "a: |x\n  y", "a: >1-\n  x\n",
    "a: >\n  x\n  y\n\n\n  z\n", "a: >\n\n  x\n", "a: >\n  x\n\n   y\n  z\n", "a: >\n   x\n  y\n", "a: |\n   x\n  y\n", "a: |\n\tx", "a: |\n  \tx\n", "a: >\n  \tx\n  y\n", "a: |\n  x\n\n# c\nb: 1",
    "a: |\n  x\n  # no comment\n", "a: |\n", "a: |\nb: 1", "a: |+\n\nb: 1", "a: |-\n\n\nb: 1", "a: >-\n  x\n\n\n", "- |\n x\n- y", "- |\nx", "|\n x\n y", "|\nx", "--- |\n x\n", "--- |\nx\n--- >\ny\n",
    "a:\n  - |\n    x\n  - >\n    y\n    z", "a: |\n  ---\n  x", "a: |\n---\nb", "? |\n  k\n: |\n  v", "? >\n  k\n  l\n: v", "a: |\n  x  \n  y\t\n", "a: >\n  x  \n  y\n", "a: >+\n  x\n\n\nb: 1", "a: |2\n  x\n",
    "a: >\n  x\n    y\n    z\n  w", "a: >\n  - x\n  - y", "a: >\n  x: y\n", 'a: |\n  "x\n', "a: |\n  {% if x %}\n  y\n  {% endif %}\n", "a: |\n  ${{ x }}", "a: >-\n  ${{ x }}\n  ${{ y }}",
    # flow in block, block in flow, multi line flow
    "a: [b,\n  c]", "a: [b,\n  c\n  ]", "a: {b: c,\n  d: e\n  }", "a:\n  {b: 1,\n   c: 2}", "a: [\n  b,\n  c,\n  ]", "a: {\n  b: 1\n  }", "a: [[1, 2], [3]]", "a: [{b: 1}, {c: 2}]", "a: {b: [1, {c: 2}]}",
    "a: [b: 1, c: 2]", "a: [b: , c]", "a: [? b : c]", "a: [? b]", "a: {? b : c}", "a: {? b, c}", "a: {b: , c: }", "a: {: b}", "a: [: b]", "a: {b, c}", "a: {b:, c}", "a: {\"b\": 1, 'c':2}", 'a: {"b":1}', "a: ['b':1]", "a: ['b' :1]",
    "a: [a b, c d]", "a: [a\n  b]", "a: ['a\n  b']", "a: [#c\n  b]", "a: [b #c\n  ]", "a: [b # c\n  , d]", "a: [b#c]", "a: {b: c#d}", "a: [-1, - 1]", "a: [-]", "a: [--]", "a: [- b]", "a: [?x]", "a: [:x]", "a: [x:]",
    "a: [x: ]", "a: [http://x]", "a: {b: http://x/y}", "a: {b: 12:30}", "a: {http://x: 1}", "a: [a, b]: c", "a: [] b", "a: {} b", "a: [] # c", "a: []#c", "a: [}", "a: {]", "a: [b}", "a: [b, c", "a: {b: c", "a: [b],", "[a]: [b]", "{}: 1", "[]: 1",
    "{a: 1}\n{b: 2}", "[a]\n[b]", "a: [b]\n  c: d", "a: {b: |\n  c}", "[a, [b, [c]]]", "[\n]", "{\n}", "[,]", "[,a]", "{,}", "[a,,b]", "{a,,b}", "[a,]", "{a: 1,}", "[[]]", "[{}]", "{a: {}}", "a: [*x]", "a: [&x]", "a: [!!str]", "a: [!!str , b]",
    # tabs
    "a:\t1", "a: \t1", "a: 1\t", "a: 1\t# c", "a\t: 1", "- \ta", "-\ta", "-\t- a", "- a\t", "a:\n  b:\t1", "a:\n\n\tb", "a: [\tb,\tc\t]", "a: {\tb: 1\t}", "a: [b,\n\tc]", "\t", "\t# c", "\ta", "a: 1\n\t", "a: 1\n\tb: 2", "a: 'x\ty'", 'a: "x\ty"', "a: x\ty",
    "? \ta", "a:\n \tb: 1", "a:\n  \tb", "a: b\n\tc", "a: b\n  \tc", "a: |\n \tx", "a: 'x\n\ty'", "\t- a", "a:\n\t- b", "a:\n  -\tb", "a: \t\n  b: 1",
    # line ends, BOM
    "a: 1\r\nb: 2\r\n", "a: |\r\n  x\r\n  y\r\n", "a: >\r\n  x\r\n  y\r\n", "a:\r\n  - 1\r\n  - 2\r\n", "a: 'x\r\n  y'", 'a: "x\r\n  y"', 'a: "x\\\r\n  y"', "# c\r\na: 1", "a: 1 # c\r\nb: 2", "a: [1,\r\n  2]", "a: b\r\n  c\r\n", "---\r\na: 1\r\n...\r\n",
    "\ufeffa: 1", "\ufeff# c\na: 1", "\ufeff---\na: 1", "a: 1\n---\n\ufeffb: 2", "a: \ufeffb", "a: 'b\ufeff'", "\ufeff", "a\ufeff: 1", "a: 1\n\n\n", "\n\n\na: 1", "   \na: 1", "a: 1\n   ", " a: 1\n b: 2", " a: 1\nb: 2", "  - a\n  - b",
    # documents and directives
    "---\na: 1\n---\nb: 2\n---\n", "--- # c\na: 1", "---\n# c\n", "a: 1\n--- # c\nb: 2", "--- a\n--- b", "---a: 1", "--- {a: 1}", "--- [a]", "--- &x a", "--- !t a", "--- 'a'", "a: 1\n...", "a: 1\n... # c\n", "...", "---\n...", "---\n...\n---\n...\n", "a: 1\n...\n---\nb: 2", "%YAML 1.2\n---\na: 1\n...\n%YAML 1.2\n---\nb: 2",
    "%YAML 1.2\na: 1", "%FOO bar\n---\na: 1", "%YAML 2.0\n---\na: 1", "%YAML 1.2 # c\n---\na: 1", "%YAML\n---\na", "%TAG\n---\na", "%TAG ! !x\n---\na: !y 1", "a: 1\n%YAML 1.2\n---\nb: 1", "# c\n%YAML 1.2\n---\na: 1", "%YAML 1.2\n%YAML 1.2\n---\na: 1", " ---\na: 1", "a: ---", "a: '---'", "- ---", "---\n---", "--- |\n a\n...\n", "a\n---\nb", "a: 1\n---\n- b\n---\nc",
    # comments
    "a: 1 # c", "a: 1# c", "a: # c\n  b", "a: # c\n  b: 1", "# c\n\n# d\na: 1", "a: 1\n# c", "a:\n  # c\n  b: 1", "a:\n# c\n  b: 1", "a:\n  b: 1\n# c\n  d: 2", "- # c\n  a", "- a # c\n# d\n- b", "a: 'x' # c", "a: 'x'# c", 'a: "x"#c', "#", "#\n", "a: #", "a: b # c\n  d", "a: 'b # c'", "a: b\n  # c\n  d", "a#b: 1", "a #b: 1", "[a, # c\n b]", "a: \\# b",
    # keys
    "a:1", "a : 1", "a  :  1", "a:\n  1", "a:\n\n  1", "a:\n1", '"a": 1', "'a': 1", '"a":1', "'a':1", '"a" :1', "a b: 1", "a-b: 1", "a.b: 1", "a/b: 1", "a,b: 1", "a[0]: 1", "a{b}: 1", "a'b: 1", 'a"b: 1', "-a: 1", "- a: 1", "?a: 1", ":a: 1", "a:b: 1", "a::1", "a:: 1", "a: :1", "a: : 1", "a: ::", "a: b:", "a: b: ", "$a: 1", "${{ a }}: 1", "@a: 1", "`a`: 1", "%a: 1", "!a: 1", "&a: 1", "*a: 1", "|a: 1", ">a: 1", "#a: 1", "=: 1", "<: 1", "~a: 1",
    "é: 1", "\U0001f600: 1", "\u200b: 1", "\xa0: 1", "\u2028: 1", "'': 1", '"": 1', "'a\n b': 1", '"a\\nb": 1', "k" * 400 + ": 1", "k" * 1025 + ": 1", "'" + "k" * 1030 + "': 1", "? a\n? b", "? a\n: 1\n? b\n: 2", "? a\nb: 1", "? - a\n  - b\n: c", "? a: b\n: c", "?\n: a", "? \n: a", "?", "? a\n:", "? a\n:\n  b", "? a\n  : b", "? a : b", "? 'a'\n: b",
    "a: 1\n? b\n: 2", ": 1", "a:\n  ? b\n  : c", "- ? a\n  : b", "1: a", "1.5: a", "-1: a", "0o17: a", ".5: a", "1e3: a", "true: a", "null: a", "~: a", "2026-01-02: a", "12:30: a", "0.1: a", "1.0: a", "1.: a", "+1: a", "-0: a", ".inf: a", ".nan: a", "[1, true]: a", "{a: 1}: b", "[]: a", "[a, [b]]: c", "{a: {b: c}}: d", "? [a, b]\n: c", "? {a: 1, b: 2}\n: c", "[a, 'b c']: d", "[1, null]: d",
    # keys that are there twice
    "a: 1\nb: 2\na: 3", "{a: 1, 'a': 2}", "1: a\n1: b", "1: a\n1.0: b", "1: a\n'1': b", "true: a\ntrue: b", "~: a\nnull: b", "~: a\n'': b", "null: a\n'null': b", "a: {b: 1, b: 2}", "- a: 1\n  a: 2", "? a\n? a", "[a]: 1\n[a]: 2", "0x1: a\n1: b", "1e0: a\n1: b", "{a: 1, b: {a: 1}}", "a: 1\nA: 2", "<<: 1\n<<: 2", "x: &x {a: 1}\n<<: *x\n<<: *x", "1: a\n+1: b", "-0: a\n0: b",
    # numbers
    *(f"a: {one}" for one in ["0x", "0xg", "0X1f", "0b1", "0B1", "0o", "0o9", "08", "09", "0_1", "1_0", "1__0", "+0x1", "-0x1", "0x1.5", "1e", "1e+", "1e+1", "1E-1", ".e1", "1.e1", "+.1", "-.1", "+1.", "-1.", "1..2", "1.2.", "..1", ".", "..", "...", "+.", "-.", "+", "-", "+e1", "e+1", "1f", "1d", "1n", "1l", "0x1n", "NaN", "Infinity", "-Infinity", ".Nan", ".iNf", "+.nan", "-.nan", ".infinity", "1e309", "-1e309", "1e-400", "5e-324", "1.7976931348623157e308", "4.35", "0.30000000000000004", "123456789.123456789", "100000000000000000000", "1e20", "1e21", "1e-7", "0.0000001", "1:2", "1:2:3", "-1:2", "1,2", "1,000.5", "١", "１", "½", "1%", "$1", "1-", "-1-", "1/2", "1+1", "--1", "++1", "0.10", "00", "000", "-00", "+00", "0.0", "-0.0", "00.0", "0e0", "0x00", "0o00", "9007199254740992", "-9007199254740993"]),
    # words
    *(f"a: {one}" for one in ["y", "Y", "n", "N", "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF", "true", "True", "TRUE", "tRue", "false", "False", "FALSE", "fAlse", "null", "Null", "NULL", "nUll", "~", "~~", "nil", "None", "none", "undefined", "nan", ".NaN", "-~", "=", "==", "<<", "<<a", ">>", "|", ">", "|-", ">-", "&", "&&", "*", "**", "!", "!!", "%", "%%", "@", "@@", "`", "``", "?", "??", ":", "::", ",", ",,", "[", "]", "{", "}", "#", "-", "--", "---", ".", "..", "...", "\\", "/", "//", "'", '"', "''", '""', "'''", '"""', "''''", "'a''", '"a""', "a'", 'a"', "'a'b", '"a"b']),
    # quotes and escapes
    *(f'a: "\\{one}"' for one in ("0", "a", "b", "t", "\t", "n", "v", "f", "r", "e", " ", '"', "/", "\\", "N", "_", "L", "P", "x41", "u0041", "U00000041", "x4", "u004", "U0001F600", "U00110000", "uD800", "uDC00", "ud83d\\ude00", "ude00\\ud83d", "'", "q", "1", "x", "u", "c", "$", "{")),
    "a: 'x''y'", "a: ''''", "a: 'x\\ny'", "a: 'x\n\n  y'", "a: 'x\n  \n  y'", "a: ' x '", 'a: " x "', 'a: "x\n\n  y"', 'a: "x\\n\n  y"', 'a: "x  \n   y"', 'a: "x\\  \n   y"', 'a: "x\\\n   y"', 'a: "\n  x"', 'a: "x\n"', "a: 'x\ny'", 'a: "x\ny"', "'x\ny'", '"x\\\ny"', "a: 'x", 'a: "x', "a: 'x\n---\n'", 'a: "x: y"', 'a: "x # y"', "a: '{{ x }}'", 'a: "{% if x %}"', "a: 'x' y", 'a: "x" "y"', "a: x 'y'", 'a: x"y"',
    # plain texts of several lines
    "a: x\n y", "a: x\n y\n z", "a: x\n\n y", "a: x\n\n\n y", "a: x\n  y: z", "a: x\n - y", "a: x\n  - y", "a: x\n  # y", "a: x\n  'y'", "a: x\n  [y]", "a: x\n  ? y", "a: x\ny", "a\nb", "a\n b", "a\n\nb", "- a\n  b", "- a\n b", "- a\nb", "a: x y  z", "a:   x   ", "a: -", "a: - x", "a: -x", "a: ?x", "a: ? x", "a: :x", "a: x:", "a: x:y", "a: x: y", "a: x :y", "a: x, y", "a: [x], y", "a: {x}, y", "a: x]", "a: x}", "a: %x", "a: x%", "a: @x", "a: x@", "a: `x", "a: x`", "a: x&y", "a: x*y", "a: x!y", "a: x|y", "a: x>y", "a: x?", "a: x#y", "a: x #y",
    # braces of templates
    "a: {{x}}", "a: {{ x.y }}", "a: {{ x | y }}", "a: {{ x }}/{{ y }}", "a: x{{ y }}", "a: x {{ y }}", "- {{ x }}", "- {{ x }} {{ y }}", "{{ x }}", "{{ x }}: {{ y }}", "a: ${{x}}", "a: ${{ x.y }}", "a: ${{ x | y }}", "a: ${{ x['y'] }}", 'a: ${{ x["y"] }}', "a: ${{ {a: 1} }}", "a: ${{ x ? 1 : 2 }}", "a: ${{ x == 'y' }}", "a: ${{ x }}#y", "a: ${{ x }} # y", "[${{ x }}]", "[${{ x }}, ${{ y }}]", "{a: ${{ x }}}", "{a: ${{ x }}, b: 1}", "a: {% if x %}y{% endif %}", "a: {# x #}", "a: <%= x %>", "a: {{{ x }}}", "a: {{ x: 1 }}", "a: {{ 'x': 1 }}", "a: {{ x, y }}", "a: {{ x }} y", "a: {{}}", "a: { { x } }", "- {{ x }}: 1", "a: [{{ x }}]", "a: [{{ x }}, y]", "a: {b: {{ x }}}",
)  # fmt: skip

_DIFFERENT = (example for one in DIFFERENCES if one.kind is Kind.YAML for example in one.examples)

YAML = tuple(
    dict.fromkeys(
        str(text) for text in (*(f"a: {scalar}" for scalar in _SCALARS.split("|")), *_TEXTS, *_MORE, *_DIFFERENT)
    )
)
"""Texts whose documents are compared."""
