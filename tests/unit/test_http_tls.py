"""``https``: the certificate is checked for the name that was asked for, whatever address it leads to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from portal_actions_plugin.actions.http import http_request
from portal_actions_plugin.errors import RemoteError, ValidationError
from portal_actions_plugin.http_client.guard import HttpRules
from tests.support.action_helpers import make_context
from tests.support.http_server import Names, Server, only, says, sends_to, serving
from tests.support.tls import SecureServer, write_authority


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return write_authority(tmp_path)


@pytest.fixture
def server(authority: Path) -> Iterator[SecureServer]:
    with serving(SecureServer(authority)) as running:
        running.routes["/"] = says(200, "secret place")
        yield running


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    leading = Names()
    for name in ("api.test", "other.test"):
        leading.lead(name, ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", leading.getaddrinfo)
    return leading


@pytest.fixture
def trusted(authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))


def get(url: str, *hosts: tuple[str, int | None], **given: Any) -> dict[str, Any]:
    ctx = make_context(http=HttpRules(only(*hosts), (ip_network("127.0.0.0/8"),)))
    return http_request.run(ctx, {"method": "GET", "url": url, **given})


@pytest.mark.usefixtures("names", "trusted")
def test_the_name_is_asked_for_and_its_certificate_is_checked(server: SecureServer) -> None:
    kept = get(f"https://api.test:{server.port}/", ("api.test", server.port))
    assert kept["body"] == "secret place"
    assert server.asked_for == ["api.test"]


@pytest.mark.usefixtures("names", "trusted")
@pytest.mark.parametrize("host", ["other.test", "127.0.0.1"])
def test_a_certificate_of_another_name_is_refused(server: SecureServer, host: str) -> None:
    with pytest.raises(RemoteError, match="certificate cannot be trusted"):
        get(f"https://{host}:{server.port}/", (host, server.port), secretHeaders={"Authorization": "Bearer b-1"})
    assert server.seen == []


@pytest.mark.usefixtures("names")
def test_a_certificate_that_nobody_vouches_for_is_refused(server: SecureServer) -> None:
    with pytest.raises(RemoteError, match="certificate cannot be trusted"):
        get(f"https://api.test:{server.port}/", ("api.test", server.port))
    assert server.seen == []


@pytest.mark.usefixtures("names", "trusted")
def test_a_redirect_from_https_to_http_is_refused(server: SecureServer) -> None:
    server.routes["/"] = sends_to(f"http://api.test:{server.port}/")
    with pytest.raises(ValidationError, match="redirects from https to http"):
        get(f"https://api.test:{server.port}/", ("api.test", server.port))


@pytest.mark.usefixtures("names", "trusted")
def test_a_redirect_from_http_to_https_leaves_the_secrets_behind(server: SecureServer) -> None:
    with serving(Server()) as plain:
        plain.routes["/"] = sends_to(f"https://api.test:{server.port}/")
        hosts = (("api.test", plain.port), ("api.test", server.port))
        get(f"http://api.test:{plain.port}/", *hosts, secretHeaders={"Authorization": "Bearer b-1"})
    assert "authorization" not in server.seen[0].headers


@pytest.mark.usefixtures("names", "trusted")
def test_an_answer_that_drips_is_not_waited_for(server: SecureServer) -> None:
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"
    server.routes["/"] = lambda handler: handler.drip(first=start, byte=b"1")
    with pytest.raises(RemoteError, match="no whole answer"):
        get(f"https://api.test:{server.port}/", ("api.test", server.port), timeoutSeconds=0.5)


@pytest.mark.usefixtures("names")
def test_a_handshake_that_never_ends_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(RemoteError, match="no whole answer"):
            get(f"https://api.test:{port}/", ("api.test", port), timeoutSeconds=0.3)


@pytest.mark.usefixtures("names")
def test_a_server_that_speaks_no_tls_is_a_remote_error() -> None:
    with serving(Server()) as plain, pytest.raises(RemoteError, match=f"GET api.test:{plain.port} failed"):
        get(f"https://api.test:{plain.port}/", ("api.test", plain.port))
