"""The values of expressions: what counts as JSON, and how a value is written as text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from jinja2.runtime import ChainableUndefined, Undefined

from portal_actions_plugin.software_templates.expressions.limits import MAX_DEPTH, SandboxError, fits, measured

if TYPE_CHECKING:
    from types import UnionType

    from portal_actions_plugin.run_types import JsonValue


def plain(value: object, depth: int = 0) -> JsonValue:
    """Copy a value as plain JSON types.

    Args:
        value: what an expression gave; lists, tuples and ranges become lists.
        depth: how many lists and objects it lies in.

    Raises:
        SandboxError: a part of it is no JSON value, or lies deeper than ``MAX_DEPTH`` levels.
        jinja2.UndefinedError: a part of it is undefined; says what.
    """
    if depth > MAX_DEPTH:
        raise SandboxError(f"it makes a value nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Undefined):
        value()  # raises the error that says what is undefined; so does every other use of it
    if isinstance(value, Mapping):
        return {_key(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(item, depth + 1) for item in value]
    return _sound(value) if isinstance(value, str) else _plain_scalar(value)


def _sound(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SandboxError("it makes a text with half a character, which nothing can store") from None
    return str(value)


def _plain_scalar(value: object) -> JsonValue:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise SandboxError("it makes a number that JSON does not have")
        return value
    if callable(value):
        raise SandboxError("it gives a function: call it with ()")
    raise SandboxError(f"it gives a {type(value).__name__}, which is no JSON value")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise SandboxError("the keys of an object must be texts")
    return _sound(key)


def text(value: object) -> str:
    """Write a value as text: a text as it is, null as nothing, as in the format, and anything else as JSON.

    So is what a file names that nobody knows, where that is to be nothing: Jinja's chainable undefined.

    Raises:
        SandboxError: it is no JSON value, or too large.
        jinja2.UndefinedError: it is undefined; says what.
    """
    if isinstance(value, str):
        return _sound(value)
    return "" if value is None or isinstance(value, ChainableUndefined) else dump(value)


def dump(value: object, indent: int | None = None) -> str:
    """Write a value as JSON.

    Args:
        value: what an expression gave.
        indent: spaces a level, at most 8; None or 0 writes one line.

    Raises:
        SandboxError: it is no JSON value, or too large.
        jinja2.UndefinedError: it is undefined; says what.
    """
    spaces = min(max(int(indent), 0), 8) if indent else None
    return json.dumps(plain(measured(value)), ensure_ascii=False, indent=spaces)


def concatenated(parts: Iterable[object]) -> str:
    """Join the parts of ``a ~ b``, each written as text; raises SandboxError when it gets too long."""
    return str(measured(joined([text(part) for part in parts], "")))


def text_only(value: object, who: str) -> str:
    """Return a value that must be a text.

    Args:
        value: what a filter was given.
        who: the filter's name, for the error.

    Raises:
        SandboxError: it is anything else; says what.
        jinja2.UndefinedError: it is undefined.
    """
    if isinstance(value, Undefined):
        value()
    if isinstance(value, str):
        return str(value)
    raise SandboxError(f"{who} takes a text, not {kind_of(value)}")


def kind_of(value: object) -> str:
    """What a template author calls a value's type, such as ``a list``."""
    names: tuple[tuple[type | UnionType, str], ...] = (
        (bool, "true or false"),
        (str, "a text"),
        (int | float, "a number"),
        (Mapping, "an object"),
        (list | tuple | range, "a list"),
        (type(None), "null"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "a function or other internal value")


def joined(texts: Sequence[str], separator: str) -> str:
    """Join texts; raises SandboxError, before anything is made, when the result would be too long."""
    fits(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)
