"""Regular expressions of template authors, matched by an engine that no text keeps busy for ever."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

MAX_PATTERN = 2_000
"""Characters of one pattern."""


def is_pattern(pattern: object) -> bool:
    """Whether a text is a regular expression as JSON Schema has them (ECMA 262), and not too large a one."""
    if not isinstance(pattern, str):
        return True  # what is no text is another rule's to judge
    try:
        _matcher(pattern)
    except ValueError:
        return False
    return True


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern is found anywhere in a text.

    Args:
        pattern: a regular expression as JSON Schema has them (ECMA 262).
        text: of any length.

    Raises:
        ValueError: it is no such pattern, or longer than ``MAX_PATTERN`` characters.
    """
    return _matcher(pattern).is_valid(text)


@lru_cache(maxsize=64)
def _matcher(pattern: str) -> Draft202012Validator:
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern has at most {MAX_PATTERN:,} characters")
    from jsonschema_rs import Draft202012Validator, FancyRegexOptions  # 3 MB, which most templates do without

    # Linear in the text, but for look-around and back references: those give up after so many steps.
    engine = FancyRegexOptions(backtrack_limit=100_000, size_limit=1_000_000, dfa_size_limit=1_000_000)
    return Draft202012Validator({"pattern": pattern}, pattern_options=engine)


def in_words(pattern: str) -> str | None:
    """What a simple pattern asks for: ``^[a-z][a-z0-9-]{2,30}$`` is a small letter, then 2 to 30 small letters, digits or -.

    Returns:
        It as a part of a sentence; None for a pattern that is not simple.
    """
    whole = _SIMPLE.fullmatch(pattern) if len(pattern) <= _MAX_SIMPLE else None
    parts = [_part(found[1], found[2] or "") for found in _PART.finditer(whole[1])] if whole else []
    return ", then ".join(parts) if 0 < len(parts) <= _MAX_PARTS else None


def _part(kind: str, times: str) -> str:
    ranges = _RANGES.findall(kind.removeprefix("[").removesuffix("]"))
    kinds = [_KINDS.get(one, one.removeprefix("\\")) for one in ranges]
    if {"small letters", "capital letters"} <= set(kinds):
        kinds = ["letters", *(one for one in kinds if one not in {"small letters", "capital letters"})]
    several = ", ".join(kinds[:-1]) + f" or {kinds[-1]}" if len(kinds) > 1 else kinds[0]
    if not times or times == "?":
        one = f"one of {several}" if len(kinds) > 1 else f"a {kinds[0].removesuffix('s')}" if kind[0] in "[\\" else kind
        return f"perhaps {one}" if times else one
    if times in {"+", "*"}:
        return f"{several}, {'one or more' if times == '+' else 'any number'}"
    least, comma, most = times[1:-1].partition(",")
    return f"{f'{least} to {most}' if most else f'at least {least}' if comma else least} {several}"


_MAX_PARTS = 4
_MAX_SIMPLE = 200
_ATOM = r"(?:\[(?:\\[dw.\-/]|[\w ./@:-])+\]|\\[d.\-/]|[A-Za-z0-9_@/-])"
_TIMES = r"(?:\{\d+(?:,\d*)?\}|[+*?])"
_SIMPLE = re.compile(rf"\^((?:{_ATOM}{_TIMES}?)+)\$")
_PART = re.compile(rf"({_ATOM})({_TIMES})?")
_RANGES = re.compile(r"[A-Za-z0-9]-[A-Za-z0-9]|\\.|.")
_KINDS = {
    "a-z": "small letters",
    "A-Z": "capital letters",
    "0-9": "digits",
    "\\d": "digits",
    "\\w": "letters, digits or _",
    " ": "spaces",
}
