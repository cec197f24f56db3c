"""``/api/v1/health``."""

from __future__ import annotations

import logging
from typing import Any

from flask_smorest import Blueprint
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.blueprints.api.openapi.examples import DOWN, NOT_READY
from portal_actions_plugin.blueprints.api.schemas.operations import HealthSchema, ReadinessSchema
from portal_actions_plugin.runs import outage
from portal_actions_plugin.storage.away import said
from portal_actions_plugin.upkeep import health, readiness

log = logging.getLogger(__name__)

blueprint = Blueprint("portal_actions_health", __name__, url_prefix="/health", description="For monitoring.")


@blueprint.get("")
@blueprint.doc(security=[])
@blueprint.response(200, HealthSchema)
@blueprint.alt_response(503, schema=HealthSchema, description="The database does not answer.", example=DOWN)
def get_health() -> Any:
    """Say whether the parts answer; no identity needed. What is null was not asked.

    `degraded` answers 200: starts are taken, but nothing may run. 503 says that the database does not answer.
    """
    try:
        parts = health.health()
    except SQLAlchemyError as error:
        if outage.as_ours(error) is None:
            log.warning("the database does not answer: %s", said(error))
        return DOWN, 503
    writable = readiness.is_ready()
    is_well = parts.redis and parts.workers and not parts.workers_stalled and not parts.queues_still and writable
    return {
        "status": "ok" if is_well else "degraded",
        "database": True,
        "writable": writable,
        "redis": parts.redis,
        "workers": parts.workers,
        "workers_stalled": parts.workers_stalled,
        "queues_still": parts.queues_still,
        "oldest_queued_seconds": parts.oldest_queued_seconds,
    }


@blueprint.get("/ready")
@blueprint.doc(security=[])
@blueprint.response(200, ReadinessSchema)
@blueprint.alt_response(503, schema=ReadinessSchema, description="It cannot be read or written.", example=NOT_READY)
def get_readiness() -> Any:
    """Say whether the database can be read and written, for load balancers; no identity needed.

    200 says that starts can be taken here, and 503 that they cannot.
    """
    return {"ready": True} if readiness.is_ready() else (NOT_READY, 503)
