"""A request that is on its way to an endpoint: who asks, for what, and what to answer with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.forges.git_store import GitRepository
from tests.support.forges.github import access, shapes
from tests.support.forges.github.access import Needs
from tests.support.forges.github.answers import field, malformed, not_found, page_of, refusal
from tests.support.forges.github.state import ROLES, Account, Credential, Repository, State
from tests.support.forges.messages import Answer, Request, json_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MISSING: Any = ...


@dataclass(frozen=True, slots=True)
class Sites:
    """Where things are: ``api`` with the API's prefix, ``html`` what people and git look at."""

    api: str
    html: str


@dataclass(slots=True)
class Call:
    """A request whose sender may make it.

    Attributes:
        state: everything.
        sites: what addresses in answers begin with.
        request: as it was sent.
        values: of its path.
        needs: what the endpoint asked for.
        enterprise: the version of the Enterprise Server; empty on github.com.
        api_version: the version of the API that the client asked for.
        rate: what is left of the primary limit.
    """

    state: State
    sites: Sites
    request: Request
    values: dict[str, str]
    needs: Needs
    enterprise: str
    api_version: str
    rate: dict[str, int]
    _credential: Credential | None
    _repository: Repository | None

    @property
    def page(self) -> str:
        return self.needs.page

    @property
    def credential(self) -> Credential:
        assert self._credential
        return self._credential

    @property
    def anonymous(self) -> bool:
        return self._credential is None

    @property
    def repository(self) -> Repository:
        assert self._repository
        return self._repository

    @property
    def git(self) -> GitRepository:
        return self.repository.git

    def account(self, login: str) -> Account:
        """An account by its login; 404 when there is none."""
        if found := self.state.account(login):
            return found
        raise not_found(self.page)

    def body(self) -> dict[str, Any]:
        """The body, which has to be an object: troubleshooting-the-rest-api"""
        try:
            value = self.request.json()
        except ValueError as error:
            raise refusal(400, "Problems parsing JSON", self.page) from error
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise refusal(400, "Body should be a JSON object", self.page)
        return value

    def field(self, name: str, kind: type, default: Any = _MISSING) -> Any:
        """A field of the body; 422 when it is missing without a default, or of another kind."""
        return field(self.body(), name, kind, self.page, default)

    def permit_only(self, *names: str) -> None:
        """Refuse fields that the endpoint's schema forbids: ``additionalProperties: false`` in GitHub's OpenAPI."""
        unknown = [name for name in self.body() if name not in names]
        if unknown:
            raise malformed(self.page, *(f'"{name}" is not a permitted key.' for name in unknown))

    def not_found(self) -> Exception:
        return not_found(self.page)

    def refuse_when_empty(self) -> None:
        """git/refs: "Empty repositories are repositories without branches", of which nothing is to be had: 409."""
        if not self.git.branches():
            raise refusal(409, "Git Repository is empty.", self.page)

    def paged(self, items: Sequence[Any], shape: Callable[[Any], Any], wrapped_as: str = "") -> Answer:
        """A page of a list; with a name it is wrapped in an object that has the total as well."""
        url = self.sites.html + self.request.path
        if self._repository is not None:
            # "Using pagination in the REST API": the links name a repository by its id.
            rest = re.split(r"/repos/[^/]+/[^/]+|/repositories/[^/]+", self.request.path, maxsplit=1)[1]
            url = f"{self.sites.api}/repositories/{self.repository.id}{rest}"
        part, headers = page_of(self.request, items, url)
        shaped: Any = [shape(item) for item in part]
        if wrapped_as:
            shaped = {"total_count": len(items), wrapped_as: shaped}
        return json_answer(200, shaped, *headers)

    def role(self) -> str:
        return self.state.role(self.credential.user, self.repository)

    def shown_role(self) -> str:
        """The role that ``permissions`` of a repository tells who asks."""
        if self._credential is None:
            return "read"
        if self._credential.kind == "installation":
            return "write" if access.has_permission(self._credential, "contents=write") else "read"
        return max(self.role(), "read", key=ROLES.index)

    def visible_repositories(self) -> list[Repository]:
        found = self.state.repositories.values()
        return [one for one in found if access.may_see(self.state, self._credential, one)]

    def may_edit_workflows(self) -> bool:
        """scopes-for-oauth-apps: ``workflow`` grants adding and updating workflow files; for apps it is a permission."""
        return access.may_edit_workflows(self.credential)

    def user(self, login: str) -> dict[str, Any]:
        return shapes.user(self.sites, self.state, login)


def created(value: object, *headers: tuple[str, str]) -> Answer:
    return json_answer(201, value, *headers)


def ok(value: object, *headers: tuple[str, str]) -> Answer:
    return json_answer(200, value, *headers)


def no_content() -> Answer:
    return Answer(204)
