"""Whether the ``if`` of one step and that of another can both hold, as far as their texts show it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

_MAX_TEXT = 2_000
_PATH = r"[A-Za-z_][\w.]*(?:\[(?:'[^']*'|\"[^\"]*\")\][\w.]*)*"
_COMPARED = re.compile(rf"(?P<of>{_PATH})\s*(?P<how>===?|!==?)\s*(?:'(?P<one>[^'\"]*)'|\"(?P<two>[^'\"]*)\")")
_TAKEN_AS_TRUE = re.compile(rf"(?P<no>not\s+)?(?P<of>{_PATH})")

Claim = tuple[str, str, str]
"""What is said of a value: its name, how, and what it is compared with."""


def exclude_each_other(one: JsonValue, other: JsonValue) -> bool:
    """Whether two conditions say opposite things of one value, such as ``kind == 'a'`` and ``kind == 'b'``.

    Args:
        one: an ``if`` as it is written.
        other: another one.

    Returns:
        False where that is not plain to see.
    """
    return any(_differ(mine, theirs) for mine in _claims(one) for theirs in _claims(other))


def _claims(condition: JsonValue) -> list[Claim]:
    """What has to be so for a condition to hold: the parts of an ``and`` that can be read."""
    text = condition.strip() if isinstance(condition, str) and len(condition) <= _MAX_TEXT else ""
    if not text.startswith("${{") or not text.endswith("}}") or re.search(r"\b(?:or|if)\b", text):
        return []
    return [claim for part in re.split(r"\band\b", text[3:-2]) if (claim := _claim(part.strip()))]


def _claim(part: str) -> Claim | None:
    if compared := _COMPARED.fullmatch(part):
        value = compared["one"] if compared["two"] is None else compared["two"]
        return compared["of"], "is" if compared["how"].startswith("=") else "is not", value
    if taken := _TAKEN_AS_TRUE.fullmatch(part):
        return taken["of"], "false" if taken["no"] else "true", ""
    return None


def _differ(one: Claim, other: Claim) -> bool:
    if one[0] != other[0]:
        return False
    if one[1] == other[1]:
        return one[1] == "is" and one[2] != other[2]
    return {one[1], other[1]} == {"true", "false"} or ({one[1], other[1]} == {"is", "is not"} and one[2] == other[2])
