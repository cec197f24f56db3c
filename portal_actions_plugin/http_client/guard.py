"""Where requests go, and what ``http.request@v1`` may connect to: which hosts and ports, and which addresses behind them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from portal_actions_plugin.errors import ConfigurationError, ValidationError

if TYPE_CHECKING:
    from portal_actions_plugin.settings.config import Config
    from portal_actions_plugin.settings.values import HostRule

HOSTS_SETTING = "PORTAL_ACTIONS_HTTP_ALLOWED_HOSTS"
NETWORKS_SETTING = "PORTAL_ACTIONS_HTTP_ALLOWED_NETWORKS"

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NETLOC = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MAX_HOST = 253
_MAX_URL = 8000
_KEPT_IN_PATHS = "/:@!$&'()*+,;=%~"

# Written out, since the standard library's idea of a global address changes from one patch version to the next.
_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",  # behind a carrier's NAT
            "127.0.0.0/8",
            "168.63.129.16/32",  # a cloud's own service in every machine, though its address looks public
            "169.254.0.0/16",  # link-local: the metadata services of clouds
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # relays to 6to4
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
# Outside of it are loopback, link-local, private, multicast, mapped IPv4 (::ffff:0:0/96) and NAT64 (64:ff9b::/96).
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # Teredo among others
            "2001:db8::/32",
            "2002::/16",  # 6to4
            "3fff::/20",
        ),
    )
)


@dataclass(frozen=True, slots=True)
class HttpRules:
    """What may be called, and how much of an answer is kept.

    Attributes:
        hosts: with their ports; without any the action is off.
        networks: whose addresses may be connected to though they are not public.
        max_bytes: of an answer's body that are kept.
        max_output_bytes: of all outputs of a step, as JSON.
        backstage_url: what ``http:backstage:request`` calls; empty for none. Its host has to be among ``hosts``, too.
    """

    hosts: tuple[HostRule, ...] = ()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    max_bytes: int = 100_000
    max_output_bytes: int = 256_000
    backstage_url: str = ""

    @classmethod
    def of(cls, config: Config) -> HttpRules:
        """The rules of a portal's settings."""
        return cls(
            config.http_allowed_hosts,
            config.http_allowed_networks,
            config.http_max_bytes,
            config.max_output_bytes,
            config.backstage_url,
        )

    def require_host(self, target: Target) -> None:
        """Refuse a host or port that is not on the list.

        Raises:
            ConfigurationError: the list is empty.
            ValidationError: names the host.
        """
        if not self.hosts:
            raise ConfigurationError(
                f"http.request is off: {HOSTS_SETTING} names no host.",
                hint=f"Tell your platform team to set {HOSTS_SETTING} to the hosts that may be called.",
            )
        if not any(_allows(rule, target) for rule in self.hosts):
            message = f"This portal may not call {target.named}."
            hint = f"Ask your platform team to add it to {HOSTS_SETTING}."
            raise ValidationError(message, hint=hint, fields={"url": [message]})

    def require_addresses(self, target: Target, addresses: Sequence[str]) -> None:
        """Refuse a name when any of its addresses is not public, and not in a network that is allowed all the same.

        Args:
            target: what was looked up.
            addresses: all that were found, IPv4 or IPv6, as text.

        Raises:
            ValidationError: names the host and the address.
        """
        for address in addresses:
            if not self._may_reach(address):
                message = f"{target.host} leads to {address}, which is not a public address."
                hint = f"If it is meant, ask your platform team to add its network to {NETWORKS_SETTING}."
                raise ValidationError(message, hint=hint, fields={"url": [message]})

    def _may_reach(self, text: str) -> bool:
        # A zone is the machine's own name of a link; only link-local addresses have one.
        address = ip_address(text.partition("%")[0])
        return is_public(address) or any(address in network for network in self.networks)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the public Internet, and not another one in disguise."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


def _allows(rule: HostRule, target: Target) -> bool:
    name_fits = target.host.endswith(f".{rule.name}") if rule.subdomains else target.host == rule.name
    port_fits = target.port == rule.port if rule.port else target.port in _DEFAULT_PORTS.values()
    return name_fits and port_fits


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes.

    Attributes:
        scheme: http or https.
        host: a name in small letters, or an address in its usual form.
        port: 1 to 65535.
        path: from the first slash on, percent-encoded, with the query.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """What must stay the same for a credential to go along."""
        return self.scheme, self.host, self.port

    @property
    def named(self) -> str:
        """Host and port as a URL and the Host header have them; a port that goes without saying is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole of it, written plainly."""
        return f"{self.scheme}://{self.named}{self.path}"


def parse_target(url: str) -> Target:
    """Read a URL that is written plainly; what can be read in two ways is refused.

    Args:
        url: http or https, at most 8,000 characters; a fragment is left out.

    Raises:
        ValidationError: says what is wrong with it.
    """
    if len(url) > _MAX_URL or not url.isprintable() or " " in url or "\\" in url:
        raise _wrong(f"A URL has at most {_MAX_URL} characters, and no space, backslash or control character.")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _wrong("This is not a URL.") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise _wrong("A URL begins with https:// or http://.")
    if "@" in parts.netloc:
        raise _wrong("A URL holds no user or password: give a credential in secretHeaders.")
    match = _NETLOC.fullmatch(parts.netloc)
    if not match:
        raise _wrong("The host of the URL is not written plainly (an international name is written as xn--…).")
    port = int(match["port"] or _DEFAULT_PORTS[parts.scheme])
    if not 0 < port < 65536:
        raise _wrong("A port is a number from 1 to 65535.")
    path = quote(parts.path or "/", safe=_KEPT_IN_PATHS)
    query = f"?{quote(parts.query, safe=_KEPT_IN_PATHS + '?')}" if parts.query else ""
    return Target(parts.scheme, _host(match["six"], match["name"]), port, path + query)


def _host(six: str | None, name: str | None) -> str:
    try:
        if six:
            return str(IPv6Address(six))
        host = str(name).lower()
        labels = host.split(".")
        # 2130706433, 0x7f.1 and 0177.0.0.1 are addresses to the system: only the usual form is taken for one.
        if _NUMBER.fullmatch(labels[-1]):
            return str(IPv4Address(host))
    except ValueError:
        raise _wrong("The address in the URL is not written in its usual form, such as 192.0.2.1.") from None
    if len(host) > _MAX_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise _wrong("The host of the URL is not a name such as api.example.com, without a dot at its end.")
    return host


def _wrong(message: str) -> ValidationError:
    return ValidationError(message, fields={"url": [message]})
