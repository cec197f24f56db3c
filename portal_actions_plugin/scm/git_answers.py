"""Git's protocol over connections of our own: dulwich's requests, answers as it reads them, and what none of git's raises."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO

from dulwich.client import AbstractHttpGitClient
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository

NO_GIT = (GitProtocolError, HangupException, NotGitRepository, AssertionError, ValueError, KeyError)
"""What dulwich raises when the other side does not speak git, asserted or not."""


class Heard:
    """An answer that is read already. Redirects were followed before it comes to that."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, redirect_location: str = "") -> None:
        """Take the answer.

        Args:
            status: such as 200.
            headers: by name in small letters.
            body: all of it.
            redirect_location: where the answer came from; empty where that is what was asked.
        """
        self.status = status
        self.headers = headers
        self.content_type: str | None = headers.get("content-type")
        self.redirect_location = redirect_location
        self._body = BytesIO(body)

    def read(self, amt: int | None = None) -> bytes:
        """As many bytes of the body, or all that are left."""
        return self._body.read(amt)

    def close(self) -> None:
        """Nothing is open."""

    def geturl(self) -> None:
        """Nobody asks."""


class GitOverRequests(AbstractHttpGitClient):
    """Git's protocol over somebody's own connections, with their limits, their guard and their redirects."""

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: ARG002, FBT001, FBT002 dulwich's own signature
    ) -> tuple[Heard, Callable[[int], bytes]]:
        heard = self._heard(url, headers or {}, data if data is None or isinstance(data, bytes) else b"".join(data))
        return heard, heard.read

    @abstractmethod
    def _heard(self, url: str, headers: Mapping[str, str], body: bytes | None) -> Heard:
        """Ask for an address, with a body by POST; an answer that is none of git's is an error."""
