"""Filters of lists and objects."""

from __future__ import annotations

import math
from functools import cmp_to_key

from portal_actions_plugin.software_templates.expressions.limits import fits
from portal_actions_plugin.software_templates.nunjucks.calls.lookups import lookup, lookup_path
from portal_actions_plugin.software_templates.nunjucks.calls.operands import (
    Filter,
    Keywords,
    as_safe,
    given,
    items_of,
    named,
    not_nothing,
    required,
)
from portal_actions_plugin.software_templates.nunjucks.calls.tests import TESTS
from portal_actions_plugin.software_templates.nunjucks.javascript import (
    EXACT,
    UNDEFINED,
    JavaScriptError,
    add,
    entries,
    integer,
    is_nothing,
    order,
    strictly_equal,
    to_text,
    truthy,
)


def batched(value: object, positional: list[object], _keyword: Keywords) -> object:
    width = integer(given(positional, 0))
    if not 0 < width <= EXACT:
        raise JavaScriptError("batch takes the number of items in a row")
    items = items_of(not_nothing(value, "batch")) or []
    rows: list[object] = [items[at : at + int(width)] for at in range(0, len(items), int(width))]
    last = rows[-1] if rows else None
    if isinstance(last, list) and truthy(given(positional, 1)):
        fits(int(width))
        last.extend([given(positional, 1)] * (int(width) - len(last)))
    return rows


def sliced(value: object, positional: list[object], _keyword: Keywords) -> object:
    count, fill = integer(given(positional, 0)), given(positional, 1)
    if not isinstance(value, list | str):
        raise JavaScriptError("slice takes a list or a text")
    if not 0 < count <= EXACT:
        raise JavaScriptError("slice takes the number of parts")
    fits(int(count))
    each, extra = divmod(len(value), int(count))
    parts: list[object] = []
    at = 0
    for index in range(int(count)):
        part = value[at : at + each + (index < extra)]
        at += len(part)
        if truthy(fill) and index >= extra:
            if isinstance(part, str):
                raise JavaScriptError("slice fills up lists only")
            part = [*part, fill]
        parts.append(part)
    return parts


def sorted_pairs(value: object, positional: list[object], _keyword: Keywords) -> object:
    by = given(positional, 1)
    if not isinstance(value, dict) or by not in (UNDEFINED, "key", "value"):
        raise JavaScriptError("dictsort takes an object, and sorts by key or value")
    index = 1 if by == "value" else 0
    sensitive = truthy(given(positional, 0))

    def key(pair: list[object]) -> object:
        one = pair[index]
        return one.upper() if isinstance(one, str) and not sensitive else one

    def compare(left: list[object], right: list[object]) -> int:
        one, other = key(left), key(right)
        return 1 if order(one, other) > 0 else 0 if strictly_equal(one, other) else -1

    return sorted(([name, item] for name, item in entries(value)), key=cmp_to_key(compare))


def edge(index: int) -> Filter:
    def edge(value: object, _positional: list[object], _keyword: Keywords) -> object:
        found = items_of(not_nothing(value, "first or last"))
        return found[index] if found else UNDEFINED

    return edge


def length_of(value: object, _positional: list[object], _keyword: Keywords) -> object:
    if isinstance(value, str | list | dict):
        return len(value)
    return 0 if is_nothing(value) or value is False else UNDEFINED


def listed(value: object, _positional: list[object], _keyword: Keywords) -> object:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [*value]
    if isinstance(value, dict):
        return [{"key": name, "value": item} for name, item in entries(value)]
    raise JavaScriptError("list takes a list, a text or an object")


def reversed_items(value: object, _positional: list[object], _keyword: Keywords) -> object:
    if isinstance(value, str):
        return as_safe(value, value[::-1])
    return (items_of(value) or [])[::-1]


def joined_items(value: object, positional: list[object], _keyword: Keywords) -> object:
    separator = to_text(given(positional, 0)) if truthy(given(positional, 0)) else ""
    attribute = given(positional, 1)
    items = [*attributes_of(value, attribute)] if truthy(attribute) else required(value, "join")
    parts = ["" if is_nothing(item) else to_text(item) for item in items]
    fits(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def summed(value: object, positional: list[object], _keyword: Keywords) -> object:
    attribute, start = given(positional, 0), given(positional, 1)
    items = attributes_of(value, attribute) if truthy(attribute) else required(value, "sum")
    total: object = 0
    for item in items:
        total = add(total, item)
    return add(0 if start is UNDEFINED else start, total)


def attributes_of(value: object, attribute: object) -> list[object]:
    found = []
    for item in items_of(value) or []:
        if is_nothing(item):
            raise JavaScriptError("an item is nothing, and has no attribute")
        found.append(lookup(item, to_text(attribute)))
    return found


def sorted_items(value: object, positional: list[object], keyword: Keywords) -> object:
    items = items_of(value)
    if items is None:
        return []
    sign = -1 if truthy(named(positional, keyword, 0, "reverse")) else 1
    sensitive = truthy(named(positional, keyword, 1, "case_sensitive"))
    path = named(positional, keyword, 2, "attribute")

    def compare(left: object, right: object) -> int:
        one, other = lookup_path(left, path), lookup_path(right, path)
        if isinstance(one, str) and isinstance(other, str) and not sensitive:
            one, other = one.lower(), other.lower()
        found = order(one, other)
        return 0 if math.isnan(found) else sign * int(found)

    there = [item for item in items if item is not UNDEFINED]
    return [*sorted(there, key=cmp_to_key(compare)), *[UNDEFINED] * (len(items) - len(there))]


def grouped(value: object, positional: list[object], _keyword: Keywords) -> object:
    groups: dict[str, object] = {}
    for item in items_of(not_nothing(value, "groupby")) or []:
        group = groups.setdefault(to_text(lookup_path(item, given(positional, 0))), [])
        if isinstance(group, list):
            group.append(item)
    return groups


def selecting_by_attribute(wanted: bool) -> Filter:  # noqa: FBT001 which of the two filters it is
    def select(value: object, positional: list[object], _keyword: Keywords) -> object:
        attribute = to_text(given(positional, 0))
        items = required(value, "selectattr or rejectattr")
        if any(is_nothing(item) for item in items):
            raise JavaScriptError("an item is nothing, and has no attribute")
        return [item for item in items if truthy(lookup(item, attribute)) is wanted]

    return select


def selecting(wanted: bool) -> Filter:  # noqa: FBT001 which of the two filters it is
    def select(value: object, positional: list[object], _keyword: Keywords) -> object:
        name = "truthy" if given(positional, 0) is UNDEFINED else to_text(positional[0])
        if name not in TESTS:
            raise JavaScriptError(f"there is no test {name!r}")
        items = items_of(not_nothing(value, "select or reject")) or []
        return [item for item in items if TESTS[name](item, positional[1:]) is wanted]

    return select
