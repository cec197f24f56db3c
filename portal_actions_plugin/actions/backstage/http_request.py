"""``http:backstage:request``: a call of the portal's own API, or of what stands in its place, by a path of Backstage's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from marshmallow import Schema, fields, validate, validates_schema
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.http import REPEATABLE, Headers, sounds_secret
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_fields import optional_text
from portal_actions_plugin.errors import ConfigurationError

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.actions.http_calls.answer import Kept
    from portal_actions_plugin.run_types import JsonValue

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "UPDATE", "DELETE", "PUT", "PATCH")
_MAX_MILLISECONDS = 110_000
_BAD = range(400, 600)
_API = "api/"


class HttpBackstageRequest(Schema):
    path = fields.String(
        required=True,
        validate=validate.Length(min=1, max=2_000),
        metadata={
            "description": "What to call below PORTAL_ACTIONS_BACKSTAGE_URL, as at home: a plugin's name and what follows.",
            "example": "catalog/entities/by-name/component/default/orders",
        },
    )
    method = fields.String(
        required=True,
        validate=validate.OneOf(METHODS),
        metadata={"description": "After an unknown outcome all but POST, PATCH and UPDATE are tried again."},
    )
    headers = Headers("Headers. Those that sound like a secret are masked, and sent to no other host.")
    params = fields.Dict(
        keys=fields.String(), load_default=dict, allow_none=True, metadata={"description": "What follows after the ?."}
    )
    body = fields.Raw(
        load_default=None, allow_none=True, metadata={"description": "A text, or any value, which is sent as JSON."}
    )
    log_request_path = fields.Boolean(
        data_key="logRequestPath",
        load_default=True,
        metadata={"description": "Whether the log shows the path."},
    )
    continue_on_bad_response = fields.Boolean(
        data_key="continueOnBadResponse",
        load_default=False,
        metadata={"description": "Whether an answer from 400 on is a success, too."},
    )
    timeout = fields.Float(
        load_default=60_000,
        validate=validate.Range(min=0, min_inclusive=False),
        metadata={"description": f"How long it may take, in milliseconds; {_MAX_MILLISECONDS:,} at most."},
    )
    use_backstage_token = fields.Boolean(
        data_key="useBackstageToken",
        load_default=False,
        metadata={"description": "Without a meaning here: give a header Authorization with a secret."},
    )
    idempotency_key = optional_text(
        "Under this key the call is made once, whatever becomes of the attempt.",
        data_key="idempotencyKey",
        validate=validate.Length(min=1, max=200),
    )

    @validates_schema
    def check_together(self, data: dict[str, Any], **_options: object) -> None:
        if data["body"] is not None and data.get("method") in ("GET", "HEAD"):
            raise SchemaError(f"A {data['method']} has no body.", "body")


class HttpBackstageRequestOutput(Schema):
    code = fields.Integer(metadata={"description": "The answer's status."})
    headers = fields.Dict(
        keys=fields.String(), values=fields.String(), metadata={"description": "Its headers, in small letters."}
    )
    body = fields.Raw(
        allow_none=True,
        metadata={"description": "Its value where it is JSON, else an object with its text as message."},
    )


def _may_be_repeated(data: Mapping[str, Any]) -> bool:
    return data.get("method") in REPEATABLE or bool(data.get("idempotencyKey"))


@action(
    "http:backstage:request",
    title="Call the portal's API",
    description="Call the portal's own API, at an address that the platform team sets and allows.",
    input=HttpBackstageRequest,
    output=HttpBackstageRequestOutput,
    idempotent=_may_be_repeated,
    timeout=120,
)
def http_backstage_request(
    ctx: ActionContext,
    *,
    path: str,
    method: str,
    headers: Mapping[str, str],
    params: Mapping[str, JsonValue] | None,
    body: JsonValue,
    log_request_path: bool,
    continue_on_bad_response: bool,
    timeout: float,
    use_backstage_token: bool,  # noqa: ARG001 nobody has one here
    idempotency_key: str | None,
) -> dict[str, Any]:
    """Call the portal's API. What may be called is what http.request@v1 may call."""
    from portal_actions_plugin.actions.http_calls.call import (  # what opens connections comes with the first call
        Call,
        call,
    )

    url = _url(ctx, path, params or {})
    secret = {name: value for name, value in headers.items() if sounds_secret(name)}
    plain = {name: value for name, value in headers.items() if name not in secret}
    given = body if isinstance(body, str | dict | list | None) else str(body)

    def ask() -> dict[str, Any]:
        wanted = Call(method, url, plain, secret, given)
        seconds = min(timeout, _MAX_MILLISECONDS) / 1_000
        return _outputs(call(ctx, wanted, seconds, _BAD if continue_on_bad_response else ()))

    ctx.log(f"{method} {path}" if log_request_path else f"{method} of a path that is not shown")
    return ctx.checkpoint(f"request.{idempotency_key}", ask) if idempotency_key else ask()


def _url(ctx: ActionContext, path: str, params: Mapping[str, JsonValue]) -> str:
    base = ctx.http.backstage_url.rstrip("/")
    if not base:
        raise ConfigurationError(
            "This portal has no address that http:backstage:request may call: PORTAL_ACTIONS_BACKSTAGE_URL is not set.",
            hint="Tell your platform team to set it, such as https://portal.example.com, and to allow its host in "
            "PORTAL_ACTIONS_HTTP_ALLOWED_HOSTS.",
        )
    rest = path.lstrip("/").removeprefix(_API)
    query = urlencode([(name, _text(value)) for name, value in params.items()])
    joined = "&" if "?" in rest else "?"
    return f"{base}/{_API}{rest}{joined + query if query else ''}"


def _text(value: JsonValue) -> str:
    """A parameter as JavaScript writes it into a query."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return ",".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)


def _outputs(kept: Kept) -> dict[str, Any]:
    is_json = kept["json"] is not None or (kept["body"] or "").strip() == "null"
    body: JsonValue = kept["json"] if is_json else {"message": kept["body"] or ""}
    return {"code": kept["status"], "headers": kept["headers"], "body": body}
