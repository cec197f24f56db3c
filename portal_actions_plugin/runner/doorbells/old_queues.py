"""Bringing over what web processes of the version before ring for: they know no namespace, and today's workers do not listen there.

For one minor version. A worker listens on one queue alone (RQ workers on several can lose a job), so a sweep does it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import cast

from redis import Redis
from redis.exceptions import RedisError

from portal_actions_plugin.extension import extension, queues_in_use
from portal_actions_plugin.runs.changes import due
from portal_actions_plugin.runs.news import older_workers, ring
from portal_actions_plugin.runs.news.redis_names import OLD_PREFIX
from portal_actions_plugin.runs.news.ring import RQ_JOB, RQ_QUEUE
from portal_actions_plugin.storage.sessions import single_read

log = logging.getLogger(__name__)

AT_ONCE = 500
"""Doorbells of a queue that one pass looks at."""


def bring_over() -> int:
    """Ring anew for this database's runs whose doorbells wait on the old queues; those of other portals stay.

    Says how many those are. Should this process die in between, the sweeper rings again as for any lost doorbell.
    """
    if older_workers.workers_live():
        return 0  # they hear what waits there, and a ring goes there too: what is brought over would come back
    redis = extension().redis
    queues = queues_in_use()
    try:
        with redis.pipeline(transaction=False) as together:
            for queue in queues:
                together.lrange(_key(queue), 0, AT_ONCE - 1)
            waiting = dict(zip(queues, together.execute(), strict=True))
        ours = [(run_id, queue) for queue, jobs in waiting.items() if jobs for run_id in _take(redis, queue, jobs)]
    except (RedisError, OSError) as error:
        log.debug("Redis cannot be asked what the version before has queued: %s", error)
        return 0
    if ours:
        log.info("waking workers anew for %d runs, which a web process of the version before has queued", len(ours))
        ring.ring(ours)
    return len(ours)


def _key(queue: str) -> str:
    return f"{RQ_QUEUE}{OLD_PREFIX}{queue}"


def _take(redis: Redis, queue: str, jobs: Sequence[bytes]) -> list[str]:
    """Take the doorbells of this database's runs off an old queue, and say which of those are still due."""
    keys = {job: f"{RQ_JOB}{job.decode(errors='replace')}" for job in jobs}
    with redis.pipeline(transaction=False) as together:
        for key in keys.values():
            together.hget(key, "data")
        rung_for = dict(zip(keys, (ring.rung_for(payload or b"") for payload in together.execute()), strict=True))
    with single_read() as db:
        known = due.known(db, {run_id for run_id in rung_for.values() if run_id})
    mine = [(job, run_id) for job, run_id in rung_for.items() if run_id in known]
    with redis.pipeline(transaction=False) as together:
        for job, _ in mine:
            together.lrem(_key(queue), 1, cast("str", job))  # it takes bytes too
            together.delete(keys[job])
        removed = together.execute()[::2]
    # An old worker may have been quicker.
    return [run_id for (_, run_id), count in zip(mine, removed, strict=True) if count and run_id and known[run_id]]
