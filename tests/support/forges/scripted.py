"""A forge that says what a test has it say, and a client of it: for tests which no forge's own rules concern."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from portal_actions_plugin.errors import ActionError, AuthError, ConflictError, NotFoundError, RemoteError
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.remote.client import ForgeAnswer, ForgeClient, Place
from portal_actions_plugin.scm.remote.credentials import Credential
from tests.support.forges.clock import ForgeClock
from tests.support.forges.messages import Answer, Request, json_answer

Says = Callable[[Request], Answer]


class ScriptedForge:
    """Answers by path, and counts how often each request has got through to it.

    Attributes:
        answers: by path, without the prefix; any other path is 404.
        done: method and path of each request that it has answered.
    """

    prefix = "/api"

    def __init__(self) -> None:
        self.clock = ForgeClock()
        self.answers: dict[str, Says] = {}
        self.done: list[str] = []

    def credential(self, request: Request) -> str:
        return "ada" if request.headers.get("authorization") == "Bearer t0ken-of-ada" else ""

    def is_limited(self, request: Request) -> bool:
        return True

    def too_many(self, request: Request, retry_after: int) -> Answer:
        return json_answer(429, {"message": "slowly"}, ("Retry-After", str(retry_after)))

    def answer(self, request: Request) -> Answer:
        self.done.append(f"{request.method} {request.path}")
        says = self.answers.get(request.path.removeprefix(self.prefix))
        ids = ("X-Request-Id", f"id-{len(self.done)}")
        return (says(request) if says else json_answer(404, {"message": "no such thing"})).with_headers(ids)


def always(status: int, value: object = None, **headers: str) -> Says:
    """The same JSON each time; an underscore in a header's name stands for a hyphen."""
    return lambda _request: json_answer(
        status, value, *((key.replace("_", "-"), text) for key, text in headers.items())
    )


TOKEN = "t0ken-of-ada"
ADA = Credential("token:ada", {"Authorization": f"Bearer {TOKEN}"}, TOKEN, "token")
KINDS = {401: AuthError, 403: AuthError, 404: NotFoundError, 409: ConflictError}


def error_of(answer: ForgeAnswer) -> ActionError:
    said = answer.body.decode(errors="replace")[:300]
    return KINDS.get(answer.status, RemoteError)(f"The forge said: {said}", hint="Ask Ada.")


def limit_of(answer: ForgeAnswer) -> Any:
    if answer.status != 429:
        return False
    return float(answer.headers["retry-after"]) if "retry-after" in answer.headers else None


@dataclass
class KeptPauses:
    """Keeps pauses in a dictionary, and lets nobody wait."""

    begun: list[tuple[str, str, float | None]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def wait(self, installation: str, credential: str) -> float:
        return self.waits.pop(0) if self.waits else 0.0

    def begin(self, installation: str, credential: str, seconds: float | None) -> float:
        self.begun.append((installation, credential, seconds))
        return 60.0 if seconds is None else seconds


def client_of(place: Place, opening: Opening, **options: Any) -> ForgeClient:
    return ForgeClient(
        place, opening, headers={"Accept": "application/json"}, error_of=error_of, limit_of=limit_of, **options
    )
