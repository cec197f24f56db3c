"""What begins with a prefix, newest first, without reading the whole table.

A prefix that is common is soon found by walking through the newest rows. One that is rare is found by the indexes of the
searched columns, which have their rows in the order of words: all that begin alike are sorted by id then. Which of the
two it is shows by trying. Where all that begin so are one and the same word, its rows are in order already.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnClause,
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    or_,
    select,
    union_all,
)

from portal_actions_plugin.runs.reading.filters import conditions, is_known
from portal_actions_plugin.runs.reading.list_statements import KEPT, ListKind, narrowed
from portal_actions_plugin.runs.reading.paging import Found, Stretch, beyond, first_of, in_order
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction
from portal_actions_plugin.storage.sql import ONE, Id, checked, folded
from portal_actions_plugin.storage.statements import Values

WALK = 2_000
"""So many rows are looked at one by one before the indexes are asked."""

SPARE = 2
"""So many times more ids than rows come from the indexes at first: other filters may leave some of them out."""

ALL = 2**31 - 1
"""As many as there are."""

Words = Mapping[str, str | None]
"""The one word of a column, by its name, that begins so; None where there are several. A column without any is not in it."""


@dataclass(frozen=True, slots=True)
class Search:
    """A prefix of a run's id or of a searched column, whatever the capitals.

    Attributes:
        table: which is searched.
        prefix: not blank.
        filters: the names of those that narrow it further.
        values: of those.
    """

    table: tables.RunTable
    prefix: str
    filters: tuple[str, ...]
    values: Values

    def read(self, db: Transaction, stretch: Stretch) -> Found:
        """The first rows of a stretch that begin so, and whether there are more."""
        words, own = self._words(db), _ids_that_begin(self.prefix)
        if not words and not own:
            return Found([], more=False)
        kind = ListKind(self.table, self.filters, stretch.older)
        values = {**self.values, "prefix": self.prefix, **own}
        if None in words.values():
            end = self._end_of_walk(db, stretch)
            walk = _walked(kind, "first_own_id" in own)
            found = stretch.read(db, walk, {**values, "end": end or stretch.end})
            if found.more or end is None:
                return found
        return _read_by_indexes(db, stretch, _Indexes.of(kind, words, own), {**values, **_values_of(words)})

    def _words(self, db: Transaction) -> Words:
        row = db.row(_ends(self.table), {"prefix": self.prefix})
        assert row is not None  # noqa: S101 a SELECT without FROM has one row
        values: list[Any] = list(row.values())
        pairs = zip(tables.SEARCHED[self.table], values[::2], values[1::2], strict=True)
        return {str(column.key): low if low == high else None for column, low, high in pairs if low is not None}

    def _end_of_walk(self, db: Transaction, stretch: Stretch) -> str | None:
        """How far is walked, in rows of the status where one is wanted: its index leaves out the others."""
        values: dict[str, Any] = {"start": stretch.start, "walk": WALK}
        status = self.values.get("status", ())
        if len(status) == 1:
            values["one_status"] = status[0]
        end = db.row(_walk(self.table, len(status) == 1, stretch.older), values)
        return end["id"] if end else None


@dataclass(frozen=True, slots=True)
class _Indexes:
    """Which indexes know what begins so. ``one_word`` and ``several`` name their columns, ``own_id`` is the id itself."""

    kind: ListKind
    one_word: tuple[str, ...]
    several: tuple[str, ...]
    own_id: bool

    @classmethod
    def of(cls, kind: ListKind, words: Words, own: Values) -> _Indexes:
        one_word = tuple(name for name, word in words.items() if word is not None)
        return cls(kind, one_word, tuple(name for name in words if name not in one_word), bool(own))


def _read_by_indexes(db: Transaction, stretch: Stretch, indexes: _Indexes, values: Values) -> Found:
    some = {**values, "many": SPARE * (stretch.limit + 1)}
    found = stretch.read(db, _found_by(indexes), some)
    if found.more or len(db.rows(_ids_by(indexes), {**some, "start": stretch.start})) < some["many"]:
        return found
    return stretch.read(db, _found_by(indexes), {**values, "many": ALL})


def _values_of(words: Words) -> dict[str, str]:
    return {f"word_{name}": word for name, word in words.items() if word is not None}


def _ids_that_begin(prefix: str) -> dict[str, str]:
    """The first and the last id that begins so; nothing for what no id begins with."""
    digits = prefix.replace("-", "").lower()
    if not digits or len(digits) > 32 or any(digit not in "0123456789abcdef" for digit in digits):
        return {}
    return {
        "first_own_id": str(uuid.UUID(digits.ljust(32, "0"))),
        "last_own_id": str(uuid.UUID(digits.ljust(32, "f"))),
    }


# -- made once for each kind, since making them takes longer than the search: the prefix comes with the values -----------

_prefix = folded(bindparam("prefix", type_=String()))
_above_all = bindparam("above_all", "\U0010ffff", type_=String())
"""No character comes after this one."""

_many = bindparam("many", type_=Integer())


def _id(name: str) -> BindParameter[str]:
    return bindparam(name, type_=Id())


def _begins(column: ColumnClause[Any]) -> ColumnElement[bool]:
    return and_(is_known(column), folded(column) >= _prefix, folded(column) < _prefix.concat(_above_all))


def _is_own(table: tables.RunTable) -> ColumnElement[bool]:
    return table.c.id.between(_id("first_own_id"), _id("last_own_id"))


@cache
def _ends(table: tables.RunTable) -> Select[Any]:
    """The first and the last word of each searched column that begins so."""
    ends = [
        select(folded(column)).where(_begins(column)).order_by(order).limit(ONE).scalar_subquery()
        for column in tables.SEARCHED[table]
        for order in (folded(column).asc(), folded(column).desc())
    ]
    return select(*(end.label(f"end_{place}") for place, end in enumerate(ends)))


@cache
def _walk(table: tables.RunTable, of_one_status: bool, older: bool) -> Select[Any]:  # noqa: FBT001 what it is kept by
    ids = select(table.c.id).where(beyond(table.c.id, older=older))
    if of_one_status:
        ids = ids.where(table.c.status == bindparam("one_status", type_=String()))
    return in_order(ids, table.c.id, older=older).limit(ONE).offset(bindparam("walk", type_=Integer()))


@lru_cache(maxsize=KEPT)
def _walked(kind: ListKind, own_id: bool) -> Select[Any]:  # noqa: FBT001 part of what it is kept by
    """What begins so among the rows up to the end of the walk."""
    table = kind.table
    fits = [*map(_begins, tables.SEARCHED[table]), *([_is_own(table)] if own_id else ())]
    near = table.c.id >= _id("end") if kind.older else table.c.id <= _id("end")
    return first_of(narrowed(kind).where(checked(or_(*fits)), near), table.c.id, older=kind.older)


@lru_cache(maxsize=KEPT)
def _found_by(indexes: _Indexes) -> Select[Any]:
    table = indexes.kind.table
    found = narrowed(indexes.kind).where(table.c.id.in_(_ids_by(indexes)))
    return first_of(found, table.c.id, older=indexes.kind.older)


@lru_cache(maxsize=KEPT)
def _ids_by(indexes: _Indexes) -> Select[Any]:
    """The first ids of what begins so, each found by its index."""
    table, older = indexes.kind.table, indexes.kind.older
    ids = select(table.c.id)
    if "status" in indexes.kind.filters:
        ids = ids.where(*map(checked, conditions(table, ["status"])))
    columns = {column.key: column for column in tables.SEARCHED[table]}
    parts = [ids.where(_begins(columns[name]), beyond(table.c.id, older=older)) for name in indexes.several]
    for name in indexes.one_word:
        is_word = folded(columns[name]) == bindparam(f"word_{name}", type_=String())
        parts.append(first_of(ids.where(is_known(columns[name]), is_word), table.c.id, _many, older=older))
    if indexes.own_id:
        parts.append(first_of(ids.where(_is_own(table)), table.c.id, _many, older=older))
    # Else a database may think it better to walk in the order of ids until there are enough of them.
    found = union_all(*(select(part.subquery().c.id) for part in parts)).cte().prefix_with("MATERIALIZED")
    return in_order(select(found.c.id).distinct(), found.c.id, older=older).limit(_many)
