"""``/api/v1/actions``."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint
from marshmallow import RAISE

from portal_actions_plugin.actions.registry import Action
from portal_actions_plugin.blueprints.api import arguments
from portal_actions_plugin.blueprints.api.named_pages import page_of
from portal_actions_plugin.blueprints.api.openapi.json_schema import json_schema
from portal_actions_plugin.blueprints.api.requests import (
    StartAnswer,
    ask_from_headers,
    fails_with,
    started_answer,
    starts,
)
from portal_actions_plugin.blueprints.api.schemas.catalog import ActionListSchema, ActionSchema
from portal_actions_plugin.blueprints.api.schemas.common import page_body
from portal_actions_plugin.blueprints.api.schemas.runs import ActionRunSchema
from portal_actions_plugin.run_types import ActionRun
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.guards import offers
from portal_actions_plugin.runs.guards.identity import current_identity
from portal_actions_plugin.runs.reading import permitted

blueprint = Blueprint("portal_actions_actions", __name__, url_prefix="/actions", description="What can be run.")


@blueprint.get("")
@blueprint.arguments(arguments.NamesQuerySchema(), location="query", unknown=RAISE)
@blueprint.response(200, ActionListSchema)
@fails_with(blueprint, 401, 403, 422)
def list_actions(query: dict[str, Any]) -> dict[str, Any]:
    """List the registry, by id.

    Each action comes with the JSON Schema of its input and output and with `may_run`.
    """
    found = page_of(
        "actions",
        permitted.actions(current_identity()),
        name=lambda action: action.id,
        shown=_shown,
        limit=query["limit"],
        cursor=query.get("cursor"),
    )
    return page_body(found)


@blueprint.get("/<action_id>")
@blueprint.response(200, ActionSchema)
@fails_with(blueprint, 401, 403, 404)
def get_action(action_id: str) -> dict[str, Any]:
    """Get an action, with the JSON Schema of its input and output.

    `output_schema` is null where the action does not say what it gives.
    """
    return _shown(permitted.action(current_identity(), action_id))


@blueprint.post("/<action_id>/runs")
@blueprint.arguments(arguments.StartActionRunSchema(), required=False)
@starts(blueprint, ActionRunSchema)
def start_action_run(body: dict[str, Any], action_id: str) -> StartAnswer:
    """Start a one-off.

    A one-off is an action run without a template run. It is queued once the answer is there, and `Location` says where it can
    be followed. Send an `Idempotency-Key` to be free to ask again.
    """
    ask = ask_from_headers(entity=body.get("entity"), origin=body.get("origin"))
    started = service.start_action_run(current_identity(), action_id, body["input"], ask)
    return started_answer(started, ActionRun)


def _shown(action: Action) -> dict[str, Any]:
    names = ("id", "title", "description", "timeout", "max_attempts", "permissions")
    return {name: getattr(action, name) for name in names} | {
        "may_run": offers.may_start_action(current_identity(), action),
        "idempotent": action.idempotent if isinstance(action.idempotent, bool) else None,
        "input_schema": json_schema(action.input),
        "output_schema": json_schema(action.output) if action.output else None,
    }
