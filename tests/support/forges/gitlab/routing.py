"""How a request finds its endpoint, which parameters it brings, and how the API says no."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlencode

from tests.support.forges.gitlab.access import Caller
from tests.support.forges.gitlab.state import Project, State
from tests.support.forges.messages import Answer, Request, json_answer

PREFIX = "/api/v4"


class ApiError(Exception):
    """A refusal: its status, body and further headers."""

    def __init__(self, status: int, body: object, *headers: tuple[str, str]) -> None:
        super().__init__(f"{status} {body}")
        self.status, self.body, self.headers = status, body, headers

    def answer(self) -> Answer:
        return json_answer(self.status, self.body, *self.headers)


def refused(status: int, message: object) -> ApiError:
    """A refusal in the form of most endpoints: docs.gitlab.com/api/rest/troubleshooting/#status-code-400"""
    return ApiError(status, {"message": message})


def not_found(what: str = "") -> ApiError:
    return refused(404, f"404 {what} Not Found" if what else "404 Not found")


def forbidden(reason: str = "") -> ApiError:
    return refused(403, f"403 Forbidden - {reason}" if reason else "403 Forbidden")


def bad_request(reason: str) -> ApiError:
    return refused(400, f"400 Bad request - {reason}")


@dataclass
class Call:
    """A request on its way through an endpoint.

    Attributes:
        state: everything.
        request: as it came.
        caller: who asks.
        params: the query's and the body's parameters.
        route: as the documentation writes it, ``POST /projects``.
    """

    state: State
    request: Request
    caller: Caller
    params: dict[str, Any]
    route: str

    def check(self, required: str = "", optional: str = "", **values: Sequence[object]) -> None:
        """Refuse what the endpoint refuses of its parameters, and note those that it would pass over in silence.

        Args:
            required: names with spaces between; ``name:int`` and ``name:bool`` say which type.
            optional: likewise.
            values: of a parameter, those that are allowed.
        """
        types = dict(_typed(word) for word in f"{required} {optional}".split())
        problems = [
            f"{name} is missing" for name, _ in map(_typed, required.split()) if self.params.get(name) in (None, "")
        ]
        for name, kind in types.items():
            if self.params.get(name) is not None and not problems:
                try:
                    self.params[name] = _COERCE[kind](self.params[name])
                except (TypeError, ValueError):
                    problems.append(f"{name} is invalid")
        problems += [
            f"{name} does not have a valid value"
            for name, allowed in values.items()
            if self.params.get(name) is not None and self.params[name] not in allowed
        ]
        self.state.strangers += [f"{self.route}: {name}" for name in self.params if name not in types]
        if problems:
            # Validation of parameters by Grape, before anything is looked at:
            # docs.gitlab.com/development/api_styleguide/#defining-endpoint-success-and-failure-responses
            raise ApiError(400, {"error": ", ".join(problems)})

    def must_be_known(self) -> None:
        """401 for nobody."""
        if self.caller.user is None:
            raise refused(401, "401 Unauthorized")

    def project(self, id: str) -> Project:  # noqa: A002 the documentation's word
        """The project of ``:id``, if the caller may see it.

        docs.gitlab.com/api/rest/#redirects: GET of a path that a project had is 301 to its id; gitlab-org/gitlab!259297
        documents that everything else, HEAD among it, is 405.
        """
        name = unquote(id)
        project = self.state.projects.get(int(name)) if name.isdigit() else self.state.project(name)
        moved = self.state.projects.get(self.state.moved.get(name.lower(), 0)) if project is None else None
        if moved is not None and self.caller.can_see(moved):
            raise self._moved(id, moved)
        if project is None or not self.caller.can_see(project):
            raise not_found("Project")
        return project

    def _moved(self, id: str, project: Project) -> ApiError:  # noqa: A002 the documentation's word
        if self.request.method != "GET":
            return refused(405, "Non GET methods are not allowed for moved projects")
        path = self.request.path.replace(f"/projects/{id}", f"/projects/{project.id}", 1)
        query = f"?{self.request.query_text}" if self.request.query_text else ""
        location = f"{self.state.url}{path}{query}"
        return MovedError(location)

    def must_have(self, project: Project, level: int) -> None:
        """403 for who is less than this on a project: docs.gitlab.com/user/permissions/#project-members-permissions"""
        self.must_be_known()
        if self.caller.level(project) < level:
            raise forbidden()

    def must_not_be_archived(self, project: Project) -> None:
        """An archived project is read-only: docs.gitlab.com/user/project/working_with_projects/#archive-a-project"""
        if project.archived:
            raise forbidden()

    def page(self, things: Sequence[object]) -> Answer:
        """Some of many: docs.gitlab.com/api/rest/#offset-based-pagination"""
        per_page = min(self._number("per_page", 20), 100)
        page, total = self._number("page", 1), len(things)
        pages = max(1, -(-total // per_page))
        links = {
            "prev": page - 1 if page > 1 else 0,
            "next": page + 1 if page < pages else 0,
            "first": 1,
            "last": pages,
        }
        query = {name: value for name, value in self.request.query.items() if name not in ("page", "per_page")}
        root = f"{self.state.url}{self.request.path}"
        told = [
            f'<{root}?{urlencode({**query, "page": number, "per_page": per_page}, doseq=True)}>; rel="{name}"'
            for name, number in links.items()
            if number
        ]
        numbers = {
            "X-Next-Page": links["next"] or "",
            "X-Page": page,
            "X-Per-Page": per_page,
            "X-Prev-Page": links["prev"] or "",
            "X-Total": total,
            "X-Total-Pages": pages,
        }
        headers = [("Link", ", ".join(told)), *((name, str(value)) for name, value in numbers.items())]
        return json_answer(200, list(things[(page - 1) * per_page : page * per_page]), *headers)

    def _number(self, name: str, default: int) -> int:
        text = self.request.parameter(name, str(default))
        if not text.isdigit():
            raise ApiError(400, {"error": f"{name} is invalid"})
        return int(text) or default


class MovedError(ApiError):
    """301 with the words of docs.gitlab.com/api/rest/#redirects"""

    def __init__(self, location: str) -> None:
        super().__init__(301, "")
        self.location = location

    def answer(self) -> Answer:
        text = f"This resource has been moved permanently to {self.location}"
        return Answer(301, text.encode(), (("Location", self.location), ("Content-Type", "text/plain")))


Endpoint = Callable[..., Answer]


@dataclass(frozen=True)
class Route:
    method: str
    pattern: tuple[str, ...]
    endpoint: Endpoint
    scopes: tuple[str, ...]
    """Which allow it, beside ``api`` and, of a GET, ``read_api``."""

    @property
    def name(self) -> str:
        return f"{self.method} /{'/'.join(self.pattern)}"


class Routes:
    """All endpoints; a module that is imported adds its own."""

    known: ClassVar[list[Route]] = []

    @classmethod
    def find(cls, method: str, path: str) -> tuple[Route, list[str]] | None:
        """The endpoint of a path below the prefix, and its path parameters, still encoded.

        A segment ends at a slash as it was sent: docs.gitlab.com/api/rest/#path-parameters, one that is not encoded
        matches no endpoint. HEAD is answered by the endpoint of GET where there is none of its own.
        """
        segments = path.strip("/").split("/")
        for wanted in (method, "GET") if method == "HEAD" else (method,):
            for route in cls.known:
                if route.method == wanted and len(route.pattern) == len(segments):
                    pairs = list(zip(route.pattern, segments, strict=True))
                    if all(part.startswith(":") or part == segment for part, segment in pairs):
                        return route, [segment for part, segment in pairs if part.startswith(":")]
        return None


def endpoint(method: str, path: str, *scopes: str) -> Callable[[Endpoint], Endpoint]:
    """Say which requests a function answers: it takes a Call and the path's parameters, decoded except ``:id``."""

    def add(function: Endpoint) -> Endpoint:
        Routes.known.append(Route(method, tuple(path.strip("/").split("/")), function, scopes))
        return function

    return add


def parameters(request: Request) -> dict[str, Any]:
    """The query's and the body's together: docs.gitlab.com/api/rest/#request-payload"""
    found: dict[str, Any] = {}
    for name, values in request.query.items():
        found[name.removesuffix("[]")] = values if name.endswith("[]") else values[-1]
    if not request.body:
        return found
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "application/json":
        try:
            value = json.loads(request.body)
        except ValueError:
            raise refused(400, "Problems parsing JSON") from None
        if not isinstance(value, Mapping):
            raise refused(400, "The request body must be a JSON object")
        return found | dict(value)
    if kind == "application/x-www-form-urlencoded":
        return found | dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    raise ApiError(415, {"error": f"The provided content-type '{kind}' is not supported."})


def _typed(word: str) -> tuple[str, str]:
    name, _, kind = word.partition(":")
    return name, kind or "str"


def _text(value: object) -> str:
    if not isinstance(value, str | int | float):
        raise TypeError
    return str(value)


def _boolean(value: object) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    if not isinstance(value, bool):
        raise TypeError
    return value


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list):
        raise TypeError
    return [_text(one) for one in value]


def _hashes(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise TypeError
    return value


_COERCE: Mapping[str, Callable[[Any], object]] = {
    "str": _text,
    "int": lambda value: int(_text(value)),
    "bool": _boolean,
    "texts": _texts,
    "ints": lambda value: [int(one) for one in _texts(value)],
    "hashes": _hashes,
}
