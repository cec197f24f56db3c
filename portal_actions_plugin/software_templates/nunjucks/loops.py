"""What loops go through."""

from __future__ import annotations

from portal_actions_plugin.software_templates.expressions.limits import MAX_RANGE, SandboxError
from portal_actions_plugin.software_templates.nunjucks import javascript as js
from portal_actions_plugin.software_templates.nunjucks.calls.lookups import lookup
from portal_actions_plugin.software_templates.nunjucks.javascript import UNDEFINED, JavaScriptError, SafeText


def number_range(start: object = UNDEFINED, stop: object = UNDEFINED, step: object = UNDEFINED) -> list[object]:
    if stop is UNDEFINED:
        start, stop, step = 0, start, 1
    by = js.to_number(step) if js.truthy(step) else 1.0
    found: list[object] = []
    at, end = js.to_number(start), js.to_number(stop)
    while at < end if by > 0 else at > end:
        if len(found) == MAX_RANGE:
            raise SandboxError(f"a range has at most {MAX_RANGE:,} numbers")
        found.append(js.tidy(at))
        at += by
    return found


def rounds(value: object, targets: int) -> list[object]:
    """What a loop goes through: pairs of an object when two names are set."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and targets > 1:
        return [[key, item] for key, item in js.entries(value)]
    if isinstance(value, str):
        if isinstance(value, SafeText) and targets > 1:
            return [[one] for one in value]
        return [*value] if targets == 1 else [[str(index), one] for index, one in enumerate(value)]
    return []


def part_of(item: object, index: int) -> object:
    if js.is_nothing(item):
        raise JavaScriptError("an item of the loop is nothing, and has no parts")
    return UNDEFINED if isinstance(item, SafeText) else lookup(item, str(index))


def loop_values(index: int, length: int) -> dict[str, object]:
    return {
        "index": index + 1,
        "index0": index,
        "revindex": length - index,
        "revindex0": length - index - 1,
        "first": index == 0,
        "last": index == length - 1,
        "length": length,
    }
