"""What a forge answers, and how it is read without trust in its shape."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import time
from typing import TypeGuard

from portal_actions_plugin.errors import RemoteError
from portal_actions_plugin.http_client.waits import wait_of
from portal_actions_plugin.run_types import JsonValue
from portal_actions_plugin.scm.remote.fields import JsonObject

READS = ("GET", "HEAD")


class LostAnswerError(RemoteError):
    """A write may have happened: its answer was lost. It is looked up before it is repeated."""

    hint = "Look at the forge whether it has happened; a retry looks there first."


@dataclass(frozen=True, slots=True)
class ForgeAnswer:
    """An answer of a forge.

    Attributes:
        method: in capitals.
        path: what was asked for, without its query.
        status: such as 200.
        headers: by name in small letters.
        body: decompressed.
        request_id: what the forge's own support finds it by; empty when it named none.
        at: the forge's own time; None when it named none.
        skew: seconds that the forge's clock is ahead of ours; 0 when it named no time.
        api: where the API is, for people.
    """

    method: str
    path: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    request_id: str
    at: datetime | None
    skew: float
    api: str

    def json(self) -> JsonValue:
        """The body as JSON.

        Raises:
            RemoteError: it is none; says whether it is a page for people, as logins and proxies have them. After a
                write it is a LostAnswerError: who has answered is not known.
        """
        try:
            found: JsonValue = json.loads(self.body)
        except (ValueError, RecursionError):
            raise self._misread(self._instead()) from None
        return found

    def object(self) -> JsonObject:
        """The body as a JSON object; raises RemoteError as ``json`` does, and when it is something else."""
        found = self.json()
        if not is_object(found):
            raise self._misread(f"a JSON {_kind(found)} instead of an object")
        return found

    def list(self) -> Sequence[JsonObject]:
        """The body as a list of JSON objects; raises RemoteError as ``json`` does, and when it is something else."""
        return self.objects(self.json())

    def objects(self, found: JsonValue) -> Sequence[JsonObject]:
        """A part of the body as a list of JSON objects; raises RemoteError when it is something else."""
        if not isinstance(found, list):
            raise self._misread(f"a JSON {_kind(found)} instead of a list")
        objects = [entry for entry in found if is_object(entry)]
        if len(objects) != len(found):
            raise self._misread("a list that holds something else than objects")
        return objects

    def check_no_page(self) -> None:
        """Raise RemoteError, as ``json`` does, for a page for people."""
        if self._is_page:
            raise self._misread(self._instead())

    @property
    def _is_page(self) -> bool:
        return "html" in self.headers.get("content-type", "").lower() or self.body.lstrip()[:1] == b"<"

    def _instead(self) -> str:
        if self._is_page:
            return "HTML instead of JSON"
        return "nothing instead of JSON" if not self.body else "what is not JSON"

    def _misread(self, what: str) -> RemoteError:
        kind = RemoteError if self.method in READS else LostAnswerError
        return kind(
            f"{self.method} {self.path} was answered ({self.status}) with {what}: is {self.api} the API, and is a proxy "
            f"in between?{self.named_request}",
            hint="Tell your platform team: look at api_url and proxy of this installation in PORTAL_ACTIONS_SCM.",
        )

    @property
    def named_wait(self) -> float | None:
        """The seconds that ``Retry-After`` names, as such or as a moment of the forge's own clock; None without one."""
        return wait_of(self.headers.get("retry-after", ""), self.at.timestamp() if self.at else None)

    def seconds_until(self, header: str) -> float | None:
        """The seconds from the forge's own time until the one that a header has as seconds since 1970; None without it."""
        value = self.headers.get(header, "").strip()
        if not (value.isascii() and value.isdigit()):
            return None
        return max(float(value[:12]) - (self.at.timestamp() if self.at else time()), 0.0)

    @property
    def named_request(self) -> str:
        """The request's id for the end of a message, or nothing."""
        return f" (request {self.request_id})" if self.request_id else ""


def is_object(value: JsonValue) -> TypeGuard[JsonObject]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def _kind(value: JsonValue) -> str:
    if value is None:
        return "null"
    kinds: Mapping[type, str] = {bool: "boolean", int: "number", float: "number", str: "text", list: "list"}
    return kinds.get(type(value), "object")
