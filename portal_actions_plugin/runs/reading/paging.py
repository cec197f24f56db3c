"""Keyset pages: no OFFSET, no COUNT, no page without a bound, and none that tells of what is hidden."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import BindParameter, ColumnElement, Integer, Select, bindparam

from portal_actions_plugin.run_types import Page
from portal_actions_plugin.runs.reading.cursors import seal, unseal
from portal_actions_plugin.storage.sessions import Row, Statement, Transaction, reading
from portal_actions_plugin.storage.sql import Id
from portal_actions_plugin.storage.statements import Values

T = TypeVar("T")

_OLDER, _NEWER = b"n", b"p"
"""How a cursor says which way it leads."""

_LOWEST_ID, _HIGHEST_ID = str(uuid.UUID(int=0)), str(uuid.UUID(int=2**128 - 1))
"""All ids lie between: the first page of a list starts there, and so has the same statement as any other."""

COUNT_CAP = 1000
"""Chips count at most this far: a long queue must not make the page slow."""

PIECE = 51
"""So many rows are read at once: a page of fifty, and one to tell whether there are more."""

MOST_ASKED = 500
ASK_SECONDS = 0.2
"""A host that decides about each row is asked about so many for a page, and no longer than that."""

MAX_PAGE_BYTES = 4_000_000
"""A page ends early once its rows hold more JSON than this: 200 runs with large outputs are many pages."""


class Found(NamedTuple):
    """Rows of a stretch, and whether there may be more of them.

    ``stopped_at`` is the id of the row at which the reader gave up before it came to a whole page or to the end.
    """

    rows: list[Row]
    more: bool
    stopped_at: str | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where in a list a page begins, which way it leads from there, and how many rows it has at most."""

    start: str
    limit: int
    older: bool

    @property
    def end(self) -> str:
        """What no row lies beyond."""
        return _LOWEST_ID if self.older else _HIGHEST_ID

    def read(self, db: Transaction, statement: Statement, values: Values) -> Found:
        """The first rows of a statement of ``first_of``, and whether there are more."""
        rows: list[Row] = []
        size = 0
        for row in self._pieces(db, statement, values):
            if len(rows) == self.limit or size > MAX_PAGE_BYTES:
                return Found(rows, more=True)
            rows.append(row)
            size += _size(row)
        return Found(rows, more=False)

    def _pieces(self, db: Transaction, statement: Statement, values: Values) -> Iterator[Row]:
        """All of them, a few at a time: no more of what is large is in memory, and a page of the usual length is one piece.

        A cursor of the server's would do the same, in four round trips, and with a new plan each time.
        """
        size = min(PIECE, self.limit + 1)
        start = self.start
        while True:
            rows = db.rows(statement, {**values, "start": start, "limit": size})
            yield from rows
            if len(rows) < size:
                return
            start = rows[-1]["id"]


_NESTED = (dict, list)


def _size(row: Row) -> int:
    """How many characters of JSON a row has."""
    return sum([len(json.dumps(value)) for value in row.values() if value and isinstance(value, _NESTED)])


Reader = Callable[[Transaction, Stretch], Found]
"""How the rows of a stretch are found."""


class Sight:
    """What somebody may see of lists, as the host says of each row: it is asked about a bounded number of them."""

    def __init__(self, sees: Callable[[Any], bool], share: float = 1.0) -> None:
        """Take what asks the host about one row, as it is shown, and which part of the bound it may use."""
        self._sees = sees
        self._left = max(1, round(MOST_ASKED * share))
        self._seconds = ASK_SECONDS * share
        self._until: float | None = None

    def is_open(self) -> bool:
        """Whether the host may be asked once more."""
        return self._left > 0 and (self._until is None or time.monotonic() < self._until)

    def sees(self, thing: object) -> bool:
        """Ask about a row."""
        if self._until is None:
            self._until = time.monotonic() + self._seconds
        self._left -= 1
        return self._sees(thing)


# -- statements about rows in the order of their ids: where they start, and how many they give, comes with the values ----

START = bindparam("start", type_=Id())
LIMIT = bindparam("limit", type_=Integer())


def first_of(
    statement: Select[Any], key: ColumnElement[str], limit: BindParameter[int] = LIMIT, *, older: bool
) -> Select[Any]:
    """What comes first beyond the start, in order."""
    return in_order(statement.where(beyond(key, older=older)), key, older=older).limit(limit)


def beyond(key: ColumnElement[str], *, older: bool) -> ColumnElement[bool]:
    """Whether a row lies beyond the start."""
    return key < START if older else key > START


def in_order(statement: Select[Any], key: ColumnElement[str], *, older: bool) -> Select[Any]:
    return statement.order_by(key.desc() if older else key.asc())


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A list: how its rows are found, what people see of some of them, and what its cursors are bound to."""

    read: Reader
    convert: Callable[[Transaction, Sequence[Row]], Sequence[T]]
    bound_to: str


def page(of: Listing[Any], limit: int, cursor: str | None, sight: Sight | None = None) -> Page:
    """Read a keyset page. A cursor says which way it leads and from where; no OFFSET and no COUNT.

    Args:
        of: the list.
        limit: so many items are on it at most.
        cursor: of this list; None for its newest rows.
        sight: what may be seen of it; None where nothing is hidden. What may not is read past, and leaves no trace: a
            page ends where the list ends for who asks. Once enough was asked, it has what was found until then, which
            may be nothing, and a cursor.
    """
    older, start = _opened(cursor, of.bound_to)
    stretch = Stretch(start or (_HIGHEST_ID if older else _LOWEST_ID), limit, older)
    found = _all_of(of, stretch) if sight is None else _seen_of(of, stretch, sight)
    items, ids = (found.items, found.ids) if older else (found.items[::-1], found.ids[::-1])
    if older:
        before = ids[0] if ids else start and _id_below(start)
        back = _cursor(_NEWER, before, of.bound_to) if start else None
        return Page(items, limit, _cursor(_OLDER, found.goes_on_at, of.bound_to), back, found.searched_back_to)
    back = _cursor(_OLDER, ids[-1] if ids else found.goes_on_at, of.bound_to)
    return Page(items, limit, back, _cursor(_NEWER, found.goes_on_at, of.bound_to))


@dataclass(frozen=True, slots=True)
class _Looked:
    """What there is of a page, with its ids, and where the list goes on; None where it has ended."""

    items: list[Any]
    ids: list[str]
    goes_on_at: str | None
    searched_back_to: datetime | None = None


def _all_of(of: Listing[Any], stretch: Stretch) -> _Looked:
    with reading() as db:
        found = of.read(db, stretch)
        items = list(of.convert(db, found.rows))
    ids = [row["id"] for row in found.rows]
    last = found.stopped_at or (ids[-1] if ids else None)
    return _Looked(items, ids, last if found.more else None, moment_of(found.stopped_at) if found.stopped_at else None)


def _seen_of(of: Listing[Any], stretch: Stretch, sight: Sight) -> _Looked:
    items: list[Any] = []
    ids: list[str] = []
    size, hidden, at = 0, 0, stretch.start
    while sight.is_open():
        wanted = min(max(stretch.limit - len(items), hidden, 1), PIECE - 1)
        with reading() as db:
            found = of.read(db, Stretch(at, wanted, stretch.older))
            things = of.convert(db, found.rows)
        for row, thing in zip(found.rows, things, strict=True):
            if not sight.is_open():
                return _Looked(items, ids, at)
            at = row["id"]
            if not sight.sees(thing):
                hidden += 1
            elif len(items) == stretch.limit or size > MAX_PAGE_BYTES:
                return _Looked(items, ids, ids[-1])
            else:
                items.append(thing)
                ids.append(at)
                size += _size(row)
        if found.stopped_at:
            return _Looked(items, ids, found.stopped_at, _coarse(moment_of(found.stopped_at)))
        if not found.more:
            return _Looked(items, ids, None)
    return _Looked(items, ids, at)


def _coarse(moment: datetime) -> datetime:
    """The next full hour: the row at which a search stops may be hidden, and so may its time."""
    return moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def _id_below(run_id: str) -> str:
    """The id right below: beyond it, towards newer rows, lies this one."""
    return str(uuid.UUID(int=max(0, uuid.UUID(run_id).int - 1)))


def moment_of(run_id: str) -> datetime:
    """When a run with this id was made, by the clock of the machine that made it."""
    return datetime.fromtimestamp((uuid.UUID(run_id).int >> 80) / 1000, UTC)


def _cursor(way: bytes, place: str | None, bound_to: str) -> str | None:
    return seal(way + uuid.UUID(place).bytes, bound_to) if place else None


def _opened(cursor: str | None, bound_to: str) -> tuple[bool, str | None]:
    """Whether a cursor leads to older rows, and from where."""
    if cursor is None:
        return True, None
    place = unseal(cursor, bound_to)
    return place[:1] == _OLDER, str(uuid.UUID(bytes=place[1:]))
