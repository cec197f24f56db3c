"""What a database can keep of a text: neither NUL nor half a surrogate pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from portal_actions_plugin.errors import ValidationError


def storable(text: str) -> str:
    """The text with a replacement character for whatever a database would refuse."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def require_storable(data: Mapping[str, Any]) -> None:
    """Refuse input that could not be kept as it is; raises ValidationError that names each such field."""
    wrong = {field: ["Holds a character that cannot be stored, such as NUL."] for field in _unstorable(data)}
    if wrong:
        raise ValidationError(
            f"The input holds characters that cannot be stored: see {', '.join(wrong)}.", fields=wrong
        )


def _unstorable(data: Any, path: str = "") -> Iterator[str]:
    if isinstance(data, str):
        if storable(data) != data:
            yield path
    elif isinstance(data, Mapping):
        for key, value in data.items():
            name = storable(str(key))
            if name != key:
                yield f"{path}.{name}".lstrip(".")
            yield from _unstorable(value, f"{path}.{name}".lstrip("."))
    elif isinstance(data, list | tuple):
        for place, value in enumerate(data):
            yield from _unstorable(value, f"{path}[{place}]")
