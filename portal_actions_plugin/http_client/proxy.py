"""A proxy between us and another side: what it is told, and a tunnel through it."""

from __future__ import annotations

import base64
import http.client
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from portal_actions_plugin.errors import RemoteError, ValidationError
from portal_actions_plugin.http_client.guard import Target, parse_target

if TYPE_CHECKING:
    from portal_actions_plugin.http_client.connection import Deadline, TimedSocket


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that speaks HTTP.

    Attributes:
        target: where it is.
        headers: what it is sent with each request or tunnel: its own credential, when it asks for one.
    """

    target: Target
    headers: dict[str, str] = field(repr=False)


def parse_proxy(url: str) -> Proxy:
    """Read the address of a proxy, ``http://proxy.example.com:3128`` or with ``user:password@``.

    Raises:
        ValidationError: it is no such address; the message shows nothing of it.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValidationError("A proxy's address begins with http://, such as http://proxy.example.com:3128.") from None
    if parts.scheme != "http" or not parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValidationError("A proxy's address is http://, a host and a port, such as http://proxy.example.com:3128.")
    who, _, where = parts.netloc.rpartition("@")
    if not who:
        return Proxy(parse_target(f"http://{where}"), {})
    token = base64.b64encode(unquote(who).encode()).decode()
    return Proxy(parse_target(f"http://{where}"), {"Proxy-Authorization": f"Basic {token}"})


def open_tunnel(connected: TimedSocket, proxy: Proxy, target: Target, deadline: Deadline) -> None:
    """Let a proxy pass all bytes on to a target.

    Args:
        connected: a connection to the proxy, which leads to the target afterwards.
        proxy: it.
        target: where to.
        deadline: when the proxy must have answered.

    Raises:
        RemoteError: it refuses.
        OSError, http.client.HTTPException: as ``failures.BROKEN`` has them.
    """
    host = f"[{target.host}]" if ":" in target.host else target.host
    place = f"{host}:{target.port}"
    lines = [
        f"CONNECT {place} HTTP/1.1",
        f"Host: {place}",
        *(f"{name}: {told}" for name, told in proxy.headers.items()),
    ]
    connected.deadline = deadline
    connected.sendall("\r\n".join([*lines, "", ""]).encode("ascii", "replace"))
    with closing(http.client.HTTPResponse(connected, method="CONNECT")) as said:
        said.begin()
        if said.status not in range(200, 300):
            raise RemoteError(
                f"The proxy {proxy.target.named} does not connect to {place}: it answered {said.status}.",
                hint="Tell your platform team: the proxy that is set for this installation has to let it through.",
            )
