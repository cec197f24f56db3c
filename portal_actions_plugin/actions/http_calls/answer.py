"""What a run keeps of an answer: text where it is text, bounded in every part, and no half of a secret."""

from __future__ import annotations

import base64
import codecs
import json
from bisect import bisect_right
from collections.abc import Callable, Collection
from email.message import Message
from typing import TYPE_CHECKING, TypedDict, TypeVar

from portal_actions_plugin.http_client.guard import HttpRules
from portal_actions_plugin.http_client.messages import Answer

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

_MAX_HEADERS = 50
_MAX_HEADER_CHARS = 1_000
_MAX_ALL_HEADERS_CHARS = 8_000
_MAX_JSON_DEPTH = 64
_LEFT_OUT = frozenset(
    ("set-cookie", "set-cookie2", "www-authenticate", "proxy-authenticate", "authentication-info", "connection")
)
_CHARSETS = frozenset(("utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252", "utf-16", "utf-16-le", "utf-16-be"))

TextOrBytes = TypeVar("TextOrBytes", str, bytes)


class Kept(TypedDict):
    """The outputs of ``http.request@v1``. One of ``body`` and ``bodyBase64`` is a text; ``json`` only where it fits."""

    status: int
    headers: dict[str, str]
    body: str | None
    bodyBase64: str | None
    json: JsonValue
    truncated: bool


def outputs(answer: Answer, rules: HttpRules, secrets: Collection[str], warn: Callable[[str], None]) -> Kept:
    """Build the action's outputs, which fit into what a step may give.

    Args:
        answer: what came back.
        rules: how much may be kept.
        secrets: what may stand in it and will be masked.
        warn: told of everything that is left out.
    """
    body = cut(answer.body, rules.max_bytes, [secret.encode() for secret in secrets])
    truncated = not answer.whole or len(body) < len(answer.body)
    kept: Kept = {
        "status": answer.status,
        "headers": _headers(answer, rules.max_output_bytes // 4),
        "body": None,
        "bodyBase64": None,
        "json": None,
        "truncated": False,
    }
    room = max(rules.max_output_bytes - _size(kept), 0)
    text = decoded(body, _content_type(answer).get_content_charset(), truncated=truncated)
    if text is None:
        for secret in secrets:
            body = body.replace(secret.encode(), b"***")
        fitting = body[: room // 4 * 3]
        kept["bodyBase64"] = base64.b64encode(fitting).decode()
        truncated |= len(fitting) < len(body)
    else:
        kept["body"] = shown = cut(text, _fitting(text, room), secrets)
        truncated |= len(shown) < len(text)
    kept["truncated"] = truncated
    if truncated:
        warn("The answer is longer than a run keeps: it is cut, and not read as JSON.")
    elif kept["body"] and _is_json(answer):
        _add_json(kept, kept["body"], rules.max_output_bytes, warn)
    return kept


def beginning(answer: Answer, chars: int, secrets: Collection[str]) -> str:
    """The first words of an answer, on one line, for an error.

    Args:
        answer: what came back.
        chars: how many characters at most.
        secrets: what may stand in it and will be masked: none of them is cut in two.

    Returns:
        An empty text when the answer is no text, or has control characters.
    """
    text = decoded(answer.body, _content_type(answer).get_content_charset(), truncated=not answer.whole) or ""
    words = " ".join(cut(text, chars, secrets).split())
    return words if words.isprintable() else ""


def cut(data: TextOrBytes, end: int, secrets: Collection[TextOrBytes]) -> TextOrBytes:
    """The first part of data, without half of a secret at its end, which nobody would mask.

    Args:
        data: text or bytes.
        end: how many characters or bytes are kept at most.
        secrets: a secret that the end would cut in two is left out whole.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        starts = data.find(secret, max(end - len(secret) + 1, 0), end + len(secret) - 1)
        if starts >= 0:
            end = min(end, starts)
    return data[:end]


def decoded(body: bytes, charset: str | None, *, truncated: bool) -> str | None:
    """The text that bytes stand for.

    Args:
        body: the bytes.
        charset: what the other side calls their encoding; UTF-8 when it is None or unknown here.
        truncated: whether the last character may be cut in two.

    Returns:
        None when they are not text, or have a zero character, which not every database stores.
    """
    try:
        name = codecs.lookup(charset or "utf-8").name
    except (LookupError, ValueError):
        name = "utf-8"
    if name not in _CHARSETS:
        name = "utf-8"
    try:
        # A character that was cut in two is no reason to call it all binary.
        text = codecs.getincrementaldecoder("utf-8-sig" if name == "utf-8" else name)().decode(
            body, final=not truncated
        )
    except UnicodeDecodeError:
        return None
    return None if "\x00" in text else text


def _content_type(answer: Answer) -> Message:
    message = Message()
    message["content-type"] = answer.header("content-type")[:_MAX_HEADER_CHARS]
    return message


def _is_json(answer: Answer) -> bool:
    kind = _content_type(answer).get_content_type()
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def _add_json(kept: Kept, body: str, room: int, warn: Callable[[str], None]) -> None:
    try:
        parsed = json.loads(body)
        json.dumps(parsed, allow_nan=False)
        _require_depth(parsed, _MAX_JSON_DEPTH)
    except (ValueError, RecursionError):
        warn("The answer says that it is JSON, but cannot be read as such: body has it as text.")
        return
    if _size({**kept, "json": parsed}) > room:
        warn("The answer is too long to be kept as text and as JSON: body has it as text.")
    else:
        kept["json"] = parsed


def _require_depth(data: object, depth: int) -> None:
    if depth == 0:
        raise ValueError("it is nested too deeply")
    for part in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        _require_depth(part, depth - 1)


def _headers(answer: Answer, room: int) -> dict[str, str]:
    """The headers that are kept: in small letters, a repeated one joined, as many as there is room for."""
    room = min(room, _MAX_ALL_HEADERS_CHARS)
    kept: dict[str, str] = {}
    for name, value in answer.headers:
        if name in _LEFT_OUT or (name not in kept and len(kept) == _MAX_HEADERS):
            continue
        joined = f"{kept[name]}, {value}" if name in kept else value
        grown = _size({name: joined}) - (_size({name: kept[name]}) if name in kept else 0)
        if len(joined) <= _MAX_HEADER_CHARS and grown <= room:
            kept[name] = joined
            room -= grown
    return kept


def _fitting(text: str, room: int) -> int:
    """How many characters of a text have room as JSON."""
    return bisect_right(range(1, len(text) + 1), room, key=lambda end: _size(text[:end]))


def _size(data: object) -> int:
    return len(json.dumps(data))
