"""Which URLs are read, which hosts are on the list, and which addresses are public."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network

import pytest
from flask import Flask

from portal_actions_plugin.errors import ConfigurationError, ValidationError
from portal_actions_plugin.http_client.guard import HttpRules, Target, is_public, parse_target
from portal_actions_plugin.settings.values import HostRule
from tests.support.http_server import only


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://API.Example.com", Target("https", "api.example.com", 443, "/")),
        ("http://api.example.com:8080/a?b=c#part", Target("http", "api.example.com", 8080, "/a?b=c")),
        ("https://api.example.com/müller?q=ä%20", Target("https", "api.example.com", 443, "/m%C3%BCller?q=%C3%A4%20")),
        ("http://8.8.8.8/", Target("http", "8.8.8.8", 80, "/")),
        ("http://[2606:4700:0::1]:81/", Target("http", "2606:4700::1", 81, "/")),
        ("https://xn--mller-kva.example/", Target("https", "xn--mller-kva.example", 443, "/")),
    ],
)
def test_a_url_that_is_written_plainly_is_read(url: str, target: Target) -> None:
    assert parse_target(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "//api.example.com/",
        "ftp://api.example.com/",
        "file:///etc/passwd",
        "https:///path",
        "https://user@api.example.com/",
        "https://api.example.com@127.0.0.1/",
        "https://api.example.com:443@127.0.0.1/",
        "https://api.example.com\\@127.0.0.1/",
        "https://api.example.com./",
        "https://api..example.com/",
        "https://-api.example.com/",
        "https://müller.example/",
        "https://①②⑦.⓪.⓪.①/",
        "https://api.example.com%2f@evil.example/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://127.0.0.01/",
        "http://api.example.0x7f/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::1/",
        "http://[v1.x]/",
        "http://api.example.com:0/",
        "http://api.example.com:65536/",
        "http://api.example.com:８０/",
        "http://api.example.com:80a/",
        "http://api.example.com/\r\nX: y",
        "http://api.example.com/a b",
        "http://api.example.com/\x00",
        " http://api.example.com/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "a." * 130 + "example/",
        "http://api.example.com/" + "a" * 8000,
    ],
)
def test_a_url_that_can_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        parse_target(url)
    assert set(refused.value.fields) == {"url"}


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16"),
        *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1"),
        *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b:1::1"),
        *("100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254"),
        *("fe80::1", "fec0::1", "ff02::1"),
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))
    with pytest.raises(ValidationError, match=r"api\.example\.com leads to") as refused:
        HttpRules().require_addresses(Target("https", "api.example.com", 443, "/"), ["8.8.8.8", address])
    assert address in refused.value.message
    assert "PORTAL_ACTIONS_HTTP_ALLOWED_NETWORKS" in refused.value.hint


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111"])
def test_a_public_address_may_be_reached(address: str) -> None:
    assert is_public(ip_address(address))
    HttpRules().require_addresses(Target("https", "api.example.com", 443, "/"), [address])


def test_a_network_that_is_allowed_may_be_reached_and_no_other() -> None:
    rules = HttpRules(networks=(ip_network("10.20.0.0/16"), ip_network("fd00::/64")))
    target = Target("https", "api.example.com", 443, "/")
    rules.require_addresses(target, ["10.20.3.4", "fd00::1"])
    for address in ("10.21.0.1", "fd00:1::1", "::ffff:10.20.3.4"):
        with pytest.raises(ValidationError):
            rules.require_addresses(target, [address])


@pytest.mark.parametrize(
    ("rule", "url", "allowed"),
    [
        (("api.example.com", None), "https://api.example.com/", True),
        (("api.example.com", None), "http://api.example.com/", True),
        (("api.example.com", None), "https://api.example.com:80/", True),
        (("api.example.com", None), "https://api.example.com:8443/", False),
        (("api.example.com", None), "https://x.api.example.com/", False),
        (("api.example.com", None), "https://xapi.example.com/", False),
        (("api.example.com", None), "https://api.example.com.evil.example/", False),
        (("api.example.com", 8443), "https://api.example.com:8443/", True),
        (("api.example.com", 8443), "https://api.example.com/", False),
        (("*.example.com", None), "https://api.example.com/", True),
        (("*.example.com", None), "https://a.b.example.com/", True),
        (("*.example.com", None), "https://example.com/", False),
        (("*.example.com", None), "https://evilexample.com/", False),
    ],
)
def test_a_rule_allows_its_host_and_port_and_no_other(rule: tuple[str, int | None], url: str, allowed: bool) -> None:
    rules, target = HttpRules(only(rule)), parse_target(url)
    if allowed:
        rules.require_host(target)
        return
    with pytest.raises(ValidationError) as refused:
        rules.require_host(target)
    assert target.named in refused.value.message
    assert "PORTAL_ACTIONS_HTTP_ALLOWED_HOSTS" in refused.value.hint


def test_without_hosts_the_action_is_off_and_names_the_setting() -> None:
    with pytest.raises(ConfigurationError, match="PORTAL_ACTIONS_HTTP_ALLOWED_HOSTS"):
        HttpRules().require_host(parse_target("https://api.example.com"))


def test_the_settings_become_the_rules(make_app: Callable[..., Flask]) -> None:
    app = make_app(
        PORTAL_ACTIONS_HTTP_ALLOWED_HOSTS="API.example.com, *.example.org:8443,[::1]:90,[fd00:0::2]",
        PORTAL_ACTIONS_HTTP_ALLOWED_NETWORKS=["10.20.0.0/16", "::1/128"],
        PORTAL_ACTIONS_HTTP_MAX_BYTES=500,
    )
    rules = HttpRules.of(app.extensions["portal_actions"].config)
    assert rules.hosts == (
        HostRule("api.example.com", subdomains=False, port=None),
        HostRule("example.org", subdomains=True, port=8443),
        HostRule("::1", subdomains=False, port=90),
        HostRule("fd00::2", subdomains=False, port=None),
    )
    assert rules.networks == (ip_network("10.20.0.0/16"), ip_network("::1/128"))
    assert (rules.max_bytes, rules.max_output_bytes) == (500, 256_000)


@pytest.mark.parametrize(
    "word", ["*", "*.", "https://x.example", "a.*.example", "x.example:0", "x.example:99999", "x/y", "müller.example"]
)
def test_a_host_that_cannot_be_understood_stops_the_start(make_app: Callable[..., Flask], word: str) -> None:
    with pytest.raises(ConfigurationError, match="PORTAL_ACTIONS_HTTP_ALLOWED_HOSTS"):
        make_app(PORTAL_ACTIONS_HTTP_ALLOWED_HOSTS=[word])


@pytest.mark.parametrize("word", ["10.0.0.1/8", "10.0.0.0/99", "everything"])
def test_a_network_that_cannot_be_understood_stops_the_start(make_app: Callable[..., Flask], word: str) -> None:
    with pytest.raises(ConfigurationError, match="PORTAL_ACTIONS_HTTP_ALLOWED_NETWORKS"):
        make_app(PORTAL_ACTIONS_HTTP_ALLOWED_NETWORKS=[word])
