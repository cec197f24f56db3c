"""Connections: a name looked up once, one of its addresses connected to, all in one time limit."""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from portal_actions_plugin.http_client.guard import Target

_PIECE = 65_536
Address = tuple[int, Any]
"""A family of addresses, and a place in it as ``socket`` has it: its first part is the address as text."""


class Deadline:
    """When all of it must be over, redirects and bodies included."""

    def __init__(self, seconds: float, *, wait_seconds: float = math.inf) -> None:
        """Begin now, and end after so many seconds; no single wait for the other side takes longer than the other ones."""
        self.seconds = seconds
        self.wait_seconds = wait_seconds
        self._at = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self._at

    def left(self) -> float:
        """How many seconds the next wait may take; raises TimeoutError when no time is left."""
        if (seconds := self._at - time.monotonic()) <= 0:
            raise TimeoutError
        return min(seconds, self.wait_seconds)

    def within(self, seconds: float) -> Deadline:
        """The end of a part that begins now and may take so many seconds, and never longer than all of it."""
        return Deadline(min(seconds, max(self._at - time.monotonic(), 0.0)))


def resolve(target: Target, deadline: Deadline) -> list[Address]:
    """Look a name up, once. In a thread, since nothing else can stop a look-up that takes too long.

    Raises:
        TimeoutError: the deadline has come.
        socket.gaierror: there is no such name.
    """
    answers: SimpleQueue[list[Address] | Exception] = SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
            answers.put([(family, place) for family, _, _, _, place in found])
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=look_up, name="look up a host", daemon=True).start()
    try:
        found = answers.get(timeout=deadline.left())
    except Empty:
        raise TimeoutError from None
    if isinstance(found, Exception) or not found:
        raise socket.gaierror(socket.EAI_NONAME, f"the name {target.host} cannot be looked up")
    return found


def connect(target: Target, addresses: list[Address], deadline: Deadline, ca_file: Path | None = None) -> Connected:
    """Connect to the first of the addresses that answers; over TLS when the target is https.

    Args:
        target: its name is what the other side's certificate must be of.
        addresses: of ``resolve``; each gets a fair share of the time that is left.
        deadline: of the whole exchange, which the socket keeps to from then on.
        ca_file: the only authorities to trust, in a PEM file; None for those of the system.

    Raises:
        OSError: none answers, or the certificate cannot be trusted (ssl.SSLError).
    """
    if target.scheme == "http":
        return connect_plainly(addresses, deadline)
    return _first(addresses, deadline, lambda tried: secured(tried, target, deadline, ca_file))


def connect_plainly(addresses: list[Address], deadline: Deadline) -> TimedSocket:
    """Connect as ``connect`` does, without TLS."""
    return _first(addresses, deadline, lambda tried: tried)


_Found = TypeVar("_Found")


def _first(addresses: list[Address], deadline: Deadline, finish: Callable[[TimedSocket], _Found]) -> _Found:
    last: OSError = ConnectionError()
    for position, (family, place) in enumerate(addresses):
        tried = TimedSocket(family, socket.SOCK_STREAM)
        tried.deadline = deadline
        try:
            tried.settimeout(deadline.left() / (len(addresses) - position))
            tried.connect(place)
            return finish(tried)
        except ssl.SSLError:
            tried.close()
            raise
        except OSError as error:
            tried.close()
            last = error
        except BaseException:
            tried.close()
            raise
    raise last


def secured(connected: TimedSocket, target: Target, deadline: Deadline, ca_file: Path | None = None) -> TimedTls:
    """Speak TLS on a connection; arguments and errors as ``connect`` has them."""
    context = ssl.create_default_context(cafile=ca_file)
    context.sslsocket_class = TimedTls
    connected.settimeout(deadline.left())
    speaking = context.wrap_socket(connected, server_hostname=target.host)
    assert isinstance(speaking, TimedTls)  # noqa: S101 the context was told so
    speaking.deadline = deadline
    return speaking


if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    _Socket = socket.socket
else:
    _Socket = object


class _Timed(_Socket):
    """Gives each wait what is left of the whole exchange: a side that drips byte by byte never times out by itself."""

    deadline: Deadline

    def recv_into(self, *args: Any, **options: Any) -> int:
        self.settimeout(self.deadline.left())
        return super().recv_into(*args, **options)

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        self.settimeout(self.deadline.left())
        return super().send(data, flags)

    def sendall(self, data: ReadableBuffer, flags: int = 0, /) -> None:
        # Piece by piece, since a socket's time limit is for all that it is given: a large body is no long wait.
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _PIECE):
            self.settimeout(self.deadline.left())
            super().sendall(view[start : start + _PIECE], flags)


class TimedSocket(_Timed, socket.socket):
    """A connection that keeps to its deadline."""


class TimedTls(_Timed, ssl.SSLSocket):
    """A connection over TLS that keeps to its deadline."""


Connected = TimedSocket | TimedTls
