"""One request and its redirects: each hop checked, connected to an address that was checked, and all in one time limit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.http_client.connection import Deadline, connect, resolve
from portal_actions_plugin.http_client.failures import named_failures
from portal_actions_plugin.http_client.guard import HttpRules, parse_target
from portal_actions_plugin.http_client.messages import Answer, Request
from portal_actions_plugin.http_client.wire import Wire

MAX_REDIRECTS = 5
_CLOSE = {"Connection": "close"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """How requests are made.

    Attributes:
        rules: what may be connected to.
        guard: called right before every request; raises when this attempt may not write any more.
        log: gets a line for each redirect.
        deadline: when all must be over.
        read_bytes: how much of an answer is read.
    """

    rules: HttpRules
    guard: Callable[[], None]
    log: Callable[[str], None]
    deadline: Deadline
    read_bytes: int

    def send(self, request: Request) -> Answer:
        """Make a request and follow its redirects.

        Raises:
            ConfigurationError: nothing may be called.
            ValidationError: a host or an address may not be called, here or after a redirect.
            RemoteError: no whole answer came.
        """
        answer = self._ask(request)
        for _ in range(MAX_REDIRECTS):
            if not answer.redirects:
                return answer
            before, request = request, redirected(answer)
            self.log(f"redirected ({answer.status}) to {request.target.named}")
            try:
                answer = self._ask(request)
            except ValidationError as refused:
                message = f"{before} redirects to {request.target.named}. {refused.message}"
                raise ValidationError(message, hint=refused.hint, fields=refused.fields) from None
        if answer.redirects:
            raise ValidationError(f"{request} redirects again: no more than {MAX_REDIRECTS} redirects are followed.")
        return answer

    def _ask(self, request: Request) -> Answer:
        self.rules.require_host(request.target)
        with named_failures(request, self.deadline):
            found = resolve(request.target, self.deadline)
        self.rules.require_addresses(request.target, [place[0] for _, place in found])
        with named_failures(request, self.deadline):
            connected = connect(request.target, found, self.deadline)
        with closing(Wire(connected, request.target, hop_headers=_CLOSE)) as wire:
            self.guard()
            with named_failures(request, self.deadline):
                return wire.ask(request, self.deadline, self.read_bytes)


def redirected(answer: Answer) -> Request:
    """The request that an answer sends on to; raises ValidationError when it may not be followed."""
    before = answer.request
    try:
        target = parse_target(urljoin(before.target.url, answer.header("location")))
    except (ValidationError, ValueError) as error:
        raise ValidationError(f"{before} redirects to where no request can go: {error}") from None
    if (before.target.scheme, target.scheme) == ("https", "http"):
        raise ValidationError(f"{before} redirects from https to http, to {target.named}: that is not followed.")
    request = replace(before, target=target)
    if target.origin != before.target.origin:
        request = replace(request, secret_headers={})
    to_get = answer.status == 303 or (answer.status in (301, 302) and before.method == "POST")
    if not to_get or before.method in ("GET", "HEAD"):
        if request.body is not None and target.origin != before.target.origin:
            # Nobody has said that the other host may have what was written for this one.
            raise ValidationError(f"{before} redirects its body to {target.named}: that is not followed.")
        return request
    headers = {name: value for name, value in before.headers.items() if not name.lower().startswith("content-")}
    return replace(request, method="GET", headers=headers, body=None)
