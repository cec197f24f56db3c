"""A text as a reader of JSON, addresses or HTML takes it, and where in the text each of its parts was written.

A value of which each character, or any one of them, is escaped has no end of spellings: it is looked for in what they
are read as.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

Span = tuple[int, int]
"""Where something stands in a text: from one character to before another."""

MAX_LEVELS = 4
"""How often a text may have been written as JSON within JSON."""

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

    Args:
        text: of any length; the work grows with that, and not with how it is escaped.

    Returns:
        Nothing for a text without escapes by number, which is what nearly all are.
    """
    if "\\" in text:
        yield from _unescaped(text)
    if "%" in text and _PERCENT.search(text):
        reading = _read(text, _PERCENT, _of_address)
        yield reading.text, reading.span_in_source
    if "&" in text and _REFERENCE.search(text):
        reading = _read(text, _REFERENCE, _of_html)
        yield reading.text, reading.span_in_source


def _unescaped(text: str) -> Iterator[tuple[str, Callable[[Span], Span]]]:
    """A text as JSON and program text are read: JSON in JSON once more for each level."""
    passed: list[Reading] = []

    def in_source(span: Span) -> Span:
        for reading in reversed(passed):
            span = reading.span_in_source(span)
        return span

    while len(passed) < MAX_LEVELS and _BY_NUMBER.search(text):
        passed.append(_read(text, _BACKSLASH, _of_backslash))
        text = passed[-1].text
        yield text, in_source


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
