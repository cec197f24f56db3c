"""``http.request@v1``: call an HTTP API that the platform team allows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, validate, validates_schema
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.errors import (
    ValidationError,
)
from portal_actions_plugin.http_client.guard import parse_target

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.actions.http_calls.answer import Kept
    from portal_actions_plugin.run_types import JsonValue

    _Data = Mapping[str, Any] | None

REPEATABLE = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
METHODS = (*REPEATABLE, "POST", "PATCH")
_TIMEOUT = 120
_MAX_SECONDS = 110  # so that a slow answer is told as one, before the action's own time is over
_MAX_HEADERS = 50
_MAX_VALUE = 8_000

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")
_SET_BY_US = re.compile(
    r"host|content-length|transfer-encoding|accept-encoding|connection|keep-alive|te|trailer|upgrade|expect|proxy-.*"
)
_SOUNDS_SECRET = re.compile(
    r"(^|-)(auth|authorization|authentication|cookies?|tokens?|secrets?|passw(or)?d|credentials?|session|jwt)(-|$)"
    r"|(api|access|auth|private|subscription)-?key|(token|secret)$"
)


def sounds_secret(name: str) -> bool:
    """Whether a header of this name most likely holds a secret, such as ``Authorization``."""
    return _SOUNDS_SECRET.search(name.lower().replace("_", "-")) is not None


def _check_url(url: str) -> None:
    try:
        parse_target(url)
    except ValidationError as error:
        raise SchemaError(error.message) from None


class Headers(fields.Dict):
    """A table of headers, each of them refused by its name."""

    def __init__(self, description: str, *, data_key: str | None = None, load_only: bool = False) -> None:
        super().__init__(
            keys=fields.String(),
            values=fields.String(),
            load_default=dict,
            data_key=data_key,
            load_only=load_only,
            metadata={"description": description},
        )

    def _deserialize(self, value: object, attr: str | None, data: _Data, **kwargs: object) -> dict[str, str]:
        headers: dict[str, str] = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        if len({name.lower() for name in headers}) < len(headers) or len(headers) > _MAX_HEADERS:
            raise SchemaError(f"There are more than {_MAX_HEADERS} headers, or two of the same name.")
        wrong = {name[:100]: [why] for name, text in headers.items() if (why := self._wrong_with(name, text))}
        if wrong:
            raise SchemaError(wrong)
        return headers

    def _wrong_with(self, name: str, value: str) -> str | None:
        if not _HEADER_NAME.fullmatch(name):
            return "Is not a header's name."
        if _SET_BY_US.fullmatch(name.lower()):
            return "Is set by the portal itself."
        if len(value) > _MAX_VALUE or not _HEADER_VALUE.fullmatch(value):
            return f"A header's value has at most {_MAX_VALUE} characters of ASCII, and no line break."
        return None


class PlainHeaders(Headers):
    """Headers that everybody may read."""

    def _wrong_with(self, name: str, value: str) -> str | None:
        wrong = super()._wrong_with(name, value)
        if wrong is None and sounds_secret(name):
            return "Sounds like a secret: give it in secretHeaders, where it is kept encrypted and never shown."
        return wrong


class SecretHeaders(Headers):
    """Headers that nobody may read. Where only a text can be given, as when a retry asks for them again, it is JSON."""

    def _deserialize(self, value: object, attr: str | None, data: _Data, **kwargs: object) -> dict[str, str]:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise SchemaError('As a text, this is JSON: {"Authorization": "Bearer …"}.') from None
        return super()._deserialize(value, attr, data, **kwargs)


def _check_body(body: object) -> None:
    if not isinstance(body, str | dict | list | None):
        raise SchemaError("A body is a text, or a JSON object or list.")


class HttpRequest(Schema):
    method = fields.String(
        required=True,
        validate=validate.OneOf(METHODS),
        metadata={"description": "After an unknown outcome all but POST and PATCH are tried again."},
    )
    url = fields.String(
        required=True,
        validate=_check_url,
        metadata={
            "description": "What to call: https:// or http://, on a host that the portal allows.",
            "example": "https://api.example.com/orders",
        },
    )
    headers = PlainHeaders("Headers, but for secret ones.")
    secret_headers = SecretHeaders(
        "Headers such as Authorization: kept encrypted, never shown, and sent to no other host.",
        data_key="secretHeaders",
        load_only=True,
    )
    body = fields.Raw(
        load_default=None,
        allow_none=True,
        validate=_check_body,
        metadata={"description": "A text, or an object or list, which is sent as JSON."},
    )
    timeout_seconds = fields.Float(
        data_key="timeoutSeconds",
        load_default=30,
        validate=validate.Range(min=0, min_inclusive=False, max=_MAX_SECONDS),
        metadata={"description": "How long all of it may take, redirects included."},
    )
    accept_status = fields.List(
        fields.Integer(strict=True, validate=validate.Range(400, 599)),
        data_key="acceptStatus",
        load_default=list,
        validate=validate.Length(max=200),
        metadata={"description": "Statuses from 400 on that count as a success, such as 404."},
    )

    @validates_schema
    def check_together(self, data: dict[str, Any], **_options: object) -> None:
        if data["body"] is not None and data.get("method") in ("GET", "HEAD"):
            raise SchemaError(f"A {data['method']} has no body.", "body")
        twice = {name.lower() for name in data["headers"]} & {name.lower() for name in data["secret_headers"]}
        if twice:
            raise SchemaError(f"Given in headers and in secretHeaders: {', '.join(sorted(twice))}.", "headers")


class HttpRequestOutput(Schema):
    status = fields.Integer(metadata={"description": "The answer's status, after redirects."})
    headers = fields.Dict(
        keys=fields.String(), values=fields.String(), metadata={"description": "Its headers, in small letters."}
    )
    body = fields.String(allow_none=True, metadata={"description": "Its body when that is text, else null."})
    body_base64 = fields.String(
        data_key="bodyBase64", allow_none=True, metadata={"description": "Its body when that is not text, else null."}
    )
    json = fields.Raw(allow_none=True, metadata={"description": "The body's value when it is JSON, else null."})
    truncated = fields.Boolean(metadata={"description": "Whether the body was longer than a run keeps."})


def _may_be_repeated(data: Mapping[str, Any]) -> bool:
    return data.get("method") in REPEATABLE


@action(
    "http.request@v1",
    title="Call an HTTP API",
    input=HttpRequest,
    output=HttpRequestOutput,
    idempotent=_may_be_repeated,
    timeout=_TIMEOUT,
)
def http_request(
    ctx: ActionContext,
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    secret_headers: Mapping[str, str],
    body: JsonValue,
    timeout_seconds: float,
    accept_status: list[int],
) -> Kept:
    """Call a host that the portal allows. All methods but POST and PATCH may be repeated.

    Args:
        ctx: of the run.
        method: one of ``METHODS``.
        url: http or https.
        headers: by name.
        secret_headers: by name; sent to the URL's own origin only.
        body: a text, or a list or object that is sent as JSON; None for none.
        timeout_seconds: how long all of it may take, redirects included.
        accept_status: statuses from 400 on that count as a success.

    Raises:
        ActionError: the answer is none of those that are accepted, or there is none.
    """
    from portal_actions_plugin.actions.http_calls.call import (  # what opens connections comes with the first call
        Call,
        call,
    )

    return call(ctx, Call(method, url, headers, secret_headers, body), timeout_seconds, accept_status)
