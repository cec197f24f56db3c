"""The setting ``TEMPLATE_REPOSITORIES``: git repositories that templates come from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from portal_actions_plugin.settings.forge_settings import is_loopback
from portal_actions_plugin.settings.values import wrong

if TYPE_CHECKING:
    from portal_actions_plugin.settings.forge_addresses import ForgeAddresses

SETTING = "TEMPLATE_REPOSITORIES"
_KEYS = {"address", "ref", "path"}
_TAKES = (
    "a list of repositories, each {'address': 'https://github.com/acme/templates', 'ref': 'main', 'path': 'services'} or a "
    "text such as 'https://github.com/acme/templates#main:services'"
)
_MAX_REPOSITORIES = 100
_REF = re.compile(r"[^\x00-\x20\x7f~^:?*\[\\]{1,200}")
_PAGE = re.compile(r"/[^/]+/[^/]+/(.+/)?(-|blob|edit|raw|tree)/.")
"""The path of a page within a repository, as browsers show it."""
_SSH = re.compile(r"(ssh://|[^/:@ ]+@[^/:@ ]+:)", re.IGNORECASE)
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class TemplateRepository:
    """A git repository that templates come from.

    Attributes:
        address: over https, or ``file`` for one on this machine; http leads to this machine only. No slash at its end.
        ref: a branch or a tag; empty for the default branch.
        path: of the folder with the templates, below the repository's top; empty for all of it.
    """

    address: str
    ref: str = ""
    path: str = ""

    @property
    def place(self) -> str:
        """What people call it: ``github.com/acme/templates``, with the ref where one is set."""
        found = urlsplit(self.address)
        named = f"{found.netloc}{found.path}".removesuffix(".git").removeprefix("/")
        return f"{named}@{self.ref}" if self.ref else named

    @property
    def name(self) -> str:
        """The same, with the path where one is set."""
        return f"{self.place}/{self.path}" if self.path else self.place

    @property
    def key(self) -> str:
        """The name of its folder on disk."""
        digest = hashlib.sha256(json.dumps([self.address, self.ref, self.path]).encode()).hexdigest()[:12]
        words = _NOT_IN_A_NAME.sub("-", self.name.lower()).strip("-")
        return f"{words[:60]}-{digest}"


def commit_pages(repository: TemplateRepository, addresses: ForgeAddresses) -> str:
    """What the address of a commit's page begins with; empty for a repository without such pages.

    Args:
        repository: any.
        addresses: of the forges that the portal knows. Others are taken to be like GitHub, as most are.
    """
    address = repository.address.removesuffix(".git")
    page = addresses.page(address)
    kind = addresses.installations[page.provider].kind if page else ""
    if kind == "local" or address.startswith("file:"):
        return ""
    return f"{address}/-/commit/" if kind == "gitlab" else f"{address}/commit/"


def read_repositories(value: object) -> tuple[TemplateRepository, ...]:
    """Read the setting.

    Args:
        value: a list of mappings or texts, or a text: that list as JSON, or addresses with spaces between them.

    Raises:
        ConfigurationError: says which entry is wrong, without showing a password.
    """
    given = _listed(value)
    if len(given) > _MAX_REPOSITORIES:
        raise wrong(SETTING, f"{len(given)} repositories", f"at most {_MAX_REPOSITORIES} of them")
    found = tuple(_repository(number, one) for number, one in enumerate(given))
    seen = [(one.address.removesuffix(".git"), one.ref, one.path) for one in found]
    if twice := next((one for one, key in zip(found, seen, strict=True) if seen.count(key) > 1), None):
        raise wrong(SETTING, twice.name, "each repository once")
    return found


def _listed(value: object) -> list[object]:
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith("["):
            return list(text.split())
        try:
            value = json.loads(text)
        except ValueError:
            raise wrong(SETTING, "a text that is no JSON", _TAKES) from None
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise wrong(SETTING, type(value).__name__, _TAKES)
    return list(value)


def _repository(number: int, given: object) -> TemplateRepository:
    name = f"{SETTING}[{number}]"
    if isinstance(given, str):
        address, _, rest = given.partition("#")
        ref, _, path = rest.partition(":")
        given = {"address": address, "ref": ref, "path": path}
    if not isinstance(given, Mapping) or given.keys() - _KEYS:
        raise wrong(name, "something else", _TAKES)
    parts = {key: given.get(key) or "" for key in sorted(_KEYS)}
    if odd := next((key for key, part in parts.items() if not isinstance(part, str)), None):
        raise wrong(f"{name}[{odd!r}]", type(parts[odd]).__name__, "a text")
    address, path, ref = (str(part).strip() for part in parts.values())
    if ref and (not _REF.fullmatch(ref) or ref.startswith(("-", "refs/")) or ".." in ref):
        raise wrong(f"{name}['ref']", ref, "the name of a branch or a tag, such as main")
    return TemplateRepository(_address(f"{name}['address']", address), ref, _path(f"{name}['path']", path))


def _address(name: str, address: str) -> str:
    takes = "an address such as https://github.com/acme/templates, without a user, a password or a query"
    if _SSH.match(address):
        raise wrong(name, "an address of ssh", takes)
    try:
        found = urlsplit(address)
        plain = address.isprintable() and " " not in address and "@" not in found.netloc and found.port != 0
    except ValueError:
        raise wrong(name, "something else", takes) from None
    if not plain or found.query or found.fragment or found.path in ("", "/"):
        raise wrong(name, "something else", takes)
    if found.scheme != "file" and _PAGE.match(found.path):
        raise wrong(name, "a page within a repository", f"{takes}; ref and path stand beside it, or after a #")
    is_here = found.scheme == "http" and is_loopback(found.hostname or "")
    if found.scheme == "file" and not found.netloc:
        return address.rstrip("/")
    if not found.hostname or not (found.scheme == "https" or is_here):
        raise wrong(name, "something else", f"{takes}; http is for this machine alone")
    return address.rstrip("/")


def _path(name: str, path: str) -> str:
    cleaned = PurePosixPath(path.strip("/"))
    if ".." in cleaned.parts or "\\" in path or not path.isprintable() or ".git" in cleaned.parts:
        raise wrong(name, path, "the path of a folder in the repository, such as services/python")
    return "" if cleaned == PurePosixPath() else cleaned.as_posix()
