"""What a test orders to go wrong, and the request that it happens to."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.forges.messages import Answer, matches

PATIENCE_SECONDS = 240
"""How long a test waits for an ordered fault to happen before it says that it did not."""


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer this instead of what the forge would say. A body that is neither text nor bytes is sent as JSON."""

    status: int
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def answer(self) -> Answer:
        """The answer as it is sent."""
        headers = dict(self.headers)
        if isinstance(self.body, bytes):
            body = self.body
        elif isinstance(self.body, str):
            body = self.body.encode()
        else:
            body = json.dumps(self.body).encode()
            headers.setdefault("Content-Type", "application/json; charset=utf-8")
        return Answer(self.status, body, tuple(headers.items()))


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection, so that the client reads ECONNRESET."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection in good order without an answer."""


@dataclass(frozen=True, slots=True)
class CutShort:
    """Send the head and the first half of the forge's own answer, then close."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Say nothing until the order is released or dropped; see ``Order``."""


@dataclass(frozen=True, slots=True)
class Drip:
    """Send the forge's own answer byte by byte, with a pause before each, until it is told, released or hung up on."""

    pause_seconds: float = 0.05


Fault = Respond | Reset | Close | CutShort | Hang | Drip


class Order:
    """A fault that was ordered: how often it has happened, and the way to end it."""

    def __init__(self, method: str, pattern: str, fault: Fault, *, nth: int, times: int, after: bool) -> None:
        self.method, self.pattern, self.fault = method, pattern, fault
        self.after = after
        self.fired = 0
        self._matched = 0
        self._from, self._until = nth, nth + times
        self._happened = threading.Event()
        self.released = threading.Event()
        self.dropped = False

    def takes(self) -> bool:
        """Count a request that matches, and say whether the fault happens to it; the caller holds the lock."""
        self._matched += 1
        if not self._from <= self._matched < self._until:
            return False
        self.fired += 1
        return True

    def happens(self) -> None:
        """Tell who waits that the fault is there now; with ``after``, what was asked for is done."""
        self._happened.set()

    @property
    def has_happened(self) -> bool:
        """Whether it has happened; with ``after``, what was asked for is done."""
        return self._happened.is_set()

    def wait(self) -> None:
        """Wait until it has happened for the first time."""
        assert self._happened.wait(PATIENCE_SECONDS), f"no request has met {self}"

    def release(self) -> None:
        """Let hanging and dripping answers go on: what was not done yet is done now, if anybody still listens or not."""
        self.released.set()

    def drop(self) -> None:
        """Close hanging connections: what was not done yet never is, as if the request had been lost on its way."""
        self.dropped = True
        self.released.set()

    def __str__(self) -> str:
        moment = "after" if self.after else "before"
        return f"{self.fault} {moment} {self.method} {self.pattern}"


class Faults:
    """The orders of a test; every method may be called from any thread."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._lock = threading.Lock()
        self._orders: list[Order] = []

    def order(
        self, method: str, pattern: str, fault: Fault, *, nth: int = 1, times: int = 1, after: bool = False
    ) -> Order:
        """Let a fault happen.

        Args:
            method: in capitals; ``*`` for any.
            pattern: the path, as ``messages.matches`` reads it; requests by git's own protocol have paths as well.
            fault: what happens.
            nth: to which request that matches it happens first, counted from 1 and from now.
            times: to how many of them, one after the other.
            after: whether the forge has done what was asked for when it happens; otherwise it has never seen it.
        """
        order = Order(method, pattern, fault, nth=nth, times=times, after=after)
        with self._lock:
            self._orders.append(order)
        return order

    def meets(self, method: str, path: str) -> Order | None:
        """The fault that happens to a request. Each order that matches counts it; the oldest one that is due wins."""
        with self._lock:
            due = [
                order
                for order in self._orders
                if order.method in ("*", method) and matches(order.pattern, path, self._prefix) and order.takes()
            ]
        return due[0] if due else None

    def clear(self) -> None:
        """Take all orders back, and let what hangs go on."""
        with self._lock:
            orders, self._orders = self._orders, []
        for order in orders:
            order.release()


def html_page(
    status: int = 200, text: str = "<!DOCTYPE html><title>Sign in</title><h1>Sign in to continue</h1>"
) -> Respond:
    """A page for people where a program expects JSON: a login page, a proxy's block page."""
    return Respond(status, text, {"Content-Type": "text/html; charset=utf-8"})


def redirect(location: str, status: int = 302) -> Respond:
    """Send the client elsewhere."""
    return Respond(status, b"", {"Location": location})


def too_many_requests(retry_after: str, status: int = 429, body: object = b"") -> Respond:
    """A refusal with a ``Retry-After``, which may be seconds, a date or nonsense."""
    return Respond(status, body, {"Retry-After": retry_after})
