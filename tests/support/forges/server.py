"""The HTTP server that all doubles stand behind: real sockets, one thread for each connection, kept alive as clients like."""

from __future__ import annotations

import io
import socket
import struct
import sys
import threading
import traceback
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol, Self

from tests.support.forges.clock import ForgeClock
from tests.support.forges.faults import Close, CutShort, Drip, Faults, Hang, Order, Reset, Respond
from tests.support.forges.messages import Answer, Request
from tests.support.forges.rate_limit import RateLimiter
from tests.support.forges.request_log import Entry, RequestLog


class Forge(Protocol):
    """What a double has to know about its forge.

    Attributes:
        prefix: where its API begins, such as ``/api/v4``; empty at the root.
        clock: what its ``Date`` headers are made of.
    """

    prefix: str
    clock: ForgeClock

    def credential(self, request: Request) -> str:
        """The name of who asks, for the log and the rate limit: never the token itself; empty for nobody."""

    def is_limited(self, request: Request) -> bool:
        """Whether requests of this kind count towards the rate limit."""

    def too_many(self, request: Request, retry_after: int) -> Answer:
        """What the forge says to a request above the rate limit; the next one is welcome in so many seconds."""

    def answer(self, request: Request) -> Answer:
        """Do what is asked for. It may be called by several threads at once."""


class ForgeServer:
    """A forge at an address of its own, from ``start`` to ``stop`` or as a context.

    Attributes:
        faults: what a test lets go wrong.
        log: what was asked.
        limiter: how much a credential may ask for; without a rate everything.
        url: the root of everything, without a slash at its end.
        crashes: what is wrong with the double itself; ``stop`` fails with it.
    """

    def __init__(self, forge: Forge, *, port: int = 0, address: str = "127.0.0.1") -> None:
        self.forge = forge
        self.faults = Faults(forge.prefix)
        self.log = RequestLog(forge.prefix)
        self.limiter = RateLimiter()
        self._http = _HttpServer((address, port), self)
        self.port = int(self._http.server_address[1])
        self.url = f"http://{address}:{self.port}"
        self.crashes: list[str] = []
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, name="forge", daemon=True
        )

    def start(self) -> Self:
        self._thread.start()
        return self

    def wait(self) -> None:
        """Wait until it is stopped."""
        self._thread.join()

    def stop(self) -> None:
        self.faults.clear()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()
        self._http.hang_up()
        assert not self.crashes, "\n".join(self.crashes)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], server: ForgeServer) -> None:
        super().__init__(address, _Handler)
        self.forge_server = server
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()

    def process_request(self, request, client_address) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep, so that their threads end, too."""
        self.stopping.set()
        with self._lock:
            still_open = list(self._open)
        for connection in still_open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address) -> None:
        """Report what is wrong with the double itself; a client that has hung up is none of it."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _HttpServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "forge", ""
    wbufsize = -1  # head and body leave in one piece
    disable_nagle_algorithm = True

    def serve(self) -> None:
        server = self.server.forge_server
        request = self._request()
        entry = server.log.add(request, server.forge.credential(request))
        order = server.faults.meets(request.method, request.path)
        if order is None:
            self._send(self._carry_out(request, entry))
        else:
            entry.fault = str(order)
            self._go_wrong(order, request, entry)

    do_GET = do_HEAD = do_OPTIONS = do_PUT = do_DELETE = do_POST = do_PATCH = serve  # noqa: N815 the server's own names

    def _request(self) -> Request:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, path, query, headers, self._body())

    def _body(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            """Trailers say nothing to a forge."""
        return b"".join(parts)

    def _carry_out(self, request: Request, entry: Entry) -> Answer:
        server = self.server.forge_server
        if server.forge.is_limited(request) and (seconds := server.limiter.take(entry.credential)) is not None:
            entry.limited = True
            answer = server.forge.too_many(request, seconds)
        else:
            answer = self._answer(request)
        entry.status = answer.status
        return answer

    def _answer(self, request: Request) -> Answer:
        server = self.server.forge_server
        try:
            return server.forge.answer(request)
        except Exception:
            server.crashes.append(f"{request.method} {request.path}\n{traceback.format_exc()}")
            return Answer(500, b"the double is broken: its test will say how")

    def _go_wrong(self, order: Order, request: Request, entry: Entry) -> None:
        done = self._carry_out(request, entry) if order.after else None
        order.happens()
        match order.fault:
            case Respond() as fault:
                entry.status = fault.status
                self._send(fault.answer())
            case Reset():
                entry.status = None
                self._reset()
            case Close():
                entry.status = None
                self.close_connection = True
            case CutShort():
                answer = done or self._carry_out(request, entry)
                self._send_head(answer)
                self.wfile.write(answer.body[: len(answer.body) // 2])
                self.close_connection = True
            case Hang():
                while not order.released.wait(0.05) and not self.server.stopping.is_set():
                    """It says nothing."""
                if order.dropped:
                    self.close_connection = True
                else:
                    self._send(done or self._carry_out(request, entry))
            case Drip(pause_seconds=pause):
                answer = done or self._carry_out(request, entry)
                self._send_head(answer)
                self._drip(answer.body, order, pause)

    def _drip(self, body: bytes, order: Order, pause: float) -> None:
        self.wfile.flush()
        for index in range(len(body)):
            if order.released.wait(pause) or self.server.stopping.is_set():
                self.wfile.write(body[index:])
                return
            self.wfile.write(body[index : index + 1])
            self.wfile.flush()

    def _send(self, answer: Answer) -> None:
        self._send_head(answer)
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def _send_head(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        if answer.header("Date") is None:
            self.send_header("Date", self.server.forge_server.forge.clock.http_date())
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.header("Content-Length") is None and answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.wfile.close()
        self.rfile.close()
        self.connection.close()
        self.wfile = io.BytesIO()  # what calls us flushes it

    def log_message(self, *args: object) -> None:
        """The request log has it."""
