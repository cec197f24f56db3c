"""What the API takes: queries and bodies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, fields, validate

from portal_actions_plugin.runs.audit_log import EVENTS, OUTCOMES
from portal_actions_plugin.runs.filters import RunFilter
from portal_actions_plugin.runs.states import STATUSES

MAX_LIMIT = 200

# Further out, neither a UUIDv7 nor every database can hold the moment in UTC.
_IN_OUR_TIME = validate.Range(datetime(1970, 1, 2, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC))


class PageQuerySchema(Schema):
    """How much of a list, and from where."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, MAX_LIMIT))
    cursor = fields.String(validate=validate.Length(1, 100))


class RunQuerySchema(PageQuerySchema):
    """What a list of runs is narrowed to."""

    status = fields.List(fields.String(validate=validate.OneOf(STATUSES)), metadata={"description": "Repeatable."})
    action = fields.String(validate=validate.Length(1, 255))
    template = fields.String(validate=validate.Length(1, 255))
    requested_by = fields.String(validate=validate.Length(1, 255))
    entity = fields.String(validate=validate.Length(1, 255))
    since = fields.AwareDateTime(validate=_IN_OUR_TIME, metadata={"description": "Queued at or after."})
    until = fields.AwareDateTime(validate=_IN_OUR_TIME, metadata={"description": "Queued at or before."})
    q = fields.String(
        validate=validate.Length(1, 100),
        metadata={"description": "Prefix of run id, step, action, template, requester or entity."},
    )


def run_filter(query: dict[str, Any]) -> RunFilter:
    """The filter that a query asks for."""
    return RunFilter(
        status=tuple(query.get("status") or ()),
        **{name: query.get(name) for name in ("action", "template", "requested_by", "entity", "since", "until", "q")},
    )


class LogQuerySchema(Schema):
    """Which log lines."""

    after = fields.Integer(load_default=0, validate=validate.Range(0, 2**31 - 1))
    limit = fields.Integer(load_default=1000, validate=validate.Range(1, 1000))


class AuditQuerySchema(PageQuerySchema):
    """What the audit is narrowed to."""

    actor = fields.String(validate=validate.Length(1, 255), metadata={"description": "The id of who did it."})
    event = fields.String(validate=validate.OneOf(EVENTS))
    outcome = fields.String(validate=validate.OneOf(OUTCOMES))
    target = fields.String(
        validate=validate.Length(1, 255), metadata={"description": "A template name, an action id or a run id."}
    )
    run_id = fields.String(
        validate=validate.Length(1, 64), metadata={"description": "A run; of a template run, with its steps."}
    )
    since = fields.AwareDateTime(validate=_IN_OUR_TIME, metadata={"description": "At or after."})
    until = fields.AwareDateTime(validate=_IN_OUR_TIME, metadata={"description": "At or before."})


class StartActionRunSchema(Schema):
    """A one-off."""

    input = fields.Dict(keys=fields.String(), load_default=dict)
    entity = fields.String(validate=validate.Length(1, 255))


class StartTemplateRunSchema(Schema):
    """A template run."""

    inputs = fields.Dict(keys=fields.String(), load_default=dict)
    entity = fields.String(validate=validate.Length(1, 255))


class RetrySchema(Schema):
    """What a retry needs again."""

    secrets = fields.Dict(keys=fields.String(), values=fields.String(), load_default=dict)
