"""That the news of a run's end went out: written into its row, at once or along with a later transaction."""

from __future__ import annotations

from collections.abc import Sequence

from blinker import NamedSignal
from sqlalchemy import select, update

from portal_actions_plugin import signals
from portal_actions_plugin.runs.conditions import NOW, THIS_RUN
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction, single_read
from portal_actions_plugin.storage.statements import CompiledOnce

ACTION_RUN, TEMPLATE_RUN = "action_run", "template_run"
_TABLES: dict[str, tables.RunTable] = {ACTION_RUN: tables.action_runs, TEMPLATE_RUN: tables.template_runs}

FINISHED = (signals.action_run_finished, signals.template_run_finished)
_OF_TEMPLATE_RUNS = (signals.template_run_started, signals.template_run_finished)


def _written(table: tables.RunTable) -> CompiledOnce:
    return CompiledOnce(
        update(table).where(table.c.id == THIS_RUN, table.c.announced_at.is_(None)).values(announced_at=NOW)
    )


def _taken_along(table: tables.RunTable) -> CompiledOnce:
    found = select(table.c.id).where(table.c.id == THIS_RUN, table.c.announced_at.is_(None))
    free = found.with_for_update(skip_locked=True).scalar_subquery()
    return CompiledOnce(update(table).where(table.c.id == free).values(announced_at=NOW))


_WRITTEN = {kind: _written(table) for kind, table in _TABLES.items()}
_TAKEN_ALONG = {kind: _taken_along(table) for kind, table in _TABLES.items()}


def kind_of(signal: NamedSignal) -> str:
    """Which kind of run a signal is of."""
    return TEMPLATE_RUN if signal in _OF_TEMPLATE_RUNS else ACTION_RUN


def change(kind: str, run_id: str) -> str:
    """A run as news name it in a word: its kind, and its id."""
    return f"{kind} {run_id}"


def is_to_be_sent(kind: str, run_id: str) -> bool:
    """Whether the news of a run's end did not go out yet, as far as its row says."""
    table = _TABLES[kind]
    with single_read() as db:
        return db.row(select(table.c.id).where(table.c.id == run_id, table.c.announced_at.is_(None))) is not None


def write(tx: Transaction, changes: Sequence[str]) -> None:
    """Write that the news of these ends went out.

    Args:
        tx: a transaction of its own: it may wait for rows.
        changes: each as ``change`` says it; what is written already stays.
    """
    _run(tx, _WRITTEN, changes)


def take_along(tx: Transaction, changes: Sequence[str]) -> None:
    """Write it in a transaction that holds other rows: one that somebody else holds just now is left as it is.

    Args:
        tx: open; it never waits for that, and so nobody waits for each other.
        changes: each as ``change`` says it. A sweeper sends those that are left once more.
    """
    _run(tx, _TAKEN_ALONG, changes)


def _run(tx: Transaction, statements: dict[str, CompiledOnce], changes: Sequence[str]) -> None:
    for kind, statement in statements.items():
        ids = sorted(run_id for named, _, run_id in (word.partition(" ") for word in changes) if named == kind)
        if len(ids) == 1:
            tx.changed(statement, {"run": ids[0]})
        elif ids:
            tx.add(statement, [{"run": run_id} for run_id in ids])
