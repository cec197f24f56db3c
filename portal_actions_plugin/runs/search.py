"""What begins with a prefix, newest first, without reading the whole table.

A prefix that is common is soon found by walking through the newest rows. One that is rare is found by the indexes of the
searched columns, which have their rows in the order of words: all that begin alike are sorted by id then. Which of the
two it is shows by trying. Where all that begin so are one and the same word, its rows are in order already.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import ColumnClause, ColumnElement, Select, String, and_, bindparam, or_, select, union_all

from portal_actions_plugin.db import Transaction
from portal_actions_plugin.models import SEARCHED, ActionRunRow, TemplateRunRow
from portal_actions_plugin.runs.filters import is_known
from portal_actions_plugin.runs.paging import Found, Reader, Stretch, in_order
from portal_actions_plugin.sql import ONE, checked, folded

WALK = 2_000
"""So many rows are looked at one by one before the indexes are asked."""

SPARE = 2
"""So many times more ids than rows come from the indexes at first: other filters may leave some of them out."""

_above_all = bindparam("above_all", "\U0010ffff", type_=String())
"""No character comes after this one."""

RunRow = type[ActionRunRow] | type[TemplateRunRow]

Words = Mapping[ColumnClause[Any], str | None]
"""The one word of a column that begins so; None where there are several. A column without any is not in it."""

_prefix = folded(bindparam("prefix", type_=String()))


def searched(row: RunRow, prefix: str | None, status: Sequence[str]) -> Reader:
    """How rows are found that begin so, of these statuses; None or blanks for all of them."""
    return _Search(row, prefix.strip(), status).read if prefix and prefix.strip() else in_order


@dataclass(frozen=True, slots=True)
class _Search:
    """A prefix of a run's id or of a searched column, whatever the capitals."""

    row: RunRow
    prefix: str
    status: Sequence[str]

    def read(self, db: Transaction, statement: Select[Any], stretch: Stretch) -> Found:
        """The first rows of a stretch that begin so, and whether there are more."""
        stretch = replace(stretch, values={"prefix": self.prefix})
        words = self._words(db)
        if not words and self._own_ids() is None:
            return [], False
        if None in words.values():
            end = db.row(stretch.first(self._of_one_status(), 1).offset(WALK))
            found, more = stretch.read(db, statement.where(self._fits(), *(stretch.up_to(end["id"]),) if end else ()))
            if more or end is None:
                return found, more
        many = SPARE * (stretch.limit + 1)
        ids = self._ids(words, stretch, many)
        found, more = stretch.read(db, statement.where(self.row.id.in_(ids)))
        if more or len(db.rows(ids, stretch.values)) < many:
            return found, more
        return stretch.read(db, statement.where(self.row.id.in_(self._ids(words, stretch, None))))

    def _words(self, db: Transaction) -> Words:
        row = db.row(_ends(self.row), {"prefix": self.prefix})
        assert row is not None  # noqa: S101 a SELECT without FROM has one row
        values: list[Any] = list(row.values())
        pairs = zip(SEARCHED[self.row], values[::2], values[1::2], strict=True)
        return {column: low if low == high else None for column, low, high in pairs if low is not None}

    def _of_one_status(self) -> Select[Any]:
        """What is walked through: where one status is wanted, its index leaves out the others."""
        ids = select(self.row.id)
        return ids.where(self.row.status == self.status[0]) if len(self.status) == 1 else ids

    def _ids(self, words: Words, stretch: Stretch, many: int | None) -> Select[Any]:
        """The first ids of what begins so, each found by its index."""
        ids = select(self.row.id)
        if self.status:
            ids = ids.where(checked(self.row.status.in_(self.status)))
        parts = [
            stretch.beyond(ids.where(_begins(column)))
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
        fits, own = _any_begins(self.row), self._own_ids()
        return checked(fits if own is None else or_(fits, own))

    def _own_ids(self) -> ColumnElement[bool] | None:
        """Whether a run's id begins so; None for what no id begins with."""
        digits = self.prefix.replace("-", "").lower()
        if not digits or len(digits) > 32 or any(digit not in "0123456789abcdef" for digit in digits):
            return None
        return self.row.id.between(str(uuid.UUID(digits.ljust(32, "0"))), str(uuid.UUID(digits.ljust(32, "f"))))


# -- made once for each table, since making them takes longer than the search: the prefix comes with the values ---------


def _begins(column: ColumnClause[Any]) -> ColumnElement[bool]:
    return and_(is_known(column), folded(column) >= _prefix, folded(column) < _prefix.concat(_above_all))


@cache
def _any_begins(row: RunRow) -> ColumnElement[bool]:
    return or_(*map(_begins, SEARCHED[row]))


@cache
def _ends(row: RunRow) -> Select[Any]:
    """The first and the last word of each searched column that begins so."""
    ends = [
        select(folded(column)).where(_begins(column)).order_by(order).limit(ONE).scalar_subquery()
        for column in SEARCHED[row]
        for order in (folded(column).asc(), folded(column).desc())
    ]
    return select(*(end.label(f"end_{place}") for place, end in enumerate(ends)))
