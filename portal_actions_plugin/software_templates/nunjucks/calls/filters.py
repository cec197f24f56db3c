"""The filters of Nunjucks, as Backstage's engine has them, and Backstage's own, by name."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable

from portal_actions_plugin.software_templates.expressions import filters as strict
from portal_actions_plugin.software_templates.expressions.limits import SandboxError
from portal_actions_plugin.software_templates.nunjucks.as_json import json_text
from portal_actions_plugin.software_templates.nunjucks.calls import list_filters as lists
from portal_actions_plugin.software_templates.nunjucks.calls import text_filters as texts
from portal_actions_plugin.software_templates.nunjucks.calls.lookups import lookup
from portal_actions_plugin.software_templates.nunjucks.calls.operands import (
    Filter,
    Keywords,
    as_safe,
    given,
    items_of,
    named,
    not_nothing,
    only_text,
    text_of,
)
from portal_actions_plugin.software_templates.nunjucks.javascript import (
    SPACE,
    UNDEFINED,
    JavaScriptError,
    SafeText,
    integer,
    is_nothing,
    is_number,
    rounded,
    tidy,
    to_number,
    to_text,
    truthy,
    written,
)

_PART_OF_PATH = re.compile(
    r"[^.\[\]]+|\[(?:(?P<index>-?[0-9]+(?:\.[0-9]+)?)|(?P<mark>[\"'])(?P<quoted>(?:(?!(?P=mark))[^\\]|\\.)*?)(?P=mark))\]"
    r"|(?=(?:\.|\[\])(?:\.|\[\]|\Z))",
    re.DOTALL,
)
_FLOAT = re.compile(r"\s*([-+]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?))")


def _default(value: object, positional: list[object], keyword: Keywords) -> object:
    if truthy(named(positional, keyword, 1, "boolean")):
        return value if truthy(value) else given(positional, 0)
    return given(positional, 0) if value is UNDEFINED else value


def _dump(value: object, positional: list[object], _keyword: Keywords) -> object:
    spaces = given(positional, 0)
    if isinstance(spaces, str):
        indent = spaces[:10]
    else:
        indent = " " * int(min(max(integer(spaces), 0), 10)) if is_number(spaces) else ""
    found = json_text(value, indent)
    return UNDEFINED if found is None else found


def _float(value: object, positional: list[object], _keyword: Keywords) -> object:
    found = _FLOAT.match(to_text(value).lstrip(SPACE))
    return tidy(float(found[1].replace("Infinity", "inf"))) if found else given(positional, 0)


def _int(value: object, positional: list[object], keyword: Keywords) -> object:
    base = named(positional, keyword, 1, "base")
    radix = 10 if base is UNDEFINED else int(integer(base))
    found = _parsed_int(to_text(value).strip(SPACE), radix)
    return named(positional, keyword, 0, "default") if found is None else found


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


def _round(value: object, positional: list[object], _keyword: Keywords) -> object:
    digits, method = given(positional, 0), given(positional, 1)
    places = to_number(digits if truthy(digits) else 0)
    if not abs(places) <= 300:
        return math.nan
    factor = 10.0**places
    how: Callable[[float], float] = {"ceil": math.ceil, "floor": math.floor}.get(
        method if isinstance(method, str) else "", rounded
    )
    number = to_number(value) * factor
    return tidy((how(number) if math.isfinite(number) else number) / factor)


def _pick(value: object, positional: list[object], _keyword: Keywords) -> object:
    """What a path such as ``a.b[0]`` leads to."""
    path = given(positional, 0)
    keys = [*map(to_text, path)] if isinstance(path, list) else _path(path, value)
    found = value if keys else UNDEFINED
    for key in keys:
        found = lookup(found, key)
    return given(positional, 1) if found is UNDEFINED else found


def _path(path: object, value: object) -> list[str]:
    text = to_text(path)
    if not isinstance(path, str) or lookup(value, text) is not UNDEFINED or not re.search(r"[.\[]", text):
        return [text]
    found = ["" for _ in range(text.startswith("."))]
    for part in _PART_OF_PATH.finditer(text):
        quoted = part["quoted"]
        found.append(part["index"] or part[0] if quoted is None else re.sub(r"\\(\\)?", r"\1", quoted))
    return found


def _as_at_home(function: Callable[..., object]) -> Filter:
    """A filter of Backstage that reads a text, and throws for what it cannot read."""

    def read(value: object, positional: list[object], _keyword: Keywords) -> object:
        try:
            return function(value, *positional)
        except SandboxError as error:  # no limit of the sandbox's: what it takes is short
            raise JavaScriptError(str(error)) from None

    return read


FILTERS: dict[str, Filter] = {
    "abs": lambda value, _positional, _keyword: tidy(abs(to_number(value))),
    "batch": lists.batched,
    "capitalize": texts.capitalized,
    "center": texts.centered,
    "d": _default,
    "default": _default,
    "dictsort": lists.sorted_pairs,
    "dump": _dump,
    "e": texts.escaped,
    "escape": texts.escaped,
    "first": lists.edge(0),
    "float": _float,
    "forceescape": lambda value, positional, keyword: texts.escaped(written(value), positional, keyword),
    "groupby": lists.grouped,
    "indent": texts.indented,
    "int": _int,
    "join": lists.joined_items,
    "last": lists.edge(-1),
    "length": lists.length_of,
    "list": lists.listed,
    "lower": lambda value, _positional, _keyword: as_safe(value, text_of(value).lower()),
    "nl2br": lambda value, _positional, _keyword: as_safe(
        value, re.sub(r"\r\n|\n", "<br />\n", "" if is_nothing(value) else only_text(value))
    ),
    "now": lambda _value, _positional, _keyword: strict.now(),
    "parseEntityRef": _as_at_home(strict.parse_entity_ref),
    "parseRepoUrl": _as_at_home(strict.parse_repo_url),
    "pick": _pick,
    "projectSlug": _as_at_home(strict.project_slug),
    "random": lambda value, _positional, _keyword: (
        random.choice(items) if (items := items_of(not_nothing(value, "random"))) else UNDEFINED
    ),
    "reject": lists.selecting(wanted=False),
    "rejectattr": lists.selecting_by_attribute(wanted=False),
    "replace": texts.replaced,
    "reverse": lists.reversed_items,
    "round": _round,
    "safe": lambda value, _positional, _keyword: SafeText(written(value)),
    "select": lists.selecting(wanted=True),
    "selectattr": lists.selecting_by_attribute(wanted=True),
    "slice": lists.sliced,
    "sort": lists.sorted_items,
    "string": texts.string_of,
    "striptags": texts.without_tags,
    "sum": lists.summed,
    "title": texts.titled,
    "trim": lambda value, _positional, _keyword: as_safe(value, only_text(value).strip(SPACE)),
    "truncate": texts.truncated,
    "upper": lambda value, _positional, _keyword: as_safe(value, text_of(value).upper()),
    "urlencode": texts.url_encoded,
    "urlize": texts.urlized,
    "wordcount": texts.word_count,
}
"""By name. Each takes the value, what it is given in order, and what it is given by name."""
BY_NAME = frozenset({"int", "sort"})
"""These take by name what they take in order. To all others of Nunjucks what has a name is one object more."""
OF_BACKSTAGE = frozenset({"parseEntityRef", "parseRepoUrl", "pick", "projectSlug"})
"""These take nothing by name."""
