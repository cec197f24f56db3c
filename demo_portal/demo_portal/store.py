"""The portal's own small database. Web processes and workers share the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

BUSY_SECONDS = 10

_TABLES = """
CREATE TABLE IF NOT EXISTS entities (
    id TEXT PRIMARY KEY, document TEXT NOT NULL, source TEXT, registered_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS results (
    entity_id TEXT NOT NULL, scorecard TEXT NOT NULL, rule TEXT NOT NULL, problem TEXT, checked_at TEXT NOT NULL,
    PRIMARY KEY (entity_id, scorecard, rule));
CREATE TABLE IF NOT EXISTS fixes (
    entity_id TEXT NOT NULL, scorecard TEXT NOT NULL, rule TEXT NOT NULL, run_id TEXT NOT NULL, url TEXT NOT NULL,
    status TEXT NOT NULL, PRIMARY KEY (entity_id, scorecard, rule));
CREATE TABLE IF NOT EXISTS activity (
    run_id TEXT PRIMARY KEY, title TEXT NOT NULL, who TEXT NOT NULL, status TEXT NOT NULL, url TEXT NOT NULL,
    at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, at TEXT NOT NULL);
"""


class Store:
    """One SQLite file. Each use has a connection of its own: none is open when a worker forks."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def create_tables(self) -> None:
        with closing(self._connect()) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_TABLES)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connect()) as db:
            yield db

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with closing(self._connect()) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def is_marked(self, name: str) -> bool:
        """Whether something that happens once has happened."""
        with self.reading() as db:
            return db.execute("SELECT 1 FROM marks WHERE name = ?", (name,)).fetchone() is not None

    def mark(self, name: str) -> None:
        with self.writing() as db:
            db.execute("INSERT OR IGNORE INTO marks VALUES (?, ?)", (name, now()))

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._file, timeout=BUSY_SECONDS, isolation_level=None)
        db.row_factory = sqlite3.Row
        return db


def now() -> str:
    """This moment, as the tables keep it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
