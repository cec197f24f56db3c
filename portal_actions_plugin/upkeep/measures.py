"""What there is to measure, and its values right now: from the database, so that every process says the same."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.extension import extension, queues_in_use
from portal_actions_plugin.runs.audit import DENIED, RATE_LIMITED
from portal_actions_plugin.runs.conditions import DUE_SINCE, NOW, is_due
from portal_actions_plugin.runs.reading import workers
from portal_actions_plugin.runs.states import ACTIVE, CANCELED, FAILED, LOST, OVER, QUEUED, SUCCESS
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction, reading
from portal_actions_plugin.storage.sql import milliseconds_between
from portal_actions_plugin.upkeep import metric_sums
from portal_actions_plugin.upkeep.metric_sums import BUCKETS, EVERY, MILLISECONDS, STARTS, Sums

log = logging.getLogger(__name__)

DUE = "due"
WAITING = "waiting"
HELD = "held_back"

Labels = tuple[str, ...]


class Kind(Enum):
    """What a metric's values do: go up and down, only up, or fall into buckets."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that is measured, with a value for each combination of its labels."""

    name: str
    kind: Kind
    about: str
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many took at most so many seconds, for each limit and last without one, and what all took together."""

    buckets: Sequence[tuple[str, float]]
    seconds: float


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of a metric right now, by its labels; those of a histogram are ``histograms``."""

    metric: Metric
    values: Mapping[Labels, float] = field(default_factory=dict)
    histograms: Mapping[Labels, Histogram] = field(default_factory=dict)


UP = Metric(
    "portal_actions_up",
    Kind.GAUGE,
    "1 when the database answered, else 0; then no other metric of Portal Actions is here.",
)
QUEUE_DEPTH = Metric(
    "portal_actions_queue_depth",
    Kind.GAUGE,
    "Queued action runs: due, waiting for the time of their next attempt, or held back for steps of the same person.",
    ("queue", "state"),
)
OLDEST_QUEUED = Metric(
    "portal_actions_oldest_queued_seconds",
    Kind.GAUGE,
    "For how long the action run that has been due for longest has been; 0 when none is due.",
    ("queue",),
)
RUNNING = Metric("portal_actions_running", Kind.GAUGE, "Action runs that are running.", ("queue",))
WORKERS = Metric(
    "portal_actions_workers",
    Kind.GAUGE,
    "Workers whose loop has turned lately, within half of PORTAL_ACTIONS_STALL_SECONDS.",
    ("queue",),
)
WORKERS_STALLED = Metric(
    "portal_actions_workers_stalled",
    Kind.GAUGE,
    "Workers that should be at work and are not: stopped, hanging, missing, or standing by while a run waits in vain.",
    ("queue",),
)
COUNTERS = (
    Metric(
        metric_sums.ACTION_RUNS,
        Kind.COUNTER,
        "Action runs that ended: steps of template runs, and one-offs.",
        ("action", "status"),
    ),
    Metric(metric_sums.TEMPLATE_RUNS, Kind.COUNTER, "Template runs that ended.", ("template", "status")),
    Metric(metric_sums.ATTEMPTS, Kind.COUNTER, "Attempts that ended.", ("action", "outcome")),
    Metric(metric_sums.RETRIES, Kind.COUNTER, "Attempts that ended and were not the first of their run.", ("action",)),
    Metric(
        metric_sums.LEASE_LOSSES,
        Kind.COUNTER,
        "Attempts that ended because their worker died or had to stop, whether or not they were retried.",
        ("action",),
    ),
    Metric(
        metric_sums.STARTS_REFUSED,
        Kind.COUNTER,
        "Starts, retries and resumes that a permission or the start limit refused.",
        ("event", "outcome"),
    ),
    Metric(
        metric_sums.FOREIGN_DOORBELLS,
        Kind.COUNTER,
        "Wake-ups for runs that this database does not know: another portal goes by the same namespace on this Redis.",
        ("queue",),
    ),
)
HISTOGRAMS = (
    Metric(
        metric_sums.DURATION,
        Kind.HISTOGRAM,
        "Seconds from the start of an action run's first attempt to its end, waits for retries included.",
        ("action",),
    ),
    Metric(
        metric_sums.WAIT,
        Kind.HISTOGRAM,
        "Seconds that an action run was queued before its first attempt, counted when it ends.",
        ("action",),
    ),
)
METRICS = (UP, QUEUE_DEPTH, OLDEST_QUEUED, RUNNING, WORKERS, WORKERS_STALLED, *COUNTERS, *HISTOGRAMS)

DOWN = (Reading(UP, {(): 0}),)
"""What can be said when the database does not answer."""


def read() -> Sequence[Reading]:
    """The values of all metrics right now; raises what the database raises when it does not answer."""
    with reading() as db:
        gauges = (*_queues(db), *_workers(db))
    try:
        metric_sums.sum_up()
    except SQLAlchemyError as error:
        log.warning("the sums of metrics cannot be kept, so all rows since are counted again each time: %s", error)
    with reading() as db:
        sums = {**_nothing_yet(), **metric_sums.totals(db)}
    counters = (Reading(metric, _counts(metric, sums)) for metric in COUNTERS)
    histograms = (Reading(metric, histograms=_histograms(metric, sums)) for metric in HISTOGRAMS)
    return (Reading(UP, {(): 1}), *gauges, *counters, *histograms)


# -- gauges ----------------------------------------------------------------------------------------------------------


def _queues(db: Transaction) -> Sequence[Reading]:
    rows = db.rows(
        select(
            tables.action_runs.c.queue,
            tables.action_runs.c.status,
            is_due(tables.action_runs.c).label("due"),
            tables.action_runs.c.held_back_at.is_not(None).label("held"),
            func.count().label("runs"),
            func.max(milliseconds_between(DUE_SINCE, NOW)).label("milliseconds"),
        )
        .where(tables.action_runs.c.status.in_(ACTIVE))
        .group_by(tables.action_runs.c.queue, tables.action_runs.c.status, "due", "held")
    )
    # A queue that no action goes to any more may have runs all the same.
    queues = {*queues_in_use(), *(row["queue"] for row in rows)}
    depth: dict[Labels, float] = {(queue, state): 0 for queue in queues for state in (DUE, WAITING, HELD)}
    oldest: dict[Labels, float] = {(queue,): 0 for queue in queues}
    running: dict[Labels, float] = {(queue,): 0 for queue in queues}
    for row in rows:
        queue = row["queue"]
        if row["status"] != QUEUED:
            running[queue,] += row["runs"]
        elif row["held"]:
            depth[queue, HELD] += row["runs"]
        elif row["due"]:
            depth[queue, DUE], oldest[queue,] = row["runs"], row["milliseconds"] / 1000
        else:
            depth[queue, WAITING] = row["runs"]
    return (Reading(QUEUE_DEPTH, depth), Reading(OLDEST_QUEUED, oldest), Reading(RUNNING, running))


def _workers(db: Transaction) -> Sequence[Reading]:
    none: dict[Labels, float] = {(queue,): 0 for queue in queues_in_use()}
    alive = {(queue,): number for queue, number in workers.alive_by_queue(db).items()}
    stalled = Counter((one.queue,) for one in workers.stalled(db))
    return Reading(WORKERS, none | alive), Reading(WORKERS_STALLED, none | stalled)


# -- counters and histograms -----------------------------------------------------------------------------------------


def _nothing_yet() -> Sums:
    """Zeros of everything whose labels are known: a counter that begins at 1 has never grown, for Prometheus."""
    known = {
        (metric_sums.STARTS_REFUSED, event, outcome): 0.0 for event in STARTS for outcome in (DENIED, RATE_LIMITED)
    }
    known |= {(metric_sums.FOREIGN_DOORBELLS, queue, ""): 0.0 for queue in queues_in_use()}
    for action in extension().registry:
        known |= {(metric_sums.ACTION_RUNS, action.id, status): 0.0 for status in OVER}
        known |= {(metric_sums.ATTEMPTS, action.id, outcome): 0.0 for outcome in (SUCCESS, FAILED, CANCELED, LOST)}
        known |= {(metric, action.id, ""): 0.0 for metric in (metric_sums.RETRIES, metric_sums.LEASE_LOSSES)}
    return known


def _counts(metric: Metric, sums: Sums) -> Mapping[Labels, float]:
    number = len(metric.labels)
    return {(subject, detail)[:number]: value for (name, subject, detail), value in sums.items() if name == metric.name}


def _histograms(metric: Metric, sums: Sums) -> Mapping[Labels, Histogram]:
    limits = (*map(str, BUCKETS), EVERY)
    subjects = sorted({subject for name, subject, _ in sums if name == metric.name})
    return {
        (subject,): Histogram(
            [(limit, sums.get((metric.name, subject, limit), 0)) for limit in limits],
            sums.get((metric.name, subject, MILLISECONDS), 0) / 1000,
        )
        for subject in subjects
    }
