"""Shapes of runs: action runs, template runs, their steps, attempts and logs."""

from __future__ import annotations

import dataclasses
from functools import cached_property

from marshmallow import Schema, fields, pre_dump, validate

from portal_actions_plugin.blueprints.api.schemas.common import PageSchema, RepositoryCommitSchema, UnmatchedSchema
from portal_actions_plugin.run_types import ActionRun, Step, StepItems
from portal_actions_plugin.runs.states import NOT_RUN, PENDING, SKIPPED, STATUSES

STEP_STATUSES = (*STATUSES, PENDING, SKIPPED, NOT_RUN)


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


class WaitsForSchema(Schema):
    """What a queued run waits for beside a worker: a run that writes to the same, or another step of the same person."""

    reason = fields.String(required=True, validate=validate.OneOf(["lock", "own_steps"]))
    message = fields.String(required=True, metadata={"description": "A sentence for people."})
    lock = fields.String(required=True, allow_none=True)
    run_id = fields.UUID(
        required=True, allow_none=True, metadata={"description": "Null, with `html_url`, when it is hidden from you."}
    )
    html_url = fields.String(required=True, allow_none=True)


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
    waits_for = fields.Nested(WaitsForSchema, required=True, allow_none=True)


class StepItemsSchema(Schema):
    """What a step with ``each`` goes through, counted."""

    total = fields.Integer(required=True, metadata={"description": "The items of its list."})
    done = fields.Integer(required=True, metadata={"description": "How many have succeeded, as `success` says."})
    queued = fields.Integer(required=True)
    running = fields.Integer(required=True)
    success = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    canceled = fields.Integer(required=True)
    pending = fields.Integer(required=True, metadata={"description": "Those that have not begun."})
    not_run = fields.Integer(required=True, metadata={"description": "Those that never began, of a run that is over."})
    skipped = fields.Integer(required=True, metadata={"description": "Those that the step's `if` left out."})

    @pre_dump
    def _flatten(self, items: StepItems, **_: object) -> dict[str, int]:
        return {"total": items.total, "done": items.done, **dict.fromkeys(STEP_STATUSES, 0), **items.counts}


class ItemSchema(Schema):
    """One item of a step; ``id`` is null while it has no action run."""

    index = fields.Integer(required=True, metadata={"description": "Its place in the list, from 0."})
    key = fields.String(required=True, metadata={"description": "What `each.key` gives."})
    value = fields.Raw(required=True, allow_none=True, metadata={"description": "What `each.value` gives, masked."})
    id = fields.UUID(attribute="run_id", required=True, allow_none=True)
    status = fields.String(required=True, validate=validate.OneOf(STEP_STATUSES))
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    duration_ms = fields.Integer(required=True, allow_none=True)
    taken_over_from = fields.UUID(required=True, allow_none=True)
    error_code = fields.String(required=True, allow_none=True)
    error_message = fields.String(required=True, allow_none=True)


class ItemsSchema(PageSchema):
    """Items of a step, in their order."""

    data = fields.List(fields.Nested(ItemSchema), required=True)


class StepSchema(ActionRunSchema):
    """A step of a template run; ``id`` is null while it has no action run, and where it has items, each with one of its own."""

    items = fields.Nested(
        StepItemsSchema,
        required=True,
        allow_none=True,
        metadata={"description": "Of a step with `each`, once its list has been worked out."},
    )
    id = fields.UUID(required=True, allow_none=True)
    name = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STEP_STATUSES))
    requested_by = fields.String(required=True, allow_none=True)

    def dump(self, obj: Step, *, many: bool | None = None) -> object:
        """Dump a step. Those without an action run, most of a run that begins, differ in a few words only."""
        return super().dump(obj, many=many) if obj.run or obj.items else {**self._without_run, **_words(obj)}

    @cached_property
    def _without_run(self) -> dict[str, object]:
        blank: dict[str, object] = super().dump(Step("", "", "", ""))
        return blank

    @pre_dump
    def _flatten(self, step: Step, **_: object) -> dict[str, object]:
        run = {name: getattr(step.run, name, None) for name in self.fields} if step.run else _no_run()
        times = {name: getattr(step.items, name) for name in _TIMES} if step.items else {}
        return {**run, **times, **_words(step), "items": step.items}


_TIMES = ("started_at", "finished_at", "duration_ms")


def _words(step: Step) -> dict[str, object]:
    """What a step has by itself, as it is in an answer too."""
    return {"name": step.name, "step_id": step.step_id, "action": step.action, "status": step.status}


def _no_run() -> dict[str, object]:
    """What a step without an action run has in its place: the defaults of one, and None where there is none."""
    blank: dict[str, object] = {"attempt": 0, "duration_ms": None}
    for one in dataclasses.fields(ActionRun):
        if one.default_factory is not dataclasses.MISSING:
            blank[one.name] = one.default_factory()
        else:
            blank.setdefault(one.name, None if one.default is dataclasses.MISSING else one.default)
    return blank


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
    failed_at_step = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The step that failed first. While the run is `running`, it cleans up after that."},
    )
    source = fields.Nested(
        RepositoryCommitSchema,
        required=True,
        allow_none=True,
        metadata={"description": "Where its template was read; null where it is from no git repository."},
    )


class TemplateRunDetailSchema(TemplateRunSchema):
    """One execution of a template, with its steps in order."""

    steps = fields.List(fields.Nested(StepSchema), required=True)


class RunPageSchema(PageSchema):
    """A page of a list that takes filters."""

    unmatched = fields.List(
        fields.Nested(UnmatchedSchema),
        metadata={"description": "Of an empty list: the filters that fit no run that you may see."},
    )


class ActionRunPageSchema(RunPageSchema):
    """A page of action runs, newest first."""

    data = fields.List(fields.Nested(ActionRunSchema), required=True)


class TemplateRunPageSchema(RunPageSchema):
    """A page of template runs, newest first."""

    data = fields.List(fields.Nested(TemplateRunSchema), required=True)


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
