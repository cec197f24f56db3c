"""Doorbells of runs that this database does not know: another portal rings by the same names. They are dropped and counted.

Their owner's sweeper rings again, so nothing is lost, but both portals keep each other waiting.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.news.redis_names import redis_names
from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.sessions import transaction
from portal_actions_plugin.upkeep import metric_sums

log = logging.getLogger(__name__)

TELL_SECONDS = 60
LATELY_SECONDS = 600
"""How long after the last one people are told how many there were."""


class Foreign:
    """What one worker has heard of other portals' doorbells, told once a minute."""

    def __init__(self) -> None:
        self._count = 0
        self._told_at = float("-inf")

    def heard(self, ids: Collection[str]) -> None:
        """Count runs that were rung for and are not there."""
        self._count += len(ids)

    def tell(self, queue: str) -> None:
        """Tell of those counted so far, once a minute: to the log, Redis and the sums of metrics.

        Args:
            queue: that the worker hears, as settings name it.
        """
        if not self._count or time.monotonic() - self._told_at < TELL_SECONDS:
            return
        count, self._count, self._told_at = self._count, 0, time.monotonic()
        log.warning(
            "%d wake-ups were dropped, of runs that this database does not know: another portal sends them to %s "
            "(what to do: flask actions doctor)",
            count,
            redis_names().queue(queue),
        )
        try:
            with extension().redis.pipeline() as together:
                together.incrby(redis_names().foreign, count)
                together.expire(redis_names().foreign, LATELY_SECONDS)
                together.execute()
        except (RedisError, OSError) as error:
            log.debug("Redis could not be told of wake-ups of other portals: %s", error)
        try:
            with transaction("foreign_doorbells") as tx:
                metric_sums.add(tx, (metric_sums.FOREIGN_DOORBELLS, queue, ""), count)
        except DBAPIError as error:
            away.bear(error, log, "wake-ups of other portals cannot be counted")
