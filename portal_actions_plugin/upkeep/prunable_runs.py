"""Which runs may go: those that are over, old enough, and needed by nobody any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, func, not_, or_, select

from portal_actions_plugin.runs.guards import idempotency
from portal_actions_plugin.runs.states import OVER
from portal_actions_plugin.settings.values import MAX_DAYS
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction, reading
from portal_actions_plugin.storage.sql import now_plus

SHORTEST_SECONDS = 3600
"""Start limits are counted over the runs of up to an hour, so none of those may be missing."""

LONGEST_SECONDS = MAX_DAYS * 24 * 3600


@dataclass(frozen=True, slots=True)
class Ages:
    """How old a run, and an audit row, has to be to go, in seconds."""

    runs: int
    audit: int

    def __post_init__(self) -> None:
        for age in (self.runs, self.audit):
            if not SHORTEST_SECONDS <= age <= LONGEST_SECONDS:
                raise ValueError(f"an age of {age} s: it takes {SHORTEST_SECONDS} to {LONGEST_SECONDS}")


@dataclass(frozen=True, slots=True)
class Pruned:
    """How much went, or would go; ``steps`` are those of the template runs."""

    template_runs: int = 0
    steps: int = 0
    one_offs: int = 0
    audit_rows: int = 0

    def __add__(self, other: Pruned) -> Pruned:
        return Pruned(
            self.template_runs + other.template_runs,
            self.steps + other.steps,
            self.one_offs + other.one_offs,
            self.audit_rows + other.audit_rows,
        )


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """What is older goes; taken once from the database's clock, so that a prune comes to its end."""

    runs: datetime
    audit: datetime
    keys: datetime


def cutoffs_of(ages: Ages) -> Cutoffs:
    moments = (now_plus(-ages.runs).label("runs"), now_plus(-ages.audit).label("audit"))
    with reading() as db:
        (row,) = db.rows(select(*moments, now_plus(-idempotency.KEPT_SECONDS).label("keys")))
    return Cutoffs(**row)


class PrunableRuns:
    """One kind of run that goes as a whole: what says that one may."""

    table: tables.RunTable

    def __init__(self, cutoffs: Cutoffs) -> None:
        self.cutoffs = cutoffs

    def is_over(self) -> Sequence[ColumnElement[bool]]:
        """Whether a run is over and old, by its own columns."""
        return (
            self.table.c.status.in_(OVER),
            self.table.c.finished_at.is_not(None),
            self.table.c.finished_at < self.cutoffs.runs,
        )

    def is_done_with(self) -> Sequence[ColumnElement[bool]]:
        """Whether nobody needs a run any more, but for the runs that repeat it."""
        key = select(tables.idempotency_keys.c.run_id).where(
            tables.idempotency_keys.c.run_id == self.table.c.id, tables.idempotency_keys.c.made_at > self.cutoffs.keys
        )
        return (*self.is_over(), self.table.c.announced_at.is_not(None), not_(key.correlate(self.table).exists()))

    def may_go(self) -> Sequence[ColumnElement[bool]]:
        """Whether a run may go now: a run that repeats it reads its checkpoints, and its page links here."""
        again = self.table.alias().c
        repeated = select(again.id).where(again.retry_of == self.table.c.id).correlate(self.table)
        return (*self.is_done_with(), not_(repeated.exists()))

    def lines(self) -> ColumnElement[int]:
        """About how many log lines a run has."""
        raise NotImplementedError

    def action_runs(self, run_id: str) -> ColumnElement[bool]:
        """Which action runs a run is made of."""
        raise NotImplementedError

    def steps(self, tx: Transaction, ids: Sequence[str]) -> dict[str, int]:
        """How many steps go with each of these runs."""
        raise NotImplementedError

    def pruned(self, runs: int, steps: int) -> Pruned:
        raise NotImplementedError


class TemplateRuns(PrunableRuns):
    table = tables.template_runs

    def is_done_with(self) -> Sequence[ColumnElement[bool]]:
        # A step that is over may still hold its lock, for a process that is not known to be gone.
        needed = select(tables.action_runs.c.id).where(
            tables.action_runs.c.template_run_id == tables.template_runs.c.id,
            or_(
                tables.action_runs.c.status.not_in(OVER),
                tables.action_runs.c.lock_held,
                tables.action_runs.c.announced_at.is_(None),
            ),
        )
        return (*super().is_done_with(), not_(needed.correlate(tables.template_runs).exists()))

    def lines(self) -> ColumnElement[int]:
        of_steps = select(func.sum(last_line())).where(
            tables.action_runs.c.template_run_id == tables.template_runs.c.id
        )
        return func.coalesce(of_steps.correlate(tables.template_runs).scalar_subquery(), 0)

    def action_runs(self, run_id: str) -> ColumnElement[bool]:
        return tables.action_runs.c.template_run_id == run_id

    def steps(self, tx: Transaction, ids: Sequence[str]) -> dict[str, int]:
        of_run = tables.action_runs.c.template_run_id
        rows = tx.rows(select(of_run, func.count().label("steps")).where(of_run.in_(ids)).group_by(of_run))
        return {row["template_run_id"]: row["steps"] for row in rows}

    def pruned(self, runs: int, steps: int) -> Pruned:
        return Pruned(template_runs=runs, steps=steps)


class OneOffs(PrunableRuns):
    table = tables.action_runs

    def is_over(self) -> Sequence[ColumnElement[bool]]:
        return (tables.action_runs.c.template_run_id.is_(None), *super().is_over())

    def is_done_with(self) -> Sequence[ColumnElement[bool]]:
        return (*super().is_done_with(), not_(tables.action_runs.c.lock_held))

    def lines(self) -> ColumnElement[int]:
        return func.coalesce(last_line(), 0)

    def action_runs(self, run_id: str) -> ColumnElement[bool]:
        return tables.action_runs.c.id == run_id

    def steps(self, tx: Transaction, ids: Sequence[str]) -> dict[str, int]:  # noqa: ARG002 a one-off has none
        return {}

    def pruned(self, runs: int, steps: int) -> Pruned:  # noqa: ARG002 a one-off has none
        return Pruned(one_offs=runs)


def last_line() -> ColumnElement[int]:
    """The number of an action run's last log line: one look into the primary key, where counting reads them all."""
    of_run = select(func.max(tables.log_lines.c.seq)).where(tables.log_lines.c.action_run_id == tables.action_runs.c.id)
    return of_run.correlate(tables.action_runs).scalar_subquery()


def ids_that_would_go(runs: PrunableRuns) -> Select[str]:
    """The ids that would go, whole chains of retries among them."""
    run, done_with = runs.table.c, and_(*runs.is_done_with())
    stays = (
        select(run.retry_of.label("id"))
        .where(run.retry_of.is_not(None), not_(done_with))
        .cte(f"{runs.table.name}_stay", recursive=True)
    )
    # A run that stays keeps what it repeats, and that what it repeats itself.
    further = select(run.retry_of).join(stays, stays.c.id == run.id).where(run.retry_of.is_not(None))
    stays = stays.union(further)
    return select(run.id).where(done_with, run.id.not_in(select(stays.c.id)))
