"""Retention: runs that are over long enough go, whole and in small batches; the audit is kept for its own time.

Each batch is a transaction of its own, so a prune can be killed at any moment, and any number may run at once. A run
goes in one of them with all that belongs to it; only a log too long for a batch goes first.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Table, and_, delete, func, select

from portal_actions_plugin.run_types import AuditEntry
from portal_actions_plugin.runs import audit
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction, reading, transaction
from portal_actions_plugin.upkeep import kept_workspaces, metric_sums
from portal_actions_plugin.upkeep.prunable_runs import (
    Ages,
    OneOffs,
    PrunableRuns,
    Pruned,
    TemplateRuns,
    cutoffs_of,
    ids_that_would_go,
    last_line,
)

ROWS_A_PAGE = 500
RUNS_A_BATCH = 50
LINES_A_BATCH = 10_000
"""Log lines are most of what a batch deletes. The log of a run that has more goes before it, in parts as large."""

AUDIT_ROWS_A_BATCH = 1_000
LONGEST_PAUSE = 1.0

_BEFORE_ALL = str(uuid.UUID(int=0))
_PrunedTable = tables.RunTable | Table[tables.AuditColumns]


def prunable(ages: Ages) -> Pruned:
    """Count what a prune would delete right now."""
    cutoffs = cutoffs_of(ages)
    template_runs, one_offs = TemplateRuns(cutoffs), OneOffs(cutoffs)
    with reading() as db:
        return Pruned(
            template_runs=_count(
                db, tables.template_runs.c.id, tables.template_runs.c.id.in_(ids_that_would_go(template_runs))
            ),
            steps=_count(
                db, tables.action_runs.c.id, tables.action_runs.c.template_run_id.in_(ids_that_would_go(template_runs))
            ),
            one_offs=_count(db, tables.action_runs.c.id, tables.action_runs.c.id.in_(ids_that_would_go(one_offs))),
            audit_rows=_count(db, tables.audit.c.id, tables.audit.c.last_at < cutoffs.audit),
        )


def prune(actor: str, ages: Ages) -> Pruned:
    """Delete runs that are over, and audit rows, of that age; one audit row says what went, after each batch.

    What goes has been summed up first, so that no metric ever falls.
    """
    metric_sums.sum_up()
    return _Prune(actor, ages).run()


def _count(db: Transaction, counted: ColumnElement[str], which: ColumnElement[bool]) -> int:
    (row,) = db.rows(select(func.count(counted).label("number")).where(which))
    number: int = row["number"]
    return number


class _Prune:
    """One prune: what it has deleted so far, and the audit row that says so."""

    def __init__(self, actor: str, ages: Ages) -> None:
        self._ages = ages
        self._cutoffs = cutoffs_of(ages)
        self._entry = AuditEntry(actor, audit.PRUNE, audit.ACCEPTED, "runs")
        self._entry_id: str | None = None
        self._pruned = Pruned()

    def run(self) -> Pruned:
        self._prune_runs(TemplateRuns(self._cutoffs))
        self._prune_runs(OneOffs(self._cutoffs))
        self._prune_audit()
        return self._pruned

    def _prune_runs(self, runs: PrunableRuns) -> None:
        for over in _oldest_first(runs.table, runs.table.c.queued_at < self._cutoffs.runs, and_(*runs.is_over())):
            left = over
            # With a run goes what kept the one that it repeats: so a chain goes at once, newest first.
            while left:
                left = [repeated for batch in _batches(runs, left) for repeated in self._delete_batch(runs, batch)]

    def _prune_audit(self) -> None:
        entry = tables.audit.c
        for old in _oldest_first(tables.audit, entry.at < self._cutoffs.audit, entry.last_at < self._cutoffs.audit):
            for start in range(0, len(old), AUDIT_ROWS_A_BATCH):
                self._delete_audit(old[start : start + AUDIT_ROWS_A_BATCH])

    def _delete_batch(self, runs: PrunableRuns, batch: _Batch) -> list[str]:
        if batch.lines > LINES_A_BATCH and not self._delete_log(runs, batch.ids[0]):
            return []
        if isinstance(runs, TemplateRuns):
            kept_workspaces.empty_all(batch.ids)
        return self._delete_runs(runs, batch.ids)

    def _delete_log(self, runs: PrunableRuns, run_id: str) -> bool:
        """Delete the log of a run that goes next, in parts; False when somebody is at the run, or needs it by now."""
        with reading() as db:
            logs = db.rows(select(tables.action_runs.c.id, last_line().label("last")).where(runs.action_runs(run_id)))
        for log in logs:
            for start in range(1, (log["last"] or 0) + 1, LINES_A_BATCH):
                part = tables.log_lines.c.seq.between(start, start + LINES_A_BATCH - 1)
                with _giving_way(), transaction("prune") as tx:
                    mine = _lock(tx, runs.table, [run_id])
                    if not tx.rows(select(runs.table.c.id).where(runs.table.c.id.in_(mine), *runs.may_go())):
                        return False
                    tx.execute(delete(tables.log_lines).where(tables.log_lines.c.action_run_id == log["id"], part))
        return True

    def _delete_runs(self, runs: PrunableRuns, ids: Sequence[str]) -> list[str]:
        """Delete what may go of these runs; returns the runs that those repeat."""
        with _giving_way(), transaction("prune") as tx:
            mine = _lock(tx, runs.table, ids)
            steps = runs.steps(tx, mine)
            gone = tx.rows(
                delete(runs.table)
                .where(runs.table.c.id.in_(mine), *runs.may_go())
                .returning(runs.table.c.id, runs.table.c.retry_of)
            )
            if gone:
                tx.execute(
                    delete(tables.idempotency_keys).where(
                        tables.idempotency_keys.c.run_id.in_([run["id"] for run in gone])
                    )
                )
                self._note(tx, runs.pruned(len(gone), sum(steps.get(run["id"], 0) for run in gone)))
        return [run["retry_of"] for run in gone if run["retry_of"]]

    def _delete_audit(self, ids: Sequence[str]) -> None:
        with _giving_way(), transaction("prune") as tx:
            mine = _lock(tx, tables.audit, ids)
            gone = tx.changed(
                delete(tables.audit).where(tables.audit.c.id.in_(mine), tables.audit.c.last_at < self._cutoffs.audit)
            )
            if gone:
                self._note(tx, Pruned(audit_rows=gone))

    def _note(self, tx: Transaction, more: Pruned) -> None:
        """Say in the audit what is gone, in the transaction in which it goes: a killed prune has said it too."""
        self._pruned += more
        ages = {"older_than_seconds": self._ages.runs, "audit_older_than_seconds": self._ages.audit}
        details = {**asdict(self._pruned), **ages}
        if self._entry_id is None:
            self._entry_id = audit.record(tx, self._entry)
        audit.amend_prune(tx, self._entry_id, details)


def _oldest_first(table: _PrunedTable, is_old: ColumnElement[bool], may_go: ColumnElement[bool]) -> Iterator[list[str]]:
    """Walk a table by its primary key, in pages, up to the first page without an old row; yields ids that may go.

    Ids are in the order of time, but for the clocks of their makers: what a page hides comes with a later prune.
    """
    cursor, more = _BEFORE_ALL, True
    while more:
        with reading() as db:
            page = db.rows(
                select(table.c.id, is_old.label("is_old"), may_go.label("may_go"))
                .where(table.c.id > cursor)
                .order_by(table.c.id)
                .limit(ROWS_A_PAGE)
            )
        yield [found["id"] for found in page if found["may_go"]]
        more = any(found["is_old"] for found in page)
        cursor = page[-1]["id"] if page else cursor


@dataclass(frozen=True, slots=True)
class _Batch:
    """Runs that go in one transaction; a run with more log lines than that may hold is alone."""

    ids: list[str]
    lines: int


def _batches(runs: PrunableRuns, ids: Sequence[str]) -> Iterator[_Batch]:
    """Part those of these runs that may go into batches of so many runs or log lines, oldest first."""
    with reading() as db:
        found = db.rows(
            select(runs.table.c.id, runs.lines().label("lines"))
            .where(runs.table.c.id.in_(ids), *runs.may_go())
            .order_by(runs.table.c.id)
        )
    batch: list[str] = []
    lines = 0
    for run in found:
        if batch and (len(batch) == RUNS_A_BATCH or lines + run["lines"] > LINES_A_BATCH):
            yield _Batch(batch, lines)
            batch, lines = [], 0
        batch.append(run["id"])
        lines += run["lines"]
    if batch:
        yield _Batch(batch, lines)


def _lock(tx: Transaction, table: _PrunedTable, ids: Sequence[str]) -> list[str]:
    """Lock those of these rows that nobody else is at, another prune or a retry.

    Only a statement that begins with the lock held sees what others committed before: the DELETE is the next one.
    """
    locked = tx.rows(
        select(table.c.id).where(table.c.id.in_(ids)).order_by(table.c.id).with_for_update(skip_locked=True)
    )
    return [found["id"] for found in locked]


@contextmanager
def _giving_way() -> Iterator[None]:
    """Leave the database to others for as long as a batch took: SQLite has one writer, and no queue for the next."""
    began = time.monotonic()
    yield
    time.sleep(min(time.monotonic() - began, LONGEST_PAUSE))
