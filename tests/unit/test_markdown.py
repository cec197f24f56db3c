"""Markdown of a template on a page: what it may write, and that hostile text writes and costs nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from portal_actions_plugin.blueprints.pages.run import markdown as module
from portal_actions_plugin.blueprints.pages.run.markdown import MAX_CHARS, markdown

MAY_BE = {"p", "ul", "ol", "li", "blockquote", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td",
          "em", "strong", "s", "a", "pre", "code", "hr", "br", "div"}  # fmt: skip
MAY_HAVE = {"href", "rel", "start", "class", "tabindex", "role", "aria-label"}


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in MAY_BE, tag
        assert {name for name, _ in attrs} <= MAY_HAVE
        assert tag not in {"a", "p"} or tag not in self.open
        if tag == "a":
            href = dict(attrs)["href"] or ""
            assert re.match(r"https?://|mailto:|/(?![/\\])", href), href
            assert dict(attrs)["rel"] == "noopener noreferrer"
            self.links.append(href)
        if tag not in {"hr", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def html(text: str) -> str:
    written = str(markdown(text, 2))
    read(written)
    return written


def read(written: str) -> Reader:
    reader = Reader()
    reader.feed(written)
    reader.close()
    assert reader.open == []
    return reader


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a *b* **c** ~~d~~ `e`", "<p>a <em>b</em> <strong>c</strong> <s>d</s> <code>e</code></p>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("- a\n\n- b", "<ul><li><p>a</p></li><li><p>b</p></li></ul>"),
        ("3. a", '<ol start="3"><li>a</li></ol>'),
        ("> a", "<blockquote><p>a</p></blockquote>"),
        ("a  \nb", "<p>a<br>b</p>"),
        ("```sh\nls <x>\n```", '<pre class="pa-code"><code>ls &lt;x&gt;\n</code></pre>'),
        ("---", "<hr>"),
        ("[a](https://x/y)", '<p><a href="https://x/y" rel="noopener noreferrer">a</a></p>'),
        ("<https://x/y>", '<p><a href="https://x/y" rel="noopener noreferrer">https://x/y</a></p>'),
        ("[a](/catalog)", '<p><a href="/catalog" rel="noopener noreferrer">a</a></p>'),
        ("![logo](https://x/y.png)", '<p><a href="https://x/y.png" rel="noopener noreferrer">logo</a></p>'),
        ("https://x/y", "<p>https://x/y</p>"),
        ("&lt;b&gt; &amp;", "<p>&lt;b&gt; &amp;</p>"),
    ],
)
def test_what_authors_write_is_shown(text: str, written: str) -> None:
    assert html(text) == written


def test_headings_are_below_the_one_above_them_and_leave_no_level_out() -> None:
    assert re.findall(r"<(h\d)>", html("# a\n### b\n# c\n## d\n##### e\n###### f\n###### g")) == [
        "h3", "h4", "h3", "h4", "h5", "h6", "h6"]  # fmt: skip
    assert re.findall(r"<(h\d)>", html("###### a")) == ["h3"]


def test_a_table_is_one_that_scrolls_by_itself() -> None:
    written = html("a | b\n--|--\n1 | *2*")
    assert written.startswith('<div class="pa-grid" tabindex="0" role="group" aria-label="Table"><table><thead><tr>')
    assert written.endswith("<tr><td>1</td><td><em>2</em></td></tr></tbody></table></div>")


HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a <b onclick='x'>b</b>", "<!-- --><svg/onload=x>",
    "[a](javascript:alert(1))", "[a](JaVaScRiPt&colon;alert(1))", "[a](java&#x0a;script:alert(1))",
    "[a](&#106;avascript:alert(1))", "[a](data:text/html;base64,PHNjcmlwdD4=)", "![a](data:image/svg+xml,x)",
    "[a](vbscript:x)", "[a](//evil.example)", "[a](/\\evil.example)", "[a](\\\\evil)", "[a](https://x@evil.example)",
    "[a](<javascript:alert(1)>)", "<javascript:alert(1)>", "[a]\n\n[a]: javascript:alert(1)", '[a](https://x" onclick=y)',
    "[a](https://x 'onclick=y')", "![x](https://x \"onerror='y'\")", "```<script>\nx\n```", "[![a](https://x/i)](https://y)",
    "[a [b](https://y)](https://x)", '<a@b" onclick=x>', "\x00\u202e[a](https://x)", "| <img src=x> |\n|--|\n| <i> |",
    "[a](/x)<style>", "&#60;script&#62;", "<details open ontoggle=x>", "[x](file:///etc/passwd)", "<http://x@y>",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_writes_nothing_but_what_is_listed(text: str) -> None:
    html(text)
    html(f"- > {text}\n\n{text} {text}")


@pytest.mark.parametrize(
    "unit", ["[", "![", "](", "> ", "- ", "*a_ ", "`", "<", "a|", "|-|\n", "# a\n", "\\", "[a](", "\n"]
)
def test_a_megabyte_of_it_is_cut_and_ends(unit: str) -> None:
    written = html(unit * (1_000_000 // len(unit)))
    assert len(written) < 20 * MAX_CHARS


def test_a_table_with_too_many_cells_is_a_text() -> None:
    wide = "|a" * 1_000 + "|\n" + "|-" * 1_000 + "|\n" + "|\n" * 2_000
    assert "<table>" not in html(wide)
    assert len(html(wide)) < 20 * MAX_CHARS


def test_nesting_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert html(">" * 5_000 + " a").count("<blockquote>") < 100
    assert html("".join(" " * (2 * level) + "- a\n" for level in range(90))).count("<ul>") < 100
    monkeypatch.setattr(module, "MAX_TOKENS", 10)
    markdown.cache_clear()
    assert len(html("- a\n" * 100)) < 100, "what is open is closed"
    markdown.cache_clear()
