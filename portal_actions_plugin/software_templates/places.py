"""Where a value lies in a document: the names and indexes that lead to it, and how people read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

_CALL_OF_STATUS = re.compile(r"\b(?:always|failure)\s*\(")

Key = tuple[str | int, ...]
"""Names of mappings and indexes of lists, from the top: ``("spec", "steps", 1, "action")``."""


def written(key: Key) -> str:
    """Write a place as ``spec.steps[1].action``; the document itself is ``document``."""
    parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return parts.removeprefix(".") or "document"


def has_expression(value: JsonValue) -> bool:
    """Whether any text in a value, however nested, is rendered when the template runs."""
    if isinstance(value, Mapping):
        return any(map(has_expression, value.values()))
    if isinstance(value, list | tuple):
        return any(map(has_expression, value))
    return isinstance(value, str) and ("${{" in value or "{%" in value)


def asks_for_status(condition: object) -> bool:
    """Whether an ``if`` may call ``always()`` or ``failure()``, as far as its text shows: only evaluating it tells."""
    return isinstance(condition, str) and ("always" in condition or "failure" in condition)


def calls_status(condition: object) -> bool:
    """Whether the text of an ``if`` calls ``always()`` or ``failure()``; a parameter may have such a name, too."""
    return isinstance(condition, str) and _CALL_OF_STATUS.search(condition) is not None


def value_at(value: JsonValue, key: Key) -> JsonValue:
    """What lies at a place in a value; None where there is nothing."""
    for part in key:
        if isinstance(value, Mapping):
            value = value.get(str(part))
        else:
            value = value[part] if isinstance(value, list) and isinstance(part, int) and part < len(value) else None
    return value
