"""Markdown of templates as HTML: a template is hostile, so only what is listed here is ever written.

No HTML of the text, no image (it would be loaded, from anywhere), no link but to what ``link_address`` knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

from markupsafe import Markup, escape

from portal_actions_plugin.software_templates.outputs.addresses import link_address

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MAX_CHARS = 10_000
"""Characters of a text that are read: brackets without an end take their square in time."""
MAX_CELLS = 2_000
"""Cells that the tables of a text may have, those that its shortest rows leave out among them; one with more has none."""
MAX_TOKENS = 5_000
"""Parts of a text that are written."""

_PAIRS: Final[Mapping[str, str]] = {
    "paragraph": "p",
    "bullet_list": "ul",
    "ordered_list": "ol",
    "list_item": "li",
    "blockquote": "blockquote",
    "thead": "thead",
    "tbody": "tbody",
    "tr": "tr",
    "th": "th",
    "td": "td",
    "em": "em",
    "strong": "strong",
    "s": "s",
}


@lru_cache(maxsize=64)
def markdown(text: str, under: int) -> Markup:
    """Write a text as HTML.

    Args:
        text: Markdown as GitHub has it, with tables; cut after ``MAX_CHARS``.
        under: the level of the heading above it; its own are below that, and no level is left out.
    """
    text = text[:MAX_CHARS]
    return _Writer(under).written(_parser(has_tables=_cells(text) <= MAX_CELLS).parse(text))


@cache
def _parser(*, has_tables: bool) -> MarkdownIt:
    # Imported by who has a text to show: that takes a twelfth of a second.
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", *(["table"] if has_tables else [])])


def _cells(text: str) -> int:
    lines = text.splitlines()
    return len(lines) * max((line.count("|") for line in lines), default=0)


class _Writer:
    def __init__(self, under: int) -> None:
        self._top = under
        self._level = under
        self._open: list[Markup] = []  # what closes each
        self._left = MAX_TOKENS

    def written(self, tokens: Sequence[Token]) -> Markup:
        pieces: list[Markup] = []
        self._write(tokens, pieces)
        return Markup("").join([*pieces, *reversed(self._open)])

    def _write(self, tokens: Sequence[Token], pieces: list[Markup]) -> None:
        for token in tokens:
            if self._left <= 0:
                return
            self._left -= 1
            if token.type == "inline":
                self._write(token.children or (), pieces)
            elif token.type.endswith("_open"):
                pieces.append(self._opened(token))
            elif token.type.endswith("_close"):
                pieces.append(self._open.pop())
            elif token.type == "image":
                pieces.append(self._image(token))
            else:
                write = _LEAVES.get(token.type)
                pieces.append(write(token) if write else escape(token.content))

    def _opened(self, token: Token) -> Markup:
        kind = token.type.removesuffix("_open")
        if kind == "heading":
            wanted = self._top + int(token.tag.removeprefix("h"))
            self._level = min(wanted, self._level + 1, 6)
            return self._began(f"h{self._level}")
        if kind == "link":
            return self._link(token.attrs.get("href"))
        if kind == "table":  # it scrolls by itself, and by keyboard, where it is wider than a phone
            self._open.append(Markup("</table></div>"))
            return Markup('<div class="pa-grid" tabindex="0" role="group" aria-label="Table"><table>')
        start = token.attrs.get("start")
        attributes = Markup(' start="%s"') % start if isinstance(start, int) else ""
        return self._began("" if token.hidden else _PAIRS.get(kind, ""), attributes)

    def _link(self, given: object) -> Markup:
        url = link_address(given)
        if url is None or Markup("</a>") in self._open:
            return self._began("")
        return self._began("a", Markup(' href="%s" rel="noopener noreferrer"') % url)

    def _image(self, token: Token) -> Markup:
        """Its words, and a link to it: an image of another origin would tell that who looks at the run, and when."""
        link, said = self._link(token.attrs.get("src")), escape(token.content or token.attrs.get("src") or "")
        return link + said + self._open.pop()

    def _began(self, name: str, attributes: str = "") -> Markup:
        self._open.append(Markup("</%s>") % name if name else Markup(""))
        return Markup("<%s%s>") % (name, attributes) if name else Markup("")


def _code(token: Token) -> Markup:
    return Markup('<pre class="pa-code"><code>%s</code></pre>') % token.content


_LEAVES: Final[Mapping[str, Callable[[Token], Markup]]] = {
    "text": lambda token: escape(token.content),
    "code_inline": lambda token: Markup("<code>%s</code>") % token.content,
    "code_block": _code,
    "fence": _code,
    "hr": lambda _token: Markup("<hr>"),
    "softbreak": lambda _token: Markup("\n"),
    "hardbreak": lambda _token: Markup("<br>"),
}
