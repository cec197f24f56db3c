"""A way to PostgreSQL that can take logins and hang up at the first query, as a pooler does whose server is gone."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

from sqlalchemy import make_url

READY = b"Z"


class HangingUp:
    """Listens at ``url`` and passes on to a server on a Unix socket."""

    def __init__(self, database_url: str) -> None:
        there = make_url(database_url)
        self._socket = f"{there.query['host']}/.s.PGSQL.{there.port or 5432}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        here = there.set(host="127.0.0.1", port=self._listener.getsockname()[1], query={})
        self.url = here.update_query_dict({"sslmode": "disable", "gssencmode": "disable"}).render_as_string(
            hide_password=False
        )
        self.hung_up = 0
        self._hangs_up = False
        self._open: set[socket.socket] = set()

    def __enter__(self) -> HangingUp:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._end_all()

    def hang_up(self) -> None:
        """End what is open, and from now on what is opened, as soon as it has logged in and asks something."""
        self._hangs_up = True
        self._end_all()

    def answer(self) -> None:
        self._hangs_up = False

    def _end_all(self) -> None:
        for end in list(self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with client, server, suppress(OSError):
            server.connect(self._socket)
            self._open |= {client, server}
            logged_in = threading.Event()
            back = threading.Thread(target=self._pass_back, args=(server, client, logged_in), daemon=True)
            back.start()
            while data := client.recv(65536):
                if logged_in.is_set() and self._hangs_up:
                    self.hung_up += 1
                    break
                server.sendall(data)
            for end in (client, server):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            back.join(10)
        self._open -= {client, server}

    def _pass_back(self, server: Any, client: Any, logged_in: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                # A server that waits for a query says so last of all, in six bytes.
                if data[-6:-5] == READY:
                    logged_in.set()
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
