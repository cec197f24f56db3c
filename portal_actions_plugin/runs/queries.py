"""Everything that pages, API, commands and signals read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import RowMapping, Subquery, and_, func, or_, select

from portal_actions_plugin.db import Transaction, now_plus, reading
from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import ActionRun, Attempt, LockHolder, LogLine, Page, TemplateRun
from portal_actions_plugin.models import ActionRunRow, AttemptRow, LogLineRow, TemplateRunRow, WorkerRow
from portal_actions_plugin.runs import rows
from portal_actions_plugin.runs.filters import RunFilter, filtered
from portal_actions_plugin.runs.limits import Quota, quota
from portal_actions_plugin.runs.paging import no_run, page, parse_id
from portal_actions_plugin.runs.states import ACTIVE, QUEUED

COUNT_CAP = 1000
"""Chips count at most this far: a long queue must not make the page slow."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the parts answer. ``oldest_queued_seconds`` is None while nothing waits."""

    redis: bool
    workers: int
    oldest_queued_seconds: float | None


@dataclass(frozen=True, slots=True)
class LogTail:
    """The last lines of a log: of all ``total`` lines, or of the ``matching`` ones of the levels asked for."""

    total: int
    matching: int
    lines: list[LogLine]


# -- one -------------------------------------------------------------------------------------------------------------


def action_run(run_id: str) -> ActionRun:
    """One action run with every try; raises NotFoundError."""
    with reading() as db:
        row = db.row(rows.select_action_runs().where(ActionRunRow.id == parse_id(run_id)))
        if row is None:
            raise no_run("action run", run_id)
        return replace(
            rows.action_run(row),
            retried_as=_retried_as(db, ActionRunRow, row["id"]),
            attempts=_attempts(db, [row["id"]])[row["id"]],
            waits_for=_lock_holders(db, [row]).get(row["id"]),
        )


def template_run(run_id: str) -> TemplateRun:
    """One template run with every step of its template in order; raises NotFoundError."""
    with reading() as db:
        row = db.row(select(TemplateRunRow).where(TemplateRunRow.id == parse_id(run_id)))
        if row is None:
            raise no_run("template run", run_id)
        steps = db.rows(
            rows.select_action_runs().where(ActionRunRow.template_run_id == row["id"]).order_by(ActionRunRow.id)
        )
        attempts = _attempts(db, [step["id"] for step in steps])
        holders = _lock_holders(db, steps)
        retried_as = _retried_as(db, TemplateRunRow, row["id"])
    runs = {
        step["position"]: replace(
            rows.action_run(step), attempts=attempts[step["id"]], waits_for=holders.get(step["id"])
        )
        for step in steps
    }
    return replace(
        rows.template_run(row, [run.status for run in runs.values()]),
        steps=rows.steps(row, runs),
        retried_as=retried_as,
    )


def any_run(run_id: str) -> ActionRun | TemplateRun:
    """The template run or action run with this id; raises NotFoundError."""
    try:
        return template_run(run_id)
    except NotFoundError:
        return action_run(run_id)


def template_runs_of(run_ids: Sequence[str]) -> dict[str, str]:
    """The template run that each of these action runs is a step of, by the step's id."""
    steps = select(ActionRunRow.id, ActionRunRow.template_run_id).where(
        ActionRunRow.id.in_(run_ids), ActionRunRow.template_run_id.is_not(None)
    )
    with reading() as db:
        return {row["id"]: row["template_run_id"] for row in db.rows(steps)}


def _attempts(db: Transaction, run_ids: Sequence[str]) -> dict[str, tuple[Attempt, ...]]:
    found = db.rows(select(AttemptRow).where(AttemptRow.action_run_id.in_(run_ids)).order_by(AttemptRow.number))
    tries: dict[str, tuple[Attempt, ...]] = dict.fromkeys(run_ids, ())
    for row in found:
        tries[row["action_run_id"]] += (rows.attempt(row),)
    return tries


def _lock_holders(db: Transaction, runs: Sequence[RowMapping]) -> dict[str, LockHolder]:
    """Who holds the lock that a queued run waits for, by the waiting run's id."""
    waiting = {run["id"]: run["lock_key"] for run in runs if run["status"] == QUEUED and run["lock_key"]}
    if not waiting:
        return {}
    held = db.rows(
        select(ActionRunRow.id, ActionRunRow.template_run_id, ActionRunRow.lock_key).where(
            ActionRunRow.lock_held, ActionRunRow.lock_key.in_(set(waiting.values()))
        )
    )
    holders = {row["lock_key"]: row for row in held}
    return {
        run_id: LockHolder(key, holder["id"], rows.action_run_url(holder["id"], holder["template_run_id"]))
        for run_id, key in waiting.items()
        if (holder := holders.get(key)) and holder["id"] != run_id
    }


def log_lines(run_id: str, *, after: int = 0, limit: int = 1000) -> list[LogLine]:
    """Log lines of an action run with a sequence number above ``after``, at most ``limit``."""
    with reading() as db:
        lines = db.rows(
            select(LogLineRow)
            .where(LogLineRow.action_run_id == parse_id(run_id), LogLineRow.seq > after)
            .order_by(LogLineRow.seq)
            .limit(limit)
        )
    return [_log_line(row) for row in lines]


def log_tails(run_ids: Sequence[str], limit: int) -> dict[str, LogTail]:
    """The last lines of each run's log, in one statement. A run without a log is not in the answer."""
    ends = _log_ends(run_ids)
    statement = (
        select(ends, ends.c.total.label("matching"), LogLineRow)
        .join(ends, ends.c.run_id == LogLineRow.action_run_id)
        .where(LogLineRow.seq > ends.c.total - limit)
        .order_by(LogLineRow.action_run_id, LogLineRow.seq)
    )
    with reading() as db:
        return _tails(db.rows(statement))


def log_tails_of_levels(run_ids: Sequence[str], levels: Sequence[str], limit: int) -> dict[str, LogTail]:
    """The last lines of these levels likewise, however far up they are; ``lines`` may be empty."""
    ends = _log_ends(run_ids)
    per_run = LogLineRow.action_run_id
    matching = (
        select(
            LogLineRow,
            func.count().over(partition_by=per_run).label("matching"),
            func.row_number().over(partition_by=per_run, order_by=LogLineRow.seq.desc()).label("place"),
        )
        .where(per_run.in_(run_ids), LogLineRow.level.in_(levels))
        .subquery()
    )
    last = and_(matching.c.action_run_id == ends.c.run_id, matching.c.place <= limit)
    statement = select(ends, matching).outerjoin_from(ends, matching, last).order_by(ends.c.run_id, matching.c.seq)
    with reading() as db:
        return _tails(db.rows(statement))


def _log_ends(run_ids: Sequence[str]) -> Subquery:
    """How many lines each log has: they are numbered without a gap."""
    return (
        select(LogLineRow.action_run_id.label("run_id"), func.max(LogLineRow.seq).label("total"))
        .where(LogLineRow.action_run_id.in_(run_ids))
        .group_by(LogLineRow.action_run_id)
        .subquery()
    )


def _tails(found: Sequence[RowMapping]) -> dict[str, LogTail]:
    tails: dict[str, LogTail] = {}
    for row in found:
        tail = tails.setdefault(row["run_id"], LogTail(row["total"], row["matching"] or 0, []))
        if row["seq"] is not None:
            tail.lines.append(_log_line(row))
    return tails


def _log_line(row: RowMapping) -> LogLine:
    return LogLine(row["seq"], row["attempt"], row["at"], row["level"], row["message"])


# -- lists -----------------------------------------------------------------------------------------------------------


def action_runs(wanted: RunFilter, *, limit: int, cursor: str | None = None) -> Page:
    """Action runs, newest first."""
    executed = rows.select_action_runs().where(ActionRunRow.taken_over_from.is_(None))
    statement = filtered(executed, ActionRunRow, wanted)
    if wanted.action:
        statement = statement.where(ActionRunRow.action == wanted.action)
    return page(statement, ActionRunRow.id, limit, cursor, rows.action_run)


def template_runs(wanted: RunFilter, *, limit: int, cursor: str | None = None) -> Page:
    """Template runs, newest first, without their steps."""
    statement = filtered(select(TemplateRunRow), TemplateRunRow, wanted)
    if wanted.action:
        uses = select(ActionRunRow.id).where(
            ActionRunRow.template_run_id == TemplateRunRow.id, ActionRunRow.action == wanted.action
        )
        statement = statement.where(uses.exists())
    found = page(statement, TemplateRunRow.id, limit, cursor, lambda row: row)
    ids = [row["id"] for row in found.items]
    with reading() as db:
        started = db.rows(
            select(ActionRunRow.template_run_id, ActionRunRow.status).where(ActionRunRow.template_run_id.in_(ids))
        )
    statuses: dict[str, list[str]] = {run_id: [] for run_id in ids}
    for row in started:
        statuses[row["template_run_id"]].append(row["status"])
    return replace(found, items=[rows.template_run(row, statuses[row["id"]]) for row in found.items])


def active_counts() -> dict[str, int]:
    """How many action runs are queued and running, counted up to ``COUNT_CAP``."""
    counts = {}
    with reading() as db:
        for status in ACTIVE:
            some = select(ActionRunRow.id).where(ActionRunRow.status == status).limit(COUNT_CAP).subquery()
            row = db.row(select(func.count().label("n")).select_from(some))
            counts[status] = int(row["n"]) if row else 0
    return counts


def starts_left(identity_id: str) -> Quota:
    """What the identity may still start right now."""
    with reading() as db:
        return quota(db, identity_id, extension().config.rate_limit)


def health(worker_seconds: float) -> Health:
    """Whether the parts answer; raises what the database raises. Workers count while seen in ``worker_seconds``."""
    with reading() as db:
        row = db.row(
            select(
                select(func.count()).where(WorkerRow.seen_at > now_plus(-worker_seconds)).scalar_subquery().label("n"),
                select(func.min(ActionRunRow.queued_at))
                .where(
                    ActionRunRow.status == "queued",
                    or_(ActionRunRow.not_before.is_(None), ActionRunRow.not_before <= now_plus(0)),
                )
                .scalar_subquery()
                .label("oldest"),
                now_plus(0).label("now"),
            )
        )
    assert row is not None  # noqa: S101 a SELECT without FROM has one row
    waited = (row["now"] - row["oldest"]).total_seconds() if row["oldest"] else None
    try:
        redis = bool(extension().redis.ping())
    except Exception:  # noqa: BLE001 whatever the client raises, the answer is that Redis is away
        redis = False
    return Health(redis, row["n"], waited)


def _retried_as(db: Transaction, row: type[ActionRunRow] | type[TemplateRunRow], run_id: str) -> str | None:
    newest = db.row(select(row.id).where(row.retry_of == run_id).order_by(row.id.desc()).limit(1))
    return newest["id"] if newest else None
