"""Parsing a whole template: text, ``${{ … }}``, ``{% … %}`` and ``{# … #}``."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from portal_actions_plugin.software_templates.nunjucks import patterns, syntax
from portal_actions_plugin.software_templates.nunjucks.expressions import MAX_NESTED, parse, parse_filter, parse_targets
from portal_actions_plugin.software_templates.nunjucks.syntax import NunjucksSyntaxError
from portal_actions_plugin.software_templates.nunjucks.tokens import SPACE

_TAG = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPENINGS = {"${{": "}}", "{%": "%}", "{#": "#}"}
_OPENING = re.compile(r"(\$\{\{)|\{%|\{#|#\}")
_OPENING_OF_COOKIECUTTER = re.compile(r"(\{\{)|\{%|\{#|#\}")
_IN_CODE = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", re.DOTALL)
_STOPS = frozenset(
    [
        "else",
        "elif",
        "elseif",
        "endif",
        "endfor",
        "endset",
        "endfilter",
        "endswitch",
        "case",
        "default",
        "endmacro",
        "endcall",
        "endblock",
    ]
)
RAW = frozenset(["raw", "verbatim"])
"""What is between these and their end is text."""
_UNSUPPORTED = frozenset(["macro", "call", "include", "import", "from", "extends"])


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a template: ``kind`` is ``text``, or how it is opened."""

    kind: str
    value: str
    line: int

    @property
    def tag(self) -> str:
        found = _TAG.match(self.value) if self.kind == "{%" else None
        return found[0] if found else ""

    @property
    def rest(self) -> str:
        return self.value[len(self.tag) :].strip(SPACE)


@dataclass(frozen=True, slots=True)
class Style:
    """How a file is written, by the input of the action that renders it.

    Attributes:
        cookiecutter: its expressions are ``{{ … }}``, as Cookiecutter has them.
        trim_blocks: the line break after a block is left out.
        lstrip_blocks: so are the spaces before a block that is the first thing on its line.
    """

    cookiecutter: bool = False
    trim_blocks: bool = False
    lstrip_blocks: bool = False

    def is_in(self, text: str) -> bool:
        """Whether a text has anything to be rendered."""
        return ("{{" if self.cookiecutter else "${{") in text or "{%" in text or "{#" in text or "#}" in text


PLAIN = Style()


def parse_template(source: str, style: Style = PLAIN) -> syntax.Body:
    """Parse a template.

    Args:
        source: as it is written.
        style: what its signs are.

    Raises:
        NunjucksSyntaxError: names what is wrong, and its line from 1.
    """
    return _Parser(_pieces(source, style)).whole()


class _Parser:
    def __init__(self, pieces: list[_Piece]) -> None:
        self._pieces = pieces
        self._at = 0
        self._depth = 0
        self._blocks: set[str] = set()

    def whole(self) -> syntax.Body:
        body, stop = self._body(())
        if stop is not None:
            raise NunjucksSyntaxError(f"there is nothing that {stop.tag} could end", stop.line)
        return body

    def _body(self, stops: Collection[str]) -> tuple[syntax.Body, _Piece | None]:
        self._depth += 1
        if self._depth > MAX_NESTED:
            raise NunjucksSyntaxError(f"it is nested deeper than {MAX_NESTED} levels", self._pieces[self._at - 1].line)
        found: list[syntax.Statement] = []
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            self._at += 1
            if piece.tag in stops or piece.tag in _STOPS:
                self._depth -= 1
                if piece.tag not in stops:
                    raise NunjucksSyntaxError(f"{piece.tag} does not belong here", piece.line)
                return tuple(found), piece
            if piece.kind == "text":
                found.append(syntax.Text(piece.value))
            elif piece.kind == "${{":
                found.append(syntax.Output(parse(piece.value, piece.line), piece.line))
            else:
                found.append(self._statement(piece))
        self._depth -= 1
        return tuple(found), None

    def _statement(self, piece: _Piece) -> syntax.Statement:
        if piece.tag in BLOCKS:
            return BLOCKS[piece.tag](self, piece)
        if piece.tag in _UNSUPPORTED:
            raise NunjucksSyntaxError(f"{piece.tag} is not supported", piece.line)
        there = ", ".join(sorted({*BLOCKS, *RAW}))
        raise NunjucksSyntaxError(f"there is no tag {piece.value[:40]!r}; there is {there}", piece.line)

    def as_if(self, piece: _Piece) -> syntax.If:
        condition = parse(piece.rest, piece.line)
        body, stop = self._until(("elif", "elseif", "else", "endif"), piece)
        otherwise: syntax.Body = ()
        if stop.tag in {"elif", "elseif"}:
            otherwise = (self._nested_if(stop),)
        elif stop.tag == "else":
            otherwise, _ = self._until(("endif",), piece)
        return syntax.If(condition, body, otherwise, piece.line)

    def _nested_if(self, piece: _Piece) -> syntax.If:
        self._depth += 1
        found = self.as_if(piece)
        self._depth -= 1
        return found

    def as_for(self, piece: _Piece) -> syntax.For:
        parts = _split_at(piece.rest, "in")
        if parts is None:
            raise NunjucksSyntaxError("a for needs an in", piece.line)
        targets = parse_targets(parts[0], piece.line)
        if targets == ("loop",):
            raise NunjucksSyntaxError("an item cannot be called loop", piece.line)
        items = parse(parts[1], piece.line)
        body, stop = self._until(("else", "endfor"), piece)
        otherwise: syntax.Body = ()
        if stop.tag == "else":
            otherwise, _ = self._until(("endfor",), piece)
        return syntax.For(targets, items, body, otherwise, piece.line)

    def as_set(self, piece: _Piece) -> syntax.Set:
        parts = _split_at(piece.rest, "=")
        if parts is not None:
            return syntax.Set(parse_targets(parts[0], piece.line), parse(parts[1], piece.line), piece.line)
        targets = parse_targets(piece.rest, piece.line)
        body, _ = self._until(("endset",), piece)
        return syntax.Set(targets, syntax.Capture(body), piece.line)

    def as_filter(self, piece: _Piece) -> syntax.Output:
        body, _ = self._until(("endfilter",), piece)
        return syntax.Output(parse_filter(piece.rest, piece.line, syntax.Capture(body)), piece.line)

    def as_block(self, piece: _Piece) -> syntax.Block:
        names = parse_targets(piece.rest, piece.line)
        if len(names) != 1 or names[0] in self._blocks:
            raise NunjucksSyntaxError("a block has a name, and no two have the same", piece.line)
        self._blocks.add(names[0])
        body, stop = self._until(("endblock",), piece)
        if stop.rest not in {"", names[0]}:
            raise NunjucksSyntaxError(f"endblock ends {names[0]!r}, and not {stop.rest[:40]!r}", stop.line)
        return syntax.Block(body)

    def as_switch(self, piece: _Piece) -> syntax.Switch:
        value = parse(piece.rest, piece.line)
        stops = ("case", "default", "endswitch")
        before, stop = self._until(stops, piece)
        if before:
            raise NunjucksSyntaxError("a switch begins with a case", piece.line)
        cases: list[tuple[syntax.Expression, syntax.Body]] = []
        while stop.tag == "case":
            condition = parse(stop.rest, stop.line)
            body, stop = self._until(stops, piece)
            cases.append((condition, body))
        otherwise: syntax.Body = ()
        if stop.tag == "default":
            otherwise, stop = self._until(("endswitch",), piece)
        elif not cases:
            raise NunjucksSyntaxError("a switch needs a case", piece.line)
        return syntax.Switch(value, tuple(cases), otherwise, piece.line)

    def _until(self, stops: Collection[str], piece: _Piece) -> tuple[syntax.Body, _Piece]:
        body, stop = self._body(stops)
        if stop is None:
            raise NunjucksSyntaxError(f"the {piece.tag} is not ended", piece.line)
        if stop.rest and stop.tag not in {"elif", "elseif", "case", "endblock"}:
            raise NunjucksSyntaxError(f"{stop.tag} takes nothing", stop.line)
        return body, stop


BLOCKS: Mapping[str, Callable[[_Parser, _Piece], syntax.Statement]] = {
    "block": _Parser.as_block,
    "filter": _Parser.as_filter,
    "for": _Parser.as_for,
    "if": _Parser.as_if,
    "set": _Parser.as_set,
    "switch": _Parser.as_switch,
}
"""What is parsed, by its tag."""


def _pieces(source: str, style: Style) -> list[_Piece]:
    found: list[_Piece] = []
    at, line = 0, 1
    text: list[str] = []
    openings = _OPENING_OF_COOKIECUTTER if style.cookiecutter else _OPENING

    def flush(stripped: bool) -> None:  # noqa: FBT001 local
        whole = "".join(text)
        if stripped:
            whole = whole.rstrip()
        if whole:
            found.append(_Piece("text", whole, line))
        text.clear()

    while opening := openings.search(source, at):
        if opening[0] == "#}":
            raise NunjucksSyntaxError(
                "a comment ends that did not begin", line + source.count("\n", at, opening.start())
            )
        kind = "${{" if opening[1] else opening[0]
        is_stripped = style.lstrip_blocks and kind == "{%"
        text.append(source[at : _line_start(source, at, opening.start()) if is_stripped else opening.start()])
        start = opening.end()
        strip_before = source.startswith("-", start)
        line += source.count("\n", at, opening.start())
        flush(strip_before)
        start += strip_before
        end = _end(source, start, kind)
        if end < 0:
            raise NunjucksSyntaxError(f"{opening[0]} is not closed with {_OPENINGS[kind]}", line)
        strip_after = source.startswith("-", end - 1) and end > start
        piece = _Piece(kind, source[start : end - strip_after].strip(SPACE), line)
        line += source.count("\n", opening.start(), end)
        at = end + 2
        if piece.tag in RAW:
            raw_end = _raw_end(source, at, piece)
            text.append(source[at : raw_end[0]])
            line += source.count("\n", at, raw_end[1])
            at = raw_end[1]
        elif piece.kind != "{#":
            found.append(piece)
        after = _after_block(source, at, all_space=strip_after, line_break=style.trim_blocks and kind == "{%")
        line += source.count("\n", at, after)
        at = after
    text.append(source[at:])
    flush(stripped=False)
    return found


def _line_start(source: str, at: int, block: int) -> int:
    """Where the line of a block begins; the block itself where it is not the first thing on it, after ``at``."""
    start = source.rfind("\n", 0, block) + 1
    return start if start >= at and not source[start:block].strip() else block


def _after_block(source: str, at: int, *, all_space: bool, line_break: bool) -> int:
    """Where the text after a block begins."""
    if all_space:
        stripped = re.compile(r"\s*").match(source, at)
        return stripped.end() if stripped else at
    if line_break:
        return at + (2 if source.startswith("\r\n", at) else source.startswith("\n", at))
    return at


def _end(source: str, start: int, opened: str) -> int:
    """Where what was opened is closed: not inside of a text."""
    close = _OPENINGS[opened]
    if opened == "{#":
        return source.find(close, start)
    at = start
    while at < len(source):
        if source.startswith(close, at) or source.startswith(f"-{close}", at):
            return at if source.startswith(close, at) else at + 1
        at = _after_quoted(source, at) or at + 1
        if at < 0:
            return -1
    return -1


def _after_quoted(source: str, at: int) -> int:
    """Where a text or a regular expression that begins at a place ends; 0 when none does, -1 when it is not closed."""
    is_pattern = patterns.begins_at(source, at)
    if not is_pattern and source[at] not in "\"'":
        return 0
    quoted = patterns.literal_at(source, at) if is_pattern else _IN_CODE.match(source, at)
    return quoted.end() if quoted else -1


def _raw_end(source: str, at: int, piece: _Piece) -> tuple[int, int]:
    if piece.rest:
        raise NunjucksSyntaxError(f"{piece.tag} takes nothing", piece.line)
    depth = 1
    for marker in re.compile(rf"\{{%\s*(end)?{piece.tag}\s*%\}}").finditer(source, at):
        depth += -1 if marker[1] else 1
        if depth == 0:
            return marker.start(), marker.end()
    raise NunjucksSyntaxError(f"the {piece.tag} is not ended", piece.line)


def _split_at(header: str, separator: str) -> tuple[str, str] | None:
    """The two sides of the first ``in`` or ``=`` that is in no text and no brackets."""
    depth, at = 0, 0
    while at < len(header):
        character = header[at]
        if after := _after_quoted(header, at):
            if after < 0:
                return None
            at = after
            continue
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and separator == "=" and character == "=":
            return header[:at], header[at + 1 :]
        name = _TAG.match(header, at)
        if name:
            if depth == 0 and name[0] == separator:
                return header[:at], header[name.end() :]
            at = name.end()
            continue
        at += 1
    return None
