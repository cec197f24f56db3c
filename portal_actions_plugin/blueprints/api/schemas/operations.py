"""Shapes for who runs the portal: the audit, health and readiness."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from portal_actions_plugin.blueprints.api.schemas.common import PageSchema
from portal_actions_plugin.runs.reading.audit_trail import OUTCOMES


class AuditEntrySchema(Schema):
    """Who did what to what, and how it ended."""

    id = fields.UUID(required=True)
    at = fields.AwareDateTime(required=True)
    last_at = fields.AwareDateTime(required=True)
    actor = fields.String(required=True)
    event = fields.String(required=True, metadata={"example": "template_run.start"})
    outcome = fields.String(required=True, validate=validate.OneOf(OUTCOMES))
    target = fields.String(required=True, metadata={"description": "A template name, an action id or a run id."})
    run_id = fields.UUID(required=True, allow_none=True)
    template_run_id = fields.UUID(required=True, allow_none=True)
    details = fields.Dict(
        required=True,
        metadata={
            "description": "`permission` of a denial, `error_code` of a failure, `retry_of` and `origin` of a start."
        },
    )
    count = fields.Integer(required=True, metadata={"description": "Repeats of a refusal within a minute."})


class AuditPageSchema(PageSchema):
    """A page of the audit, newest first."""

    data = fields.List(fields.Nested(AuditEntrySchema), required=True)


class HealthSchema(Schema):
    """Whether the parts answer."""

    status = fields.String(required=True, validate=validate.OneOf(["ok", "degraded", "down"]))
    database = fields.Boolean(required=True, metadata={"description": "Whether it answers."})
    writable = fields.Boolean(
        required=True, allow_none=True, metadata={"description": "Whether it can be written: not so in a failover."}
    )
    redis = fields.Boolean(required=True, allow_none=True)
    workers = fields.Integer(required=True, allow_none=True, metadata={"description": "Whose loop has turned lately."})
    workers_stalled = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "That should be at work and are not: stopped, hanging, missing or deaf."},
    )
    queues_still = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "On which a run has been due for ten minutes, and nothing has begun or ended since."},
    )
    oldest_queued_seconds = fields.Float(required=True, allow_none=True)


class ReadinessSchema(Schema):
    """Whether requests can be served."""

    ready = fields.Boolean(required=True)
