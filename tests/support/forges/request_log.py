"""What a double was asked, in order."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from tests.support.forges.messages import Request, matches

_SAFE = ("GET", "HEAD", "OPTIONS")
_CARRY_CREDENTIALS = ("authorization", "private-token", "job-token")


@dataclass(slots=True)
class Entry:
    """A request that has come in.

    Attributes:
        number: counts from 1 over all requests.
        request: all of it.
        credential: the name of who asks, never the token itself; empty for nobody.
        status: what was answered; None while it is not, or when the connection was closed without an answer.
        fault: the fault that it met, as text; empty for none.
        limited: whether the rate limit refused it.
    """

    number: int
    request: Request
    credential: str
    status: int | None = None
    fault: str = ""
    limited: bool = field(default=False)

    @property
    def method(self) -> str:
        return self.request.method

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def query(self) -> dict[str, list[str]]:
        return self.request.query

    @property
    def header_names(self) -> tuple[str, ...]:
        return tuple(self.request.headers)

    def __str__(self) -> str:
        query = f"?{self.request.query_text}" if self.request.query_text else ""
        return f"{self.number}. {self.method} {self.path}{query} → {self.status} ({self.credential or 'nobody'})"


class RequestLog:
    """Every request since the start or the last ``clear``."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._number = 0

    def add(self, request: Request, credential: str) -> Entry:
        """Write a request down; what becomes of it is set on the entry."""
        with self._lock:
            self._number += 1
            entry = Entry(self._number, request, credential)
            self._entries.append(entry)
            return entry

    def entries(self, method: str = "*", pattern: str = "**") -> list[Entry]:
        """The requests with a method, ``*`` for any, and a path as ``messages.matches`` reads it."""
        with self._lock:
            entries = list(self._entries)
        return [one for one in entries if method in ("*", one.method) and matches(pattern, one.path, self._prefix)]

    def count(self, method: str = "*", pattern: str = "**") -> int:
        """How many requests there were."""
        return len(self.entries(method, pattern))

    def writes(self) -> list[Entry]:
        """The requests that may have changed something."""
        return [one for one in self.entries() if one.method not in _SAFE]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def where_seen(self, text: str) -> list[str]:
        """Where a text, such as a token, was sent in, other than in a header that is made for it.

        Returns:
            What was sent and in which part of it, without the text itself.
        """
        found = []
        for entry in self.entries():
            request = entry.request
            parts = {"path": request.path, "query": request.query_text, "body": request.body.decode("latin-1")}
            parts |= {f"header {key}": value for key, value in request.headers.items() if key not in _CARRY_CREDENTIALS}
            found += [f"{entry.number}. {entry.method}: {part}" for part, value in parts.items() if text in value]
        return found
