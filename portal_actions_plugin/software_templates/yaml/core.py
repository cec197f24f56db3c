"""YAML 1.2's core schema: what an unquoted scalar is. PyYAML has YAML 1.1's, where ``no`` is false and ``12:30`` is 750."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import TypeAlias

import yaml

Scalar: TypeAlias = bool | int | float | str | None

MAX_NUMBER = 100
"""Characters of a number: reading one takes as long as the square of its length."""

NULL, BOOL, INT, FLOAT, STR, MAP, SEQ = (
    f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "map", "seq")
)
_MAX_PIECES = 200
_NULLS = frozenset(["", "~", "null", "Null", "NULL"])
_EXACT_INTEGERS = 2**53
_BASES = {"0o": 8, "0x": 16}

# Each with the characters that it may begin with, as PyYAML looks them up; the order is that of the specification.
_PATTERNS = (
    (NULL, r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (BOOL, r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    (INT, r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (FLOAT, r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    (FLOAT, r"[-+]?(?:\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN", list("-+.")),
)


def resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """What a loader of PyYAML has as ``yaml_implicit_resolvers``: by first character, tags and their patterns."""
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, firsts in _PATTERNS:
        for first in firsts:
            found.setdefault(first, []).append((tag, re.compile(rf"(?:{pattern})\Z")))
    return found


def scalar(node: yaml.ScalarNode) -> Scalar:
    """The value of a scalar, which may be infinite or no number.

    Args:
        node: with a tag that was written or resolved by ``resolvers``.

    Raises:
        ValueError: the text does not fit the tag, or is too long a number.
    """
    text: str = node.value
    if node.tag == NULL:
        if text not in _NULLS:
            raise ValueError("it is not null")
        return None
    if node.tag == BOOL:
        return _bool(text)
    if node.tag in {INT, FLOAT}:
        number = _number(text)
        if node.tag == INT and not isinstance(number, int):
            raise ValueError("it is no whole number")
        return number
    return _joined(text)


def key_text(node: yaml.Node) -> str:
    """A key as JSON has it, a text: ``1:``, ``true:`` and ``~:`` are "1", "true" and "".

    A list or a mapping is written as YAML: ``{{ x }}`` without quotes is a mapping whose key is a mapping, "{ x }".

    Raises:
        ValueError: as ``scalar``, or it is too large a list or mapping.
    """
    pieces = list(islice(_pieces(node), _MAX_PIECES + 1))
    if len(pieces) > _MAX_PIECES:
        raise ValueError("it is too large to be a key")
    return "".join(pieces)


def _pieces(node: yaml.Node) -> Iterator[str]:
    """At least one for each node, so that one which contains itself gives too many and not for ever."""
    if isinstance(node, yaml.ScalarNode):
        yield _scalar_text(scalar(node))
        return
    opened, closed = ("[", "]") if isinstance(node, yaml.SequenceNode) else ("{", "}")
    yield opened
    for index, item in enumerate(node.value):
        yield ", " if index else " "
        key, value = item if isinstance(node, yaml.MappingNode) else (item, None)
        yield from _pieces(key)
        if value is not None and not _is_nothing(value):
            yield ": "
            yield from _pieces(value)
    yield f" {closed}" if node.value else closed


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == NULL and not node.value


def _scalar_text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _bool(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError("it is neither true nor false")
    return text.lower() == "true"


def _number(text: str) -> int | float:
    """A number as JavaScript has it: 1.0 and 1 are one number."""
    if len(text) > MAX_NUMBER or "_" in text:
        raise ValueError("it is no number")
    if text[:2] in _BASES:
        return int(text[2:], _BASES[text[:2]])
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return int(text)
    value = float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
    return int(value) if math.isfinite(value) and value == int(value) and abs(value) <= _EXACT_INTEGERS else value


def _joined(text: str) -> str:
    r"""A text whose halves of characters, written as ``\ud83d\ude00``, are joined."""
    if not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
