"""What begins with a prefix, newest first, without reading the whole table.

A prefix that is common is soon found by walking through the newest rows. One that is rare is found by the indexes of the
searched columns, which have their rows in the order of words: all that begin alike are sorted by id then. Which of the
two it is shows by trying. Where all that begin so are one and the same word, its rows are in order already.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnClause, ColumnElement, Select, and_, or_, select, union_all

from portal_actions_plugin.db import Transaction
from portal_actions_plugin.models import SEARCHED, ActionRunRow, TemplateRunRow
from portal_actions_plugin.runs.filters import is_known
from portal_actions_plugin.runs.paging import Found, Reader, Stretch, in_order
from portal_actions_plugin.sql import folded

WALK = 2_000
"""So many rows are looked at one by one before the indexes are asked."""

SPARE = 8
"""So many times more ids than rows come from the indexes at first: other filters may leave some of them out."""

_ABOVE_ALL = "\U0010ffff"
"""No character comes after this one."""

Words = Mapping[ColumnClause[Any], str | None]
"""The one word of a column that begins so; None where there are several. A column without any is not in it."""


def searched(row: type[ActionRunRow] | type[TemplateRunRow], prefix: str | None) -> Reader:
    """How rows are found that begin so; None or blanks for all of them."""
    return _Search(row, prefix.strip()).read if prefix and prefix.strip() else in_order


@dataclass(frozen=True, slots=True)
class _Search:
    """A prefix of a run's id or of a searched column, whatever the capitals."""

    row: type[ActionRunRow] | type[TemplateRunRow]
    prefix: str

    def read(self, db: Transaction, statement: Select[Any], stretch: Stretch) -> Found:
        """The first rows of a stretch that begin so, and whether there are more."""
        words = self._words(db)
        if not words and self._own_ids() is None:
            return [], False
        if None in words.values():
            end = db.row(stretch.first(select(self.row.id), 1).offset(WALK))
            found, more = stretch.read(db, statement.where(self._fits(), *(stretch.up_to(end["id"]),) if end else ()))
            if more or end is None:
                return found, more
        many = SPARE * (stretch.limit + 1)
        ids = [row["id"] for row in db.rows(self._ids(words, stretch, many))]
        found, more = stretch.read(db, statement.where(self.row.id.in_(ids)))
        if more or len(ids) < many:
            return found, more
        return stretch.read(db, statement.where(self.row.id.in_(self._ids(words, stretch, None))))

    def _words(self, db: Transaction) -> Words:
        columns = SEARCHED[self.row]
        ends = [
            select(folded(column)).where(self._begins(column)).order_by(order).limit(1).scalar_subquery()
            for column in columns
            for order in (folded(column).asc(), folded(column).desc())
        ]
        row = db.row(select(*(end.label(f"end_{place}") for place, end in enumerate(ends))))
        assert row is not None  # noqa: S101 a SELECT without FROM has one row
        values: list[Any] = list(row.values())
        pairs = zip(columns, values[::2], values[1::2], strict=True)
        return {column: low if low == high else None for column, low, high in pairs if low is not None}

    def _ids(self, words: Words, stretch: Stretch, many: int | None) -> Select[Any]:
        """The first ids of what begins so, each found by its index."""
        ids = select(self.row.id)
        parts = [
            stretch.beyond(ids.where(self._begins(column)))
            if word is None
            else stretch.first(ids.where(is_known(column), folded(column) == word), many)
            for column, word in words.items()
        ]
        if (own := self._own_ids()) is not None:
            parts.append(stretch.first(ids.where(own), many))
        # Else a database may think it better to walk in the order of ids until there are enough of them.
        found = union_all(*(select(part.subquery().c.id) for part in parts)).cte().prefix_with("MATERIALIZED")
        return replace(stretch, key=found.c.id, start=None).first(select(found.c.id).distinct(), many)

    def _fits(self) -> ColumnElement[bool]:
        ways = [self._begins(column) for column in SEARCHED[self.row]]
        own = self._own_ids()
        return or_(*ways) if own is None else or_(*ways, own)

    def _begins(self, column: ColumnClause[Any]) -> ColumnElement[bool]:
        start = folded(self.prefix)
        return and_(is_known(column), folded(column) >= start, folded(column) < start.concat(_ABOVE_ALL))

    def _own_ids(self) -> ColumnElement[bool] | None:
        """Whether a run's id begins so; None for what no id begins with."""
        digits = self.prefix.replace("-", "").lower()
        if not digits or len(digits) > 32 or any(digit not in "0123456789abcdef" for digit in digits):
            return None
        return self.row.id.between(str(uuid.UUID(digits.ljust(32, "0"))), str(uuid.UUID(digits.ljust(32, "f"))))
