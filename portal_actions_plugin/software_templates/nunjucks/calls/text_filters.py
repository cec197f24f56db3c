"""Filters of texts."""

from __future__ import annotations

import math
import re
from html import escape as escape_html
from urllib.parse import quote

from portal_actions_plugin.software_templates.expressions.limits import SandboxError, fits
from portal_actions_plugin.software_templates.nunjucks.calls.lookups import lookup
from portal_actions_plugin.software_templates.nunjucks.calls.operands import (
    Keywords,
    as_safe,
    given,
    not_nothing,
    only_text,
    spaces_of,
    text_of,
)
from portal_actions_plugin.software_templates.nunjucks.javascript import (
    SPACE,
    UNDEFINED,
    JavaScriptError,
    SafeText,
    entries,
    integer,
    is_nothing,
    is_number,
    joined,
    order,
    to_number,
    to_text,
    truthy,
    written,
)
from portal_actions_plugin.software_templates.nunjucks.patterns import RegularExpression

_MAX_TAGGED = 20_000
_MOST_PASSES = 8
_TAG = re.compile(r"</?[a-z][a-z0-9]*(?![\w])[^>]*>|<!--.*?-->", re.IGNORECASE | re.DOTALL | re.ASCII)
_WITHOUT_PUNCTUATION = re.compile(r"(?:\(|<|&lt;)?(.*?)(?:\.|,|\)|\n|&gt;)?\Z")
_MAIL = re.compile(r"[\w.!#$%&'*+\-/=?^`{|}~]+@[a-z\d-]+(?:\.[a-z\d-]+)+\Z", re.IGNORECASE | re.ASCII)
_DOMAIN = re.compile(r"\.(?:org|net|com)(?::|/|\Z)")


def capitalized(value: object, _positional: list[object], _keyword: Keywords) -> object:
    text = text_of(value).lower()
    return as_safe(value, text[:1].upper() + text[1:])


def titled(value: object, _positional: list[object], _keyword: Keywords) -> object:
    words = text_of(value).split(" ")
    return as_safe(value, " ".join(word[:1].upper() + word[1:].lower() for word in words))


def centered(value: object, positional: list[object], _keyword: Keywords) -> object:
    width = given(positional, 0) if truthy(given(positional, 0)) else 80
    value = "" if is_nothing(value) or value is False else value
    length = lookup(value, "length")
    if order(length, width) >= 0:
        return value
    missing = to_number(width) - to_number(length)
    text = to_text(value)
    return as_safe(value, joined(spaces_of(missing / 2 - missing % 2), text, spaces_of(missing / 2)))


def indented(value: object, positional: list[object], _keyword: Keywords) -> object:
    text = text_of(value)
    if not text:
        return as_safe(value, "")
    width, first = given(positional, 0), truthy(given(positional, 1))
    spaces = spaces_of(to_number(width if truthy(width) else 4))
    lines = text.split("\n")
    fits(len(text) + len(lines) * len(spaces))
    return as_safe(value, "\n".join([(spaces if first else "") + lines[0], *(spaces + line for line in lines[1:])]))


def replaced(value: object, positional: list[object], _keyword: Keywords) -> object:
    searched, replacement = given(positional, 0), given(positional, 1)
    if isinstance(searched, RegularExpression):
        return as_safe(value, searched.replace(only_text(value), to_text(replacement)))
    if not isinstance(searched, str) and not is_number(searched):
        return value
    if not isinstance(value, str) and not is_number(value):
        return value
    text, needle, new = to_text(value), to_text(searched), to_text(replacement)
    count = given(positional, 2)
    if not needle:
        between = "," if replacement is UNDEFINED else new
        fits(len(text) * (1 + len(between)) + 2 * len(new))
        return as_safe(value, new + between.join(text) + new)
    if needle not in text or (is_number(count) and count == 0):
        return value if isinstance(value, str) else text
    limit = -1 if count is UNDEFINED or count == -1 else math.ceil(max(to_number(count), 0)) if is_number(count) else 0
    times = text.count(needle) if limit < 0 else min(limit, text.count(needle))
    fits(len(text) + times * max(0, len(new) - len(needle)))
    return as_safe(value, text.replace(needle, new, times))


def string_of(value: object, _positional: list[object], _keyword: Keywords) -> object:
    not_nothing(value, "string")
    return value if isinstance(value, SafeText) else written(value)


def truncated(value: object, positional: list[object], _keyword: Keywords) -> object:
    value = "" if is_nothing(value) or value is False else value
    wanted = given(positional, 0) if truthy(given(positional, 0)) else 255
    if order(lookup(value, "length"), wanted) <= 0:
        return value
    text, length = only_text(value), to_number(wanted)
    cut = int(max(length, 0)) if math.isfinite(length) else 0
    if not truthy(given(positional, 1)):
        at = text.rfind(" ", 0, cut + 1)
        cut = cut if at < 0 else at
    end = given(positional, 2)
    return as_safe(value, joined(text[:cut], "..." if is_nothing(end) else to_text(end)))


def encoded(value: object) -> str:
    return quote(to_text(value), safe="!*'()")


def url_encoded(value: object, _positional: list[object], _keyword: Keywords) -> object:
    if isinstance(value, str):
        return encoded(value)
    if isinstance(value, dict):
        return "&".join(f"{encoded(name)}={encoded(item)}" for name, item in entries(value))
    pairs = value if isinstance(value, list) else []
    if any(is_nothing(pair) for pair in pairs):
        raise JavaScriptError("urlencode takes pairs")
    return "&".join(f"{encoded(lookup(pair, '0'))}={encoded(lookup(pair, '1'))}" for pair in pairs)


def word_count(value: object, _positional: list[object], _keyword: Keywords) -> object:
    return len(re.findall(r"\w+", only_text(value), re.ASCII)) or None if truthy(value) else None


def without_tags(value: object, positional: list[object], _keyword: Keywords) -> object:
    if len(text_of(value)) > _MAX_TAGGED:  # looking for the end of a tag takes the square of its length
        raise SandboxError(f"striptags takes at most {_MAX_TAGGED:,} characters")
    text = _untagged(text_of(value)).strip(SPACE)
    if truthy(given(positional, 0)):
        text = re.sub(r"^ +| +$", "", text, flags=re.MULTILINE)
        text = re.sub(r"\n{3,}", "\n\n", re.sub(r" +", " ", text).replace("\r\n", "\n"))
    else:
        text = re.sub(r"\s+", " ", text)
    return as_safe(value, text)


def _untagged(text: str) -> str:
    """Without tags, and without those that come to be when others go."""
    for _ in range(_MOST_PASSES):
        less = _TAG.sub("", text)
        if less == text:
            return text
        text = less
    if _TAG.search(text):
        raise JavaScriptError("striptags finds tags within tags within tags")
    return text


def urlized(value: object, positional: list[object], _keyword: Keywords) -> object:
    length, follow = given(positional, 0), ' rel="nofollow"' if given(positional, 1) is True else ""
    is_all = length is UNDEFINED or (is_number(length) and math.isnan(to_number(length)))
    shown = None if is_all else int(min(max(integer(length), 0), _MAX_TAGGED))
    text = only_text(value)
    if len(text) > _MAX_TAGGED:
        raise SandboxError(f"urlize takes at most {_MAX_TAGGED:,} characters")
    pieces = []
    for word in re.split(rf"([{SPACE}]+)", text):
        found = _WITHOUT_PUNCTUATION.match(word)
        address = found[1] if found else word
        short = address[:shown]
        if address.startswith(("http://", "https://")):
            pieces.append(f'<a href="{address}"{follow}>{short}</a>')
        elif _MAIL.match(address) and not address.startswith("www."):
            pieces.append(f'<a href="mailto:{address}">{address}</a>')
        elif address.startswith("www.") or _DOMAIN.search(address):
            pieces.append(f'<a href="http://{address}"{follow}>{short}</a>')
        else:
            pieces.append(word)
    return joined(*pieces)


def escaped(value: object, _positional: list[object], _keyword: Keywords) -> object:
    if isinstance(value, SafeText):
        return value
    escaped = escape_html(written(value)).replace("&#x27;", "&#39;").replace("\\", "&#92;")
    fits(len(escaped))
    return SafeText(escaped)
