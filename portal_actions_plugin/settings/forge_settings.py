"""What the built-in kinds of forges take as settings, checked when the app starts. No value is shown: it may be secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from portal_actions_plugin.errors import ConfigurationError

TOKEN_TYPES = ("private", "bearer")
"""How GitLab gets a token: ``PRIVATE-TOKEN`` for personal, group and project tokens, ``Authorization`` for OAuth's."""

URLS = {"github": "https://github.com", "gitlab": "https://gitlab.com"}
"""Where people find a forge whose settings name no other place."""

_SECRET = "a text, {'env': NAME} or {'file': PATH}"  # noqa: S105 words about one

Check = Callable[[object], str | None]
"""What a value should have been, where it is something else."""


def check_forge(where: str, kind: str, settings: Mapping[str, object]) -> None:
    """Check the settings of an installation; those of kinds that other packages bring are theirs.

    Args:
        where: how the portal writes it, such as ``PORTAL_ACTIONS_SCM['ghe']``.
        kind: such as ``github``.
        settings: all of it but the kind.

    Raises:
        ConfigurationError: names the key that is wrong, and what it takes.
    """
    if kind not in _KEYS:
        return
    _check_keys(where, kind, settings, _KEYS[kind])
    _check_credential(where, settings)
    owners = settings.get("owners")
    if isinstance(owners, Mapping):
        seen: set[str] = set()
        for owner, given in owners.items():
            part = f"{where}['owners'][{owner!r}]"
            if not isinstance(owner, str) or not owner or not isinstance(given, Mapping):
                raise _wrong(part, "the name of an owner, and a mapping such as {'token': {'env': NAME}}")
            if owner.casefold() in seen:
                raise _wrong(part, "an owner once, and this one is there already in another spelling")
            seen.add(owner.casefold())
            _check_keys(part, kind, given, _OF_OWNER[kind])
            _check_credential(part, given)


def _check_keys(where: str, kind: str, settings: Mapping[str, object], known: Mapping[str, Check]) -> None:
    for key, value in settings.items():
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            meant = f"Did you mean {near[0]}?" if near else f"There a {kind} takes {', '.join(known)}."
            raise ConfigurationError(f"{where} has an unknown key {key!r}. {meant}", hint=f"Correct {where}.")
        if value is not None and (better := known[key](value)):
            raise _wrong(f"{where}[{key!r}]", better)


def _check_credential(where: str, settings: Mapping[str, object]) -> None:
    has = {key: settings.get(key) is not None for key in ("token", "app_id", "private_key")}
    if has["token"] and has["app_id"]:
        raise ConfigurationError(
            f"{where} has both a token and an app_id: nobody can tell which one counts.", hint="Keep one of them."
        )
    if has["app_id"] != has["private_key"]:
        missing = "private_key" if has["app_id"] else "app_id"
        raise ConfigurationError(
            f"{where} lacks {missing}: a GitHub App needs app_id and private_key.", hint=f"Add {where}[{missing!r}]."
        )


def _wrong(where: str, takes: str) -> ConfigurationError:
    return ConfigurationError(f"{where} takes {takes}.", hint=f"Correct {where}.")


# -- what a key takes ------------------------------------------------------------------------------------------------


def secret(value: object) -> str | None:
    """What a secret should have been, where it is something else."""
    if isinstance(value, Mapping):
        is_named = len(value) == 1 and set(value) <= {"env", "file"}
        return None if is_named and all(isinstance(name, str | Path) and name for name in value.values()) else _SECRET
    return None if isinstance(value, str) and value.strip() else _SECRET


def _address(value: object) -> str | None:
    found = _split(value, ("https", "http"))
    if found is None or found.username is not None or found.query or found.fragment:
        return "an address such as https://ghe.example.com, without a user, a query or a fragment"
    if found.scheme == "http" and not is_loopback(found.hostname or ""):
        return (
            "an address that begins with https: a token would be readable on its way (http is for this machine alone)"
        )
    return None


def _proxy(value: object) -> str | None:
    takes = "the address of a proxy, such as http://proxy.example.com:3128"
    return None if _split(value, ("http", "https")) else takes


def _split(value: object, schemes: tuple[str, ...]) -> SplitResult | None:
    """The parts of an address that has one of these schemes, a host, and a port that there is."""
    try:
        found = urlsplit(value) if isinstance(value, str) and value.isprintable() and " " not in value else None
        usable = found and found.scheme in schemes and found.hostname and found.port != 0
    except ValueError:
        return None
    return found if usable else None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _file(value: object) -> str | None:
    return None if isinstance(value, str | Path) and str(value) else "the path of a PEM file"


def _app_id(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return None
    is_id = isinstance(value, str) and value.isascii() and value.replace(".", "").isalnum()
    return None if is_id else "the App's id or its client id, such as 123456 or 'Iv23liAbCdEf'"


def _token_type(value: object) -> str | None:
    return None if value in TOKEN_TYPES else f"one of {', '.join(map(repr, TOKEN_TYPES))}"


def _owners(value: object) -> str | None:
    return None if isinstance(value, Mapping) else "a mapping of owners, such as {'acme': {'token': {'env': NAME}}}"


def _hosts(value: object) -> str | None:
    takes = "a list of hosts such as ['github.com'], without https://"
    if not isinstance(value, list | tuple) or not value:
        return takes
    return None if all(map(_is_host, value)) else takes


def _is_host(value: object) -> bool:
    found = _split(f"https://{value}", ("https",)) if isinstance(value, str) else None
    return found is not None and found.netloc == value


_PLACE: Mapping[str, Check] = {"url": _address, "api_url": _address, "ca_file": _file, "proxy": _proxy}
_OF_OWNER: Mapping[str, Mapping[str, Check]] = {
    "github": {"token": secret, "app_id": _app_id, "private_key": secret},
    "gitlab": {"token": secret, "token_type": _token_type},
}
_KEYS: Mapping[str, Mapping[str, Check]] = {
    "local": {"hosts": _hosts},
    **{kind: {**_PLACE, **own, "owners": _owners, "hosts": _hosts} for kind, own in _OF_OWNER.items()},
}
