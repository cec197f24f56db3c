"""``/api/v1/templates`` and ``/api/v1/template-runs``."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint
from marshmallow import RAISE

from portal_actions_plugin.blueprints.api import arguments
from portal_actions_plugin.blueprints.api.named_pages import page_of
from portal_actions_plugin.blueprints.api.requests import (
    StartAnswer,
    ask_from_headers,
    ask_of_retry,
    fails_with,
    started_answer,
    starts,
)
from portal_actions_plugin.blueprints.api.schemas.catalog import TemplateListSchema, TemplateSchema
from portal_actions_plugin.blueprints.api.schemas.common import page_body
from portal_actions_plugin.blueprints.api.schemas.runs import (
    ItemsSchema,
    TemplateRunDetailSchema,
    TemplateRunPageSchema,
)
from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.run_types import Page, TemplateRun
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.guards import offers
from portal_actions_plugin.runs.guards.identity import current_identity
from portal_actions_plugin.runs.reading import permitted
from portal_actions_plugin.runs.reading.cursors import about, seal, unseal
from portal_actions_plugin.software_templates.spec import Template

MAX_FINDINGS = 200

blueprint = Blueprint(
    "portal_actions_templates", __name__, url_prefix="", description="Software templates and their executions."
)


@blueprint.get("/templates")
@blueprint.arguments(arguments.NamesQuerySchema(), location="query", unknown=RAISE)
@blueprint.response(200, TemplateListSchema)
@fails_with(blueprint, 401, 403, 422)
def list_templates(query: dict[str, Any]) -> dict[str, Any]:
    """List the templates that may be run, by name, and the files that cannot be used.

    Each comes with the JSON Schema of its inputs and with `may_run`. `problems` has the first files that cannot be used, each
    with its line and what is wrong there.
    """
    listing = permitted.templates(current_identity())
    found = page_of(
        "templates",
        listing.templates,
        name=lambda template: template.name,
        shown=_shown,
        limit=query["limit"],
        cursor=query.get("cursor"),
    )
    findings = {"problems": listing.problems[:MAX_FINDINGS], "warnings": listing.warnings[:MAX_FINDINGS]}
    return {**page_body(found), **findings}


@blueprint.get("/templates/<name>")
@blueprint.response(200, TemplateSchema)
@fails_with(blueprint, 401, 403, 404, 422)
def get_template(name: str) -> dict[str, Any]:
    """Get a template, with the JSON Schema of its inputs.

    `inputs_schema` judges what a start is given: what has a default may be left out.
    """
    return _shown(permitted.template(current_identity(), name))


@blueprint.post("/templates/<name>/runs")
@blueprint.arguments(arguments.StartTemplateRunSchema(), required=False)
@starts(blueprint, TemplateRunDetailSchema)
def start_template_run(body: dict[str, Any], name: str) -> StartAnswer:
    """Start a template.

    The run is queued once the answer is there, and `Location` says where it can be followed. Send an `Idempotency-Key` to be
    free to ask again. Every wrong input is named in one answer.
    """
    ask = ask_from_headers(entity=body.get("entity"), origin=body.get("origin"))
    started = service.start_template_run(current_identity(), name, body["inputs"], ask)
    return started_answer(started, TemplateRun)


@blueprint.get("/template-runs")
@blueprint.arguments(arguments.RunQuerySchema(), location="query", unknown=RAISE)
@blueprint.response(200, TemplateRunPageSchema)
@fails_with(blueprint, 401, 403, 422)
def list_template_runs(query: dict[str, Any]) -> dict[str, Any]:
    """List template runs, newest first.

    Filters narrow together; `next_cursor` leads to the next page. A list has no steps: each run by itself has.
    """
    wanted, limit, cursor = arguments.run_filter(query), query["limit"], query.get("cursor")
    return page_body(permitted.template_runs(current_identity(), wanted, limit=limit, cursor=cursor))


@blueprint.get("/template-runs/<run_id>")
@blueprint.response(200, TemplateRunDetailSchema)
@fails_with(blueprint, 401, 403, 404)
def get_template_run(run_id: str) -> TemplateRun:
    """Get a template run, with its steps in order.

    Steps that have no action run yet are there too, with `id: null`. Send the `ETag` back in `If-None-Match` to poll.
    """
    return permitted.template_run(current_identity(), run_id)


@blueprint.get("/template-runs/<run_id>/steps/<position>/items")
@blueprint.arguments(arguments.PageQuerySchema(), location="query", unknown=RAISE)
@blueprint.response(200, ItemsSchema)
@fails_with(blueprint, 401, 403, 404, 422)
def get_step_items(query: dict[str, Any], run_id: str, position: str) -> dict[str, Any]:
    """Get the items of a step with `each`, in their order.

    `position` counts the run's steps from 0; `next_cursor` leads to the next page.
    """
    run = permitted.template_run(current_identity(), run_id)
    place = int(position) if position.isascii() and position.isdecimal() and len(position) < 9 else len(run.steps)
    if place >= len(run.steps) or run.steps[place].items is None:
        raise NotFoundError(f"The run {run.id} has no such step with items.", hint="Steps are counted from 0.")
    return page_body(_items_page(run, place, query["limit"], query.get("cursor")))


def _items_page(run: TemplateRun, position: int, limit: int, cursor: str | None) -> Page:
    bound_to = about("items", run=run.id, step=str(position))
    after = int(unseal(cursor, bound_to)) if cursor is not None else -1
    found = permitted.items(run, position, after=after, limit=limit + 1)
    shown = found[:limit]
    return Page(shown, limit, seal(str(shown[-1].index).encode(), bound_to) if len(found) > limit else None)


@blueprint.post("/template-runs/<run_id>/cancel")
@blueprint.response(200, TemplateRunDetailSchema)
@fails_with(blueprint, 400, 401, 403, 404, 409, 413, 422)
def cancel_template_run(run_id: str) -> TemplateRun:
    """Cancel a queued or running template run and its active step.

    No step begins any more, and the process of the running one is stopped. What was done stays; its links are on the run.
    """
    return service.cancel_template_run(current_identity(), run_id)


@blueprint.post("/template-runs/<run_id>/retry")
@blueprint.arguments(arguments.RetrySchema(), required=False)
@starts(blueprint, TemplateRunDetailSchema)
def retry_template_run(body: dict[str, Any], run_id: str) -> StartAnswer:
    """Start a failed or canceled template run anew: the template as it is now, the same inputs.

    It is a new run with `retry_of`. Secret inputs are wiped when a run ends, so they are sent again; the answer is 422 and
    names them when they are missing.
    """
    started = service.retry_template_run(current_identity(), run_id, ask_of_retry(body))
    return started_answer(started, TemplateRun)


@blueprint.post("/template-runs/<run_id>/resume")
@blueprint.arguments(arguments.RetrySchema(), required=False)
@starts(blueprint, TemplateRunDetailSchema)
def resume_template_run(body: dict[str, Any], run_id: str) -> StartAnswer:
    """Start a new run at the failed or canceled step: the template as it was, the finished steps taken over.

    Finished steps keep their outputs and links, and are not run again. Secret inputs are sent again, as for a retry.
    """
    started = service.resume_template_run(current_identity(), run_id, ask_of_retry(body))
    return started_answer(started, TemplateRun)


def _shown(template: Template) -> dict[str, Any]:
    names = ("name", "title", "description", "tags", "owner", "type", "version", "permissions", "source")
    return {name: getattr(template, name) for name in names} | {
        "may_run": offers.may_start_template(current_identity(), template),
        "presentation": dict(template.presentation),
        "inputs_schema": template.published_schema,
    }
