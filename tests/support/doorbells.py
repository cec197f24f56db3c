"""Where Redis has the doorbells that web processes and workers ring."""

from __future__ import annotations

from typing import Any


def queue_key(queue: str = "default") -> str:
    """Where Redis has the doorbells of a queue of the current app."""
    try:
        from portal_actions_plugin.runs.news.redis_names import redis_names
    except ModuleNotFoundError:  # .ci/proves runs tests against a version whose names had no namespace
        return f"rq:queue:portal-actions.{queue}"
    return f"rq:queue:{redis_names().queue(queue)}"


def doorbells_on(redis: Any) -> int:
    """How many doorbells there are on a Redis, whichever portal rang."""
    return sum(redis.llen(key) for key in redis.keys("rq:queue:portal-actions.*"))
