"""A proxy before PostgreSQL that does what networks and poolers do when they are broken."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

from tests.outside.parts import Postgres, free_port

FIRST_QUERY = (b"Q", b"P")
"""The first byte of a query, simple or prepared. Those of a login begin otherwise."""

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Forwards connections to a server, in the mode that it is in.

    - ``pass``: everything is forwarded.
    - ``stall``: connections are accepted, and not a byte goes either way until the mode is another one.
    - ``hang-up``: logins are forwarded, and each connection is closed at its next query.
    - ``blackhole``: whatever is sent is dropped. What was open then is reset when the mode is another one.
    """

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self.port = free_port()
        self.url = server.url_at("127.0.0.1", self.port)
        self.mode = "pass"
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=200)
        self._holed: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def be(self, mode: str) -> None:
        self.mode = mode
        if mode != "blackhole":
            for end in list(self._holed):
                _reset(end)
            self._holed.clear()

    def close(self) -> None:
        self.mode = "pass"
        for end in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                end.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        while self.mode in ("stall", "blackhole"):
            time.sleep(0.05)
        try:
            server = socket.create_connection(("127.0.0.1", self._server.port), timeout=10)
            server.settimeout(None)
        except OSError:
            _reset(client)
            return
        self._open |= {client, server}
        threading.Thread(target=self._pump, args=(server, client), daemon=True).start()
        self._pump(client, server, may_hang_up=True)

    def _pump(self, source: socket.socket, target: socket.socket, *, may_hang_up: bool = False) -> None:
        try:
            while data := source.recv(65536):
                if self.mode == "hang-up" and may_hang_up and data[:1] in FIRST_QUERY:
                    break
                while self.mode == "stall":
                    time.sleep(0.05)
                if self.mode == "blackhole":
                    self._holed |= {source, target}
                    continue
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            self._open.discard(end)
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
                end.close()


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        end.shutdown(socket.SHUT_RDWR)
        end.close()
