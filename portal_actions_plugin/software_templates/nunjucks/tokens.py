"""The tokens of an expression."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portal_actions_plugin.software_templates.nunjucks import patterns
from portal_actions_plugin.software_templates.nunjucks.syntax import NunjucksSyntaxError

SPACE = " \t\n\r\xa0"
"""What separates tokens; a text may have more kinds of space."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME_AFTER_DOT = re.compile(r"[0-9]*[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?")
_OPERATORS = ("===", "!==", "**", "//", "==", "!=", "<=", ">=", *"()[]{}.,:|~+-*/%<>=")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_AFTER_OPERAND = {")", "]", "}"}


@dataclass(frozen=True, slots=True)
class Token:
    """A token.

    Attributes:
        kind: ``name``, ``number``, ``text``, ``pattern``, ``operator`` or ``end``.
        value: of a text what it says, else how it is written.
        line: counted from 1.
    """

    kind: str
    value: str
    line: int


def tokens(source: str, line: int) -> Iterator[Token]:
    """Take an expression apart; the last one is of the kind ``end``.

    Args:
        source: the expression, without its braces.
        line: where it begins, counted from 1.

    Raises:
        NunjucksSyntaxError: something in it is no token.
    """
    at = 0
    previous: Token | None = None
    while at < len(source):
        if source[at] in SPACE:
            line += source[at] == "\n"
            at += 1
            continue
        began = at
        previous, at = _token(source, at, line, previous)
        yield previous
        line += source.count("\n", began, at)
    yield Token("end", "", line)


def _token(source: str, at: int, line: int, previous: Token | None) -> tuple[Token, int]:
    pattern = _NAME_AFTER_DOT if previous is not None and previous.value == "." else _NAME
    if name := pattern.match(source, at):
        if name[0] == "r" and patterns.begins_at(source, at):
            literal = patterns.literal_at(source, at)
            if literal is None:
                raise NunjucksSyntaxError("a regular expression is not closed with /", line)
            return Token("pattern", literal[0], line), literal.end()
        return Token("name", name[0], line), name.end()
    if number := _NUMBER.match(source, at):
        if _NAME.match(source, number.end()):
            raise NunjucksSyntaxError(f"{source[at : number.end() + 1]!r} is no number", line)
        return Token("number", number[0], line), number.end()
    if source[at] in "\"'":
        return _text(source, at, line)
    if source[at] == "." and source[at + 1 : at + 2].isdigit() and not _is_operand(previous):
        raise NunjucksSyntaxError("a number needs a digit before its point", line)
    for operator in _OPERATORS:
        if source.startswith(operator, at):
            return Token("operator", operator, line), at + len(operator)
    raise NunjucksSyntaxError(f"{source[at]!r} cannot be used here", line)


def _is_operand(token: Token | None) -> bool:
    return token is not None and (token.kind != "operator" or token.value in _AFTER_OPERAND)


def _text(source: str, at: int, line: int) -> tuple[Token, int]:
    quote, written = source[at], []
    at += 1
    while at < len(source) and source[at] != quote:
        if source[at] == "\\":
            at += 1
            if at == len(source):
                break
            written.append(_ESCAPES.get(source[at], source[at]))
        else:
            written.append(source[at])
        at += 1
    if at >= len(source):
        raise NunjucksSyntaxError("a text is not closed", line)
    return Token("text", "".join(written), line), at + 1
