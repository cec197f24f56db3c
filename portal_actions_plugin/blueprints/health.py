"""``/api/v1/health``."""

from __future__ import annotations

import logging
from typing import Any

from flask_smorest import Blueprint
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.blueprints import schemas
from portal_actions_plugin.blueprints.examples import DOWN
from portal_actions_plugin.runs import queries

log = logging.getLogger(__name__)

blueprint = Blueprint("portal_actions_health", __name__, url_prefix="/health", description="For monitoring.")


@blueprint.get("")
@blueprint.doc(security=[])
@blueprint.response(200, schemas.HealthSchema)
@blueprint.alt_response(503, schema=schemas.HealthSchema, description="The database does not answer.", example=DOWN)
def get_health() -> Any:
    """Say whether the parts answer; no identity needed."""
    try:
        health = queries.health()
    except SQLAlchemyError as error:
        log.warning("the database does not answer: %s", error)
        return DOWN, 503
    return {
        "status": "ok" if health.redis and health.workers and not health.workers_stalled else "degraded",
        "database": True,
        "redis": health.redis,
        "workers": health.workers,
        "workers_stalled": health.workers_stalled,
        "oldest_queued_seconds": health.oldest_queued_seconds,
    }
