"""A forge that says what a test has it say: for tests of the client, which no forge's own rules concern."""

from __future__ import annotations

from collections.abc import Callable

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
