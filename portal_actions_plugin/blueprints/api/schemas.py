"""The API's shapes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from marshmallow import Schema, fields, pre_dump, validate

from portal_actions_plugin.run_types import Page, Step
from portal_actions_plugin.runs.reading.audit_trail import OUTCOMES
from portal_actions_plugin.runs.states import NOT_RUN, PENDING, SKIPPED, STATUSES

STEP_STATUSES = (*STATUSES, PENDING, SKIPPED, NOT_RUN)

_NO_RUN: dict[str, Any] = {
    "id": None,
    "template": None,
    "template_run_id": None,
    "requested_by": None,
    "entity": None,
    "origin": None,
    "retry_of": None,
    "retried_as": None,
    "queued_at": None,
    "started_at": None,
    "finished_at": None,
    "not_before": None,
    "taken_over_from": None,
    "duration_ms": None,
    "attempt": 0,
    "max_attempts": None,
    "worker_lost": False,
    "input": {},
    "outputs": {},
    "links": [],
    "warnings": [],
    "progress": None,
    "error": None,
    "html_url": None,
}


class ErrorSchema(Schema):
    """An error, field by field where there are fields."""

    code = fields.Integer(required=True, metadata={"description": "HTTP status."})
    status = fields.String(required=True, metadata={"description": "HTTP status in words."})
    message = fields.String(required=True)
    errors = fields.Dict(keys=fields.String(), metadata={"description": "Messages by field."})
    error_code = fields.String(required=True, metadata={"example": "VALIDATION_ERROR"})
    hint = fields.String(required=True, metadata={"description": "What to do about it."})
    retry_after = fields.Integer(metadata={"description": "Seconds, as in Retry-After."})


class LinkSchema(Schema):
    """A titled address."""

    title = fields.String(required=True)
    url = fields.String(required=True)


class RunErrorSchema(Schema):
    """Why a run failed."""

    code = fields.String(required=True)
    message = fields.String(required=True)
    hint = fields.String(required=True)
    retryable = fields.Boolean(required=True)
    retry_verdict = fields.String(required=True)
    retry_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "When a retry can help, where the other side said."}
    )


class OriginSchema(Schema):
    """The failing rule that a run fixes."""

    entity = fields.String(required=True)
    scorecard = fields.String(required=True)
    rule = fields.String(required=True)


class ProgressSchema(Schema):
    """How far something is."""

    done = fields.Integer(required=True)
    total = fields.Integer(required=True)


class AttemptSchema(Schema):
    """One try of an action run."""

    number = fields.Integer(required=True)
    started_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    outcome = fields.String(required=True, allow_none=True)
    error_code = fields.String(required=True, allow_none=True)
    error_message = fields.String(required=True, allow_none=True)
    worker = fields.String(required=True)


class LockHolderSchema(Schema):
    """The action run that a queued one waits for, since both write to the same."""

    lock = fields.String(required=True)
    run_id = fields.UUID(required=True)
    html_url = fields.String(required=True)


class _RunSchema(Schema):
    """What both kinds of run have."""

    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    requested_by = fields.String(required=True)
    entity = fields.String(required=True, allow_none=True)
    origin = fields.Nested(OriginSchema, required=True, allow_none=True)
    retry_of = fields.UUID(required=True, allow_none=True)
    retried_as = fields.UUID(required=True, allow_none=True)
    queued_at = fields.AwareDateTime(required=True, allow_none=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    duration_ms = fields.Integer(required=True, allow_none=True)
    outputs = fields.Dict(keys=fields.String(), required=True)
    links = fields.List(fields.Nested(LinkSchema), required=True)
    html_url = fields.String(required=True, allow_none=True)


class ActionRunSchema(_RunSchema):
    """One execution of one action."""

    id = fields.UUID(required=True)
    kind = fields.Constant("action_run", required=True, metadata={"type": "string", "enum": ["action_run"]})
    action = fields.String(required=True)
    step_id = fields.String(required=True, allow_none=True)
    template = fields.String(required=True, allow_none=True)
    template_run_id = fields.UUID(required=True, allow_none=True)
    attempt = fields.Integer(required=True)
    max_attempts = fields.Integer(required=True, allow_none=True)
    not_before = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "When the next attempt of a queued run is due."}
    )
    taken_over_from = fields.UUID(
        required=True, allow_none=True, metadata={"description": "The template run that really executed this step."}
    )
    worker_lost = fields.Boolean(required=True, metadata={"description": "Says running, but nobody is on it."})
    input = fields.Dict(keys=fields.String(), required=True)
    warnings = fields.List(fields.String(), required=True)
    progress = fields.Nested(ProgressSchema, required=True, allow_none=True)
    error = fields.Nested(RunErrorSchema, required=True, allow_none=True)


class ActionRunDetailSchema(ActionRunSchema):
    """One execution of one action, with every try."""

    attempts = fields.List(fields.Nested(AttemptSchema), required=True)
    waits_for = fields.Nested(LockHolderSchema, required=True, allow_none=True)


class StepSchema(ActionRunSchema):
    """A step of a template run; ``id`` is null while it has no action run."""

    id = fields.UUID(required=True, allow_none=True)
    name = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STEP_STATUSES))
    requested_by = fields.String(required=True, allow_none=True)

    def dump(self, obj: Step, *, many: bool | None = None) -> Any:
        """Dump a step. Those without an action run, most of a run that begins, differ in a few words only."""
        return super().dump(obj, many=many) if obj.run else {**self._without_run, **_words(obj)}

    @cached_property
    def _without_run(self) -> dict[str, Any]:
        blank: dict[str, Any] = super().dump(Step("", "", "", ""))
        return blank

    @pre_dump
    def _flatten(self, step: Step, **_: Any) -> dict[str, Any]:
        run = {name: getattr(step.run, name, None) for name in self.fields} if step.run else _NO_RUN
        return {**run, **_words(step)}


def _words(step: Step) -> dict[str, Any]:
    """What a step has by itself, as it is in an answer too."""
    return {"name": step.name, "step_id": step.step_id, "action": step.action, "status": step.status}


class TemplateRunSchema(_RunSchema):
    """One execution of a template."""

    id = fields.UUID(required=True)
    kind = fields.Constant("template_run", required=True, metadata={"type": "string", "enum": ["template_run"]})
    template = fields.String(required=True)
    title = fields.String(required=True)
    inputs = fields.Dict(keys=fields.String(), required=True)
    progress = fields.Nested(ProgressSchema, required=True)
    resumed_step = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The step that this run began at, when it resumed another."},
    )


class TemplateRunDetailSchema(TemplateRunSchema):
    """One execution of a template, with its steps in order."""

    steps = fields.List(fields.Nested(StepSchema), required=True)


class PaginationSchema(Schema):
    """Where the next page begins."""

    limit = fields.Integer(required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class _PageSchema(Schema):
    pagination = fields.Nested(PaginationSchema, required=True)


class ActionRunPageSchema(_PageSchema):
    """A page of action runs, newest first."""

    data = fields.List(fields.Nested(ActionRunSchema), required=True)


class TemplateRunPageSchema(_PageSchema):
    """A page of template runs, newest first."""

    data = fields.List(fields.Nested(TemplateRunSchema), required=True)


def page_answer(page: Page) -> dict[str, Any]:
    """A page as the API says it."""
    return {"data": page.items, "pagination": page}


class LogLineSchema(Schema):
    """A line that a handler wrote."""

    seq = fields.Integer(required=True)
    attempt = fields.Integer(required=True)
    at = fields.AwareDateTime(required=True)
    level = fields.String(required=True)
    message = fields.String(required=True)


class LogSchema(Schema):
    """Log lines, oldest first."""

    data = fields.List(fields.Nested(LogLineSchema), required=True)


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


class ActionListSchema(_PageSchema):
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


class TemplateListSchema(_PageSchema):
    """The templates that may be run, by name, and the first files that cannot be used."""

    data = fields.List(fields.Nested(TemplateSchema), required=True)
    problems = fields.List(fields.Nested(TemplateProblemSchema), required=True)


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


class AuditPageSchema(_PageSchema):
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
    oldest_queued_seconds = fields.Float(required=True, allow_none=True)


class ReadinessSchema(Schema):
    """Whether requests can be served."""

    ready = fields.Boolean(required=True)
