"""How the portal's parts are: for whoever asks, without a word about anybody's run."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.conditions import DUE, NOW
from portal_actions_plugin.runs.reading import workers
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from portal_actions_plugin.upkeep.still_queues import still_queues


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the parts answer. ``oldest_queued_seconds`` is None while nothing waits.

    ``queues_still`` counts the queues on which a run has been due for ten minutes, and nothing has begun or ended since.
    """

    redis: bool
    workers: int
    workers_stalled: int
    queues_still: int
    oldest_queued_seconds: float | None


def health() -> Health:
    """Whether the parts answer; raises what the database raises."""
    with reading() as db:
        still = len(still_queues(db))
        alive, stalled = workers.alive_by_queue(db).total(), len(workers.stalled(db))
        row = db.row(
            select(
                select(func.min(tables.action_runs.c.queued_at)).where(DUE).scalar_subquery().label("oldest"),
                NOW.label("now"),
            )
        )
    assert row is not None  # noqa: S101 a SELECT without FROM has one row
    waited = (row["now"] - row["oldest"]).total_seconds() if row["oldest"] else None
    try:
        redis = bool(extension().redis.ping())
    except Exception:  # noqa: BLE001 whatever the client raises, the answer is that Redis is away
        redis = False
    return Health(redis, alive, stalled, still, waited)
