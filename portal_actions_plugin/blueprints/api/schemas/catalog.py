"""Shapes of what can be run: actions and templates."""

from __future__ import annotations

from marshmallow import Schema, fields

from portal_actions_plugin.blueprints.api.schemas.common import PageSchema, RepositoryCommitSchema
from portal_actions_plugin.host import Severity


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
    presentation = fields.Dict(
        required=True,
        metadata={
            "description": "What its author calls the buttons of a form: `buttonLabels`, as in `spec.presentation`."
        },
    )
    source = fields.Nested(
        RepositoryCommitSchema,
        required=True,
        allow_none=True,
        metadata={"description": "Where it was read; null where it is from no git repository."},
    )
    inputs_schema = fields.Dict(required=True)


class TemplateFindingSchema(Schema):
    """What is wrong at one place of a template."""

    severity = fields.Enum(
        Severity,
        by_value=fields.String,
        required=True,
        metadata={"description": "A template with a problem cannot be used, one with warnings can."},
    )
    template = fields.String(required=True, metadata={"description": "Its name; empty while that is not known."})
    file = fields.String(required=True)
    line = fields.Integer(required=True)
    key = fields.String(required=True, metadata={"example": "spec.steps[1].action"})
    value = fields.String(
        required=True,
        metadata={"description": "The expression or value that it is about, as it is read; may be empty."},
    )
    message = fields.String(required=True)
    write = fields.String(required=True, metadata={"description": "What to write instead; may be empty."})


class TemplateListSchema(PageSchema):
    """The templates that may be run, by name, and the first findings about templates."""

    data = fields.List(fields.Nested(TemplateSchema), required=True)
    problems = fields.List(
        fields.Nested(TemplateFindingSchema),
        required=True,
        metadata={"description": "Why some files cannot be used."},
    )
    warnings = fields.List(
        fields.Nested(TemplateFindingSchema),
        required=True,
        metadata={
            "description": "What templates that can be used had better be rid of, for who may edit them (template:edit)."
        },
    )


class ForgeProblemSchema(Schema):
    """Why nothing can be done at a forge, or nobody knows."""

    error_code = fields.String(required=True, metadata={"example": "AUTH_ERROR"})
    message = fields.String(required=True)
    hint = fields.String(required=True)


class ForgeSchema(Schema):
    """A forge that this portal has set up."""

    name = fields.String(required=True, metadata={"description": "What an input's `provider` calls it."})
    kind = fields.String(required=True, metadata={"example": "github"})
    url = fields.String(required=True, allow_none=True, metadata={"description": "Where people find it."})
    version = fields.String(
        required=True, metadata={"description": "Its own name and version; empty while that is not known."}
    )
    operations = fields.List(
        fields.String(), required=True, metadata={"description": "What can be done there, such as `createRepo`."}
    )
    missing = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "What the portal's credential lacks, by operation that the forge could do."},
    )
    actions = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Which of the actions that you may see can work there."},
    )
    owners = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Where repositories may be created, as far as that is known; at most 200."},
    )
    problem = fields.Nested(ForgeProblemSchema, required=True, allow_none=True)


class ForgeListSchema(PageSchema):
    """The forges that are set up, by name."""

    data = fields.List(fields.Nested(ForgeSchema), required=True)
