"""What ``http.request@v1`` does: one call, and what its answer means."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from portal_actions_plugin.actions.http_calls.answer import Kept, beginning, outputs
from portal_actions_plugin.errors import (
    ActionError,
    AuthError,
    ConflictError,
    NotFoundError,
    RateLimitedError,
    RemoteError,
    ValidationError,
)
from portal_actions_plugin.http_client.connection import Deadline
from portal_actions_plugin.http_client.exchange import Exchange
from portal_actions_plugin.http_client.guard import parse_target
from portal_actions_plugin.http_client.messages import Answer, Request
from portal_actions_plugin.http_client.waits import is_limit, limit_wait, named_wait

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.run_types import JsonValue

_SHOWN_CHARS = 200
_ERRORS: Mapping[int, type[ActionError]] = {
    401: AuthError,
    403: AuthError,
    404: NotFoundError,
    408: RemoteError,
    409: ConflictError,
    410: NotFoundError,
    412: ConflictError,
    423: ConflictError,
    425: RemoteError,
    429: RateLimitedError,
}
_HINTS: Mapping[type[ActionError], str] = {
    AuthError: "Check the credential in secretHeaders, and what it may do there.",
    ValidationError: "The other side refused what was sent: correct the input.",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call as the action's input has it.

    Attributes:
        method: in capitals.
        url: not checked yet.
        headers: by name.
        secret_headers: by name; for the URL's own origin only.
        body: a text, or a list or object that is sent as JSON; None for none.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    secret_headers: Mapping[str, str] = field(repr=False)
    body: JsonValue = field(repr=False)


def call(ctx: ActionContext, asked: Call, seconds: float, accept_status: Collection[int]) -> Kept:
    """Make a call and build the action's outputs.

    Args:
        ctx: of the run that calls.
        asked: what to call.
        seconds: how long all of it may take, redirects included.
        accept_status: statuses from 400 on that count as a success.

    Raises:
        ActionError: the answer is none of those that are accepted, or there is none.
    """
    hidden = {part for value in asked.secret_headers.values() for part in _secret_parts(value)}
    for part in hidden:
        ctx.redact(part)
    secrets = hidden | set(filter(None, ctx.secrets.values()))
    request = _request(asked)
    exchange = Exchange(
        rules=ctx.http,
        guard=ctx.recorder.ensure_ours,
        log=ctx.log,
        deadline=Deadline(seconds),
        read_bytes=ctx.http.max_bytes + max(map(len, secrets), default=0) * 4,
    )
    answer = ctx.send(exchange, request)
    if answer.status not in range(200, 400) and answer.status not in accept_status:
        raise _error(answer, secrets)
    kept = outputs(answer, ctx.http, secrets, ctx.warn)
    ctx.log(f"{answer.request} answered {_status(answer)}")
    return kept


def _request(asked: Call) -> Request:
    kind, body = None, None
    if asked.body is not None:
        kind = "text/plain; charset=utf-8" if isinstance(asked.body, str) else "application/json"
        text = asked.body if isinstance(asked.body, str) else json.dumps(asked.body)
        body = text.encode("utf-8", "replace")
    given = {name.lower() for name in (*asked.headers, *asked.secret_headers)}
    types = {"Content-Type": kind} if kind and "content-type" not in given else {}
    return Request(asked.method, parse_target(asked.url), {**types, **asked.headers}, asked.secret_headers, body)


def _secret_parts(value: str) -> set[str]:
    """A header's value, and what in it is the secret by itself: the other side may repeat just that."""
    scheme, _, credential = value.strip().partition(" ")
    parts = {value, value.strip(), credential.strip()}
    if scheme.lower() == "basic":
        with suppress(ValueError):  # when it is not what it says, it is masked as it is
            parts.add(base64.b64decode(credential).decode().partition(":")[2])
    return parts - {""}


# -- what an answer means ---------------------------------------------------------------------------------------------


def _error(answer: Answer, secrets: set[str]) -> ActionError:
    kind = _kind(answer)
    said = beginning(answer, _SHOWN_CHARS, secrets)
    message = f"{answer.request} answered {_status(answer)}" + (f": {said}" if said else ".")
    wait = limit_wait(answer) if kind is RateLimitedError else named_wait(answer) if kind is RemoteError else None
    return kind(message, hint=_HINTS.get(kind), retry_after=wait)


def _kind(answer: Answer) -> type[ActionError]:
    if is_limit(answer):
        return RateLimitedError
    return _ERRORS.get(answer.status, ValidationError if 400 <= answer.status < 500 else RemoteError)


def _status(answer: Answer) -> str:
    try:
        return f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:
        return str(answer.status)
