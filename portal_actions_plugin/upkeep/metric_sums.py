"""What counters and histograms have come to: kept sums up to a watermark, and the rows since, counted when asked.

Web processes and workers are many, and job processes die with their step, so nobody counts in memory. A row moves from
the one part to the other in the transaction that moves the watermark: it is counted once, and still is when it is gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, insert, select, true, tuple_, update

from portal_actions_plugin.errors import WorkerLostError
from portal_actions_plugin.runs.states import SUCCESS
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction, reading, transaction
from portal_actions_plugin.storage.sql import milliseconds_between, now_plus

ACTION_RUNS = "portal_actions_action_runs_total"
TEMPLATE_RUNS = "portal_actions_template_runs_total"
ATTEMPTS = "portal_actions_attempts_total"
RETRIES = "portal_actions_retries_total"
LEASE_LOSSES = "portal_actions_lease_losses_total"
STARTS_REFUSED = "portal_actions_starts_refused_total"
FOREIGN_DOORBELLS = "portal_actions_foreign_doorbells_total"
DURATION = "portal_actions_action_run_duration_seconds"
WAIT = "portal_actions_action_run_queued_seconds"

BUCKETS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
EVERY = "+Inf"
MILLISECONDS = "ms"
"""Details of a histogram's sums beside its buckets': how many there were, and what all took together.

In whole milliseconds, since parts of seconds come to a little less when they are added up in another order.
"""

STARTS = ("template_run.start", "template_run.retry", "template_run.resume", "action_run.start", "action_run.retry")

SETTLED_SECONDS = 75
"""No row older than that changes or appears: a refusal is counted up for 60 s, a transaction waits 15 s for a lock."""

TAIL_SECONDS = 300
"""How much more may be left to be counted when asked: summing it up is a write, and SQLite has one writer."""

ROWS_A_SLICE = 100_000
"""They are only read; what is written is a few sums, whatever their number. A slice that is done stays done."""

KEYS_AT_ONCE = 1_000
"""Few statements keep the one writer's place for a short time; each takes so many parameters at most."""

Key = tuple[str, str, str]
Sums = Mapping[Key, float]
"""By metric, subject (an action, a template or an event) and detail (a status, an outcome or a bucket)."""

_BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)
_ONLY = 1
_KEY = (tables.metric_sums.c.metric, tables.metric_sums.c.subject, tables.metric_sums.c.detail)


def totals(db: Transaction) -> Sums:
    """What everything has come to right now."""
    sums = _kept(db)
    for key, value in _sums(db, _Span(_watermark(db), None)).items():
        sums[key] += value
    return sums


def sum_up() -> None:
    """Add what has settled to the kept sums, in slices; any number may do so at once."""
    while (part := _next_slice()) is not None:
        _keep(part)


def add(tx: Transaction, key: Key, number: float) -> None:
    """Add to a kept sum what no row tells of: such a key is in no slice."""
    tx.lock("metrics")
    where = [column == part for column, part in zip(_KEY, key, strict=True)]
    if not tx.changed(update(tables.metric_sums).where(*where).values(value=tables.metric_sums.c.value + number)):
        tx.execute(insert(tables.metric_sums).values(**_row(key, number)))


@dataclass(frozen=True, slots=True)
class _Span:
    """The time after one moment up to another, None when that is open."""

    after: datetime
    until: datetime | None

    def has(self, moment: ColumnElement[datetime] | ColumnElement[datetime | None]) -> ColumnElement[bool]:
        return and_(moment > self.after, moment <= self.until if self.until else true())


@dataclass(frozen=True, slots=True)
class _Slice:
    span: _Span
    sums: Sums


def _watermark(db: Transaction) -> datetime:
    row = db.row(select(tables.metric_watermark.c.summed_until))
    return row["summed_until"] if row else _BEFORE_ALL


def _next_slice() -> _Slice | None:
    """Sum up the oldest rows that are not yet: where it takes long, nobody has to wait for it."""
    with reading() as db:
        (clock,) = db.rows(select(now_plus(-SETTLED_SECONDS).label("settled")))
        after = _watermark(db)
        if clock["settled"] - after < timedelta(seconds=TAIL_SECONDS):
            return None
        span = _Span(after, _end_of_slice(db, _Span(after, clock["settled"])))
        return _Slice(span, _sums(db, span))


def _end_of_slice(db: Transaction, span: _Span) -> datetime | None:
    """The latest moment up to which no kind of row has more than a slice's, but for those of one moment."""
    ends = [span.until]
    for moment, which in (
        (tables.action_runs.c.finished_at, true()),
        (tables.template_runs.c.finished_at, true()),
        (tables.attempts.c.finished_at, tables.NO_SUCCESS),
        (tables.audit.c.last_at, tables.REFUSED),
    ):
        last = select(moment.label("at")).where(span.has(moment), which).order_by(moment).offset(ROWS_A_SLICE - 1)
        ends += [row["at"] for row in db.rows(last.limit(1))]
    return min(end for end in ends if end)


def _keep(part: _Slice) -> None:
    with transaction("sum_metrics") as tx:
        tx.lock("metrics")
        if _watermark(tx) != part.span.after:
            return  # somebody else has summed it up meanwhile
        mark = {"summed_until": part.span.until}
        if not tx.changed(update(tables.metric_watermark).values(**mark)):
            tx.execute(insert(tables.metric_watermark).values(id=_ONLY, **mark))
        sums = _kept(tx)
        for key, value in part.sums.items():
            sums[key] += value
        changed = sorted(part.sums)
        for start in range(0, len(changed), KEYS_AT_ONCE):
            keys = changed[start : start + KEYS_AT_ONCE]
            tx.execute(delete(tables.metric_sums).where(tuple_(*_KEY).in_(keys)))
            tx.execute(insert(tables.metric_sums).values([_row(key, sums[key]) for key in keys]))


def _kept(db: Transaction) -> defaultdict[Key, float]:
    rows = db.rows(select(tables.metric_sums))
    return defaultdict(float, {(row["metric"], row["subject"], row["detail"]): row["value"] for row in rows})


def _row(key: Key, value: float) -> Mapping[str, Any]:
    metric, subject, detail = key
    return {"metric": metric, "subject": subject, "detail": detail, "value": value}


# -- counting rows ---------------------------------------------------------------------------------------------------


def _sums(db: Transaction, span: _Span) -> Sums:
    sums = defaultdict[Key, float](float)
    for count in _COUNTS:
        for key, value in count(db, span):
            if value:
                sums[key] += float(value)
    return sums


def _action_runs(db: Transaction, span: _Span) -> Iterator[tuple[Key, float]]:
    """How they ended, and their times. A step that a resumed run took over is a copy and ended before.

    A success is also that of its last attempt: to read it twice would take an index that every run writes to.
    """
    ran = milliseconds_between(tables.action_runs.c.started_at, tables.action_runs.c.finished_at)
    waited = milliseconds_between(tables.action_runs.c.queued_at, tables.action_runs.c.started_at)
    ended = (
        select(
            tables.action_runs.c.action,
            tables.action_runs.c.status,
            tables.action_runs.c.attempt,
            ran.label("ran"),
            waited.label("waited"),
        )
        .where(span.has(tables.action_runs.c.finished_at), tables.action_runs.c.taken_over_from.is_(None))
        .cte("ended")
        .prefix_with("MATERIALIZED")  # else each bucket works out the times anew
    )
    times = (*_histogram("ran", ended.c.ran), *_histogram("waited", ended.c.waited))
    retried = _number_of(ended.c.attempt > 1).label("retried")
    statement = select(ended.c.action, ended.c.status, func.count().label("runs"), retried, *times)
    for row in db.rows(statement.group_by(ended.c.action, ended.c.status)):
        yield (ACTION_RUNS, row["action"], row["status"]), row["runs"]
        if row["status"] == SUCCESS:
            yield (ATTEMPTS, row["action"], SUCCESS), row["runs"]
            yield (RETRIES, row["action"], ""), row["retried"]
        for metric, name in ((DURATION, "ran"), (WAIT, "waited")):
            for detail in (*map(str, BUCKETS), EVERY, MILLISECONDS):
                yield (metric, row["action"], detail), row[f"{name} {detail}"] or 0


def _histogram(name: str, took: ColumnElement[int]) -> Sequence[Any]:
    """The columns of a histogram: how many were as short as each bucket says, how many there were, and their sum."""
    buckets = [_number_of(took <= limit * 1000).label(f"{name} {limit}") for limit in BUCKETS]
    return (*buckets, func.count(took).label(f"{name} {EVERY}"), func.sum(took).label(f"{name} {MILLISECONDS}"))


def _number_of(which: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((which, 1), else_=0))


def _template_runs(db: Transaction, span: _Span) -> Iterator[tuple[Key, float]]:
    by = (tables.template_runs.c.template, tables.template_runs.c.status)
    statement = (
        select(*by, func.count().label("runs")).where(span.has(tables.template_runs.c.finished_at)).group_by(*by)
    )
    for row in db.rows(statement):
        yield (TEMPLATE_RUNS, row["template"], row["status"]), row["runs"]


def _attempts(db: Transaction, span: _Span) -> Iterator[tuple[Key, float]]:
    """Attempts that were no success: their number, their retries and their losses."""
    by = (tables.action_runs.c.action, tables.attempts.c.outcome)
    # A run that may not be tried again fails with its worker; then only the error says that it was lost.
    is_lost = tables.attempts.c.error_code == WorkerLostError.code
    statement = (
        select(
            *by,
            func.count().label("attempts"),
            _number_of(tables.attempts.c.number > 1).label("retries"),
            _number_of(is_lost).label("lost"),
        )
        .join(tables.action_runs, tables.action_runs.c.id == tables.attempts.c.action_run_id)
        .where(span.has(tables.attempts.c.finished_at), tables.NO_SUCCESS)
        .group_by(*by)
    )
    for row in db.rows(statement):
        yield (ATTEMPTS, row["action"], row["outcome"]), row["attempts"]
        yield (RETRIES, row["action"], ""), row["retries"]
        yield (LEASE_LOSSES, row["action"], ""), row["lost"]


def _refusals(db: Transaction, span: _Span) -> Iterator[tuple[Key, float]]:
    by = (tables.audit.c.event, tables.audit.c.outcome)
    statement = (
        select(*by, func.sum(tables.audit.c.count).label("refusals"))
        .where(span.has(tables.audit.c.last_at), tables.REFUSED, tables.audit.c.event.in_(STARTS))
        .group_by(*by)
    )
    for row in db.rows(statement):
        yield (STARTS_REFUSED, row["event"], row["outcome"]), row["refusals"]


_COUNTS: Sequence[Callable[[Transaction, _Span], Iterator[tuple[Key, float]]]] = (
    _action_runs,
    _template_runs,
    _attempts,
    _refusals,
)
