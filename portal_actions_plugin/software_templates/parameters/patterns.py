"""Regular expressions of template authors, matched by an engine that no text keeps busy for ever."""

from __future__ import annotations

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
