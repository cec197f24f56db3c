"""A proxy as companies have them: it tunnels what is asked for by CONNECT, and passes on what is asked for by a whole URL."""

from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.http_server import Seen


class Proxy(ThreadingHTTPServer):
    """Attributes: ``seen`` what it was asked; ``leads`` where each host really is; ``refuses`` a status for everything."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[Seen] = []
        self.leads: dict[str, tuple[str, int]] = {}
        self.refuses: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *args: object) -> None:
        """Either side hung up."""


@contextmanager
def proxying() -> Iterator[Proxy]:
    proxy = Proxy()
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def _note(self) -> Mapping[str, str]:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append(Seen(self.command, self.path, headers, body))
        return headers

    def do_CONNECT(self) -> None:
        self._note()
        self.close_connection = True
        if self.server.refuses:
            self._say(self.server.refuses)
            return
        with socket.create_connection(self.server.leads[self.path]) as there:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(there, self.connection), daemon=True)
            back.start()
            _pump(self.connection, there)
            back.join()

    def do_GET(self) -> None:
        headers = self._note()
        if self.server.refuses:
            self._say(self.server.refuses)
            return
        scheme, rest = self.path.split("://")
        host, _, path = rest.partition("/")
        address, port = self.server.leads[host]
        kept = {
            name: value for name, value in headers.items() if name not in ("proxy-authorization", "accept-encoding")
        }
        asked = urllib.request.Request(f"{scheme}://{address}:{port}/{path}", headers=kept, method=self.command)
        if body := self.server.seen[-1].body:
            asked.data = body
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(asked) as answer:
            content = answer.read()
            self._say(answer.status, content)

    do_POST = do_GET  # noqa: N815 the server's own name

    def _say(self, status: int, content: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        """One side is gone, so there is nothing more to pass on."""
