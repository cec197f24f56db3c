"""Run ids, cursors and keyset pages: no OFFSET, no COUNT."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import RowMapping, Select

from portal_actions_plugin.db import reading
from portal_actions_plugin.errors import NotFoundError, ValidationError
from portal_actions_plugin.host import Page


def parse_id(run_id: str) -> str:
    """A run id in its one spelling; raises NotFoundError for what is no id at all."""
    try:
        return str(uuid.UUID(run_id))
    except (ValueError, AttributeError, TypeError):
        raise no_run("run", run_id) from None


def no_run(kind: str, run_id: str) -> NotFoundError:
    return NotFoundError(f"There is no {kind} {str(run_id)[:80]}.", hint="Check the id; /actions lists the runs.")


def _encode_cursor(direction: str, run_id: str) -> str:
    return base64.urlsafe_b64encode(direction.encode() + uuid.UUID(run_id).bytes).decode().rstrip("=")


def _decode_cursor(cursor: str) -> tuple[str, str]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        direction, run_id = raw[:1].decode("ascii"), str(uuid.UUID(bytes=raw[1:]))
    except (binascii.Error, ValueError):
        direction, run_id = "", ""
    if direction not in ("n", "p"):
        raise ValidationError(
            "The cursor is not one of ours.",
            hint="Use next_cursor of the last answer as it is, or leave the cursor out.",
            fields={"cursor": ["Not a valid cursor."]},
        )
    return direction, run_id


def page(
    statement: Select[Any], key: Any, limit: int, cursor: str | None, convert: Callable[[RowMapping], Any]
) -> Page:
    """Read a keyset page. A cursor says which way it leads and from where; no OFFSET and no COUNT."""
    direction, start = _decode_cursor(cursor) if cursor else ("n", None)
    older = direction == "n"
    if start is not None:
        statement = statement.where(key < start if older else key > start)
    with reading() as db:
        rows = list(db.rows(statement.order_by(key.desc() if older else key.asc()).limit(limit + 1)))
    more = len(rows) > limit
    rows = rows[:limit] if older else rows[:limit][::-1]
    next_cursor = previous_cursor = None
    if rows and (more or not older):
        next_cursor = _encode_cursor("n", rows[-1]["id"])
    if rows and ((older and start is not None) or (not older and more)):
        previous_cursor = _encode_cursor("p", rows[0]["id"])
    return Page([convert(row) for row in rows], limit, next_cursor, previous_cursor)
