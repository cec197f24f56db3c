"""Pushes that a forge has told of, counted on Redis: every machine fetches when the count is another one.

A count that is lost loses nothing but time: repositories are looked at on a schedule, too.
"""

from __future__ import annotations

import logging
from typing import cast

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.news.redis_names import NamespaceUnknownError, redis_names

log = logging.getLogger(__name__)


def add() -> None:
    """Let every machine know of a push. Nothing is raised when Redis is away."""
    from redis.exceptions import RedisError

    try:
        extension().redis.incr(redis_names().template_pushes)
    except (RedisError, OSError, NamespaceUnknownError) as error:
        log.warning("a push to a template repository waits for the schedule of other machines: %s", error)


def count() -> int | None:
    """How many there were; None while Redis does not say."""
    from redis.exceptions import RedisError

    try:
        found = cast("bytes | None", extension().redis.get(redis_names().template_pushes))
        return int(found or 0)
    except (RedisError, OSError, NamespaceUnknownError, ValueError) as error:
        log.debug("whether there was a push to a template repository is not known: %s", error)
        return None
