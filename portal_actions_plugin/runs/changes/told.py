"""Statements that write a run, and give its row along where somebody listens: so nobody reads it again to tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from blinker import NamedSignal
from sqlalchemy import Insert, Update

from portal_actions_plugin.runs.reading import rows
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import NOTHING, Statement, Transaction
from portal_actions_plugin.storage.statements import CompiledOnce, Values


@dataclass(frozen=True, slots=True)
class Told:
    """A statement that writes rows of one kind of run.

    Attributes:
        quiet: the statement.
        telling: the same, with the rows that it has written as its answer.
        of: signals that are sent of what it has written.
    """

    quiet: Statement
    telling: Statement
    of: tuple[NamedSignal, ...]

    @classmethod
    def once(cls, clause: Insert | Update, *of: NamedSignal) -> Self:
        """A statement that is compiled once, and sent as it is from then on."""
        return cls(CompiledOnce(clause), CompiledOnce(_telling(clause)), of)

    @classmethod
    def anew(cls, clause: Insert | Update, *of: NamedSignal) -> Self:
        """A statement of one use."""
        return cls(clause, _telling(clause), of)

    def run(self, tx: Transaction, values: Values = NOTHING) -> int:
        """Run it, keep what it has written in hand where somebody listens, and say how many rows it has hit."""
        if not any(signal.receivers for signal in self.of):
            return tx.changed(self.quiet, values)
        written = tx.rows(self.telling, values)
        for row in written:
            tx.keep_in_hand(row)
        return len(written)


def _telling(clause: Insert | Update) -> Insert | Update:
    of_whole = clause.table is tables.template_runs
    return clause.returning(*(rows.WRITTEN_TEMPLATE_COLUMNS if of_whole else rows.WRITTEN_COLUMNS))
