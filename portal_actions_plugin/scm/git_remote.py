"""A repository at a forge as git sees it, for reading: its credential goes to that forge alone, and no redirect leads elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import NotFoundError, RemoteError
from portal_actions_plugin.http_client.connection import Deadline
from portal_actions_plugin.http_client.exchange import MAX_REDIRECTS, redirected
from portal_actions_plugin.http_client.guard import parse_target
from portal_actions_plugin.http_client.messages import Request
from portal_actions_plugin.scm.git_answers import GitOverRequests, Heard
from portal_actions_plugin.scm.remote.transport import READ_SECONDS, Place, Transport

if TYPE_CHECKING:
    from portal_actions_plugin.http_client.messages import Answer
    from portal_actions_plugin.scm.remote.git_access import GitAccess

SECONDS = 120.0
"""For all of it, redirects included."""
_HINT = "Check the address, and who may see the repository."


class GitRemote(GitOverRequests):
    """Reads one repository."""

    def __init__(self, url: str, access: GitAccess | None) -> None:
        """Take the repository's address over https or http, and the way to its forge; None for what everybody may see."""
        super().__init__(url.rstrip("/"), quiet=True)
        self._origin = parse_target(url).origin
        target = parse_target(url)
        self.place = access.place if access else Place(f"{target.scheme}://{target.named}")
        self._secret_headers = access.secret_headers if access else {}
        self._deadline = Deadline(SECONDS, wait_seconds=READ_SECONDS)

    def _heard(self, url: str, headers: Mapping[str, str], body: bytes | None) -> Heard:
        method = "GET" if body is None else "POST"
        target = parse_target(url)
        # Git goes on at the address that a redirect has led to, which may be another host's.
        secret = self._secret_headers if target.origin == self._origin else {}
        answer = self._asked(Request(method, target, headers, secret, body))
        if answer.status in (401, 403, 404):
            raise self._unseen(url.partition("/info/refs")[0], answer.status)
        if answer.status >= 400:
            raise RemoteError(f"{answer.request} was answered with {answer.status}.")
        came_from = answer.request.target.url
        return Heard(answer.status, dict(answer.headers), answer.body, came_from if came_from != url else "")

    def _asked(self, request: Request) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            place = self.place if request.target.origin == self._origin else self.elsewhere(request)
            answer = Transport(place).exchange(request, self._deadline)
            if not answer.redirects:
                return answer
            request = redirected(answer)
        raise RemoteError(f"{request} redirects again: no more than {MAX_REDIRECTS} redirects are followed.")

    def elsewhere(self, request: Request) -> Place:
        """How a host is reached that a redirect leads to, without the credential; here it is not reached at all."""
        raise RemoteError(f"{request} leads to another host, which is not asked.", hint=_HINT)

    def _unseen(self, url: str, status: int) -> NotFoundError:
        if self._secret_headers:
            return NotFoundError(
                f"The portal's credential may not read {url}, or there is no such repository ({status}).",
                hint="Tell your platform team: the credential for it in PORTAL_ACTIONS_SCM has to read its contents.",
            )
        return NotFoundError(
            f"There is no repository at {url} that everybody may see, and this portal has no credential for it.",
            hint="Check the address, or tell your platform team to give a credential in PORTAL_ACTIONS_SCM.",
        )
