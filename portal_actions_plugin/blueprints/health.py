"""``/api/v1/health``."""

from __future__ import annotations

import logging
from typing import Any

from flask_smorest import Blueprint
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.blueprints import schemas
from portal_actions_plugin.blueprints.examples import DOWN, NOT_READY
from portal_actions_plugin.runs import outage, queries, readiness
from portal_actions_plugin.storage.away import said

log = logging.getLogger(__name__)

blueprint = Blueprint("portal_actions_health", __name__, url_prefix="/health", description="For monitoring.")


@blueprint.get("")
@blueprint.doc(security=[])
@blueprint.response(200, schemas.HealthSchema)
@blueprint.alt_response(503, schema=schemas.HealthSchema, description="The database does not answer.", example=DOWN)
def get_health() -> Any:
    """Say whether the parts answer; no identity needed. What is null was not asked."""
    try:
        health = queries.health()
    except SQLAlchemyError as error:
        if outage.as_ours(error) is None:
            log.warning("the database does not answer: %s", said(error))
        return DOWN, 503
    writable = readiness.is_ready()
    is_well = health.redis and health.workers and not health.workers_stalled and writable
    return {
        "status": "ok" if is_well else "degraded",
        "database": True,
        "writable": writable,
        "redis": health.redis,
        "workers": health.workers,
        "workers_stalled": health.workers_stalled,
        "oldest_queued_seconds": health.oldest_queued_seconds,
    }


@blueprint.get("/ready")
@blueprint.doc(security=[])
@blueprint.response(200, schemas.ReadinessSchema)
@blueprint.alt_response(
    503, schema=schemas.ReadinessSchema, description="It cannot be read or written.", example=NOT_READY
)
def get_readiness() -> Any:
    """Say whether the database can be read and written, for load balancers; no identity needed."""
    return {"ready": True} if readiness.is_ready() else (NOT_READY, 503)
