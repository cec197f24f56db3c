"""The double of GitLab as the shared server knows it: which part answers a request, and what stands before all of them."""

from __future__ import annotations

import traceback
import uuid
from datetime import timedelta
from email.utils import format_datetime

from tests.support.forges.clock import ForgeClock
from tests.support.forges.gitlab import endpoints, git
from tests.support.forges.gitlab.access import Caller, suffices, token_of, token_of_git
from tests.support.forges.gitlab.routing import PREFIX, ApiError, Call, Route, Routes, parameters, refused
from tests.support.forges.gitlab.state import State
from tests.support.forges.messages import Answer, Request, json_answer

assert endpoints.__all__, "importing them has added every route"

_SAFE = ("GET", "HEAD", "OPTIONS")


class GitLab:
    """GitLab's REST API v4 and git over HTTP on one state; ``server.ForgeServer`` gives it an address.

    Attributes:
        state: everything there is.
        defects: tracebacks of what went wrong in the double itself; a test looks that there are none.
    """

    prefix = PREFIX

    def __init__(self, state: State) -> None:
        self.state = state
        self.defects: list[str] = []

    @property
    def clock(self) -> ForgeClock:
        return self.state.clock

    def credential(self, request: Request) -> str:
        token = self.state.tokens.get(token_of(request)[1] or token_of_git(request))
        return token.user.username if token else ""

    def is_limited(self, request: Request) -> bool:
        """Git over HTTP has a limit of its own: docs.gitlab.com/administration/settings/git_http_rate_limits/"""
        return not git.is_git(request)

    def too_many(self, request: Request, retry_after: int) -> Answer:
        """docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers, and its plain-text body."""
        reset = self.clock.now() + timedelta(seconds=retry_after)
        named = "throttle_authenticated_api" if self.credential(request) else "throttle_unauthenticated_api"
        headers = {
            "Content-Type": "text/plain",
            "RateLimit-Limit": "60",
            "RateLimit-Name": named,
            "RateLimit-Observed": "61",
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(int(reset.timestamp())),
            "RateLimit-ResetTime": format_datetime(reset, usegmt=True),
            "Retry-After": str(retry_after),
        }
        return self._named(Answer(429, b"Retry later\n", tuple(headers.items())))

    def answer(self, request: Request) -> Answer:
        with self.state.lock:
            try:
                return self._named(self._answer(request))
            except Exception:  # what the double can't do must not look like what GitLab does
                self.defects.append(f"{request.method} {request.path}\n{traceback.format_exc()}")
                return self._named(json_answer(500, {"message": "500 Internal Server Error"}))

    def _named(self, answer: Answer) -> Answer:
        """docs.gitlab.com/api/rest/#pagination-link-header shows X-Request-Id among the headers of every answer."""
        return answer.with_headers(("X-Request-Id", uuid.uuid4().hex.upper()[:26]), ("X-Runtime", "0.010000"))

    def _answer(self, request: Request) -> Answer:
        if len(request.body) > self.state.largest_body:
            # docs.gitlab.com/administration/instance_limits/, of the proxy in front of it: no JSON
            page = "<html><head><title>413 Request Entity Too Large</title></head></html>"
            return Answer(413, page.encode(), (("Content-Type", "text/html"),))
        if git.is_git(request):
            return git.answer(self.state, request)
        if not request.path.startswith(f"{PREFIX}/"):
            # A page for people; whoever is not signed in is sent to the sign-in page.
            return Answer(302, b"", (("Location", f"{self.state.url}/users/sign_in"),))
        if self.state.maintenance and request.method not in _SAFE:
            # docs.gitlab.com/administration/maintenance_mode/#rest-api; 503 with Retry-After since 18.2, gitlab-org/gitlab!195835
            body = {"message": "You cannot perform write operations on a read-only instance"}
            return json_answer(503, body, ("Retry-After", "60"))
        try:
            return self._api(request)
        except ApiError as error:
            return error.answer()

    def _api(self, request: Request) -> Answer:
        found = Routes.find(request.method, request.path.removeprefix(PREFIX))
        if found is None:
            raise ApiError(404, {"error": "404 Not Found"})
        route, arguments = found
        caller = self._caller(request, route)
        if caller.user is None and request.method not in _SAFE:
            raise refused(401, "401 Unauthorized")
        call = Call(self.state, request, caller, parameters(request), route.name)
        return route.endpoint(call, *arguments)

    def _caller(self, request: Request, route: Route) -> Caller:
        """docs.gitlab.com/api/rest/authentication/; the errors' forms are those of lib/api/api_guard.rb."""
        header, value = token_of(request)
        if not value:
            return Caller(self.state)
        token = self.state.tokens.get(value)
        if token is None or (header == "private-token" and token.kind == "oauth"):
            raise refused(401, "401 Unauthorized")
        if token.ends:
            words = {
                "expired": "Token is expired. You can either do re-authorization or token refresh.",
                "revoked": "Token was revoked. You have to re-authorize from the user.",
            }[token.ends]
            raise ApiError(401, {"error": "invalid_token", "error_description": words})
        if token.user.state != "active":
            raise refused(403, "403 Forbidden - Your account has been blocked.")
        if not suffices(token, request.method, route.scopes):
            needed = ["api", *(("read_api",) if request.method in _SAFE else ()), *route.scopes]
            # docs.gitlab.com/api/oauth2/#access-gitlab-api-with-access-token
            body = {
                "error": "insufficient_scope",
                "error_description": "The request requires higher privileges than provided by the access token.",
                "scope": " ".join(needed),
            }
            raise ApiError(403, body)
        return Caller(self.state, token)
