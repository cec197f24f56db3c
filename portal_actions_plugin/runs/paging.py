"""Run ids, cursors and keyset pages: no OFFSET, no COUNT, and no page without a bound."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Select

from portal_actions_plugin.db import Row, Transaction, reading
from portal_actions_plugin.errors import NotFoundError, ValidationError
from portal_actions_plugin.host import Page

CURSOR = r"^(b[g-v]|c[A-P])[A-Za-z0-9_-]{21}$"
"""What a cursor looks like: a direction, ``n`` or ``p``, and 16 bytes of an id, in 23 characters of base64."""

Found = tuple[list[Row], bool]
"""Rows, and whether there are more of them."""

PIECE = 51
"""So many rows are read at once: a page of fifty, and one to tell whether there are more."""

MAX_PAGE_BYTES = 4_000_000
"""A page ends early once its rows hold more JSON than this: 200 runs with large outputs are many pages."""


def parse_id(run_id: str) -> str:
    """A run id in its one spelling; raises NotFoundError for what is no id at all."""
    try:
        return str(uuid.UUID(run_id))
    except (ValueError, AttributeError, TypeError):
        raise no_run("run", run_id) from None


def no_run(kind: str, run_id: str) -> NotFoundError:
    return NotFoundError(
        f"There is no {kind} {str(run_id)[:80]}.", hint="Check the id; the page Actions lists the runs."
    )


def _encode_cursor(direction: str, run_id: str) -> str:
    return base64.urlsafe_b64encode(direction.encode() + uuid.UUID(run_id).bytes).decode().rstrip("=")


def _decode_cursor(cursor: str) -> tuple[str, str]:
    if not re.fullmatch(CURSOR, cursor):
        raise ValidationError(
            "The cursor is not one of ours.",
            hint="Use next_cursor of the last answer as it is, or leave the cursor out.",
            fields={"cursor": ["Not a valid cursor."]},
        )
    raw = base64.urlsafe_b64decode(f"{cursor}=")
    return raw[:1].decode("ascii"), str(uuid.UUID(bytes=raw[1:]))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where in a list a page begins, which way it leads from there, and how many rows it has at most.

    ``values`` go with the statements that have them left open.
    """

    key: Any
    limit: int
    start: str | None
    older: bool
    values: Mapping[str, Any] = field(default_factory=dict)

    def read(self, db: Transaction, statement: Select[Any]) -> Found:
        """The first rows, up to the limit and the bound, and whether there are more."""
        rows: list[Row] = []
        size = 0
        for row in self._pieces(db, statement):
            if len(rows) == self.limit or size > MAX_PAGE_BYTES:
                return rows, True
            rows.append(row)
            size += sum(len(json.dumps(value)) for value in row.values() if isinstance(value, dict | list))
        return rows, False

    def _pieces(self, db: Transaction, statement: Select[Any]) -> Iterator[Row]:
        """All of them, a few at a time: no more of what is large is in memory, and a page of the usual length is one piece.

        A cursor of the server's would do the same, in four round trips, and with a new plan each time.
        """
        size = min(PIECE, self.limit + 1)
        piece: Stretch | None = self
        while piece:
            rows = db.rows(piece.first(statement, size), self.values)
            yield from rows
            piece = replace(self, start=rows[-1]["id"]) if len(rows) == size else None

    def first(self, statement: Select[Any], limit: int | None) -> Select[Any]:
        """What comes first of a statement about the same rows, in order."""
        return self.beyond(statement).order_by(self.key.desc() if self.older else self.key.asc()).limit(limit)

    def beyond(self, statement: Select[Any]) -> Select[Any]:
        """What lies beyond the start."""
        if self.start is None:
            return statement
        return statement.where(self.key < self.start if self.older else self.key > self.start)

    def up_to(self, end: str) -> Any:
        """Whether a row lies no farther than another."""
        return self.key >= end if self.older else self.key <= end


Reader = Callable[[Transaction, Select[Any], Stretch], Found]
"""How the rows of a stretch are found."""


def in_order(db: Transaction, statement: Select[Any], stretch: Stretch) -> Found:
    """Read them as they come."""
    return stretch.read(db, statement)


def page(
    statement: Select[Any],
    key: Any,
    limit: int,
    cursor: str | None,
    convert: Callable[[Row], Any],
    read: Reader = in_order,
) -> Page:
    """Read a keyset page. A cursor says which way it leads and from where; no OFFSET and no COUNT."""
    direction, start = _decode_cursor(cursor) if cursor else ("n", None)
    older = direction == "n"
    with reading() as db:
        rows, more = read(db, statement, Stretch(key, limit, start, older))
    rows = rows if older else rows[::-1]
    next_cursor = previous_cursor = None
    if rows and (more or not older):
        next_cursor = _encode_cursor("n", rows[-1]["id"])
    if rows and ((older and start is not None) or (not older and more)):
        previous_cursor = _encode_cursor("p", rows[0]["id"])
    return Page([convert(row) for row in rows], limit, next_cursor, previous_cursor)
