"""What the API takes: queries and bodies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from portal_actions_plugin.run_types import Origin
from portal_actions_plugin.runs.reading.audit_trail import EVENTS, OUTCOMES
from portal_actions_plugin.runs.reading.cursors import CURSOR
from portal_actions_plugin.runs.reading.filters import RunFilter
from portal_actions_plugin.runs.states import STATUSES

MAX_LIMIT = 200

MAX_INPUTS = 200
MAX_SECRETS = 50
MAX_SECRET_CHARS = 16_384

# Further out, neither a UUIDv7 nor every database can hold the moment in UTC; no run is there anyway.
_EARLIEST, _LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


class Moment(fields.AwareDateTime):
    """A moment to compare with; one that is out of reach compares like the nearest within."""

    def _deserialize(
        self, value: object, attr: str | None, data: Mapping[str, object] | None, **kwargs: object
    ) -> datetime:
        moment: datetime = super()._deserialize(value, attr, data, **kwargs)
        return min(max(moment, _EARLIEST), _LATEST)


class _AtMost(validate.Validator):
    """So many entries. Not ``validate.Length``: the document would call it a text's length."""

    def __init__(self, most: int) -> None:
        self._most = most

    def __call__(self, value: dict[str, Any]) -> dict[str, Any]:
        if len(value) > self._most:
            raise ValidationError(f"Takes at most {self._most} entries.")
        return value


def _text(most: int, *, required: bool = False, **metadata: str) -> fields.String:
    """A text that a database can compare with."""
    no_nul = validate.Regexp(r"^[^\x00]*$", error="Holds a character that cannot be stored, such as NUL.")
    return fields.String(required=required, validate=[validate.Length(1, most), no_nul], metadata=metadata)


def _inputs(what: str) -> fields.Dict:
    return fields.Dict(
        keys=fields.String(),
        load_default=dict,
        validate=_AtMost(MAX_INPUTS),
        metadata={"maxProperties": MAX_INPUTS, "description": what},
    )


class PageQuerySchema(Schema):
    """How much of a list, and from where."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, MAX_LIMIT))
    cursor = fields.String(
        validate=validate.Regexp(CURSOR, error="is no cursor of this list"),
        metadata={"description": "`next_cursor` of the page before, with the same filters."},
    )


class NamesQuerySchema(PageQuerySchema):
    """How much of a list of named things, and after which name."""

    limit = fields.Integer(load_default=MAX_LIMIT, validate=validate.Range(1, MAX_LIMIT))


class RunQuerySchema(PageQuerySchema):
    """What a list of runs is narrowed to."""

    status = fields.List(fields.String(validate=validate.OneOf(STATUSES)), metadata={"description": "Repeatable."})
    action = _text(255, description="An id, with its version or for all of them.")
    template = _text(255, description="A name or title.")
    requested_by = _text(255, description="An id, with or without its kind, or a name as pages show it.")
    entity = _text(255, description="An entity, with or without kind and namespace.")
    since = Moment(metadata={"description": "Queued at or after."})
    until = Moment(metadata={"description": "Queued at or before."})
    q = _text(
        100,
        description="Words, each the beginning of one that is seen of a run: its id, its template run's, step, action, "
        "template, title, requester or entity. All must fit.",
    )


def run_filter(query: dict[str, Any]) -> RunFilter:
    """The filter that a query asks for."""
    names = ("action", "template", "requested_by", "entity", "since", "until", "q")
    given: dict[str, Any] = {name: query.get(name) for name in names}
    return RunFilter(status=tuple(query.get("status") or ()), **given)


class LogQuerySchema(Schema):
    """Which log lines."""

    after = fields.Integer(load_default=0, validate=validate.Range(0, 2**31 - 1))
    limit = fields.Integer(load_default=1000, validate=validate.Range(1, 1000))


class WorkspaceQuerySchema(Schema):
    """Which files of a workspace."""

    after = fields.Integer(
        load_default=0, validate=validate.Range(0, 2**31 - 1), metadata={"description": "How many files come before."}
    )
    limit = fields.Integer(load_default=1000, validate=validate.Range(1, 1000))


class WorkspaceFileQuerySchema(Schema):
    """Which file of a workspace."""

    path = _text(255, required=True, description="As the listing has it.", example="README.md")


class AuditQuerySchema(PageQuerySchema):
    """What the audit is narrowed to."""

    actor = _text(255, description="The id of who did it.")
    event = fields.String(validate=validate.OneOf(EVENTS))
    outcome = fields.String(validate=validate.OneOf(OUTCOMES))
    target = _text(255, description="A template name, an action id or a run id.")
    run_id = _text(64, description="A run; of a template run, with its steps.")
    since = Moment(metadata={"description": "At or after."})
    until = Moment(metadata={"description": "At or before."})


class FixedRuleSchema(Schema):
    """The failing scorecard rule that a run fixes."""

    entity = _text(255, required=True)
    scorecard = _text(255, required=True)
    rule = _text(255, required=True)

    @post_load
    def _make(self, data: dict[str, str], **_: object) -> Origin:
        return Origin(**data)


class _StartSchema(Schema):
    entity = _text(255, description="The catalog entity that the run is about.")
    origin = fields.Nested(
        FixedRuleSchema,
        metadata={"description": "What it fixes. While such a run is active, a start answers 200 with that one."},
    )


class StartActionRunSchema(_StartSchema):
    """A one-off."""

    input = _inputs("As the action's input_schema says.")


class StartTemplateRunSchema(_StartSchema):
    """A template run."""

    inputs = _inputs("As the template's inputs_schema says.")


class RetrySchema(Schema):
    """What a retry needs again, and which one is known of."""

    retried_as = fields.UUID(
        allow_none=True,
        metadata={
            "description": "The run's `retried_as` as you know it, null for none. Where there is a newer retry that you "
            "may see, and have not canceled yourself, nothing is started, and a 409 names it."
        },
    )

    secrets = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=validate.Length(max=MAX_SECRET_CHARS)),
        load_default=dict,
        validate=_AtMost(MAX_SECRETS),
        metadata={"maxProperties": MAX_SECRETS, "description": "The secret inputs again, by name, and nothing else."},
    )
