"""A connection that is open, and the requests on it, one after the other."""

from __future__ import annotations

import http.client
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import urllib3

from portal_actions_plugin.http_client.failures import BROKEN
from portal_actions_plugin.http_client.messages import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portal_actions_plugin.http_client.connection import Connected, Deadline
    from portal_actions_plugin.http_client.guard import Target

_CHUNK = 16_384
_NO_HEADERS: Mapping[str, str] = {}


class Wire:
    """Writes requests on a connection and reads their answers within bounds.

    Attributes:
        reusable: whether the last answer was read to its end, and the other side keeps the connection.
        silent: whether no byte of an answer has come to the last request.
    """

    def __init__(
        self,
        connected: Connected,
        target: Target,
        *,
        hop_headers: Mapping[str, str] = _NO_HEADERS,
        whole_urls: bool = False,
    ) -> None:
        """Take over a connection.

        Args:
            connected: it; closed with this object.
            target: any of the origin that it leads to.
            hop_headers: for whoever is at its other end: the last word on each name.
            whole_urls: whether requests name all of their URL, as a proxy needs it that does not only pass bytes on.
        """
        self._connected = connected
        self._hop_headers = hop_headers
        self._whole_urls = whole_urls
        self._http = http.client.HTTPConnection(target.host, target.port)
        self._http.sock = connected
        self._http.auto_open = 0  # it would connect by name, past every check
        self._http.debuglevel = 0  # it would print credentials
        self.reusable = False
        self.silent = True

    def close(self) -> None:
        """Close the connection."""
        self._http.close()
        self._connected.close()

    def fileno(self) -> int:
        """The descriptor, for ``select``."""
        return self._connected.fileno()

    def ask(self, request: Request, deadline: Deadline, read_bytes: int) -> Answer:
        """Make a request.

        Args:
            request: of the origin that this connection leads to.
            deadline: when its answer must have been read.
            read_bytes: how much of the answer's body is read.

        Raises:
            OSError, http.client.HTTPException, urllib3.exceptions.HTTPError: as ``failures.BROKEN`` has them.
        """
        self.reusable, self.silent = False, True
        self._connected.deadline = deadline
        is_whole = self._write_all(request)
        with closing(self._http.getresponse()) as raw:
            self.silent = False
            headers = tuple((name.lower(), value) for name, value in raw.getheaders())
            answer = Answer(request, raw.status, headers, b"", whole=True)
            if not answer.redirects:
                answer = _with_body(answer, raw, read_bytes)
            self.reusable = is_whole and raw.isclosed() and not raw.will_close
            return answer

    def _write_all(self, request: Request) -> bool:
        """Write a request; false when the other side would not read all of it, and may have said why: 413, 401."""
        try:
            self._write(request)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def _write(self, request: Request) -> None:
        form = request.target.url if self._whole_urls else request.target.path
        self._http.putrequest(request.method, form, skip_host=True, skip_accept_encoding=True)
        ours = {"Host": request.target.named, "User-Agent": "portal-actions", "Accept-Encoding": "gzip"}
        if request.body is not None or request.method in ("POST", "PUT", "PATCH"):
            ours["Content-Length"] = str(len(request.body or b""))
        given = {**request.headers, **request.secret_headers}
        theirs = {name.lower() for name in given}
        for name, value in ours.items():
            if name.lower() not in theirs:
                self._http.putheader(name, value)
        for name, value in {**given, **self._hop_headers}.items():
            self._http.putheader(name, value)
        self._http.endheaders(request.body)


def _with_body(answer: Answer, raw: http.client.HTTPResponse, read_bytes: int) -> Answer:
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
        while len(body) <= read_bytes:
            chunk = response.read(min(_CHUNK, read_bytes + 1 - len(body)))
            if not chunk:
                return replace(answer, body=bytes(body))
            body += chunk
    except BROKEN:
        # An error's status says more than that its text broke off.
        if answer.status < 400:
            raise
    return replace(answer, body=bytes(body[:read_bytes]), whole=False)
