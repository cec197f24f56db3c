"""How a request reaches an installation: over its own proxy, trusting its own authority, on connections that are kept."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConfigurationError, RemoteError, ValidationError
from portal_actions_plugin.http_client.connection import Deadline, connect, connect_plainly, resolve, secured
from portal_actions_plugin.http_client.failures import named_failures
from portal_actions_plugin.http_client.guard import Target, parse_target
from portal_actions_plugin.http_client.kept import KeptConnections
from portal_actions_plugin.http_client.proxy import open_tunnel, parse_proxy
from portal_actions_plugin.http_client.wire import Wire
from portal_actions_plugin.scm.remote.answers import READS, LostAnswerError

if TYPE_CHECKING:
    from portal_actions_plugin.http_client.messages import Answer, Request
    from portal_actions_plugin.settings.installations import Installation

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
CALL_SECONDS = 60.0
MAX_ANSWER_BYTES = 32 * 1024 * 1024

_kept = KeptConnections()


def close_kept() -> None:
    """Close the connections that this process keeps idle."""
    _kept.close()


def call_deadline() -> Deadline:
    """The time limits of a call that begins now."""
    return Deadline(CALL_SECONDS, wait_seconds=READ_SECONDS)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an installation's API is, and how it is reached.

    Attributes:
        api_url: without a slash at its end, such as ``https://api.github.com``.
        ca_file: the only authorities to trust, in a PEM file; None for those of the system.
        proxy: such as ``http://proxy.example.com:3128``; None to connect directly. It may hold a credential.
    """

    api_url: str
    ca_file: Path | None = None
    proxy: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, installation: Installation, *, default_api_url: str | None) -> Place:
        """Read ``api_url``, ``ca_file`` and ``proxy`` of an installation's settings.

        Args:
            installation: it.
            default_api_url: where the API is when the settings do not say; None when they must.

        Raises:
            ConfigurationError: names the setting that is wrong.
        """
        api_url = _text(installation, "api_url") or default_api_url
        if not api_url:
            raise _wrong(installation, "api_url", "is missing: it is where the API is")
        api_url = api_url.rstrip("/")
        try:
            target = parse_target(api_url)
        except ValidationError:
            what = "is no plain address without user and password, such as https://ghe.example.com/api/v3"
            raise _wrong(installation, "api_url", what) from None
        if "?" in target.path:
            raise _wrong(installation, "api_url", "holds a query, which the address of an API has not")
        proxy = _text(installation, "proxy")
        try:
            if proxy:
                parse_proxy(proxy)
        except ValidationError as error:
            raise _wrong(installation, "proxy", f"is wrong. {error.message}") from None
        ca_file = _text(installation, "ca_file")
        try:
            if ca_file:
                ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise _wrong(installation, "ca_file", f"names {ca_file}, which holds no authority: {error}") from None
        return cls(api_url, Path(ca_file) if ca_file else None, proxy)


def _text(installation: Installation, key: str) -> str | None:
    value = installation.settings.get(key)
    if value is None or isinstance(value, str):
        return value or None
    raise _wrong(installation, key, f"is of the type {type(value).__name__}, and has to be a text")


def _wrong(installation: Installation, key: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"PORTAL_ACTIONS_SCM[{installation.name!r}][{key!r}] {what.rstrip('.')}.")


@dataclass(frozen=True, slots=True)
class Transport:
    """Requests to one installation, each on a connection of its own while it lasts."""

    place: Place

    def exchange(self, request: Request, deadline: Deadline, before: Callable[[], None] | None = None) -> Answer:
        """Make a request and read its answer, whatever it says.

        A read on a connection that turns out to be dead is made once more on a new one. A write never is.

        Args:
            request: what is asked.
            deadline: of the whole call.
            before: called right before the request is written; what it raises is passed on.

        Raises:
            RemoteError: no whole answer came. It is a LostAnswerError when a write may have happened.
        """
        key = (request.target.origin, self.place)
        wire = _kept.take(key)
        if wire is not None:
            try:
                return self._on(wire, request, deadline, before)
            except RemoteError:
                if request.method not in READS or not wire.silent or deadline.over:
                    raise
        return self._on(self._open(request, deadline), request, deadline, before)

    def _on(self, wire: Wire, request: Request, deadline: Deadline, before: Callable[[], None] | None) -> Answer:
        try:
            if before:
                before()
            return _asked(wire, request, deadline)
        finally:
            _kept.keep((request.target.origin, self.place), wire)

    def _open(self, request: Request, deadline: Deadline) -> Wire:
        connecting = deadline.within(CONNECT_SECONDS)
        with named_failures(request, connecting, missed="could not be reached"):
            wire = self._connected(request.target, connecting)
        _kept.opened(wire)
        return wire

    def _connected(self, target: Target, deadline: Deadline) -> Wire:
        ca_file = self.place.ca_file
        if not self.place.proxy:
            return Wire(connect(target, resolve(target, deadline), deadline, ca_file), target)
        proxy = parse_proxy(self.place.proxy)
        connected = connect_plainly(resolve(proxy.target, deadline), deadline)
        if target.scheme == "http":
            return Wire(connected, target, hop_headers=proxy.headers, whole_urls=True)
        try:
            open_tunnel(connected, proxy, target, deadline)
            return Wire(secured(connected, target, deadline, ca_file), target)
        except BaseException:
            connected.close()
            raise


def _asked(wire: Wire, request: Request, deadline: Deadline) -> Answer:
    try:
        with named_failures(request, deadline):
            answer = wire.ask(request, deadline, MAX_ANSWER_BYTES)
        if not answer.whole and answer.status < 400:
            raise RemoteError(f"{request} gave more than {MAX_ANSWER_BYTES // 1024 // 1024} MB.")
    except RemoteError as error:
        if request.method in READS:
            raise
        raise LostAnswerError(error.message) from None
    return answer
