"""The double itself: every request comes by here, is recognised, allowed or refused, and answered."""

from __future__ import annotations

import re
import tempfile
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Self

from tests.support.forges.clock import ForgeClock
from tests.support.forges.git_store import GitStore
from tests.support.forges.github import access, answers, git_access
from tests.support.forges.github.access import Needs
from tests.support.forges.github.answers import RefusedError, not_found, refusal
from tests.support.forges.github.calls import Call, Sites
from tests.support.forges.github.endpoints import ROUTES
from tests.support.forges.github.endpoints.apps import app_of
from tests.support.forges.github.seeding import Seeding
from tests.support.forges.github.state import Credential, Repository, State
from tests.support.forges.messages import Answer, Request, json_answer
from tests.support.forges.routing import Route
from tests.support.forges.server import ForgeServer

API_VERSIONS = ("2022-11-28", "2026-03-10")
"""docs.github.com/en/rest/about-the-rest-api/api-versions"""

_GIT_PATH = re.compile(r"/([^/]+)/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)")
_BY_NAME = re.compile(r"(/orgs/[^/]+/teams/[^/]+)?/repos/([^/]+)/([^/]+)(/.*)?")
_BY_ID = re.compile(r"/repositories/(\d+)(/.*)?")


class GitHubDouble(Seeding):
    """GitHub at an address of its own, from ``start`` to ``stop`` or as a context.

    Attributes:
        state: everything that it knows; whoever looks at it while requests come in holds ``lock``.
        faults, log, limiter: of ``ForgeServer``.
        url: what people and git look at, without a slash at its end.
        api_url: where the API begins.
        primary_limit: how many requests an hour somebody has, counted from the start.
        primary_reset_seconds: how long after the start that hour ends.
    """

    def __init__(
        self, folder: Path | None = None, *, port: int = 0, enterprise: str = "", skew: timedelta = timedelta(0)
    ) -> None:
        """Make it.

        Args:
            folder: where its repositories lie; a temporary one when there is none.
            port: 0 for any.
            enterprise: the version of an Enterprise Server, such as ``3.17.4``, whose API is at ``/api/v3``.
            skew: how far its clock is ahead of ours.
        """
        self._temporary = tempfile.TemporaryDirectory(prefix="github-") if folder is None else None
        self.enterprise = enterprise
        self.prefix = "/api/v3" if enterprise else ""
        self.clock = ForgeClock(skew)
        self.lock = threading.RLock()
        self.state = State(GitStore(folder or Path(str(self._temporary and self._temporary.name))), self.clock)
        self.primary_limit, self.primary_reset_seconds = 5000, 3600
        self._used: Counter[str] = Counter()
        self._started = time.time()
        self._requests = 0
        self.server = ForgeServer(self, port=port)
        self.faults, self.log, self.limiter = self.server.faults, self.server.log, self.server.limiter
        self.url = self.server.url
        self.api_url = self.url + self.prefix

    def start(self) -> Self:
        self.server.start()
        return self

    def stop(self) -> None:
        try:
            self.server.stop()
        finally:
            if self._temporary:
                self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    # What the server asks

    def credential(self, request: Request) -> str:
        found = self._credential(request)
        return found.name if found else ""

    def is_limited(self, request: Request) -> bool:
        """Git's protocol is not of the REST API, whose limits these are; /rate_limit is "not counted"."""
        return not _GIT_PATH.fullmatch(request.path) and request.path != f"{self.prefix}/rate_limit"

    def too_many(self, request: Request, retry_after: int) -> Answer:
        return answers.too_many(retry_after).with_headers(*self._common_headers(request))

    def answer(self, request: Request) -> Answer:
        with self.lock:
            if git := _GIT_PATH.fullmatch(request.path):
                return git_access.answer(self.state, request, *git.groups())
            try:
                return self._api(request)
            except RefusedError as error:
                return error.answer.with_headers(*self._common_headers(request))

    # The way of a request of the API

    def _api(self, request: Request) -> Answer:
        if not request.path.startswith(f"{self.prefix}/"):
            return Answer(404, b"<!DOCTYPE html><title>Page not found</title>", (("Content-Type", "text/html"),))
        if not request.headers.get("user-agent"):
            # "User agent required": troubleshooting-the-rest-api
            return Answer(
                403,
                b"Request forbidden by administrative rules. Please make sure your request has a User-Agent header.",
            )
        version = request.headers.get("x-github-api-version", API_VERSIONS[0])
        if version not in API_VERSIONS:
            raise refusal(400, f"API version {version} is not supported.", "about-the-rest-api/api-versions")
        path, repository, redirect = self._located(request, request.path.removeprefix(self.prefix))
        found = ROUTES.find("GET" if request.method == "HEAD" else request.method, path)
        if found is None:
            raise not_found()
        route, values = found
        return self._routed(request, route, values, repository, redirect, version)

    def _routed(
        self,
        request: Request,
        route: Route,
        values: dict[str, str],
        repository: Repository | None,
        redirect: str,
        version: str,
    ) -> Answer:
        needs: Needs = route.facts
        headers: list[tuple[str, str]] = []
        try:
            credential = None if needs.app == "jwt" else self._authenticated(request, needs)
            headers += _headers_of(credential, needs)
            try:
                self._count(credential, needs)
            finally:
                headers += self._common_headers(request)
            if "{owner}" in route.template:
                if repository is None or not access.may_see(self.state, credential, repository):
                    self._check_account(credential, values["owner"])
                    raise not_found(needs.page)
                if redirect:
                    return _moved(request.method, redirect).with_headers(*headers)
            if needs.app == "jwt":
                app_of(self.state, self.clock, access.token_of(request), needs.page)
            else:
                access.check(self.state, credential, repository, needs, request.method)
            sites = Sites(self.api_url, self.url)
            rate = self.rate(credential)
            call = Call(
                self.state, sites, request, values, needs, self.enterprise, version, rate, credential, repository
            )
            return route.handler(call).with_headers(*headers)
        except RefusedError as error:
            return error.answer.with_headers(*(headers or self._common_headers(request)))

    def _located(self, request: Request, path: str) -> tuple[str, Repository | None, str]:
        """The path by the repository's present name, the repository, and where it is when it was renamed since.

        docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
        """
        if by_id := _BY_ID.fullmatch(path):
            repository = self.state.repositories.get(int(by_id[1]))
            name = repository.full_name if repository else "-/-"
            return f"/repos/{name}{by_id[2] or ''}", repository, ""
        by_name = _BY_NAME.fullmatch(path)
        if by_name is None:
            return path, None, ""
        team, owner, name, rest = by_name.groups(default="")
        repository = self.state.repository(owner, name)
        if repository is not None:
            return path, repository, ""
        repository = self.state.moved_repository(owner, name)
        if repository is None or team:
            return path, None, ""
        query = f"?{request.query_text}" if request.query_text else ""
        return path, repository, f"{self.api_url}/repositories/{repository.id}{rest}{query}"

    def _credential(self, request: Request) -> Credential | None:
        token = access.token_of(request)
        return self.state.credential(token) if token else None

    def _authenticated(self, request: Request, needs: Needs) -> Credential | None:
        """authenticating-to-the-rest-api#failed-login-limit: an invalid token is 401, also for what is public."""
        token = access.token_of(request)
        if token is None:
            return None
        credential = self.state.credential(token)
        if credential is None:
            raise refusal(401, "Bad credentials")
        return credential

    def _check_account(self, credential: Credential | None, login: str) -> None:
        """An organisation that wants single sign-on says so, also of what would be hidden otherwise."""
        if credential and login.lower() in {one.lower() for one in credential.not_authorized_for}:
            raise access.sso_refusal(login)

    # Limits and headers

    def _count(self, credential: Credential | None, needs: Needs) -> None:
        """rate-limits-for-the-rest-api#exceeding-the-rate-limit"""
        if self.enterprise or needs.page.startswith("rate-limit/"):
            return
        who = _limited_as(credential)
        if self._used[who] >= self.primary_limit:
            message = f"API rate limit exceeded for {who}."
            raise refusal(403, message, answers.RATE_LIMITS)
        self._used[who] += 1

    def rate(self, credential: Credential | None) -> dict[str, int]:
        used = self._used[_limited_as(credential)]
        reset = int(self._started + self.clock.skew.total_seconds()) + self.primary_reset_seconds
        return {
            "limit": self.primary_limit,
            "used": used,
            "remaining": max(self.primary_limit - used, 0),
            "reset": reset,
        }

    def _common_headers(self, request: Request) -> list[tuple[str, str]]:
        self._requests += 1
        headers = [
            ("X-GitHub-Request-Id", f"C0DE:{self.server.port:X}:{self._requests:07X}"),
            ("X-GitHub-Media-Type", "github.v3; format=json"),
        ]
        if self.enterprise:  # where rate limits "are disabled by default": rate-limits-for-the-rest-api
            return [*headers, ("X-GitHub-Enterprise-Version", self.enterprise)]
        rate = self.rate(self._credential(request))
        headers += [(f"X-RateLimit-{name.capitalize()}", str(value)) for name, value in rate.items()]
        return [*headers, ("X-RateLimit-Resource", "core")]


def _limited_as(credential: Credential | None) -> str:
    """rate-limits-for-the-rest-api: the limit is a person's, or an installation's."""
    return f"user {credential.user}" if credential else "127.0.0.1"


def _headers_of(credential: Credential | None, needs: Needs) -> list[tuple[str, str]]:
    """scopes-for-oauth-apps, and "Resource not accessible" in troubleshooting-the-rest-api"""
    if credential is None:
        return []
    headers = []
    if credential.kind == "classic":
        headers += [
            ("X-OAuth-Scopes", ", ".join(sorted(credential.scopes))),
            ("X-Accepted-OAuth-Scopes", ", ".join(sorted(needs.scopes))),
        ]
    else:
        headers += [("X-Accepted-GitHub-Permissions", needs.permission)]
    if credential.expires and credential.kind != "installation":
        headers += [("GitHub-Authentication-Token-Expiration", credential.expires.strftime("%Y-%m-%d %H:%M:%S UTC"))]
    return headers


def _moved(method: str, location: str) -> Answer:
    """301 for what is read, 307 for what is written: "Update a repository" and "Get a repository" list them."""
    status, message = (301, "Moved Permanently") if method in ("GET", "HEAD") else (307, "Temporary Redirect")
    body = {
        "message": message,
        "url": location,
        "documentation_url": f"{answers.DOCS}/guides/best-practices-for-using-the-rest-api#follow-redirects",
    }
    return json_answer(status, body, ("Location", location))
