"""One process at a time migrates; the others wait, and then find that all is done."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

log = logging.getLogger(__name__)

_NAME = "migrations"
_LOOK_AGAIN_SECONDS = 0.2


def one_at_a_time(engine: Engine) -> AbstractContextManager[None]:
    """Wait until nobody else migrates this database, and keep others from it meanwhile, over any number of transactions."""
    return _on_postgresql(engine) if engine.dialect.name == "postgresql" else _on_sqlite(engine)


@contextmanager
def _on_postgresql(engine: Engine) -> Iterator[None]:
    """Hold an advisory lock of a session.

    It is asked for again and again: a session that waits for it has a snapshot, and an index that is made meanwhile
    would wait for that one.
    """
    key = {"name": _NAME}
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        take = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
        is_told = False
        while not connection.execute(take, key).scalar():
            if not is_told:
                log.info("another process is at the tables: waiting for it")
                is_told = True
            time.sleep(_LOOK_AGAIN_SECONDS)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))"), key)


@contextmanager
def _on_sqlite(engine: Engine) -> Iterator[None]:
    """Lock the file's folder: of the file itself, a lock that is closed would take SQLite's own with it."""
    file = engine.url.database
    if not file or file == ":memory:" or file.startswith("file:"):
        yield
        return
    folder = os.open(Path(file).resolve().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
