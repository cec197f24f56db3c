"""Shapes of what can be run: actions and templates."""

from __future__ import annotations

from marshmallow import Schema, fields

from portal_actions_plugin.blueprints.api.schemas.common import PageSchema


class ActionSchema(Schema):
    """An action of the registry."""

    id = fields.String(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    idempotent = fields.Boolean(
        required=True,
        allow_none=True,
        metadata={
            "description": "Whether it may be repeated after an unknown outcome; null: that depends on the input."
        },
    )
    timeout = fields.Float(required=True, metadata={"description": "Seconds."})
    max_attempts = fields.Integer(required=True)
    permissions = fields.List(fields.String(), required=True)
    may_run = fields.Boolean(required=True, metadata={"description": "Whether a start of yours would be let through."})
    input_schema = fields.Dict(required=True)
    output_schema = fields.Dict(required=True, allow_none=True)


class ActionListSchema(PageSchema):
    """The registry, by id."""

    data = fields.List(fields.Nested(ActionSchema), required=True)


class TemplateSchema(Schema):
    """A template that may be run."""

    name = fields.String(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    tags = fields.List(fields.String(), required=True)
    owner = fields.String(required=True, allow_none=True)
    type = fields.String(required=True, allow_none=True)
    version = fields.String(required=True)
    permissions = fields.List(fields.String(), required=True)
    may_run = fields.Boolean(required=True, metadata={"description": "Whether a start of yours would be let through."})
    inputs_schema = fields.Dict(required=True)


class TemplateProblemSchema(Schema):
    """Why a template file cannot be used."""

    file = fields.String(required=True)
    line = fields.Integer(required=True)
    key = fields.String(required=True)
    message = fields.String(required=True)


class TemplateListSchema(PageSchema):
    """The templates that may be run, by name, and the first files that cannot be used."""

    data = fields.List(fields.Nested(TemplateSchema), required=True)
    problems = fields.List(fields.Nested(TemplateProblemSchema), required=True)
