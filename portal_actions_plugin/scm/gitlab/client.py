"""GitLab's API: its addresses, credentials, and one project's part of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConflictError, NotFoundError
from portal_actions_plugin.scm.base import RepoRef
from portal_actions_plugin.scm.gitlab.credentials import GitLabCredentials
from portal_actions_plugin.scm.gitlab.errors import HIDDEN_HINT, MovedError, error_of, limit_of
from portal_actions_plugin.scm.gitlab.projects import Project, project_path, segment
from portal_actions_plugin.scm.names import check_owner_path, check_repo
from portal_actions_plugin.scm.remote.client import MAX_ENTRIES, ForgeClient, Place
from portal_actions_plugin.scm.remote.credentials import Credential
from portal_actions_plugin.scm.remote.fields import number, text
from portal_actions_plugin.scm.remote.lost_answers import write_once

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.opening import Opening
    from portal_actions_plugin.scm.remote.client import ForgeAnswer
    from portal_actions_plugin.scm.remote.credentials import CredentialSource
    from portal_actions_plugin.scm.remote.fields import JsonObject

DOTCOM = "https://gitlab.com"
API_PATH = "/api/v4"

Query = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class GitLab:
    """One installation, as it is opened for a run.

    Attributes:
        opening: what the provider was opened with.
        web_url: where people find it, without a slash at its end.
        client: calls its API.
        credentials: what the calls carry.
        apis: those that were used, by owner.
        seen: the projects that were read, by the name that they were asked for.
    """

    opening: Opening
    web_url: str
    client: ForgeClient
    credentials: CredentialSource
    apis: dict[str | None, Api] = field(default_factory=dict)
    seen: dict[str, Project] = field(default_factory=dict)

    @classmethod
    def open(cls, opening: Opening) -> GitLab:
        """Make the client of an installation; raises ConfigurationError for settings that are wrong."""
        given = opening.installation.settings.get("url")
        url = given.rstrip("/") if isinstance(given, str) and given else None
        place = Place.of(opening.installation, default_api_url=f"{url or DOTCOM}{API_PATH}")
        client = ForgeClient(place, opening, {"Accept": "application/json"}, error_of, limit_of)
        return cls(opening, url or place.api_url.removesuffix(API_PATH), client, GitLabCredentials(opening))

    @property
    def name(self) -> str:
        """The installation's, as inputs have it."""
        return self.opening.installation.name

    def api(self, owner: str | None) -> Api:
        """The API with the credential for an owner's projects; raises ConfigurationError when there is none."""
        if owner not in self.apis:
            self.apis[owner] = Api(self, self.credentials.credential(owner))
        return self.apis[owner]

    def find_project(self, owner: str, repo: str) -> Project | None:
        """Read a project; None when there is none, or the credential may not see it."""
        answer = self.api(owner).find(project_path(owner, repo))
        return None if answer is None else self._read(owner, repo, answer)

    def project(self, ref: RepoRef, *, again: bool = False) -> ProjectApi:
        """One project's part of the API. The project is read once for this opening, since its id never changes.

        Args:
            ref: which one. GitLab leads from a path that it had.
            again: read it anew, because what else is known of it may have changed. An empty one always is.

        Raises:
            NotFoundError: there is none, or the credential may not see it.
        """
        check_owner_path(ref.owner)
        check_repo(ref.repo)
        known = self.seen.get(ref.full_name)
        is_known = known is not None and not again and not known.is_empty
        project = known if is_known else self.find_project(ref.owner, ref.repo)
        if project is None:
            raise NotFoundError(f"GitLab ({self.name}) has no project {ref.full_name}.", hint=HIDDEN_HINT)
        self.seen[ref.full_name] = project
        return ProjectApi(self.api(ref.owner), project, ref)

    def _read(self, owner: str, repo: str, answer: ForgeAnswer) -> Project:
        project = Project.of(answer.object())
        asked = f"{owner}/{repo}"
        if project.name.lower() != asked.lower() and asked not in self.seen:
            self.opening.warn(f"{asked} is {project.name} now: GitLab has led there. Use that name from now on.")
        return project


@dataclass(frozen=True, slots=True)
class Api:
    """The API of an installation, with a credential. Methods and errors are those of ``ForgeClient``.

    Attributes:
        gitlab: the installation.
        credential: what its calls carry.
        known: what was asked once for all calls, by its path.
    """

    gitlab: GitLab
    credential: Credential
    known: dict[str, JsonObject] = field(default_factory=dict)

    @property
    def opening(self) -> Opening:
        """What the provider was opened with."""
        return self.gitlab.opening

    def client(self, name: str = "") -> ForgeClient:
        """The client, whose errors name what was asked about."""
        return replace(self.gitlab.client, error_of=partial(error_of, name=name)) if name else self.gitlab.client

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: JsonValue = None,
        accept: Collection[int] = (),
        name: str = "",
    ) -> ForgeAnswer:
        """Make a call; ``accept`` names statuses that are returned, ``name`` what errors call the thing asked about."""
        return self.client(name).send(self.credential, method, path, query=query, body=body, accept=accept)

    def find(self, path: str, *, query: Query | None = None) -> ForgeAnswer | None:
        """GET something; None when it is not there."""
        return self.gitlab.client.find(self.credential, path, query=query)

    def pages(self, path: str, *, query: Query | None = None, what: str) -> Iterator[JsonObject]:
        """The entries of a list; ``what`` is its name in errors."""
        return self.gitlab.client.pages(self.credential, path, query=query, what=what)

    @property
    def me(self) -> JsonObject:
        """The account that the token is of: a person's, or the one that GitLab made for a group's or project's token."""
        if "/user" not in self.known:
            self.known["/user"] = self.send("GET", "/user").object()
        return self.known["/user"]

    @property
    def my_id(self) -> int:
        """The account's id."""
        return number(self.me, "id")

    @property
    def my_name(self) -> str:
        """The account's user name."""
        return text(self.me, "username")

    def user_id(self, username: str) -> int | None:
        """The id of a person by the user name; None when there is nobody of that name."""
        found = self.send("GET", "/users", query={"username": username}).list()
        return number(found[0], "id") if found else None


@dataclass(frozen=True, slots=True)
class ProjectApi:
    """One project's part of the API. Paths are relative to the project and begin with a slash, or are empty.

    Attributes:
        api: of the installation.
        project: as it was last read.
        ref: how it was asked for.
    """

    api: Api
    project: Project
    ref: RepoRef

    @property
    def name(self) -> str:
        """The project's full path."""
        return self.project.name

    @property
    def opening(self) -> Opening:
        """What the provider was opened with."""
        return self.api.opening

    @property
    def git_url(self) -> str:
        """Where git pushes to: made of this installation's own address, whatever the API has answered."""
        return f"{self.api.gitlab.web_url}/{self.name}.git"

    def send(
        self,
        method: str,
        rest: str,
        *,
        query: Query | None = None,
        body: JsonValue = None,
        accept: Collection[int] = (),
    ) -> ForgeAnswer:
        """Make a call. One that GitLab refuses since the project was moved is made once more where it is now."""
        try:
            return self.send_once(method, rest, query=query, body=body, accept=accept)
        except MovedError:
            moved = self.api.gitlab.project(self.ref, again=True)
        return moved.send_once(method, rest, query=query, body=body, accept=accept)

    def write(
        self,
        method: str,
        rest: str,
        *,
        query: Query | None = None,
        body: JsonValue = None,
        accept: Collection[int] = (),
    ) -> ForgeAnswer:
        """Make a call that changes something.

        Raises:
            ConflictError: the project is archived; nothing was asked then.
            ActionError: as ``send``.
        """
        self.check_writable()
        return self.send(method, rest, query=query, body=body, accept=accept)

    def check_writable(self) -> None:
        """Raise ConflictError for an archived project, of which GitLab would only say 403."""
        if self.project.is_archived:
            message = f"{self.name} is archived: it can only be read."
            hint = "An Owner of the project can unarchive it in Settings > General > Advanced."
            raise ConflictError(message, hint=hint, fields={"repo": [message]})

    def write_object(
        self,
        method: str,
        rest: str,
        *,
        body: JsonValue,
        look_up: Callable[[], JsonObject | None],
        accept: Collection[int] = (),
    ) -> JsonObject:
        """Make a call that changes something and read the object that it answers with.

        Args:
            method: in capitals.
            rest: the path.
            body: what is sent.
            look_up: what the call has made or changed, when its answer was lost; None while that is not to be seen.
            accept: statuses from 400 on whose answers are read, too.
        """
        return write_once(
            lambda: self.write(method, rest, body=body, accept=accept).object(), look_up, log=self.opening.log
        )

    def find(self, rest: str, *, query: Query | None = None) -> ForgeAnswer | None:
        """GET something; None when it is not there."""
        answer = self.send("GET", rest, query=query, accept=(404,))
        return None if answer.status == 404 else answer

    def pages(
        self, rest: str, *, query: Query | None = None, what: str, at_most: int = MAX_ENTRIES
    ) -> Iterator[JsonObject]:
        """The entries of a list; ``what`` is its name in errors, before the project's."""
        client = self.api.client(self.name)
        path = f"/projects/{self.project.id}{rest}"
        return client.pages(self.api.credential, path, query=query, what=f"{what} of {self.name}", at_most=at_most)

    def branch(self, name: str) -> JsonObject | None:
        """A branch with its commit; None when there is no such branch."""
        answer = self.find(f"/repository/branches/{segment(name)}")
        return None if answer is None else answer.object()

    def head(self, branch: str) -> str | None:
        """The commit that a branch is at; None when there is no such branch."""
        found = self.branch(branch)
        return None if found is None else text(found, "commit", "id")

    def send_once(
        self, method: str, rest: str, *, query: Query | None, body: JsonValue, accept: Collection[int]
    ) -> ForgeAnswer:
        """Make a call where the project was when it was read."""
        path = f"/projects/{self.project.id}{rest}"
        return self.api.send(method, path, query=query, body=body, accept=accept, name=self.name)
