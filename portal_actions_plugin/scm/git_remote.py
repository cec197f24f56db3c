"""A repository at a forge as git sees it, for reading: its credential goes to that forge alone, and no redirect leads elsewhere."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

from portal_actions_plugin.errors import NotFoundError, RemoteError
from portal_actions_plugin.http_client.connection import Deadline
from portal_actions_plugin.http_client.exchange import MAX_REDIRECTS, redirected
from portal_actions_plugin.http_client.guard import parse_target
from portal_actions_plugin.http_client.messages import Request
from portal_actions_plugin.scm.git_answers import GitOverRequests, Heard
from portal_actions_plugin.scm.remote.transport import READ_SECONDS, Place, Transport

if TYPE_CHECKING:
    from dulwich.client import DetermineWantsFunc, FetchPackResult
    from dulwich.object_store import GraphWalker

    from portal_actions_plugin.http_client.messages import Answer
    from portal_actions_plugin.scm.remote.git_access import GitAccess

SECONDS = 120.0
"""For all of it, redirects included."""
MAX_UNPACKED = 400_000_000
"""Bytes of all objects. A pack of a few hundred bytes can stand for gigabytes."""

_HEAD_BYTES, _COUNT_AT = 12, 8
_OFFSET_DELTA, _REFERENCE_DELTA = 6, 7
_SHA_BYTES = 20
_PIECE = 65_536
_HINT = "Check the address, and who may see the repository."


class GitRemote(GitOverRequests):
    """Reads one repository."""

    def __init__(self, url: str, access: GitAccess | None) -> None:
        """Take the repository's address over https or http, and the way to its forge; None for what everybody may see."""
        super().__init__(url.rstrip("/"), quiet=True)
        self._name = url
        self._origin = parse_target(url).origin
        target = parse_target(url)
        self.place = access.place if access else Place(f"{target.scheme}://{target.named}")
        self._access = access
        self._secret_headers = access.secret_headers if access else {}
        self._deadline = Deadline(SECONDS, wait_seconds=READ_SECONDS)

    def fetch_pack(
        self,
        path: str | bytes,
        determine_wants: DetermineWantsFunc,
        graph_walker: GraphWalker,
        pack_data: Callable[[bytes], int],
        *more: Any,
        **named: Any,
    ) -> FetchPackResult:
        """As dulwich has it; raises RemoteError for a pack that would fill a worker's memory."""
        pack = BytesIO()
        found = super().fetch_pack(path, determine_wants, graph_walker, pack.write, *more, **named)
        pack.seek(0)
        require_bounded(pack, self._name)
        pack_data(pack.getvalue())
        return found

    def _heard(self, url: str, headers: Mapping[str, str], body: bytes | None) -> Heard:
        method = "GET" if body is None else "POST"
        target = parse_target(url)
        # Git goes on at the address that a redirect has led to, which may be another host's.
        secret = self._secret_headers if target.origin == self._origin else {}
        answer = self._asked(Request(method, target, headers, secret, body))
        if answer.status == 401 and secret and self._access:
            self._access.forget()
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


def require_bounded(pack: IO[bytes], name: str) -> None:
    """Look through a pack.

    Args:
        pack: at its beginning.
        name: of the repository, for the error.

    Raises:
        RemoteError: its objects are too large together.
        ValueError: it is no pack.
    """
    head = pack.read(_HEAD_BYTES)
    reader = _Reader(pack)
    total = 0
    for _ in range(int.from_bytes(head[_COUNT_AT:])):
        total += reader.size_of_next()
        if total > MAX_UNPACKED:
            raise RemoteError(
                f"{name} is larger than {MAX_UNPACKED // 1_000_000} MB when it is unpacked.", hint="Take a smaller one."
            )


class _Reader:
    """Goes through the objects of a pack, and keeps no more of one than a piece."""

    def __init__(self, pack: IO[bytes]) -> None:
        self._pack = pack
        self._rest = b""

    def size_of_next(self) -> int:
        first = self._byte()
        kind, size, shift = first >> 4 & 7, first & 15, 4
        while first & 0x80:
            first = self._byte()
            size |= (first & 0x7F) << shift
            shift += 7
        if kind == _OFFSET_DELTA:
            while self._byte() & 0x80:
                pass
        elif kind == _REFERENCE_DELTA:
            for _ in range(_SHA_BYTES):
                self._byte()
        begin = self._pass_by(size)
        return size + (_result_size(begin) if kind in (_OFFSET_DELTA, _REFERENCE_DELTA) else 0)

    def _byte(self) -> int:
        if not self._rest:
            self._rest = self._pack.read(_PIECE)
            if not self._rest:
                raise ValueError("a pack that ends too early")
        found, self._rest = self._rest[0], self._rest[1:]
        return found

    def _pass_by(self, size: int) -> bytes:
        """Go to the end of an object's content; what it begins with."""
        begin, length, inflating = b"", 0, zlib.decompressobj()
        while not inflating.eof and length <= min(size, MAX_UNPACKED):
            packed = inflating.unconsumed_tail or self._rest or self._pack.read(_PIECE)
            self._rest = b""
            try:
                piece = inflating.decompress(packed, _PIECE)
            except zlib.error as error:
                raise ValueError(str(error)) from None
            if not packed and not piece and not inflating.eof:
                raise ValueError("a pack that ends too early")
            begin, length = begin or piece[:_SHA_BYTES], length + len(piece)
        self._rest = inflating.unused_data
        return begin


def _result_size(delta: bytes) -> int:
    """What a delta says that it makes: the second of the two numbers that it begins with."""
    numbers, value, shift = [], 0, 0
    for one in delta:
        value |= (one & 0x7F) << shift
        shift += 7
        if not one & 0x80:
            numbers.append(value)
            value = shift = 0
    return numbers[1] if len(numbers) > 1 else 0
