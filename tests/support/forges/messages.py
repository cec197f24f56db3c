"""A request and an answer as every double sees them, and the patterns that pick requests out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True, slots=True)
class Request:
    """What a client has sent.

    Attributes:
        method: in capitals.
        path: as it was sent, still percent-encoded, without the query.
        query_text: as it was sent, without the question mark.
        headers: by lower-case name.
        body: whole, without its transfer encoding.
    """

    method: str
    path: str
    query_text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def query(self) -> dict[str, list[str]]:
        """Every value of every parameter, decoded; an empty value counts."""
        return parse_qs(self.query_text, keep_blank_values=True)

    def parameter(self, name: str, default: str = "") -> str:
        """The last value of a query parameter."""
        return self.query.get(name, [default])[-1]

    def json(self) -> Any:
        """The body's value, None of an empty body; raises ValueError when it is not JSON."""
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. ``headers`` may name one header twice; the server adds Date and Content-Length."""

    status: int = 200
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()

    def with_headers(self, *headers: tuple[str, str]) -> Answer:
        """The same answer with further headers."""
        return replace(self, headers=(*self.headers, *headers))

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def json_answer(status: int, value: object, *headers: tuple[str, str]) -> Answer:
    """An answer whose body is JSON."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Answer(status, body, (("Content-Type", "application/json; charset=utf-8"), *headers))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", pattern)
    wild = {"*": "[^/]*", "**": ".*"}
    return re.compile("".join(wild.get(part) or re.escape(part) for part in parts))


def matches(pattern: str, path: str, prefix: str = "") -> bool:
    """Whether a path is meant by a pattern.

    Args:
        pattern: ``*`` stands for anything within a segment, ``**`` for anything at all.
        path: as a client has sent it, without the query.
        prefix: where the forge's API begins; patterns are written without it, or with it.
    """
    expression = _compiled(pattern)
    if expression.fullmatch(path):
        return True
    return bool(prefix) and path.startswith(prefix) and bool(expression.fullmatch(path.removeprefix(prefix)))
