"""One request and its redirects: each hop checked, connected to an address that was checked, and all in one time limit."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin

import urllib3

from portal_actions_plugin.errors import RemoteError, ValidationError
from portal_actions_plugin.http_client.connection import Deadline, connect, resolve
from portal_actions_plugin.http_client.guard import HttpRules, Target, parse_target

MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK = 16_384


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of another side.

    Attributes:
        method: in capitals.
        target: where it goes.
        headers: by name; they follow redirects.
        secret_headers: by name; they go to nobody but the origin of the first target.
        body: its bytes; None for none.
    """

    method: str
    target: Target
    headers: Mapping[str, str]
    secret_headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.target.named}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        request: what was asked, after redirects.
        status: such as 200.
        headers: names in small letters with their values, as often as they came.
        body: what was read, decompressed.
        whole: false when the other side had more than was read.
    """

    request: Request
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    whole: bool

    def header(self, name: str) -> str:
        """The first header of a name in small letters, or an empty text."""
        return next((value for known, value in self.headers if known == name), "")


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
            if not _redirects(answer):
                return answer
            before, request = request, redirected(answer)
            self.log(f"redirected ({answer.status}) to {request.target.named}")
            try:
                answer = self._ask(request)
            except ValidationError as refused:
                message = f"{before} redirects to {request.target.named}. {refused.message}"
                raise ValidationError(message, hint=refused.hint, fields=refused.fields) from None
        if _redirects(answer):
            raise ValidationError(f"{request} redirects again: no more than {MAX_REDIRECTS} redirects are followed.")
        return answer

    def _ask(self, request: Request) -> Answer:
        self.rules.require_host(request.target)
        with named_failures(request, self.deadline):
            found = resolve(request.target, self.deadline)
        self.rules.require_addresses(request.target, [place[0] for _, place in found])
        with named_failures(request, self.deadline):
            connected = connect(request.target, found, self.deadline)
        with closing(connected):
            self.guard()
            with named_failures(request, self.deadline):
                return self._exchange(request, connected)

    def _exchange(self, request: Request, connected: socket.socket) -> Answer:
        connection = http.client.HTTPConnection(request.target.host, request.target.port)
        connection.sock = connected
        connection.auto_open = 0  # it would connect by name, past every check
        with closing(connection):
            _write(connection, request)
            with closing(connection.getresponse()) as raw:
                headers = tuple((name.lower(), value) for name, value in raw.getheaders())
                answer = Answer(request, raw.status, headers, b"", whole=True)
                return answer if _redirects(answer) else self._with_body(answer, raw)

    def _with_body(self, answer: Answer, raw: http.client.HTTPResponse) -> Answer:
        # It decodes no more than what is asked for: a few bytes may stand for gigabytes.
        response = urllib3.HTTPResponse(
            raw,
            urllib3.HTTPHeaderDict(raw.getheaders()),
            raw.status,
            preload_content=False,
            original_response=raw,
            request_method=answer.request.method,
        )
        body = bytearray()
        try:
            while len(body) <= self.read_bytes:
                chunk = response.read(min(_CHUNK, self.read_bytes + 1 - len(body)))
                if not chunk:
                    return replace(answer, body=bytes(body))
                body += chunk
        except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError):
            # An error's status says more than that its text broke off.
            if answer.status < 400:
                raise
        return replace(answer, body=bytes(body[: self.read_bytes]), whole=False)


def _redirects(answer: Answer) -> bool:
    return answer.status in _REDIRECTS and bool(answer.header("location"))


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


def _write(connection: http.client.HTTPConnection, request: Request) -> None:
    connection.putrequest(request.method, request.target.path, skip_host=True, skip_accept_encoding=True)
    ours = {"Host": request.target.named, "User-Agent": "portal-actions", "Accept-Encoding": "gzip"}
    if request.body is not None or request.method in ("POST", "PUT", "PATCH"):
        ours["Content-Length"] = str(len(request.body or b""))
    given = {**request.headers, **request.secret_headers}
    theirs = {name.lower() for name in given}
    for name, value in ours.items():
        if name.lower() not in theirs:
            connection.putheader(name, value)
    for name, value in given.items():
        connection.putheader(name, value)
    connection.putheader("Connection", "close")
    connection.endheaders(request.body)


# -- what can go wrong ------------------------------------------------------------------------------------------------


@contextmanager
def named_failures(request: Request, deadline: Deadline) -> Iterator[None]:
    """Say what failed in one sentence, without a word that the other side has said.

    Args:
        request: what was asked.
        deadline: of the whole exchange; once it has come, that is the reason.

    Raises:
        RemoteError: instead of what sockets, TLS and HTTP raise.
    """
    try:
        yield
    except (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError) as error:
        if deadline.over:
            raise RemoteError(f"{request} gave no whole answer within {deadline.seconds:g} seconds.") from None
        raise RemoteError(f"{request} failed: {_why(error)}.") from None


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate cannot be trusted ({error.verify_message})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    return f"the connection or the answer was broken ({type(error).__name__})"
