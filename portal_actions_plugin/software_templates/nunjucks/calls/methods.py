"""What may be called on a value: the methods of JavaScript's texts, numbers and lists that templates use."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import cmp_to_key

from portal_actions_plugin.software_templates.expressions.limits import fits
from portal_actions_plugin.software_templates.nunjucks.calls.lookups import lookup
from portal_actions_plugin.software_templates.nunjucks.calls.number_methods import OF_NUMBERS
from portal_actions_plugin.software_templates.nunjucks.javascript import (
    SPACE,
    UNDEFINED,
    Function,
    JavaScriptError,
    integer,
    is_nothing,
    is_number,
    joined,
    strictly_equal,
    to_number,
    to_text,
    truthy,
)
from portal_actions_plugin.software_templates.nunjucks.patterns import RegularExpression

Arguments = list[object]
_MANY = 100
_IN_REPLACEMENT = re.compile(r"(\$[$&`'])")

MUTATING = frozenset({"push", "pop", "shift", "unshift", "splice", "sort", "reverse", "fill", "copyWithin"})
"""These change the list that they are called on."""


class Method(Function):
    """A method of one value."""

    def __init__(self, name: str, value: object) -> None:
        self._name = name
        self._value = value

    def __call__(self, positional: Arguments, keyword: dict[str, object]) -> object:
        """Call it; raises JavaScriptError for arguments that it does not take."""
        least, most, call = _methods_of(self._value)[self._name]
        if keyword or not least <= len(positional) <= most:
            raise JavaScriptError(f"{self._name} takes {least if least == most else f'{least} to {most}'} arguments")
        missing = 0 if most == _MANY else 3 - len(positional)
        return call(self._value, [*positional, *[UNDEFINED] * missing])


def method(value: object, name: str) -> Method | None:
    """The method of a value; None when there is none."""
    return Method(name, value) if name in _methods_of(value) else None


def _methods_of(value: object) -> Mapping[str, tuple[int, int, Callable[..., object]]]:
    if isinstance(value, str):
        return OF_TEXTS
    if isinstance(value, list):
        return OF_LISTS
    if isinstance(value, RegularExpression):
        return _OF_PATTERNS
    return OF_NUMBERS if is_number(value) else {}


def _index(value: object, length: int, default: int) -> int:
    """Where a ``slice`` begins or ends: from the end when it is negative."""
    if value is UNDEFINED:
        return default
    at = integer(value)
    return int(max(length + at, 0) if at < 0 else min(at, length))


def _bound(value: object, length: int, default: int) -> int:
    """A place in a text: 0 when it is negative."""
    return default if value is UNDEFINED else int(min(max(integer(value), 0), length))


def _slice(value: str | list[object], given: Arguments) -> str | list[object]:
    length = len(value)
    return value[_index(given[0], length, 0) : _index(given[1], length, length)]


def _substring(text: str, given: Arguments) -> str:
    one, other = _bound(given[0], len(text), 0), _bound(given[1], len(text), len(text))
    return text[min(one, other) : max(one, other)]


def _split(text: str, given: Arguments) -> list[object]:
    limit = None if given[1] is UNDEFINED else int(integer(given[1])) & 0xFFFFFFFF
    if given[0] is UNDEFINED:
        parts: list[object] = [text]
    elif isinstance(given[0], RegularExpression):
        parts = given[0].split(text)
    else:
        separator = to_text(given[0])
        parts = [*(text.split(separator) if separator else text)]
    fits(len(parts))
    return parts[:limit]


def _replace(text: str, given: Arguments) -> str:
    """The first one only, but for a regular expression with ``g``."""
    if isinstance(given[0], RegularExpression):
        return given[0].replace(text, to_text(given[1]))
    searched, replacement = to_text(given[0]), to_text(given[1])
    at = text.find(searched)
    if at < 0:
        return text
    before, after = text[:at], text[at + len(searched) :]
    parts = {"$$": "$", "$&": searched, "$`": before, "$'": after}
    pieces = [parts.get(piece, piece) for piece in _IN_REPLACEMENT.split(replacement)]
    return joined(before, *pieces, after)


def _ends_with(text: str, given: Arguments) -> bool:
    return text[: _bound(given[1], len(text), len(text))].endswith(to_text(given[0]))


def _last_index(text: str, given: Arguments) -> int:
    searched = to_text(given[0])
    at = to_number(given[1])
    last = len(text) if math.isnan(at) else int(min(max(at, 0), len(text)))
    return text.rfind(searched, 0, last + len(searched))


def _char(text: str, given: Arguments) -> str:
    at = integer(given[0])
    return text[int(at)] if 0 <= at < len(text) else ""


def _char_code(text: str, given: Arguments) -> float:
    found = _char(text, given)
    return ord(found) if found else math.nan


def _includes(items: list[object], given: Arguments) -> bool:
    def same(item: object) -> bool:
        numbers = isinstance(item, float) and isinstance(given[0], float)
        return strictly_equal(item, given[0]) or (numbers and item != item and given[0] != given[0])  # noqa: PLR0124

    return any(same(item) for item in items[_index(given[1], len(items), 0) :])


def _position(items: list[object], given: Arguments) -> int:
    start = _index(given[1], len(items), 0)
    return next((at for at in range(start, len(items)) if strictly_equal(items[at], given[0])), -1)


def _last_position(items: list[object], given: Arguments) -> int:
    at = len(items) - 1 if given[1] is UNDEFINED else integer(given[1])
    last = int(min(at + len(items) if at < 0 else at, len(items) - 1))
    return next((at for at in range(last, -1, -1) if strictly_equal(items[at], given[0])), -1)


def _join(items: list[object], given: Arguments) -> str:
    separator = "," if given[0] is UNDEFINED else to_text(given[0])
    parts = ["" if is_nothing(item) else to_text(item) for item in items]
    fits(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def _at(items: list[object], given: Arguments) -> object:
    at = integer(given[0])
    at += len(items) if at < 0 else 0
    return items[int(at)] if 0 <= at < len(items) else UNDEFINED


def _concat(items: list[object], given: Arguments) -> list[object]:
    found = [*items]
    for part in given:
        found += part if isinstance(part, list) else [part]
    fits(len(found))
    return found


def _flat(items: list[object], given: Arguments) -> list[object]:
    depth = 1 if given[0] is UNDEFINED else int(min(integer(given[0]), _MANY))
    found: list[object] = []
    for item in items:
        found += _flat(item, [depth - 1, UNDEFINED]) if depth > 0 and isinstance(item, list) else [item]
        fits(len(found))
    return found


def _push(items: list[object], given: Arguments) -> int:
    items += given
    fits(len(items))
    return len(items)


def _unshift(items: list[object], given: Arguments) -> int:
    items[:0] = given
    fits(len(items))
    return len(items)


def _pop(items: list[object], _given: Arguments) -> object:
    return items.pop() if items else UNDEFINED


def _shift(items: list[object], _given: Arguments) -> object:
    return items.pop(0) if items else UNDEFINED


def _reverse(items: list[object], _given: Arguments) -> list[object]:
    items.reverse()
    return items


def _sort(items: list[object], _given: Arguments) -> list[object]:
    """By their texts: 10 comes before 9."""
    items.sort(key=cmp_to_key(lambda one, other: (to_text(one) > to_text(other)) - (to_text(one) < to_text(other))))
    return items


def _splice(items: list[object], given: Arguments) -> list[object]:
    """Take items out, and put what else is given in their place."""
    if not given or given[0] is UNDEFINED:
        return []
    start = _index(given[0], len(items), 0)
    has_count = len(given) > 1 and given[1] is not UNDEFINED
    count = max(0, int(min(integer(given[1]), len(items)))) if has_count else len(items)
    removed = items[start : start + count]
    new = given[2:] if has_count else []
    items[start : start + count] = new
    fits(len(items))
    return removed


def _fill(items: list[object], given: Arguments) -> list[object]:
    start, stop = _index(given[1], len(items), 0), _index(given[2], len(items), len(items))
    items[start:stop] = [given[0]] * max(0, stop - start)
    return items


def _copy_within(items: list[object], given: Arguments) -> list[object]:
    target = _index(given[0], len(items), 0)
    moved = items[_index(given[1], len(items), 0) : _index(given[2], len(items), len(items))]
    moved = moved[: len(items) - target]
    items[target : target + len(moved)] = moved
    return items


OF_TEXTS: Mapping[str, tuple[int, int, Callable[..., object]]] = {
    "charAt": (0, 1, _char),
    "charCodeAt": (0, 1, _char_code),
    "concat": (0, _MANY, lambda text, given: joined(text, *map(to_text, given))),
    "endsWith": (1, 2, _ends_with),
    "includes": (1, 2, lambda text, given: to_text(given[0]) in text[_bound(given[1], len(text), 0) :]),
    "indexOf": (1, 2, lambda text, given: text.find(to_text(given[0]), _bound(given[1], len(text), 0))),
    "lastIndexOf": (1, 2, _last_index),
    "replace": (2, 2, _replace),
    "slice": (0, 2, _slice),
    "split": (0, 2, _split),
    "startsWith": (1, 2, lambda text, given: text.startswith(to_text(given[0]), _bound(given[1], len(text), 0))),
    "substring": (0, 2, _substring),
    "toLowerCase": (0, 0, lambda text, _given: text.lower()),
    "toUpperCase": (0, 0, lambda text, _given: text.upper()),
    "trim": (0, 0, lambda text, _given: text.strip(SPACE)),
    "trimEnd": (0, 0, lambda text, _given: text.rstrip(SPACE)),
    "trimStart": (0, 0, lambda text, _given: text.lstrip(SPACE)),
}
_OF_PATTERNS: Mapping[str, tuple[int, int, Callable[..., object]]] = {
    "test": (1, 1, lambda pattern, given: pattern.test(to_text(given[0]))),
}
OF_LISTS: Mapping[str, tuple[int, int, Callable[..., object]]] = {
    "at": (1, 1, _at),
    "copyWithin": (1, 3, _copy_within),
    "fill": (1, 3, _fill),
    "concat": (0, _MANY, _concat),
    "flat": (0, 1, _flat),
    "includes": (1, 2, _includes),
    "indexOf": (1, 2, _position),
    "join": (0, 1, _join),
    "lastIndexOf": (1, 2, _last_position),
    "pop": (0, 0, _pop),
    "push": (0, _MANY, _push),
    "reverse": (0, 0, _reverse),
    "shift": (0, 0, _shift),
    "slice": (0, 2, _slice),
    "sort": (0, 0, _sort),
    "splice": (0, _MANY, _splice),
    "unshift": (0, _MANY, _unshift),
}


def slice_of(target: object, start: object, stop: object, step: object) -> list[object]:
    """``target[start:stop:step]``, with JavaScript's arithmetic; null stands for what is not written.

    Raises:
        JavaScriptError: the step is zero or no number, or the slice has no end.
    """
    target = target if truthy(target) else []
    length, by = to_number(lookup(target, "length")), to_number(step)
    if by == 0 or not math.isfinite(by):
        raise JavaScriptError("the step of a slice is a number other than 0")
    begin = (length - 1 if by < 0 else 0.0) if start is None else to_number(start)
    end = (-1.0 if by < 0 else length) if stop is None else to_number(stop)
    begin += length if begin < 0 else 0
    end += length if end < 0 and stop is not None else 0
    if math.isnan(begin) or math.isnan(end):
        raise JavaScriptError("a slice is taken of a list or a text")
    found: list[object] = []
    while begin >= 0 and not begin > length and (begin < end if by > 0 else begin > end):
        found.append(lookup(target, to_text(begin)))
        begin += by
        fits(len(found))
    return found
