"""The filters of Nunjucks, as Backstage's engine has them, and Backstage's own."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Mapping
from functools import cmp_to_key
from html import escape as escape_html
from urllib.parse import quote

from portal_actions_plugin.software_templates.expressions import filters as strict
from portal_actions_plugin.software_templates.expressions.limits import SandboxError, fits
from portal_actions_plugin.software_templates.nunjucks.javascript import (
    EXACT,
    SPACE,
    UNDEFINED,
    JavaScriptError,
    SafeText,
    add,
    integer,
    is_nothing,
    is_number,
    joined,
    json_text,
    order,
    rounded,
    strictly_equal,
    tidy,
    to_number,
    to_text,
    truthy,
    written,
)
from portal_actions_plugin.software_templates.nunjucks.lookups import lookup, lookup_path
from portal_actions_plugin.software_templates.nunjucks.tests import TESTS

Keywords = Mapping[str, object]
Filter = Callable[[object, list[object], Keywords], object]
_MAX_PADDING = 10_000
_MAX_TAGGED = 20_000
_FLOAT = re.compile(r"\s*([-+]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?))")


def _given(positional: list[object], index: int) -> object:
    return positional[index] if index < len(positional) else UNDEFINED


def _named(positional: list[object], keyword: Keywords, index: int, name: str) -> object:
    return keyword.get(name, _given(positional, index))


def _text(value: object) -> str:
    """The text that a filter takes; null, undefined and false are an empty one."""
    if is_nothing(value) or value is False:
        return ""
    return _only_text(value)


def _only_text(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    raise JavaScriptError("it takes a text only")


def _as_safe(value: object, made: str) -> str:
    return SafeText(made) if isinstance(value, SafeText) else made


def _items(value: object) -> list[object] | None:
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


def _required(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise JavaScriptError(f"{what} takes a list")
    return value


def _not_nothing(value: object, what: str) -> object:
    if is_nothing(value):
        raise JavaScriptError(f"{what} takes a value that is there")
    return value


def _default(value: object, positional: list[object], keyword: Keywords) -> object:
    if truthy(_named(positional, keyword, 1, "boolean")):
        return value if truthy(value) else _given(positional, 0)
    return _given(positional, 0) if value is UNDEFINED else value


def _capitalize(value: object, _positional: list[object], _keyword: Keywords) -> object:
    text = _text(value).lower()
    return _as_safe(value, text[:1].upper() + text[1:])


def _title(value: object, _positional: list[object], _keyword: Keywords) -> object:
    words = _text(value).split(" ")
    return _as_safe(value, " ".join(word[:1].upper() + word[1:].lower() for word in words))


def _spaces(number: float) -> str:
    if math.isnan(number) or number <= 0:
        return ""
    if number > _MAX_PADDING:
        raise SandboxError(f"it puts more than {_MAX_PADDING:,} spaces in a row")
    return " " * math.ceil(number)


def _center(value: object, positional: list[object], _keyword: Keywords) -> object:
    width = _given(positional, 0) if truthy(_given(positional, 0)) else 80
    value = "" if is_nothing(value) or value is False else value
    length = lookup(value, "length")
    if order(length, width) >= 0:
        return value
    missing = to_number(width) - to_number(length)
    text = to_text(value)
    return _as_safe(value, joined(_spaces(missing / 2 - missing % 2), text, _spaces(missing / 2)))


def _batch(value: object, positional: list[object], _keyword: Keywords) -> object:
    width = integer(_given(positional, 0))
    if not 0 < width <= EXACT:
        raise JavaScriptError("batch takes the number of items in a row")
    items = _items(_not_nothing(value, "batch")) or []
    rows: list[object] = [items[at : at + int(width)] for at in range(0, len(items), int(width))]
    last = rows[-1] if rows else None
    if isinstance(last, list) and truthy(_given(positional, 1)):
        fits(int(width))
        last.extend([_given(positional, 1)] * (int(width) - len(last)))
    return rows


def _slice(value: object, positional: list[object], _keyword: Keywords) -> object:
    count, fill = integer(_given(positional, 0)), _given(positional, 1)
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


def _dictsort(value: object, positional: list[object], _keyword: Keywords) -> object:
    by = _given(positional, 1)
    if not isinstance(value, dict) or by not in (UNDEFINED, "key", "value"):
        raise JavaScriptError("dictsort takes an object, and sorts by key or value")
    index = 1 if by == "value" else 0
    sensitive = truthy(_given(positional, 0))

    def key(pair: list[object]) -> object:
        one = pair[index]
        return one.upper() if isinstance(one, str) and not sensitive else one

    def compare(left: list[object], right: list[object]) -> int:
        one, other = key(left), key(right)
        return 1 if order(one, other) > 0 else 0 if strictly_equal(one, other) else -1

    return sorted(([name, item] for name, item in value.items()), key=cmp_to_key(compare))


def _edge(index: int) -> Filter:
    def edge(value: object, _positional: list[object], _keyword: Keywords) -> object:
        found = _items(_not_nothing(value, "first or last"))
        return found[index] if found else UNDEFINED

    return edge


def _length(value: object, _positional: list[object], _keyword: Keywords) -> object:
    if isinstance(value, str | list | dict):
        return len(value)
    return 0 if is_nothing(value) or value is False else UNDEFINED


def _list(value: object, _positional: list[object], _keyword: Keywords) -> object:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [*value]
    if isinstance(value, dict):
        return [{"key": name, "value": item} for name, item in value.items()]
    raise JavaScriptError("list takes a list, a text or an object")


def _dump(value: object, positional: list[object], _keyword: Keywords) -> object:
    spaces = _given(positional, 0)
    if isinstance(spaces, str):
        indent = spaces[:10]
    else:
        indent = " " * int(min(max(integer(spaces), 0), 10)) if is_number(spaces) else ""
    found = json_text(value, indent)
    return UNDEFINED if found is None else found


def _float(value: object, positional: list[object], _keyword: Keywords) -> object:
    found = _FLOAT.match(to_text(value).lstrip(SPACE))
    return tidy(float(found[1].replace("Infinity", "inf"))) if found else _given(positional, 0)


def _int(value: object, positional: list[object], keyword: Keywords) -> object:
    base = _named(positional, keyword, 1, "base")
    radix = 10 if base is UNDEFINED else int(integer(base))
    found = _parsed_int(to_text(value).strip(SPACE), radix)
    return _named(positional, keyword, 0, "default") if found is None else found


def _parsed_int(text: str, radix: int) -> int | float | None:
    sign = -1 if text.startswith("-") else 1
    text = text[1:] if text[:1] in {"-", "+"} else text
    if radix in {0, 16} and text[:2].lower() == "0x":
        text, radix = text[2:], 16
    radix = radix or 10
    if not 2 <= radix <= 36:
        return None
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"[:radix]
    read = re.match(f"[{digits}]*", text, re.IGNORECASE)
    if read is None or not read[0]:
        return None
    if len(read[0]) > 400:
        raise SandboxError("it makes a number that is too long")
    return tidy(sign * to_number(float(int(read[0], radix))))


def _reverse(value: object, _positional: list[object], _keyword: Keywords) -> object:
    if isinstance(value, str):
        return _as_safe(value, value[::-1])
    return (_items(value) or [])[::-1]


def _join(value: object, positional: list[object], _keyword: Keywords) -> object:
    separator = to_text(_given(positional, 0)) if truthy(_given(positional, 0)) else ""
    attribute = _given(positional, 1)
    items = [*_attributes(value, attribute)] if truthy(attribute) else _required(value, "join")
    parts = ["" if is_nothing(item) else to_text(item) for item in items]
    fits(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def _sum(value: object, positional: list[object], _keyword: Keywords) -> object:
    attribute, start = _given(positional, 0), _given(positional, 1)
    items = _attributes(value, attribute) if truthy(attribute) else _required(value, "sum")
    total: object = 0
    for item in items:
        total = add(total, item)
    return add(0 if start is UNDEFINED else start, total)


def _attributes(value: object, attribute: object) -> list[object]:
    found = []
    for item in _items(value) or []:
        if is_nothing(item):
            raise JavaScriptError("an item is nothing, and has no attribute")
        found.append(lookup(item, to_text(attribute)))
    return found


def _sort(value: object, positional: list[object], keyword: Keywords) -> object:
    items = _items(value)
    if items is None:
        return []
    sign = -1 if truthy(_named(positional, keyword, 0, "reverse")) else 1
    sensitive = truthy(_named(positional, keyword, 1, "case_sensitive"))
    path = _named(positional, keyword, 2, "attribute")

    def key(item: object) -> object:
        one = lookup_path(item, path)
        return one.lower() if isinstance(one, str) and not sensitive else one

    def compare(left: object, right: object) -> int:
        found = order(key(left), key(right))
        return 0 if math.isnan(found) else sign * int(found)

    there = [item for item in items if item is not UNDEFINED]
    return [*sorted(there, key=cmp_to_key(compare)), *[UNDEFINED] * (len(items) - len(there))]


def _groupby(value: object, positional: list[object], _keyword: Keywords) -> object:
    groups: dict[str, object] = {}
    for item in _items(_not_nothing(value, "groupby")) or []:
        group = groups.setdefault(to_text(lookup_path(item, _given(positional, 0))), [])
        if isinstance(group, list):
            group.append(item)
    return groups


def _selecting_by_attribute(wanted: bool) -> Filter:  # noqa: FBT001 which of the two filters it is
    def select(value: object, positional: list[object], _keyword: Keywords) -> object:
        attribute = to_text(_given(positional, 0))
        items = _required(value, "selectattr or rejectattr")
        if any(is_nothing(item) for item in items):
            raise JavaScriptError("an item is nothing, and has no attribute")
        return [item for item in items if truthy(lookup(item, attribute)) is wanted]

    return select


def _selecting(wanted: bool) -> Filter:  # noqa: FBT001 which of the two filters it is
    def select(value: object, positional: list[object], _keyword: Keywords) -> object:
        name = "truthy" if _given(positional, 0) is UNDEFINED else to_text(positional[0])
        if name not in TESTS:
            raise JavaScriptError(f"there is no test {name!r}")
        items = _items(_not_nothing(value, "select or reject")) or []
        return [item for item in items if TESTS[name](item, positional[1:]) is wanted]

    return select


def _indent(value: object, positional: list[object], _keyword: Keywords) -> object:
    text = _text(value)
    if not text:
        return _as_safe(value, "")
    width, first = _given(positional, 0), truthy(_given(positional, 1))
    spaces = _spaces(to_number(width if truthy(width) else 4))
    lines = text.split("\n")
    fits(len(text) + len(lines) * len(spaces))
    return _as_safe(value, "\n".join([(spaces if first else "") + lines[0], *(spaces + line for line in lines[1:])]))


def _replace(value: object, positional: list[object], _keyword: Keywords) -> object:
    searched, replacement = _given(positional, 0), _given(positional, 1)
    if not isinstance(searched, str) and not is_number(searched):
        return value
    if not isinstance(value, str) and not is_number(value):
        return value
    text, needle, new = to_text(value), to_text(searched), to_text(replacement)
    count = _given(positional, 2)
    if not needle:
        between = "," if replacement is UNDEFINED else new
        fits(len(text) * (1 + len(between)) + 2 * len(new))
        return _as_safe(value, new + between.join(text) + new)
    if needle not in text or (is_number(count) and count == 0):
        return value if isinstance(value, str) else text
    limit = -1 if count is UNDEFINED or count == -1 else math.ceil(max(to_number(count), 0)) if is_number(count) else 0
    times = text.count(needle) if limit < 0 else min(limit, text.count(needle))
    fits(len(text) + times * max(0, len(new) - len(needle)))
    return _as_safe(value, text.replace(needle, new, times))


def _round(value: object, positional: list[object], _keyword: Keywords) -> object:
    digits, method = _given(positional, 0), _given(positional, 1)
    places = to_number(digits if truthy(digits) else 0)
    if not abs(places) <= 300:
        return math.nan
    factor = 10.0**places
    how: Callable[[float], float] = {"ceil": math.ceil, "floor": math.floor}.get(
        method if isinstance(method, str) else "", rounded
    )
    number = to_number(value) * factor
    return tidy((how(number) if math.isfinite(number) else number) / factor)


def _string(value: object, _positional: list[object], _keyword: Keywords) -> object:
    _not_nothing(value, "string")
    return value if isinstance(value, SafeText) else written(value)


def _truncate(value: object, positional: list[object], _keyword: Keywords) -> object:
    value = "" if is_nothing(value) or value is False else value
    wanted = _given(positional, 0) if truthy(_given(positional, 0)) else 255
    if order(lookup(value, "length"), wanted) <= 0:
        return value
    text, length = _only_text(value), to_number(wanted)
    cut = int(max(length, 0)) if math.isfinite(length) else 0
    if not truthy(_given(positional, 1)):
        at = text.rfind(" ", 0, cut + 1)
        cut = cut if at < 0 else at
    end = _given(positional, 2)
    return _as_safe(value, joined(text[:cut], "..." if is_nothing(end) else to_text(end)))


def _encoded(value: object) -> str:
    return quote(to_text(value), safe="!*'()")


def _urlencode(value: object, _positional: list[object], _keyword: Keywords) -> object:
    if isinstance(value, str):
        return _encoded(value)
    if isinstance(value, dict):
        return "&".join(f"{_encoded(name)}={_encoded(item)}" for name, item in value.items())
    pairs = value if isinstance(value, list) else []
    if any(is_nothing(pair) for pair in pairs):
        raise JavaScriptError("urlencode takes pairs")
    return "&".join(f"{_encoded(lookup(pair, '0'))}={_encoded(lookup(pair, '1'))}" for pair in pairs)


def _wordcount(value: object, _positional: list[object], _keyword: Keywords) -> object:
    return len(re.findall(r"\w+", _text(value), re.ASCII)) or None


def _striptags(value: object, positional: list[object], _keyword: Keywords) -> object:
    if len(_text(value)) > _MAX_TAGGED:  # looking for the end of a tag takes the square of its length
        raise SandboxError(f"striptags takes at most {_MAX_TAGGED:,} characters")
    text = re.sub(r"<\/?([a-z][a-z0-9]*)\b[^>]*>|<!--[\s\S]*?-->", "", _text(value), flags=re.IGNORECASE).strip(SPACE)
    if truthy(_given(positional, 0)):
        text = re.sub(r"^ +| +$", "", text, flags=re.MULTILINE)
        text = re.sub(r"\n{3,}", "\n\n", re.sub(r" +", " ", text).replace("\r\n", "\n"))
    else:
        text = re.sub(r"\s+", " ", text)
    return _as_safe(value, text)


def _escape(value: object, _positional: list[object], _keyword: Keywords) -> object:
    if isinstance(value, SafeText):
        return value
    escaped = escape_html(written(value)).replace("&#x27;", "&#39;").replace("`", "&#96;")
    fits(len(escaped))
    return SafeText(escaped)


def _pick(value: object, positional: list[object], _keyword: Keywords) -> object:
    """What a path such as ``a.b[0]`` leads to."""
    path = re.sub(r"\[(\w+)\]", r".\1", to_text(_given(positional, 0)))
    found = value
    for key in path.split("."):
        found = lookup(found, key)
    return _given(positional, 1) if found is UNDEFINED else found


def _as_at_home(function: Callable[..., object]) -> Filter:
    """A filter of Backstage that reads a text, and throws for what it cannot read."""

    def read(value: object, positional: list[object], _keyword: Keywords) -> object:
        return function(value, *positional)

    return read


FILTERS: dict[str, Filter] = {
    "abs": lambda value, _positional, _keyword: tidy(abs(to_number(value))),
    "batch": _batch,
    "capitalize": _capitalize,
    "center": _center,
    "d": _default,
    "default": _default,
    "dictsort": _dictsort,
    "dump": _dump,
    "e": _escape,
    "escape": _escape,
    "first": _edge(0),
    "float": _float,
    "forceescape": lambda value, positional, keyword: _escape(written(value), positional, keyword),
    "groupby": _groupby,
    "indent": _indent,
    "int": _int,
    "join": _join,
    "last": _edge(-1),
    "length": _length,
    "list": _list,
    "lower": lambda value, _positional, _keyword: _as_safe(value, _text(value).lower()),
    "nl2br": lambda value, _positional, _keyword: _as_safe(
        value, re.sub(r"\r\n|\n", "<br />\n", "" if is_nothing(value) else _only_text(value))
    ),
    "parseEntityRef": _as_at_home(strict.parse_entity_ref),
    "parseRepoUrl": _as_at_home(strict.parse_repo_url),
    "pick": _pick,
    "projectSlug": _as_at_home(strict.project_slug),
    "random": lambda value, _positional, _keyword: (
        random.choice(items) if (items := _items(_not_nothing(value, "random"))) else UNDEFINED
    ),
    "reject": _selecting(wanted=False),
    "rejectattr": _selecting_by_attribute(wanted=False),
    "replace": _replace,
    "reverse": _reverse,
    "round": _round,
    "safe": lambda value, _positional, _keyword: SafeText(written(value)),
    "select": _selecting(wanted=True),
    "selectattr": _selecting_by_attribute(wanted=True),
    "slice": _slice,
    "sort": _sort,
    "string": _string,
    "striptags": _striptags,
    "sum": _sum,
    "title": _title,
    "trim": lambda value, _positional, _keyword: _as_safe(value, _only_text(value).strip(SPACE)),
    "truncate": _truncate,
    "upper": lambda value, _positional, _keyword: _as_safe(value, _text(value).upper()),
    "urlencode": _urlencode,
    "wordcount": _wordcount,
}
"""By name. Each takes the value, what it is given in order, and what it is given by name."""
