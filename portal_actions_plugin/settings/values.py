"""Reading the value of a setting: what it may be, and what is said when it is something else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import urlsplit

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.host import PERMISSIONS
from portal_actions_plugin.settings.forge_settings import secret

if TYPE_CHECKING:
    from flask import Flask

PREFIX = "PORTAL_ACTIONS_"
MAX_DAYS = 36_500
"""A hundred years: further back, the calendar of a database ends."""

_QUEUE_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]*$")
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RATE = re.compile(r"^\s*(\d+)\s*(?:per|/)\s*(second|minute|hour)\s*$")
_PERMISSION = re.compile(r"^[a-z][a-z-]*:[a-z][a-z0-9-]*$")
_HOST_RULE = re.compile(
    r"(?P<wild>\*\.)?(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*))(?::(?P<port>[0-9]{1,5}))?"
)
_PERIOD = {"second": 1, "minute": 60, "hour": 3600}


@dataclass(frozen=True, slots=True)
class RateLimit:
    """``count`` starts in any ``seconds``."""

    count: int
    seconds: int

    @property
    def period(self) -> str:
        """What people call that many seconds."""
        return next(word for word, seconds in _PERIOD.items() if seconds == self.seconds)


@dataclass(frozen=True, slots=True)
class HostRule:
    """A host that may be called: this name or, with ``subdomains``, every name below it. ``port`` None: 80 and 443."""

    name: str
    subdomains: bool
    port: int | None


def _has_good_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def wrong(name: str, value: object, takes: str) -> ConfigurationError:
    """The error of a setting: what it holds, and what it takes."""
    return ConfigurationError(f"{PREFIX}{name} is {value!r}: it takes {takes}.", hint=f"Correct {PREFIX}{name}.")


def require_known(values: Iterable[str], known: Sequence[str]) -> None:
    """Refuse a setting that there is not: most likely it is one, misspelled, and what it should do is not done.

    Args:
        values: the names of all settings of the app.
        known: the names of ours, without the prefix.

    Raises:
        ConfigurationError: names each, and the setting that it looks like.
    """
    unknown = sorted(name for name in values if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in known)
    if not unknown:
        return
    meant = [PREFIX + near for name in unknown for near in get_close_matches(name.removeprefix(PREFIX), known, 1)]
    raise ConfigurationError(
        f"There is no setting {' and no setting '.join(unknown)}.",
        hint=f"Did you mean {', '.join(meant)}?" if meant else "The reference has those that there are.",
    )


MAX_ENVIRONMENT = 64_000
"""Characters of all that templates may name as ``environment``, as JSON."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What templates may name as ``environment``.

    Attributes:
        parameters: JSON values by name.
        secrets: texts by name, for the inputs of steps only.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


class Reader:
    """Reads one setting each, and says what is wrong with it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def _get(self, name: str) -> Any:
        return self._values[PREFIX + name]

    def text(self, name: str) -> str:
        value = self._get(name)
        if not isinstance(value, str) or not value:
            raise wrong(name, value, "a text")
        return value

    def redis_url(self, name: str) -> str:
        value = self.text(name)
        if not value.startswith(("redis://", "rediss://", "unix://")) or not _has_good_port(value):
            raise wrong(name, value, "an address such as redis://localhost:6379/0 or unix:///run/redis.sock")
        return value

    def keys(self, name: str) -> tuple[str, ...]:
        keys = self.words(name, ",")
        if not keys:
            return ()
        from cryptography.fernet import Fernet  # 7 MB, which a portal without secrets does without

        try:
            for key in keys:
                Fernet(key)
        except ValueError:
            raise wrong(name, "•••", "Fernet keys, as cryptography's Fernet.generate_key() makes them") from None
        return keys

    def optional_text(self, name: str) -> str | None:
        return None if self._get(name) in (None, "") else self.text(name)

    def secret(self, name: str) -> object:
        """A secret as it is set: its text, or where it is; None where there is none."""
        value = self._get(name)
        if value in (None, ""):
            return None
        if takes := secret(value):
            raise wrong(name, type(value).__name__, takes)
        return value

    def namespace(self, name: str) -> str | None:
        value = self.optional_text(name)
        if value is not None and not _NAMESPACE.fullmatch(value):
            raise wrong(name, value, "1 to 64 letters, digits, - and _")
        return value

    def choice(self, name: str, known: Sequence[str]) -> str:
        value = self._get(name)
        if value not in known:
            raise wrong(name, value, f"{', '.join(known[:-1])} or {known[-1]}")
        return str(value)

    def path(self, name: str) -> str:
        value = self._get(name) or ""
        if not isinstance(value, str) or (value and not value.startswith("/")):
            raise wrong(name, value, "a path that begins with a slash")
        return value.rstrip("/")

    def folder(self, name: str) -> Path | None:
        value = self._get(name)
        return Path(value).absolute() if value else None

    def words(self, name: str, separator: str) -> tuple[str, ...]:
        value = self._get(name) or ()
        words = value.split(separator) if isinstance(value, str) else value
        if not isinstance(words, list | tuple | set | frozenset):
            raise wrong(name, value, f"a list, or a text separated by {separator!r}")
        return tuple(str(word).strip() for word in words if str(word).strip())

    def seconds(self, name: str) -> float:
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise wrong(name, value, "a number of seconds above 0")
        return float(value)

    def switch(self, name: str) -> bool:
        value = self._get(name)
        if not isinstance(value, bool):
            raise wrong(name, value, "True or False")
        return value

    def count(self, name: str) -> int:
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise wrong(name, value, "a whole number above 0")
        return value

    def optional_count(self, name: str) -> int | None:
        return None if self._get(name) is None else self.count(name)

    def days(self, name: str) -> int:
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_DAYS:
            raise wrong(name, value, f"a whole number of days from 1 to {MAX_DAYS}")
        return value

    def rate_limit(self, name: str) -> RateLimit:
        match = _RATE.match(str(self._get(name)))
        if not match or int(match[1]) == 0:
            raise wrong(name, self._get(name), "'10 per minute' (or second, or hour), at least 1")
        return RateLimit(int(match[1]), _PERIOD[match[2]])

    def queues(self, name: str) -> dict[str, str]:
        value = self._get(name)
        if not isinstance(value, Mapping) or not all(_QUEUE_NAME.match(str(queue)) for queue in value.values()):
            raise wrong(name, value, "a table of action patterns and queue names (a-z, 0-9, - and _)")
        return {str(pattern): str(queue) for pattern, queue in value.items()}

    def environment(self, name: str) -> Environment:
        """What templates may name as ``environment``. No error shows a value: it may be a secret."""
        given = self._get(name)
        found = Environment(given.get("parameters") or {}, given.get("secrets") or {}) if _is_table(given) else None
        if found is None or given.keys() - {"parameters", "secrets"}:
            raise wrong(name, type(given).__name__, "a table with `parameters` and `secrets`")
        if not _is_table(found.parameters) or not _is_table(found.secrets):
            raise wrong(name, "something else", "a table in `parameters`, and one in `secrets`")
        if odd := [key for key, value in found.secrets.items() if not isinstance(value, str) or not value]:
            raise wrong(name, f"no text in secrets.{odd[0]}", "texts in `secrets`, none of them empty")
        try:
            size = len(json.dumps([found.parameters, found.secrets], allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            raise wrong(name, "something else", "JSON values in `parameters`") from None
        if size > MAX_ENVIRONMENT:
            raise wrong(name, f"{size:,} characters", f"at most {MAX_ENVIRONMENT:,} of them")
        return found

    def hosts(self, name: str) -> tuple[HostRule, ...]:
        return tuple(_host_rule(name, word) for word in self.words(name, ","))

    def networks(self, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
        words = self.words(name, ",")
        try:
            return tuple(map(ip_network, words))
        except ValueError as error:
            raise wrong(name, words, f"networks such as 10.20.0.0/16 ({error})") from None

    def role_permissions(self, name: str) -> dict[str, frozenset[str]]:
        value = self._get(name)
        if not isinstance(value, Mapping):
            raise wrong(name, value, "a table of roles and their permissions")
        table = {str(role): frozenset(permissions) for role, permissions in value.items()}
        unusable = sorted(word for word in set().union(*table.values()) if not _PERMISSION.match(str(word)))
        if unusable:
            raise wrong(name, unusable, f"permissions such as {', '.join(PERMISSIONS)}")
        return table


def _is_table(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _host_rule(name: str, word: str) -> HostRule:
    takes = "hosts such as api.example.com, *.example.com or api.example.com:8443 (an international name as xn--…)"
    match = _HOST_RULE.fullmatch(word.lower())
    if not match or (match["wild"] and match["six"]) or not 0 < int(match["port"] or 80) < 65536:
        raise wrong(name, word, takes)
    try:
        host = str(IPv6Address(match["six"])) if match["six"] else match["name"]
    except ValueError:
        raise wrong(name, word, takes) from None
    return HostRule(host, bool(match["wild"]), int(match["port"]) if match["port"] else None)


def database_url(app: Flask) -> str:
    """The database of the plugin's tables: its own setting, the host's PostgreSQL, or a file; raises ConfigurationError."""
    url = app.config[PREFIX + "DATABASE_URL"]
    if not url:
        host_url = str(app.config.get("SQLALCHEMY_DATABASE_URI") or "")
        url = host_url if host_url.startswith(("postgres:", "postgresql")) else None
    if not url:
        return f"sqlite:///{Path(app.instance_path) / 'portal_actions.db'}"
    shown = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", str(url))
    url = re.sub(r"^postgres(ql)?(\+\w+)?:", "postgresql+psycopg:", str(url))
    if url.startswith("sqlite") and (":memory:" in url or url.rstrip("/") == "sqlite:"):
        raise wrong("DATABASE_URL", shown, "a SQLite file or PostgreSQL: workers are processes of their own")
    if not url.startswith(("sqlite:///", "postgresql+psycopg:")):
        raise wrong("DATABASE_URL", shown, "a SQLite file (sqlite:///…) or PostgreSQL (postgresql://…)")
    if url.startswith("postgresql") and find_spec("psycopg") is None:
        hint = 'Install it: pip install "portal-actions-plugin[postgres]".'
        raise ConfigurationError(f"{PREFIX}DATABASE_URL is {shown!r}: its driver psycopg is not installed.", hint=hint)
    return url
