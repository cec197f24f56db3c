"""``/api/v1/action-runs``."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint
from marshmallow import RAISE

from portal_actions_plugin.blueprints.api import arguments
from portal_actions_plugin.blueprints.api.requests import (
    StartAnswer,
    ask_of_retry,
    fails_with,
    started_answer,
    starts,
)
from portal_actions_plugin.blueprints.api.schemas.common import page_body
from portal_actions_plugin.blueprints.api.schemas.runs import (
    ActionRunDetailSchema,
    ActionRunPageSchema,
    ActionRunSchema,
    LogSchema,
)
from portal_actions_plugin.run_types import ActionRun
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.guards.identity import current_identity
from portal_actions_plugin.runs.reading import permitted

blueprint = Blueprint(
    "portal_actions_action_runs", __name__, url_prefix="/action-runs", description="Executions of actions."
)


@blueprint.get("")
@blueprint.arguments(arguments.RunQuerySchema(), location="query", unknown=RAISE)
@blueprint.response(200, ActionRunPageSchema)
@fails_with(blueprint, 401, 403, 422)
def list_action_runs(query: dict[str, Any]) -> dict[str, Any]:
    """List action runs, newest first.

    One-offs and the steps of template runs. Filters narrow together; `next_cursor` leads to the next page.
    """
    wanted, limit, cursor = arguments.run_filter(query), query["limit"], query.get("cursor")
    return page_body(permitted.action_runs(current_identity(), wanted, limit=limit, cursor=cursor))


@blueprint.get("/<run_id>")
@blueprint.response(200, ActionRunDetailSchema)
@fails_with(blueprint, 401, 403, 404)
def get_action_run(run_id: str) -> ActionRun:
    """Get an action run with every try.

    While it is queued since another run writes to the same, `waits_for` names that one. Send the `ETag` back in
    `If-None-Match` to poll.
    """
    return permitted.action_run(current_identity(), run_id)


@blueprint.get("/<run_id>/logs")
@blueprint.arguments(arguments.LogQuerySchema(), location="query", unknown=RAISE)
@blueprint.response(200, LogSchema)
@fails_with(blueprint, 401, 403, 404, 422)
def get_action_run_logs(query: dict[str, Any], run_id: str) -> dict[str, Any]:
    """Get log lines of an action run, oldest first.

    Ask again with the `number` of the last line as `after` to follow.
    """
    return {"data": permitted.log_lines(current_identity(), run_id, after=query["after"], limit=query["limit"])}


@blueprint.post("/<run_id>/cancel")
@blueprint.response(200, ActionRunSchema)
@fails_with(blueprint, 400, 401, 403, 404, 409, 413, 422)
def cancel_action_run(run_id: str) -> ActionRun:
    """Cancel a queued or running one-off.

    Its process is stopped. A step is canceled with its template run: alone it answers 409.
    """
    return service.cancel_action_run(current_identity(), run_id)


@blueprint.post("/<run_id>/retry")
@blueprint.arguments(arguments.RetrySchema(), required=False)
@starts(blueprint, ActionRunSchema)
def retry_action_run(body: dict[str, Any], run_id: str) -> StartAnswer:
    """Start an ended one-off anew with the same input.

    It is a new run with `retry_of`. Secret inputs are sent again. A step answers 409: its template run can be retried.
    """
    started = service.retry_action_run(current_identity(), run_id, ask_of_retry(body))
    return started_answer(started, ActionRun)
