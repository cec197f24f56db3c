"""Values as JavaScript's ``JSON.stringify`` writes them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from portal_actions_plugin.software_templates.expressions.limits import MAX_DEPTH, SandboxError
from portal_actions_plugin.software_templates.nunjucks.javascript import (
    UNDEFINED,
    JavaScriptError,
    entries,
    is_number,
    number_text,
    to_number,
    together,
)
from portal_actions_plugin.software_templates.nunjucks.patterns import RegularExpression


def json_text(value: object, indent: str = "") -> str | None:
    """``JSON.stringify(value, null, indent)``: None for undefined.

    Raises:
        JavaScriptError: a function is in it.
        SandboxError: it is too large or too deep.
    """
    if value is UNDEFINED:
        return None
    return together(_json(value, indent, "\n", 0))


def _json(value: object, indent: str, line: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise SandboxError(f"it makes a value nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        items = [_json(item, indent, line + indent, depth + 1) for item in value]
        yield from _bracketed("[", items, "]", indent, line)
    elif isinstance(value, dict):
        pairs = [(key, item) for key, item in entries(value) if item is not UNDEFINED]
        space = " " if indent else ""
        parts = [_pair(key, space, _json(item, indent, line + indent, depth + 1)) for key, item in pairs]
        yield from _bracketed("{", parts, "}", indent, line)
    elif isinstance(value, str):
        yield json.dumps(value, ensure_ascii=False)
    elif is_number(value) and isinstance(value, int | float):
        yield number_text(value) if math.isfinite(to_number(value)) else "null"
    elif value is None or value is UNDEFINED:
        yield "null"
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, RegularExpression):
        yield "{}"
    else:
        raise JavaScriptError("a function is no value: call it with ()")


def _pair(key: str, space: str, value: Iterator[str]) -> Iterator[str]:
    yield f"{json.dumps(key, ensure_ascii=False)}:{space}"
    yield from value


def _bracketed(opened: str, parts: list[Iterator[str]], closed: str, indent: str, line: str) -> Iterator[str]:
    yield opened
    for index, part in enumerate(parts):
        yield ("," if index else "") + (line + indent if indent else "")
        yield from part
    yield (line if indent and parts else "") + closed
