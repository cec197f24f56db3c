"""``/api/v1/audit``."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint
from marshmallow import RAISE

from portal_actions_plugin.blueprints.api import arguments
from portal_actions_plugin.blueprints.api.requests import fails_with
from portal_actions_plugin.blueprints.api.schemas.common import page_body
from portal_actions_plugin.blueprints.api.schemas.operations import AuditPageSchema
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.guards.identity import current_identity
from portal_actions_plugin.runs.reading import audit_trail
from portal_actions_plugin.runs.reading.audit_trail import AuditFilter

blueprint = Blueprint("portal_actions_audit", __name__, url_prefix="/audit", description="Who did what.")


@blueprint.get("")
@blueprint.arguments(arguments.AuditQuerySchema(), location="query", unknown=RAISE)
@blueprint.response(200, AuditPageSchema)
@fails_with(blueprint, 401, 403, 404, 422)
def list_audit(query: dict[str, Any]) -> dict[str, Any]:
    """List the audit, newest first.

    Takes the permission `audit:read`. Refusals that repeat within a minute are one entry with their `count`.
    """
    access.require_audit(current_identity())
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    return page_body(audit_trail.entries(AuditFilter(**query), limit=limit, cursor=cursor))
