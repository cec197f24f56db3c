"""What is wrong with a field, in words that go on after its name: ``count: must be a whole number``.

marshmallow has messages of its own. All that reach people come by here, so that an action's input, a query string and
a template's parameters say the same thing alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

IS_REQUIRED = "is required"
IS_UNKNOWN = "is unknown"
_A_TIME = "must be a time with its zone, such as 2026-11-29T12:00:00Z"

_WHOLE = {
    "Missing data for required field.": IS_REQUIRED,
    "Unknown field.": IS_UNKNOWN,
    "Field may not be null.": "must not be empty (null)",
    "Invalid input type.": "must be an object",
    "Invalid type.": "is not valid",
    "Invalid value.": "is not valid",
    "Not a valid string.": "must be a text",
    "Not a valid utf-8 string.": "must be a UTF-8 text",
    "Not a valid number.": "must be a number",
    "Not a valid integer.": "must be a whole number",
    "Number too large.": "is too large a number",
    "Not a valid boolean.": "must be true or false",
    "Not a valid list.": "must be a list",
    "Not a valid tuple.": "must be a list",
    "Not a valid mapping type.": "must be an object",
    "Not a valid datetime.": _A_TIME,
    "Not a valid aware datetime.": _A_TIME,
    "Not a valid naive datetime.": "must be a time without a zone, such as 2026-11-29T12:00:00",
    "Not a valid date.": "must be a date, such as 2026-11-29",
    "Not a valid time.": "must be a time of day, such as 12:00:00",
    "Not a valid period of time.": "must be a number of seconds",
    "Not a valid URL.": "must be a URL, such as https://example.com/",
    "Not a valid email address.": "must be an e-mail address",
    "Not a valid UUID.": "must be a UUID",
    "Not a valid IP address.": "must be an IP address",
    "Not a valid choice.": "is none of the choices",
    "String does not match expected pattern.": "does not have the form that is asked for",
}
_PATTERNS = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (r"Must be one of: (.*)\.", r"must be one of \1"),
        (r"Must not be one of: (.*)\.", r"must be none of \1"),
        (r"Must be equal to (.*)\.", r"must be \1"),
        (r"One or more of the choices you made was not in: (.*)\.", r"must have nothing but \1"),
        (r"Not a valid (date|datetime|time)\.", r"must be a \1"),
        (r"Shorter than minimum length (\d+)\.", r"must have a length of at least \1"),
        (r"Longer than maximum length (\d+)\.", r"must have a length of at most \1"),
        (r"Length must be between (\d+) and (\d+)\.", r"must have a length from \1 to \2"),
        (r"Length must be (\d+)\.", r"must have a length of \1"),
        (r"Must be greater than or equal to (\S+) and less than or equal to (\S+)\.", r"must be from \1 to \2"),
        (r"Must be greater than or equal to (\S+)\.", r"must be at least \1"),
        (r"Must be less than or equal to (\S+)\.", r"must be at most \1"),
        (r"Must be greater than (\S+)\.", r"must be more than \1"),
        (r"Must be less than (\S+)\.", r"must be less than \1"),
    )
)


def sentence(message: str) -> str:
    """One of marshmallow's own messages in our words; any other one, such as an action's own, as it is."""
    if message in _WHOLE:
        return _WHOLE[message]
    for pattern, said in _PATTERNS:
        if found := pattern.fullmatch(message):
            return found.expand(said)
    return message


def sentences(messages: object) -> object:
    """The messages of a marshmallow error, however nested, each in our words."""
    if isinstance(messages, Mapping):
        return {name: sentences(inner) for name, inner in messages.items()}
    if isinstance(messages, list | tuple):
        return [sentences(inner) for inner in messages]
    return sentence(messages) if isinstance(messages, str) else messages
