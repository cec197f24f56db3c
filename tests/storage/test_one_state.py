"""A page reads one state of the database, over one connection, until something is written."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import func, insert, select

from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import database, in_one_state, new_id, reading, transaction
from portal_actions_plugin.storage.sql import now_plus


def rows_seen() -> int:
    with reading() as db:
        row = db.row(select(func.count().label("n")).select_from(tables.audit))
    assert row
    return int(row["n"])


def add_row() -> None:
    """As another process does: past what this one has open."""
    values = {"id": new_id(), "at": now_plus(0), "last_at": now_plus(0), "count": 1}
    with database().engine.begin() as connection:
        connection.execute(insert(tables.audit).values(actor="user:ada", event="e", outcome="o", target="t", **values))


def test_reads_within_one_another_see_the_same_and_take_one_connection(app: Flask) -> None:
    @in_one_state
    def look_twice() -> tuple[int, int]:
        first = rows_seen()
        add_row()
        return first, rows_seen()

    assert look_twice() == (0, 0)
    assert rows_seen() == 1


def test_what_was_written_meanwhile_is_read(app: Flask) -> None:
    @in_one_state
    def write_between() -> tuple[int, int]:
        first = rows_seen()
        add_row()
        with transaction("test"):
            pass
        return first, rows_seen()

    assert write_between() == (0, 1)
