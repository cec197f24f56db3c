"""An answer over HTTP as dulwich reads it, and what it raises when that is none of git."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

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
