"""How many starts an identity has left, counted over the rows themselves: exact, and shared by every process."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sqlalchemy import Float, Integer, bindparam, func, literal_column, select, union_all

from portal_actions_plugin.errors import RateLimitedError
from portal_actions_plugin.runs.conditions import NOW
from portal_actions_plugin.settings.values import RateLimit
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction
from portal_actions_plugin.storage.sql import now_plus
from portal_actions_plugin.storage.statements import CompiledOnce


@dataclass(frozen=True, slots=True)
class Quota:
    """``remaining`` of ``limit`` starts are left; ``reset`` seconds from now the oldest one stops counting."""

    limit: int
    remaining: int
    reset: int


class TooManyStartsError(RateLimitedError):
    """Too many starts in too short a time."""

    def __init__(self, quota: Quota, rate: RateLimit) -> None:
        super().__init__(
            f"You have started {quota.limit} runs in the last {rate.period}.",
            hint=f"Wait {quota.reset} s, then start again.",
            retry_after=quota.reset,
        )
        self.quota = quota


_since = now_plus(bindparam("since_seconds", type_=Float()))
_starts = union_all(
    select(tables.template_runs.c.queued_at).where(
        tables.template_runs.c.requested_by == bindparam("identity_id"), tables.template_runs.c.queued_at > _since
    ),
    select(tables.action_runs.c.queued_at).where(
        tables.action_runs.c.requested_by == bindparam("identity_id"),
        tables.action_runs.c.template_run_id.is_(None),
        tables.action_runs.c.queued_at > _since,
    ),
).subquery()
_newest = (
    select(_starts.c.queued_at)
    .order_by(literal_column("queued_at").desc())
    .limit(bindparam("count", type_=Integer()))
    .subquery()
)
# Compiled once, since a start reads it while it keeps SQLite's one writer from everybody else.
_TAKEN = CompiledOnce(
    select(func.count().label("taken"), func.min(_newest.c.queued_at).label("oldest"), NOW.label("now")).select_from(
        _newest
    )
)


def quota(db: Transaction, identity_id: str, rate: RateLimit) -> Quota:
    """What the identity has left right now. A template run counts once, its steps do not."""
    asked = {"identity_id": identity_id, "since_seconds": -rate.seconds, "count": rate.count}
    starts = db.rows(_TAKEN, asked)[0]
    if not starts["taken"]:
        return Quota(rate.count, rate.count, 0)
    age = (starts["now"] - starts["oldest"]).total_seconds()
    reset = min(rate.seconds, max(1, math.ceil(rate.seconds - age)))
    return Quota(rate.count, rate.count - starts["taken"], reset)


def require_left(db: Transaction, identity_id: str, rate: RateLimit) -> Quota:
    """What the identity has left, if it is anything.

    Raises:
        TooManyStartsError: none is left.
    """
    left = quota(db, identity_id, rate)
    if left.remaining < 1:
        raise TooManyStartsError(left, rate)
    return left


def take(tx: Transaction, identity_id: str, rate: RateLimit) -> Quota:
    """Take one start. The transaction must hold the identity's lock and insert the row.

    Raises:
        TooManyStartsError: none is left.
    """
    left = require_left(tx, identity_id, rate)
    return Quota(left.limit, left.remaining - 1, left.reset or rate.seconds)
