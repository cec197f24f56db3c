"""What a database is told, and how it goes about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import event

from portal_actions_plugin.storage.sessions import database


@contextmanager
def counting(app: Flask) -> Iterator[list[str]]:
    engine = database().engine
    said: list[str] = []

    def statement(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        if not text.startswith("BEGIN"):  # what SQLite is told in so many words, PostgreSQL is told by the driver
            said.append(text)

    def commit(_connection: Any) -> None:
        said.append("COMMIT")

    event.listen(engine, "before_cursor_execute", statement)
    event.listen(engine, "commit", commit)
    yield said
    event.remove(engine, "before_cursor_execute", statement)
    event.remove(engine, "commit", commit)


def plan_of(statement: str, parameters: Any) -> list[str]:
    engine = database().engine
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if not sqlite:
            # A table of a few rows is read whole anyway; this way, only one that has no index for it is.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if sqlite else ''}{statement}", parameters)
        return [str(row[-1]).strip() for row in plan]
