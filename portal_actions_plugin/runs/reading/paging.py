"""Run ids, cursors and keyset pages: no OFFSET, no COUNT, and no page without a bound."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, ColumnElement, Integer, Select, bindparam

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.run_types import Page
from portal_actions_plugin.storage.sessions import Row, Transaction, reading
from portal_actions_plugin.storage.sql import Id
from portal_actions_plugin.storage.statements import Values

CURSOR = r"^(b[g-v]|c[A-P])[A-Za-z0-9_-]{21}$"
"""What a cursor looks like: a direction, ``n`` or ``p``, and 16 bytes of an id, in 23 characters of base64."""

_LOWEST_ID, _HIGHEST_ID = str(uuid.UUID(int=0)), str(uuid.UUID(int=2**128 - 1))
"""All ids lie between: the first page of a list starts there, and so has the same statement as any other."""

COUNT_CAP = 1000
"""Chips count at most this far: a long queue must not make the page slow."""

PIECE = 51
"""So many rows are read at once: a page of fifty, and one to tell whether there are more."""

MAX_PAGE_BYTES = 4_000_000
"""A page ends early once its rows hold more JSON than this: 200 runs with large outputs are many pages."""


def _encode_cursor(direction: str, run_id: str) -> str:
    return base64.urlsafe_b64encode(direction.encode() + uuid.UUID(run_id).bytes).decode().rstrip("=")


def _decode_cursor(cursor: str) -> tuple[str, str]:
    if not re.fullmatch(CURSOR, cursor):
        raise ValidationError(
            "The cursor is not one of ours.",
            hint="Use next_cursor of the last answer as it is, or leave the cursor out.",
            fields={"cursor": ["is no cursor of this list"]},
        )
    raw = base64.urlsafe_b64decode(f"{cursor}=")
    return raw[:1].decode("ascii"), str(uuid.UUID(bytes=raw[1:]))


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

    def read(self, db: Transaction, statement: Select[Any], values: Values) -> Found:
        """The first rows of a statement of ``first_of``, and whether there are more."""
        rows: list[Row] = []
        size = 0
        for row in self._pieces(db, statement, values):
            if len(rows) == self.limit or size > MAX_PAGE_BYTES:
                return Found(rows, more=True)
            rows.append(row)
            size += sum(len(json.dumps(value)) for value in row.values() if isinstance(value, dict | list) and value)
        return Found(rows, more=False)

    def _pieces(self, db: Transaction, statement: Select[Any], values: Values) -> Iterator[Row]:
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


Reader = Callable[[Transaction, Stretch], Found]
"""How the rows of a stretch are found."""


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


def page(read: Reader, limit: int, cursor: str | None, convert: Callable[[Row], Any]) -> Page:
    """Read a keyset page. A cursor says which way it leads and from where; no OFFSET and no COUNT."""
    direction, start = _decode_cursor(cursor) if cursor else ("n", None)
    older = direction == "n"
    with reading() as db:
        found = read(db, Stretch(start or _HIGHEST_ID, limit, older))
    rows = found.rows if older else found.rows[::-1]
    newest, oldest = (rows[0]["id"], rows[-1]["id"]) if rows else (found.stopped_at, found.stopped_at)
    if older:
        next_cursor = _encode_cursor("n", found.stopped_at or oldest) if found.more and oldest else None
        before = newest or (start and _id_below(start))
        previous_cursor = _encode_cursor("p", before) if start and before else None
        stopped_at = moment_of(found.stopped_at) if found.stopped_at else None
        return Page([convert(row) for row in rows], limit, next_cursor, previous_cursor, stopped_at)
    next_cursor = _encode_cursor("n", oldest) if oldest else None
    previous_cursor = _encode_cursor("p", found.stopped_at or newest) if found.more and newest else None
    return Page([convert(row) for row in rows], limit, next_cursor, previous_cursor)


def _id_below(run_id: str) -> str:
    """The id right below: beyond it, towards newer rows, lies this one."""
    return str(uuid.UUID(int=max(0, uuid.UUID(run_id).int - 1)))


def moment_of(run_id: str) -> datetime:
    """When a run with this id was made, by the clock of the machine that made it."""
    return datetime.fromtimestamp((uuid.UUID(run_id).int >> 80) / 1000, UTC)
