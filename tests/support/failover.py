"""A PostgreSQL that takes no writes for a moment, as in a failover."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.support.waiting import wait_until

MOMENT_SECONDS = 3
ALWAYS = "-c default_transaction_read_only=off"
"""For who ends the moment."""


class Failover:
    """A server of one's own that can be made read-only."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self.url = uri.replace("postgresql:", "postgresql+psycopg:")

    def set_read_only(self, on: str) -> None:
        with psycopg.connect(self._uri, autocommit=True, options=ALWAYS) as server:
            server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {on}")
            server.execute("SELECT pg_reload_conf()")
        wait_until(lambda: self._shows() == on, 60)

    def begin(self) -> threading.Thread:
        """Begin a moment, which ends by itself; return when it has begun."""
        self.set_read_only("on")
        ends = threading.Timer(MOMENT_SECONDS, self.set_read_only, ["off"])
        ends.start()
        return ends

    @contextmanager
    def moment(self) -> Iterator[None]:
        """What is within begins in a read-only moment."""
        ends = self.begin()
        try:
            yield
        finally:
            ends.join()

    def _shows(self) -> str:
        with psycopg.connect(self._uri) as server:
            row = server.execute("SHOW default_transaction_read_only").fetchone()
        return row[0] if row else ""
