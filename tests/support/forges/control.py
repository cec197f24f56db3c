"""A double in a process of its own, and the way to it from a test: what is ordered, asked and looked at there.

A test that kills processes, itself among them, or that wants no thread of a double beside its own code starts one so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any, Protocol

from tests.support.forges.faults import Fault, Faults, Order
from tests.support.forges.rate_limit import Rate
from tests.support.forges.request_log import RequestLog
from tests.support.forges.server import ForgeServer

_KEY = b"on this machine, for this test"


class Double(Protocol):
    """A double that can be run so."""

    server: ForgeServer
    faults: Faults
    log: RequestLog


class _Desk:
    """What stands in the double's process for all that a test wants of it."""

    def __init__(self, double: Double) -> None:
        self._double = double
        self._orders: list[Order] = []

    def order(self, method: str, pattern: str, fault: Fault, options: dict[str, Any]) -> int:
        self._orders.append(self._double.faults.order(method, pattern, fault, **options))
        return len(self._orders) - 1

    def ask_order(self, number: int, method: str) -> Any:
        return getattr(self._orders[number], method)()

    def fired(self, number: int) -> int:
        return self._orders[number].fired

    def limit(self, rate: Rate | None) -> None:
        self._double.server.limiter.rate = rate

    def log(self) -> list[str]:
        return [str(entry) for entry in self._double.log.entries()]

    def where_seen(self, text: str) -> list[str]:
        return self._double.log.where_seen(text)

    def call(self, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return getattr(self._double, method)(*arguments, **options)


class _Manager(BaseManager):
    """The connection between the two; what goes over it is pickled."""


class RemoteOrder:
    """An order that was given to a double in another process; see ``faults.Order``."""

    def __init__(self, desk: Any, number: int) -> None:
        self._desk, self._number = desk, number

    @property
    def fired(self) -> int:
        return int(self._desk.fired(self._number))

    def wait(self) -> None:
        self._desk.ask_order(self._number, "wait")

    def release(self) -> None:
        self._desk.ask_order(self._number, "release")


class RemoteDouble:
    """A double in another process.

    Attributes:
        facts: what it said when it began: ``url``, ``api_url`` and whatever else.
    """

    def __init__(self, desk: Any, facts: dict[str, str]) -> None:
        self._desk = desk
        self.facts = facts

    def order(self, method: str, pattern: str, fault: Fault, **options: Any) -> RemoteOrder:
        """Let a fault happen; see ``Faults.order``."""
        return RemoteOrder(self._desk, self._desk.order(method, pattern, fault, options))

    def limit(self, rate: Rate | None) -> None:
        """Set the rate of ``RateLimiter``."""
        self._desk.limit(rate)

    def log(self) -> list[str]:
        """Every request as one line."""
        return list(self._desk.log())

    def where_seen(self, text: str) -> list[str]:
        """See ``RequestLog.where_seen``."""
        return list(self._desk.where_seen(text))

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the double, such as ``add_repository`` or ``commits``; what it returns is a copy."""
        return self._desk.call(method, arguments, options)


@contextmanager
def in_a_process(module: str, *arguments: str) -> Iterator[RemoteDouble]:
    """Run a double's module as a program of its own, until the end of the context.

    Args:
        module: such as ``tests.support.forges.github``; its ``main`` is ``run``.
        arguments: of that program.
    """
    with tempfile.TemporaryDirectory(prefix="forge-") as folder:
        address = str(Path(folder) / "control.sock")
        command = [sys.executable, "-m", module, "--control", address, *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
            assert process.stdout
            first = process.stdout.readline()
            assert first, f"{module} has ended with {process.wait()}"
            try:
                yield RemoteDouble(_desk_at(address), json.loads(first))
            finally:
                process.terminate()


def run(double: Double, facts: dict[str, str], control: str) -> None:
    """Serve a double until the process is ended: the other half of ``in_a_process``.

    Args:
        double: one that answers already.
        facts: what is printed as one line of JSON, for whoever has started it.
        control: the path of the socket for a test; empty for none.
    """
    server = None
    if control:
        desk = _Desk(double)
        _register(lambda: desk)
        server = _Manager(address=control, authkey=_KEY).get_server()
    print(json.dumps(facts), flush=True)  # noqa: T201 it is a program
    if server:
        server.serve_forever()
    else:
        double.server.wait()


def _register(desk: Callable[[], _Desk] | None = None) -> None:
    exposed = [name for name in vars(_Desk) if not name.startswith("_")]
    _Manager.register("desk", callable=desk, exposed=exposed)


def _desk_at(address: str) -> Any:
    _register()
    manager = _Manager(address=address, authkey=_KEY)
    manager.connect()
    return manager.desk()  # type: ignore[attr-defined]
