"""What a database, and every reader of its JSON, can keep: no NUL, no half surrogate pair, no NaN, no endless nesting."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from portal_actions_plugin.errors import ValidationError

MAX_INPUT_DEPTH = 64
MAX_STORED_DEPTH = 200
MAX_NAMED = 100
"""So many wrong fields are named: who sends more of them has another problem."""

_MAX_INTEGER = 2**63


def storable(text: str) -> str:
    """The text with a replacement character for whatever a database would refuse."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def require_storable(data: Mapping[str, Any], max_depth: int = MAX_INPUT_DEPTH) -> None:
    """Refuse data that could not be kept as it is; raises ValidationError that names each such field."""
    wrong = {field: [why] for field, why in islice(_unstorable(data, "", max_depth), MAX_NAMED)}
    if wrong:
        raise ValidationError(f"The input cannot be stored as it is: see {', '.join(list(wrong)[:10])}.", fields=wrong)


def _unstorable(data: object, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(data, str):
        if storable(data) != data:
            yield path, "Holds a character that cannot be stored, such as NUL."
    elif isinstance(data, float) and not math.isfinite(data):
        yield path, "Is not a finite number."
    elif isinstance(data, int) and abs(data) >= _MAX_INTEGER:
        yield path, "Is too large a number."
    elif isinstance(data, Mapping | list | tuple):
        if depth == 0:
            yield path, "Is nested too deeply."
            return
        for name, value in parts(data, path):
            if storable(name) != name:
                yield storable(name), "Holds a character that cannot be stored, such as NUL."
            yield from _unstorable(value, name, depth - 1)


def parts(data: Mapping[Any, Any] | list[Any] | tuple[Any, ...], path: str) -> Iterator[tuple[str, Any]]:
    """Each part of an object or list, with its place."""
    if isinstance(data, Mapping):
        return ((f"{path}.{key}".lstrip("."), value) for key, value in data.items())
    return ((f"{path}[{place}]", value) for place, value in enumerate(data))


def require_depth(data: object, max_depth: int) -> None:
    """Raise ValueError for data that is nested more deeply."""
    if max_depth == 0:
        raise ValueError("they are nested too deeply")
    parts = data.values() if isinstance(data, Mapping) else data if isinstance(data, list | tuple) else ()
    for part in parts:
        require_depth(part, max_depth - 1)
