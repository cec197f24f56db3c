"""A text as a reader of JSON, addresses or HTML takes it, and where in the text each of its parts was written.

A value of which each character, or any one of them, is escaped has no end of spellings: it is looked for in what they
are read as.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote_to_bytes

Span = tuple[int, int]
"""Where something stands in a text: from one character to before another."""

MAX_LEVELS = 4
"""How often a text may have been escaped: as JSON within JSON within an address."""

LONGEST_ESCAPE = 12
"""Characters of the longest way to write one character: four bytes in an address, or a pair in JSON."""

_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_BACKSLASH = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair is one character
    r"|u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[0-7]{3}"
    r"|[\"'\\/bfnrt])"
)
# What has short escapes alone, as nearly every JSON does, is found by the spellings of the value.
_BY_NUMBER = re.compile(r"\\(?:[uU][0-9a-fA-F{]|x[0-9a-fA-F]|[0-7]{3})")
_PERCENT = re.compile("(?:%[0-9a-fA-F]{2})+")
_REFERENCE = re.compile("&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is read as.

    Attributes:
        text: that.
        read: where in it each escape's character begins and ends, in their order.
        written: where those places are in the text that was read.
    """

    text: str
    read: list[int]
    written: list[int]

    def span_in_source(self, span: Span) -> Span:
        """Where what stands there was written in the text that was read."""
        return self._place(span[0]), self._place(span[1])

    def _place(self, place: int) -> int:
        known = bisect_right(self.read, place) - 1
        return self.written[known] + place - self.read[known]


def readings(text: str) -> Iterator[tuple[str, Callable[[Span], Span]]]:
    """What a text with escaped characters may be read as, each with what finds a part of it again in the text.

    It is read as each kind of escapes says, level by level, and as all of them say in turn.

    Args:
        text: of any length; the work grows with that, and not with how it is escaped.

    Returns:
        Nothing for a text without escapes by number, which is what nearly all are.
    """
    present = [kind for kind in _KINDS if kind.is_in(text)]
    seen = {text}
    for kinds in (*((kind,) for kind in present), _KINDS if present else ()):
        for reading in _levels(text, kinds):
            if reading[0] not in seen:
                seen.add(reading[0])
                yield reading


def _levels(text: str, kinds: Sequence[_Kind]) -> Iterator[tuple[str, Callable[[Span], Span]]]:
    passed: tuple[Reading, ...] = ()
    for _ in range(MAX_LEVELS):
        before = text
        for kind in kinds:
            if kind.is_in(text):
                passed = (*passed, _read(text, kind.escape, kind.decode))
                text = passed[-1].text
                yield text, partial(_in_source, passed)
        if text == before:
            return


def _in_source(passed: Sequence[Reading], span: Span) -> Span:
    for reading in reversed(passed):
        span = reading.span_in_source(span)
    return span


Decoded = Iterator[tuple[str, int]]
"""The characters that an escape stands for, each with how many characters it is written in."""


def _read(text: str, escape: re.Pattern[str], decode: Callable[[str], Decoded]) -> Reading:
    parts: list[str] = []
    read, written = [0], [0]
    done = length = 0
    for found in escape.finditer(text):
        parts.append(text[done : found.start()])
        length += found.start() - done
        done = found.start()
        for char, size in decode(found[0]):
            read += length, length + len(char)
            written += done, done + size
            parts.append(char)
            length += len(char)
            done += size
    parts.append(text[done:])
    return Reading("".join(parts), read, written)


def _of_backslash(escape: str) -> Decoded:
    kind = escape[1]
    if kind in "uUx" and len(escape) == LONGEST_ESCAPE and "\\" in escape[1:]:
        char = bytes.fromhex(escape[2:6] + escape[8:]).decode("utf-16-be")
    elif kind in "uUx":
        char = _char(int(escape[2:].strip("{}"), 16))
    elif kind.isdigit():
        char = _char(int(escape[1:], 8))
    else:
        char = _SHORT.get(kind, kind)
    yield char, len(escape)


def _char(number: int) -> str:
    return chr(number) if number <= 0x10FFFF else "\ufffd"


def _of_address(escapes: str) -> Decoded:
    # A byte that is no UTF-8 is a character of its own here, and one byte again.
    for char in unquote_to_bytes(escapes).decode(errors="surrogateescape"):
        yield char, 3 * len(char.encode(errors="surrogateescape"))


def _of_html(reference: str) -> Decoded:
    yield html.unescape(reference), len(reference)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A way to escape characters.

    Attributes:
        mark: what each of its escapes begins with.
        by_number: what a text has that is worth reading like this.
        escape: each of its escapes, or several in a row.
        decode: what those stand for.
    """

    mark: str
    by_number: re.Pattern[str]
    escape: re.Pattern[str]
    decode: Callable[[str], Decoded]

    def is_in(self, text: str) -> bool:
        return self.mark in text and self.by_number.search(text) is not None


_KINDS = (
    _Kind("\\", _BY_NUMBER, _BACKSLASH, _of_backslash),
    _Kind("%", _PERCENT, _PERCENT, _of_address),
    _Kind("&", _REFERENCE, _REFERENCE, _of_html),
)
