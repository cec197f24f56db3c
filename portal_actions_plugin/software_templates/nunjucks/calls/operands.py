"""What filters are given: the value, what follows in order, and what is given by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from portal_actions_plugin.software_templates.expressions.limits import SandboxError, fits
from portal_actions_plugin.software_templates.nunjucks.javascript import (
    EXACT,
    UNDEFINED,
    JavaScriptError,
    SafeText,
    is_nothing,
    to_number,
)

Keywords = Mapping[str, object]
Filter = Callable[[object, list[object], Keywords], object]
_MAX_PADDING = 10_000


def given(positional: list[object], index: int) -> object:
    return positional[index] if index < len(positional) else UNDEFINED


def named(positional: list[object], keyword: Keywords, index: int, name: str) -> object:
    return keyword.get(name, given(positional, index))


def text_of(value: object) -> str:
    """The text that a filter takes; null, undefined and false are an empty one."""
    if is_nothing(value) or value is False:
        return ""
    return only_text(value)


def only_text(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    raise JavaScriptError("it takes a text only")


def as_safe(value: object, made: str) -> str:
    return SafeText(made) if isinstance(value, SafeText) else made


def items_of(value: object) -> list[object] | None:
    """The items of a list, the characters of a text, and what an object with a length has at its indexes."""
    if isinstance(value, list):
        return [*value]
    if isinstance(value, str):
        return [*value]
    if isinstance(value, dict):
        length = to_number(value.get("length", UNDEFINED))
        if math.isnan(length) or length <= 0:
            return []
        fits(int(min(length, EXACT)))
        return [value.get(str(index), UNDEFINED) for index in range(math.ceil(length))]
    return None


def required(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise JavaScriptError(f"{what} takes a list")
    return value


def not_nothing(value: object, what: str) -> object:
    if is_nothing(value):
        raise JavaScriptError(f"{what} takes a value that is there")
    return value


def spaces_of(number: float) -> str:
    if math.isnan(number) or number <= 0:
        return ""
    if number > _MAX_PADDING:
        raise SandboxError(f"it puts more than {_MAX_PADDING:,} spaces in a row")
    return " " * math.ceil(number)
