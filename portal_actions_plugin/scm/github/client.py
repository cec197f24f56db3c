"""GitHub's API: its addresses, headers and version, and one repository's part of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.scm.base import RepoRef
from portal_actions_plugin.scm.github.access.credentials import GitHubCredentials
from portal_actions_plugin.scm.github.errors import error_of, limit_of
from portal_actions_plugin.scm.remote.client import ForgeClient, Place
from portal_actions_plugin.scm.remote.fields import text

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.opening import Opening
    from portal_actions_plugin.scm.remote.answers import ForgeAnswer
    from portal_actions_plugin.scm.remote.credentials import Credential
    from portal_actions_plugin.scm.remote.fields import JsonObject
    from portal_actions_plugin.settings.installations import Installation

HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
WRITE_PAUSE_SECONDS = 1.0
"""What GitHub asks for between writes: "Best practices for using the REST API". Enterprise Server limits nothing by itself."""

_DOTCOM, _DOTCOM_API = "https://github.com", "https://api.github.com"
_MOVED = re.compile(r"/repositories/(\d+)(?:/|$)")

Query = Mapping[str, str | int]


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where people and where programs find a GitHub.

    Attributes:
        web_url: without a slash at its end, such as ``https://github.com``.
        api_url: likewise, such as ``https://api.github.com``.
    """

    web_url: str
    api_url: str

    @property
    def is_server(self) -> bool:
        """Whether it is an Enterprise Server, which somebody runs on their own."""
        return not _is_cloud(self.web_url)

    @classmethod
    def of(cls, installation: Installation) -> Addresses:
        """Read ``url`` and ``api_url`` of an installation's settings; each follows from the other.

        github.com is the default. An enterprise with data residency has its API at ``api.`` before its host
        (``SUBDOMAIN.ghe.com``), an Enterprise Server below ``/api/v3``: "About the GitHub REST API".

        Raises:
            ConfigurationError: one of them is no text.
        """
        web_url, api_url = (_address(installation, key) for key in ("url", "api_url"))
        if api_url and not web_url:
            web_url = _web_of(api_url)
        web_url = web_url or _DOTCOM
        return cls(web_url, api_url or _api_of(web_url))


def _address(installation: Installation, key: str) -> str:
    value = installation.settings.get(key) or ""
    if not isinstance(value, str):
        raise ConfigurationError(
            f"PORTAL_ACTIONS_SCM[{installation.name!r}][{key!r}] is a {type(value).__name__}, and has to be a text."
        )
    return value.rstrip("/")


def _is_cloud(web_url: str) -> bool:
    host = urlsplit(web_url).hostname or ""
    return host == "github.com" or host.endswith(".ghe.com")


def _api_of(web_url: str) -> str:
    if _is_cloud(web_url):
        return web_url.replace("://", "://api.", 1)
    return f"{web_url}/api/v3"


def _web_of(api_url: str) -> str:
    if _is_cloud(api_url.replace("://api.", "://", 1)):
        return api_url.replace("://api.", "://", 1)
    return api_url.removesuffix("/api/v3")


@dataclass(frozen=True, slots=True)
class GitHub:
    """One installation, as it is opened for a run.

    Attributes:
        opening: what the provider was opened with.
        addresses: of the installation.
        client: calls its API.
        credentials: what the calls carry.
        moved: the present names of repositories that have moved, by the name that they were asked for.
    """

    opening: Opening
    addresses: Addresses
    client: ForgeClient
    credentials: GitHubCredentials
    moved: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, opening: Opening) -> GitHub:
        """Make the client of an installation; raises ConfigurationError for settings that are wrong."""
        addresses = Addresses.of(opening.installation)
        place = Place.of(opening.installation, default_api_url=addresses.api_url)
        pause = 0.0 if addresses.is_server else WRITE_PAUSE_SECONDS
        client = ForgeClient(place, opening, HEADERS, error_of, limit_of, write_pause_seconds=pause)
        return cls(opening, addresses, client, GitHubCredentials(opening, client))

    def api(self, owner: str | None) -> Api:
        """The API with the credential for an owner's repositories; raises ConfigurationError when there is none."""
        return Api(self, self.credentials.credential(owner))

    def repo(self, ref: RepoRef) -> RepoApi:
        """One repository's part of the API; raises ConfigurationError when there is no credential for it."""
        return RepoApi(Api(self, self.credentials.credential(ref.owner, ref.repo)), ref)


@dataclass(frozen=True, slots=True)
class Api:
    """The API of an installation, with a credential. Methods and errors are those of ``ForgeClient``."""

    github: GitHub
    credential: Credential

    @property
    def opening(self) -> Opening:
        """What the provider was opened with."""
        return self.github.opening

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: JsonValue = None,
        accept: Collection[int] = (),
    ) -> ForgeAnswer:
        """Make a call; ``accept`` names statuses that are returned instead of raised."""
        return self.github.client.send(self.credential, method, path, query=query, body=body, accept=accept)

    def find(self, path: str, *, query: Query | None = None) -> ForgeAnswer | None:
        """GET something; None when it is not there."""
        return self.github.client.find(self.credential, path, query=query)

    def pages(
        self, path: str, *, query: Query | None = None, what: str, key: str | None = None
    ) -> Iterator[JsonObject]:
        """The entries of a list; ``key`` is where it lies in an object, ``what`` its name in errors."""
        return self.github.client.pages(self.credential, path, query=query, what=what, key=key)


@dataclass(frozen=True, slots=True)
class RepoApi:
    """One repository's part of the API. Paths are relative to the repository and begin with a slash, or are empty."""

    api: Api
    ref: RepoRef

    @property
    def name(self) -> str:
        """``owner/repo``, as the reference has it."""
        return self.ref.full_name

    @property
    def name_now(self) -> str:
        """``owner/repo``, as GitHub has it: another one where the repository turned out to have moved."""
        return self.api.github.moved.get(self.name, self.name)

    @property
    def owner_now(self) -> str:
        """Whose the repository is."""
        return self.name_now.partition("/")[0]

    @property
    def web_url(self) -> str:
        """The repository's page."""
        return f"{self.api.github.addresses.web_url}/{quote(self.name_now)}"

    def path(self, rest: str) -> str:
        """A path from the root of the API."""
        return f"/repos/{segment(self.ref.owner)}/{segment(self.ref.repo)}{rest}"

    def send(
        self,
        method: str,
        rest: str,
        *,
        query: Query | None = None,
        body: JsonValue = None,
        accept: Collection[int] = (),
    ) -> ForgeAnswer:
        """Make a call; ``accept`` names statuses that are returned instead of raised."""
        answer = self.api.send(method, self.path(rest), query=query, body=body, accept=accept)
        if moved := _MOVED.search(answer.path):
            self._tell_move(moved[1])
        return answer

    def find(self, rest: str, *, query: Query | None = None) -> ForgeAnswer | None:
        """GET something; None when it is not there."""
        answer = self.send("GET", rest, query=query, accept=(404,))
        return None if answer.status == 404 else answer

    def pages(
        self, rest: str, *, query: Query | None = None, what: str, key: str | None = None
    ) -> Iterator[JsonObject]:
        """The entries of a list; ``what`` is its name in errors, before the repository's."""
        return self.api.pages(self.path(rest), query=query, what=f"{what} of {self.name}", key=key)

    def _tell_move(self, number: str) -> None:
        """Warn once that the name is old: GitHub leads from it to ``/repositories/{id}`` until somebody else takes it."""
        moved = self.api.github.moved
        if self.name not in moved:
            now = text(self.api.send("GET", f"/repositories/{number}").object(), "full_name")
            moved[self.name] = now
            if now.lower() != self.name.lower():  # a branch with another name leads there as well
                self.api.opening.warn(
                    f"{self.name} is called {now} now: GitHub has led there. Use that name from now on."
                )
