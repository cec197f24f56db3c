"""The formats of texts and numbers that are checked: those of JSON Schema 2020-12, and those that Backstage's forms know."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from portal_actions_plugin.software_templates.parameters.patterns import is_pattern

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

MAX_FORMATTED = 10_000
"""Characters of a text that has a format."""
_STANDARD = frozenset({
    "date", "duration", "hostname", "idn-hostname", "ipv4", "ipv6", "iri", "iri-reference", "json-pointer",
    "relative-json-pointer", "uri", "uri-reference", "uri-template",
})  # fmt: skip
_EMAIL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[^@\s]+")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_DATA_URL = re.compile(r"data:(?:[a-z]+/[a-z0-9+.-]+)?;(?:name=[^;,]*;)?base64,[A-Za-z0-9+/=_-]*")
_COLOR = re.compile(
    r"#(?:[0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})|[a-z]{3,20}|rgb\( *\d{1,3} *, *\d{1,3} *, *\d{1,3} *\)"
    r"|rgb\( *\d{1,3}% *, *\d{1,3}% *, *\d{1,3}% *\)"
)


def is_format(name: object) -> bool:
    """Whether a format is checked; an unknown one says nothing about a value."""
    return name in _TEXTS or name in _NUMBERS


def conforms(value: object, name: str) -> bool:
    """Whether a value has a format. What the format is not about has it: a number is a date as well as an address.

    Args:
        value: any JSON value; a text of more than ``MAX_FORMATTED`` characters has none.
        name: as ``format`` says; a value has each one that is unknown.
    """
    if isinstance(value, str):
        return name not in _TEXTS or (len(value) <= MAX_FORMATTED and _TEXTS[name](value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return name not in _NUMBERS or _NUMBERS[name](value)
    return True


@lru_cache(maxsize=32)
def _checker(name: str) -> Draft202012Validator:
    from jsonschema_rs import Draft202012Validator  # 12 ms and 6 MB, which most starts do without

    return Draft202012Validator({"format": name}, validate_formats=True)


def _standard(name: str) -> Callable[[str], bool]:
    return lambda text: _checker(name).is_valid(text)


def _is_time(text: str) -> bool:
    """A time of day. Its offset may be missing: a browser's own field for a time has none."""
    time = _checker("time")
    return time.is_valid(text) or time.is_valid(f"{text}Z")


def _is_date_time(text: str) -> bool:
    """A date and a time with its offset; RFC 3339 lets a space stand for the T."""
    return _checker("date-time").is_valid(text[:10] + text[10:].replace(" ", "T", 1))


def _is_email(text: str) -> bool:
    return _EMAIL.fullmatch(text) is not None and _checker("email").is_valid(text)


def _is_idn_email(text: str) -> bool:
    return not any(mark in text for mark in "<> \t\n") and _checker("idn-email").is_valid(text)


def _is_url(text: str) -> bool:
    return text.partition("://")[0].lower() in {"http", "https", "ftp"} and _checker("uri").is_valid(text)


def _is_uuid(text: str) -> bool:
    return _checker("uuid").is_valid(text.lower().removeprefix("urn:uuid:"))


def _is_pointer_in_uri(text: str) -> bool:
    return (
        text.startswith("#")
        and _checker("uri-reference").is_valid(text)
        and _checker("json-pointer").is_valid(text[1:])
    )


def _has(form: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: form.fullmatch(text) is not None


def _whole(bits: int) -> Callable[[float], bool]:
    return lambda number: number == int(number) and -(2 ** (bits - 1)) <= number < 2 ** (bits - 1)


_TEXTS: Final[Mapping[str, Callable[[str], bool]]] = {
    **{name: _standard(name) for name in _STANDARD},
    "regex": is_pattern,
    "time": _is_time,
    "iso-time": _is_time,
    "date-time": _is_date_time,
    "iso-date-time": _is_date_time,
    "email": _is_email,
    "idn-email": _is_idn_email,
    "url": _is_url,
    "uuid": _is_uuid,
    "json-pointer-uri-fragment": _is_pointer_in_uri,
    "byte": _has(_BASE64),
    "data-url": _has(_DATA_URL),
    "color": _has(_COLOR),
    # These say how a text is shown, or what it is inside: any text has them.
    "password": lambda _text: True,
    "binary": lambda _text: True,
}
_NUMBERS: Final[Mapping[str, Callable[[float], bool]]] = {
    "int32": _whole(32),
    "int64": _whole(64),
    "float": lambda _number: True,
    "double": lambda _number: True,
}
CHECKED = tuple(sorted({*_TEXTS, *_NUMBERS}))
"""The names of all formats that are checked."""
