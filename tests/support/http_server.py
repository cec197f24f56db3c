"""A real HTTP server in a thread, whose answers a test writes byte by byte if it likes, and names that lead to it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from portal_actions_plugin.settings.values import HostRule

Respond = Callable[["Handler"], None]


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append(Seen(self.command, self.path, headers, body))
        self.close_connection = True
        self.server.routes[self.path.partition("?")[0]](self)

    do_GET = do_HEAD = do_OPTIONS = do_PUT = do_DELETE = do_POST = do_PATCH = answer  # noqa: N815 the server's own names

    def log_message(self, *args: Any) -> None:
        pass

    def reply(self, status: int = 200, body: bytes | str = b"", **headers: str) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def drip(self, *, first: bytes, byte: bytes, pause: float = 0.05) -> None:
        """Send a byte at a time until the other side has had enough."""
        self.wfile.write(first)
        while not self.server.stopping.wait(pause):
            self.wfile.write(byte)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__((address, 0), Handler)
        self.routes: dict[str, Respond] = {}
        self.seen: list[Seen] = []
        self.stopping = threading.Event()

    @property
    def port(self) -> int:
        return self.server_address[1]

    def handle_error(self, *args: Any) -> None:
        """The other side hung up: that is what many tests are about."""


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


def says(status: int = 200, body: Any = b"", **headers: str) -> Respond:
    """A plain answer; an object or list is sent as JSON."""
    if isinstance(body, dict | list):
        body, headers = json.dumps(body), {"Content_Type": "application/json", **headers}
    return lambda handler: handler.reply(status, body, **headers)


def sends_to(location: str, status: int = 302) -> Respond:
    return says(status, Location=location)


@dataclass
class Names:
    """Which name leads where: at each look-up the next answer, at last the last one again. Addresses lead to themselves."""

    answers: dict[str, list[Sequence[str]]] = field(default_factory=dict)
    looked_up: list[str] = field(default_factory=list)

    def lead(self, name: str, *answers: Sequence[str]) -> None:
        self.answers[name] = list(answers)

    def getaddrinfo(self, host: str, port: int, *_args: Any, **_options: Any) -> list[Any]:
        self.looked_up.append(host)
        if host in self.answers:
            waiting = self.answers[host]
            found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        elif host[-1].isdigit() or ":" in host:
            found = [host]
        else:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in found
        ]


def only(*hosts: tuple[str, int | None]) -> tuple[HostRule, ...]:
    return tuple(HostRule(name.removeprefix("*."), name.startswith("*."), port) for name, port in hosts)
