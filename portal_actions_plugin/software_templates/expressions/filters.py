"""What expressions may call: the filters of the template format, the harmless ones of Jinja, and a few methods."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.tests import TESTS as JINJA_TESTS
from markupsafe import Markup

from portal_actions_plugin.software_templates.expressions.limits import (
    MAX_STRIPPED,
    SandboxError,
    current_budget,
    fits,
    settled,
)
from portal_actions_plugin.software_templates.expressions.values import dump, joined, plain, text, text_only

T = TypeVar("T")


def parse_repo_url(url: object) -> dict[str, str]:
    """Take a repository's URL apart, as the format writes it.

    Args:
        url: a text such as ``github.com?owner=o&repo=r``; an expression may give anything.

    Returns:
        ``host``, and what the text names of ``owner``, ``repo``, ``organization``, ``workspace`` and ``project``.

    Raises:
        SandboxError: it is no text, or has no host, no owner or no repository.
    """
    parts = urlsplit("https://" + text_only(url, "parseRepoUrl"))
    if not parts.hostname:
        raise SandboxError("parseRepoUrl found no host: it takes a text such as github.com?owner=o&repo=r")
    query = parse_qs(parts.query)
    found: dict[str, str] = {
        name: query[name][0].strip("/")
        for name in ("owner", "repo", "organization", "workspace", "project")
        if name in query
    }
    owner = any(found.get(name) for name in ("owner", "organization", "workspace", "project"))
    missing = [] if found.get("repo") or found.get("project") else ["repo"]
    if missing or not owner:
        raise SandboxError(f"parseRepoUrl found no {' and no '.join([*missing, *([] if owner else ['owner'])])}")
    return {"host": parts.hostname + (f":{parts.port}" if parts.port else ""), **found}


def parse_entity_ref(ref: object, context: Mapping[str, object] | None = None) -> dict[str, str]:
    """Take a reference to an entity of the catalog apart.

    Args:
        ref: a text such as ``component:default/x``, or an object with the parts; an expression may give anything.
        context: ``defaultKind`` and ``defaultNamespace``, for a reference without them.

    Returns:
        ``kind``, ``namespace`` and ``name``.

    Raises:
        SandboxError: it is neither, or one of the three is missing.
    """
    defaults = context or {}
    if isinstance(ref, Mapping):
        parts = (ref.get("kind"), ref.get("namespace"), ref.get("name"))
        kind, namespace, name = (None if one is None else text_only(one, "parseEntityRef") for one in parts)
        return _complete(
            kind if kind is not None else str(defaults.get("defaultKind") or ""),
            namespace if namespace is not None else str(defaults.get("defaultNamespace") or "default"),
            name or "",
        )
    whole = text_only(ref, "parseEntityRef")
    before, colon, after = whole.partition(":")
    if not colon or "/" in before:
        before, after = str(defaults.get("defaultKind") or ""), whole
    namespace, slash, name = after.partition("/")
    if not slash:
        namespace, name = str(defaults.get("defaultNamespace") or "default"), after
    return _complete(before, namespace, name)


def _complete(kind: str, namespace: str, name: str) -> dict[str, str]:
    found = {"kind": kind, "namespace": namespace, "name": name}
    if missing := [part for part, value in found.items() if not value]:
        raise SandboxError(f"parseEntityRef found no {missing[0]}: it takes a text such as component:default/name")
    return found


def now() -> int:
    """The time in milliseconds since 1970: ``'' | now``, as a known plugin of Backstage has it."""
    return time.time_ns() // 1_000_000


def project_slug(url: object) -> str:
    """``owner/repo`` of a repository's URL; raises SandboxError for what ``parse_repo_url`` cannot read."""
    found = parse_repo_url(url)
    return f"{found.get('owner', '')}/{found.get('repo', '')}"


def pick(value: Mapping[str, T], key: str) -> T:
    """One part of an object.

    Args:
        value: the object.
        key: the part's name.

    Raises:
        LookupError: it has no such part.
        TypeError: it is no object.
    """
    return value[key]


def _join(items: Iterable[Any], d: object = "", attribute: str | None = None) -> str:
    parts = (item[attribute] for item in items) if attribute else items
    return joined([text(part) for part in parts], text(d))


def _replace(value: object, old: str, new: str, count: int | None = None) -> str:
    whole, new = text(value), text(new)
    found = whole.count(old) if old else len(whole) + 1
    times = found if count is None or count < 0 else min(found, count)
    fits(len(whole) + times * max(0, len(new) - len(old)))
    return whole.replace(old, new, times)


def _indent(value: object, width: int = 4, first: object = False) -> str:  # noqa: FBT002 Jinja's signature
    whole = text(value)
    lines = whole.split("\n")
    fits(len(whole) + len(lines) * width)
    blank = " " * width
    indented = [lines[0], *(blank + line if line else line for line in lines[1:])]
    return (blank if first else "") + "\n".join(indented)


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    if not -15 <= precision <= 15 or method not in {"common", "ceil", "floor"}:
        raise SandboxError("round takes a precision from -15 to 15, and common, ceil or floor")
    if method == "common":
        return round(float(value), precision)
    return float((math.ceil if method == "ceil" else math.floor)(value * 10.0**precision) / 10.0**precision)


def _sum(items: Iterable[Any], attribute: str | None = None, start: float = 0) -> float:
    total = start
    for item in items:
        number = item[attribute] if attribute else item
        if not isinstance(number, int | float) or not isinstance(total, int | float):
            raise SandboxError("sum takes numbers only")
        total += number
    return total


def _of_text(function: Callable[..., T]) -> Callable[..., T]:
    """What Jinja does with ``str()`` of a value, done with its text: ``str()`` shows Python's internals."""

    @wraps(function)
    def of_text(value: object, *args: object, **kwargs: object) -> T:
        return function(text(value), *args, **kwargs)

    return of_text


def _urlencode(value: object) -> str:
    if isinstance(value, Mapping | list | tuple):
        return str(JINJA_FILTERS["urlencode"](plain(value)))
    return str(JINJA_FILTERS["urlencode"](text(value)))


def _stripping(strip: Callable[[str, str | None], str]) -> Callable[..., str]:
    @wraps(strip)
    def stripped(value: object, chars: str | None = None) -> str:
        if chars and len(chars) > MAX_STRIPPED:  # Python looks for each character of the text in them
            raise SandboxError(f"{strip.__name__} takes at most {MAX_STRIPPED} characters to take away")
        return strip(text(value), chars)

    return stripped


def _limited(function: Callable[..., object]) -> Callable[..., object]:
    @wraps(function)
    def limited(*args: object, **kwargs: object) -> object:
        current_budget().check_time()
        result = settled(function(*args, **kwargs))
        return str(result) if isinstance(result, Markup) else result

    return limited


_HARMLESS = (
    "abs count d default dictsort first float int items last length list map max min reject "
    "rejectattr reverse select selectattr sort truncate unique"
)
_OF_TEXT = "capitalize lower title upper wordcount"
FILTERS: dict[str, Callable[..., object]] = {
    name: _limited(function)
    for name, function in {
        **{name: JINJA_FILTERS[name] for name in _HARMLESS.split()},
        **{name: _of_text(JINJA_FILTERS[name]) for name in _OF_TEXT.split()},
        "dump": dump,
        "indent": _indent,
        "join": _join,
        "now": lambda _value: now(),
        "parseEntityRef": parse_entity_ref,
        "parseRepoUrl": parse_repo_url,
        "pick": pick,
        "projectSlug": project_slug,
        "replace": _replace,
        "round": _round,
        "safe": text,
        "string": text,
        "sum": _sum,
        "tojson": dump,
        "trim": _stripping(str.strip),
        "urlencode": _urlencode,
    }.items()
}
"""``safe`` is there for templates from elsewhere: nothing is escaped, so nothing needs it."""

_UNWANTED_TESTS = {"callable", "escaped", "filter", "sameas", "test"}


def _of_numbers(name: str) -> Callable[..., bool]:
    def test(value: object, *by: object) -> bool:
        # Jinja computes value % …, which formats a text, as large as it asks for.
        if not all(isinstance(number, int | float) for number in (value, *by)):
            raise SandboxError(f"{name} is asked of numbers only")
        asked = _JINJA_TESTS[name]
        return bool(asked(value, *by))

    return test


def _timed(function: Callable[..., T]) -> Callable[..., T]:
    @wraps(function)
    def timed(*args: object, **kwargs: object) -> T:
        current_budget().check_time()
        return function(*args, **kwargs)

    return timed


_JINJA_TESTS: dict[str, Any] = {**JINJA_TESTS}
_OUR_TESTS = {name: _of_numbers(name) for name in ("divisibleby", "even", "odd")}
TESTS = {
    name: _timed(function) for name, function in {**_JINJA_TESTS, **_OUR_TESTS}.items() if name not in _UNWANTED_TESTS
}


def _str_join(separator: str, items: Iterable[object]) -> str:
    return joined([text(item) for item in items], separator)


_TEXT_METHODS = (
    *(str.capitalize, str.casefold, str.count, str.endswith, str.find, str.isalnum, str.isalpha, str.isdigit),
    *(str.islower, str.isnumeric, str.isupper, str.lower, str.partition, str.removeprefix, str.removesuffix),
    *(str.split, str.splitlines, str.startswith, str.swapcase, str.title, str.upper),
)
METHODS: tuple[tuple[type, dict[str, Callable[..., object]]], ...] = (
    (
        str,
        {
            **{method.__name__: method for method in _TEXT_METHODS},
            **{strip.__name__: _stripping(strip) for strip in (str.strip, str.lstrip, str.rstrip)},
            "join": _str_join,
            "replace": _replace,
        },
    ),
    (
        Mapping,
        {
            "get": lambda value, key, default=None: value.get(key, default),
            "items": lambda value: value.items(),
            "keys": lambda value: value.keys(),
            "values": lambda value: value.values(),
        },
    ),
    (list, {"count": list.count, "index": list.index}),
)
"""By type, what may be called on a value. Nothing else of an object can be reached at all."""
