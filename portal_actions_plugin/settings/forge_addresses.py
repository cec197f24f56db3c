"""Which forge an address belongs to: a ``repoUrl`` as Backstage writes it, and the pages of files and folders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote, urlsplit

from portal_actions_plugin.settings.forge_settings import URLS

if TYPE_CHECKING:
    from portal_actions_plugin.settings.installations import Installation

HOSTS = "hosts"
"""The key of an installation's settings with more hosts that addresses of its repositories may name."""

_EXAMPLE = "write it like github.com?owner=acme&repo=orders"
_VERBS = ("blob", "tree", "raw", "edit")
_NOT_IN_A_NAME = re.compile(r"[/\\\x00-\x1f\x7f]")
_DASH = "-"
"""What GitLab has between a project and its pages."""


@dataclass(frozen=True, slots=True)
class RepoUrl:
    """A repository as Backstage's templates name it: ``github.com?owner=acme&repo=orders``.

    Attributes:
        host: with its port, where it has one, in small letters.
        owner: a user, an organisation, or groups within groups; empty where only ``project`` says which one it is.
        repo: the repository's name; empty likewise.
        project: GitLab's other way to name one: its number, or its whole path.
    """

    host: str
    owner: str
    repo: str
    project: str = ""

    @classmethod
    def read(cls, text: str) -> RepoUrl:
        """Read a text; raises ValueError with what is wrong with it, as the end of a sentence."""
        if "://" in text:
            raise ValueError(f"it has {text.partition('://')[0][:20]}:// in front: {_EXAMPLE}")
        try:
            parts = urlsplit(f"https://{text.strip()}")
            host = parts.hostname + (f":{parts.port}" if parts.port else "") if parts.hostname else ""
        except ValueError:
            host = ""
        if not host:
            raise ValueError(f"it has no host: {_EXAMPLE}")
        query = parse_qs(parts.query)
        owner, repo, project = (query.get(name, [""])[0].strip("/ ") for name in ("owner", "repo", "project"))
        if project and not owner and "/" in project:
            owner, _, repo = project.rpartition("/")
        if not project and (missing := [name for name, value in (("owner", owner), ("repo", repo)) if not value]):
            raise ValueError(f"it has no {' and no '.join(missing)}: {_EXAMPLE}")
        return cls(host, owner, repo, project)


@dataclass(frozen=True, slots=True)
class PageAddress:
    """The page of a file or a folder at a forge.

    Attributes:
        provider: the installation's name.
        repo_url: the repository's page.
        owner: the repository's owner, with all groups.
        repo: the repository's name.
        verb: what stands before the branch: blob, tree, raw or edit; empty where the address is the repository's.
        ref: the branch, tag or commit; empty where the address names none.
        path: of the file or folder; empty for the top of the repository.
        is_dashed: whether ``-`` stands before ``verb``, as at GitLab.
    """

    provider: str
    repo_url: str
    owner: str
    repo: str
    verb: str = ""
    ref: str = ""
    path: str = ""
    is_dashed: bool = False

    @property
    def url(self) -> str:
        """The address, written out."""
        if not self.verb:
            return self.repo_url
        dash = f"/{_DASH}" if self.is_dashed else ""
        path = f"/{quote(self.path)}" if self.path else ""
        return f"{self.repo_url}{dash}/{self.verb}/{quote(self.ref)}{path}"

    def joined(self, path: str) -> PageAddress:
        """The page of another path at the same branch: from the top with ``/`` in front, else from beside this one.

        Raises:
            ValueError: it leads out of the repository.
        """
        kept = [] if path.startswith("/") else self.path.split("/")[:-1] if self.path else []
        for part in path.split("/"):
            if part == "..":
                if not kept:
                    raise ValueError(f"{path} leads out of the repository")
                kept.pop()
            elif part not in ("", "."):
                kept.append(part)
        return replace(self, path="/".join(kept))


@dataclass(frozen=True, slots=True)
class ForgeAddresses:
    """The hosts and addresses of the forges that a portal knows.

    Attributes:
        installations: by name.
        local_urls: where the pages of the installation ``local`` are, and its folder as an address.
    """

    installations: Mapping[str, Installation]
    local_urls: tuple[str, ...] = ()

    def at_host(self, host: str) -> Installation | None:
        """The installation that a host is of, or that has this name; those that the portal has set count first."""
        wanted = host.lower()
        for one in self._in_order():
            if wanted in {_host(root) for root in self._roots(one)}:
                return one
        return self.installations.get(wanted)

    @property
    def hosts(self) -> list[str]:
        """All hosts that ``at_host`` knows."""
        found = dict.fromkeys(_host(root) or one.name for one in self._in_order() for root in self._roots(one))
        return list(found)

    def page(self, url: str) -> PageAddress | None:
        """What an address says of a file or a folder at one of the forges; None for any other address."""
        for one in self._in_order():
            for root in self._roots(one):
                if (rest := _below(url, root)) is not None and (found := _page(one.name, root, rest)):
                    return found
        return None

    def git_url(self, page: PageAddress) -> str:
        """Where git reads the repository of a page: at the forge itself, whatever other host the page's address names."""
        return f"{self.page_of(page.provider, page.owner, page.repo)}.git"

    def page_of(self, provider: str, owner: str, repo: str) -> str:
        """Where a repository's page is, or would be; empty where nobody has said where the forge is."""
        roots = self._roots(self.installations[provider]) if provider in self.installations else []
        return f"{roots[0]}/{quote(owner)}/{quote(repo)}" if roots else ""

    def _in_order(self) -> list[Installation]:
        return sorted(self.installations.values(), key=lambda one: not one.is_named)

    def _roots(self, one: Installation) -> list[str]:
        """The addresses above an installation's repositories."""
        given = one.settings.get("url")
        own = [given] if isinstance(given, str) else [URLS[one.kind]] if one.kind in URLS else []
        more = one.settings.get(HOSTS)
        others = [f"https://{host}" for host in more if isinstance(host, str)] if isinstance(more, list | tuple) else []
        local = self.local_urls if one.kind == "local" else ()
        return [root.rstrip("/") for root in (*own, *others, *local)]


def _host(root: str) -> str:
    return urlsplit(root).netloc.lower()


def _below(url: str, root: str) -> str | None:
    """What of an address comes after another one."""
    if not url.lower().startswith(f"{root.lower()}/"):
        return None
    return url[len(root) + 1 :]


def _page(provider: str, root: str, rest: str) -> PageAddress | None:
    parts = [unquote(part) for part in rest.partition("?")[0].partition("#")[0].split("/") if part]
    is_dashed = _DASH in parts
    if is_dashed:
        cut = parts.index(_DASH)
        name, page = parts[:cut], parts[cut + 1 :]
    else:
        cut = next((place for place, part in enumerate(parts) if part in _VERBS and place >= 2), len(parts))
        name, page = parts[:cut], parts[cut:]
    if len(name) < 2 or (page and (page[0] not in _VERBS or len(page) < 2)):
        return None
    name[-1] = name[-1].removesuffix(".git")
    if not all(map(_is_name, name)) or not all(_is_name(one) for part in page for one in part.split("/")):
        return None  # a dot dot, perhaps percent-encoded, would lead to what is beside the forge, with its credential
    found = PageAddress(provider, f"{root}/{'/'.join(map(quote, name))}", "/".join(name[:-1]), name[-1])
    if not page:
        return found
    return replace(found, verb=page[0], ref=page[1], path="/".join(page[2:]), is_dashed=is_dashed)


def _is_name(part: str) -> bool:
    """Whether a part of an address can be a name at a forge."""
    return part not in ("", ".", "..") and not _NOT_IN_A_NAME.search(part)
