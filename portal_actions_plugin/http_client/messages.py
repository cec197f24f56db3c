"""A request and an answer over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from portal_actions_plugin.http_client.guard import Target

_REDIRECTS = (301, 302, 303, 307, 308)


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

    @property
    def redirects(self) -> bool:
        """Whether it sends on to another address."""
        return self.status in _REDIRECTS and bool(self.header("location"))
