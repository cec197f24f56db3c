"""``/api/v1/scm``."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint
from marshmallow import RAISE

from portal_actions_plugin.blueprints.api import arguments
from portal_actions_plugin.blueprints.api.named_pages import page_of
from portal_actions_plugin.blueprints.api.requests import fails_with
from portal_actions_plugin.blueprints.api.schemas.catalog import ForgeListSchema
from portal_actions_plugin.blueprints.api.schemas.common import page_body
from portal_actions_plugin.runs.forges.listing import Forge
from portal_actions_plugin.runs.guards.identity import current_identity
from portal_actions_plugin.runs.reading import permitted

blueprint = Blueprint("portal_actions_scm", __name__, url_prefix="/scm", description="Forges, where repositories are.")


@blueprint.get("")
@blueprint.arguments(arguments.NamesQuerySchema(), location="query", unknown=RAISE)
@blueprint.response(200, ForgeListSchema)
@fails_with(blueprint, 401, 403, 422)
def list_forges(query: dict[str, Any]) -> dict[str, Any]:
    """List the forges that are set up, by name: what can be done there, where, and what is in the way.

    A form offers their `name` as `provider` and their `owners` as `owner`. What they say is at most five minutes old.
    """
    found = page_of(
        "forges",
        permitted.forges(current_identity()),
        name=lambda forge: forge.name,
        shown=_shown,
        limit=query["limit"],
        cursor=query.get("cursor"),
    )
    return page_body(found)


def _shown(forge: Forge) -> dict[str, Any]:
    problem = forge.problem
    return {
        "name": forge.name,
        "kind": forge.kind,
        "url": forge.url,
        "version": forge.version,
        "operations": sorted(forge.operations),
        "missing": dict(forge.missing),
        "actions": list(forge.actions),
        "owners": list(forge.owners),
        "problem": (
            {"error_code": problem.code, "message": problem.message, "hint": problem.hint} if problem else None
        ),
    }
