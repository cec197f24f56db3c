"""Where an installation is and how it is reached: its own authority, its own proxy, and no way around either."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from portal_actions_plugin.errors import ConfigurationError, RemoteError
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.remote import transport
from portal_actions_plugin.scm.remote.client import LostAnswerError, Place
from portal_actions_plugin.settings.installations import Installation
from tests.support.forges.scripted import ADA, client_of
from tests.support.http_server import Names, Server, says, sends_to, serving
from tests.support.proxy import Proxy, proxying
from tests.support.tls import SecureServer, write_authority


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return write_authority(tmp_path)


@pytest.fixture
def server(authority: Path) -> Iterator[SecureServer]:
    with serving(SecureServer(authority)) as running:
        running.routes["/x"] = says(200, {"secure": True})
        yield running
    transport.close_kept()


@pytest.fixture
def plain() -> Iterator[Server]:
    with serving(Server()) as running:
        running.routes["/x"] = says(200, {"plain": True})
        yield running
    transport.close_kept()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """Only these names can be looked up: what is not among them, nobody but a proxy knows."""
    leading = Names()
    leading.lead("api.test", ["127.0.0.1"])
    leading.lead("other.test", ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", leading.getaddrinfo)
    return leading


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with proxying() as running:
        yield running
        transport.close_kept()


# -- authorities ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("names")
def test_an_own_authority_is_trusted(server: SecureServer, authority: Path, opening: Opening) -> None:
    client = client_of(Place(f"https://api.test:{server.port}", authority), opening)
    assert client.send(ADA, "GET", "/x").object() == {"secure": True}


@pytest.mark.usefixtures("names")
def test_nobody_else_s_certificate_is_trusted(server: SecureServer, authority: Path, opening: Opening) -> None:
    for place in (
        Place(f"https://api.test:{server.port}"),
        Place(f"https://other.test:{server.port}", authority),
    ):
        with pytest.raises(RemoteError, match="certificate cannot be trusted") as caught:
            client_of(place, opening).send(ADA, "POST", "/x")
        assert not isinstance(caught.value, LostAnswerError)
    assert server.seen == []


@pytest.mark.usefixtures("names")
def test_an_own_authority_is_the_only_one_that_is_trusted(
    server: SecureServer, authority: Path, opening: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    (tmp_path / "another").mkdir()
    another = write_authority(tmp_path / "another")
    with pytest.raises(RemoteError, match="certificate cannot be trusted"):
        client_of(Place(f"https://api.test:{server.port}", another), opening).send(ADA, "GET", "/x")


@pytest.mark.usefixtures("names")
def test_a_redirect_from_https_to_http_is_not_followed(
    server: SecureServer, plain: Server, authority: Path, opening: Opening
) -> None:
    server.routes["/x"] = sends_to(f"http://api.test:{plain.port}/x", 307)
    with pytest.raises(RemoteError, match=f"leads to http://api.test:{plain.port}"):
        client_of(Place(f"https://api.test:{server.port}", authority), opening).send(ADA, "POST", "/x")
    assert plain.seen == []


@pytest.mark.usefixtures("names")
def test_a_handshake_that_never_ends_has_done_nothing(opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = Place(f"https://api.test:{silent.getsockname()[1]}")
        with pytest.raises(RemoteError, match=r"could not be reached within 0\.3 seconds") as caught:
            client_of(place, opening).send(ADA, "POST", "/x")
    assert not isinstance(caught.value, LostAnswerError)


# -- proxies ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("names")
def test_https_goes_through_a_tunnel_which_sees_neither_token_nor_path(
    server: SecureServer, authority: Path, proxy: Proxy, opening: Opening
) -> None:
    proxy.leads["api.test:443"] = ("127.0.0.1", server.port)
    client = client_of(Place("https://api.test", authority, proxy.url), opening)
    assert client.send(ADA, "POST", "/x", body={"a": 1}).object() == {"secure": True}
    (asked,) = proxy.seen
    assert (asked.method, asked.path) == ("CONNECT", "api.test:443")
    assert set(asked.headers) == {"host"}
    assert server.asked_for == ["api.test"]
    assert server.seen[0].headers["authorization"] == ADA.headers["Authorization"]


def test_a_proxy_is_asked_by_name_for_hosts_that_only_it_knows(
    names: Names, server: SecureServer, authority: Path, proxy: Proxy, opening: Opening
) -> None:
    names.answers.clear()
    proxy.leads["api.test:443"] = ("127.0.0.1", server.port)
    client_of(Place("https://api.test", authority, proxy.url), opening).send(ADA, "GET", "/x")
    assert names.looked_up[0] == "127.0.0.1"
    assert "api.test" not in names.looked_up


@pytest.mark.usefixtures("names")
def test_http_goes_to_the_proxy_as_a_whole_url(plain: Server, proxy: Proxy, opening: Opening) -> None:
    proxy.leads["forge.internal"] = ("127.0.0.1", plain.port)
    client = client_of(Place("http://forge.internal", None, proxy.url), opening)
    assert client.send(ADA, "GET", "/x", query={"q": "1"}).object() == {"plain": True}
    assert [(asked.method, asked.path) for asked in proxy.seen] == [("GET", "http://forge.internal/x?q=1")]
    assert proxy.seen[0].headers["host"] == "forge.internal"


@pytest.mark.usefixtures("names")
def test_a_proxys_own_credential_goes_to_the_proxy_alone(
    server: SecureServer, plain: Server, authority: Path, proxy: Proxy, opening: Opening
) -> None:
    proxy.leads |= {"api.test:443": ("127.0.0.1", server.port), "forge.internal": ("127.0.0.1", plain.port)}
    url = proxy.url.replace("://", "://porter:s3%3Acret@")
    for place in (Place("https://api.test", authority, url), Place("http://forge.internal", None, url)):
        client_of(place, opening).send(ADA, "GET", "/x")
        assert "s3" not in repr(place)
    basic = "Basic cG9ydGVyOnMzOmNyZXQ="
    assert [asked.headers["proxy-authorization"] for asked in proxy.seen] == [basic, basic]
    assert not any("proxy-authorization" in asked.headers for asked in (*server.seen, *plain.seen))


@pytest.mark.usefixtures("names", "server")
def test_a_proxy_that_refuses_is_named_and_nothing_has_happened(
    authority: Path, proxy: Proxy, opening: Opening
) -> None:
    proxy.refuses = 407
    with pytest.raises(
        RemoteError, match=r"The proxy 127.0.0.1:\d+ does not connect to api.test:443: .* 407"
    ) as caught:
        client_of(Place("https://api.test", authority, proxy.url), opening).send(ADA, "POST", "/x")
    assert not isinstance(caught.value, LostAnswerError)


# -- settings ---------------------------------------------------------------------------------------------------------


def installed(**settings: object) -> Installation:
    return Installation("ghe", "github", settings)


def test_a_place_is_read_from_the_settings(authority: Path) -> None:
    place = Place.of(
        installed(api_url="https://ghe.example/api/v3/", ca_file=str(authority), proxy="http://proxy:3128"),
        default_api_url="https://api.github.com",
    )
    assert place == Place("https://ghe.example/api/v3", authority, "http://proxy:3128")
    assert Place.of(installed(), default_api_url="https://api.github.com") == Place("https://api.github.com")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, r"\['api_url'\] is missing"),
        ({"api_url": 7}, r"\['api_url'\] is of the type int"),
        ({"api_url": "ghe.example"}, "is no plain address"),
        ({"api_url": "https://ghe.example/?a=1"}, "holds a query"),
        ({"api_url": "https://user:pw@ghe.example"}, "without user and password"),
        ({"api_url": "https://ghe.example", "ca_file": "/no/such.pem"}, r"\['ca_file'\] names /no/such.pem"),
        ({"api_url": "https://ghe.example", "proxy": "socks5://secret@proxy"}, r"\['proxy'\] is wrong"),
        ({"api_url": "https://ghe.example", "proxy": "http://secret@"}, r"\['proxy'\] is wrong"),
    ],
)
def test_a_wrong_setting_is_named_without_what_may_be_secret(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        Place.of(replace(installed(), settings=settings), default_api_url=None)
    assert "PORTAL_ACTIONS_SCM['ghe']" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "pw" not in str(caught.value).replace("password", "")


def test_a_file_without_an_authority_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(ConfigurationError, match="which holds no authority"):
        Place.of(installed(api_url="https://a.example", ca_file=str(tmp_path / "empty.pem")), default_api_url=None)
