"""Whether the database can be read and written right now: found out without a row, and without waiting for long."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from sqlalchemy import false, select, update
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.runs import outage
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.away import said
from portal_actions_plugin.storage.sessions import database

log = logging.getLogger(__name__)

PROBE_SECONDS = 2.0
"""How long it may take: for the one writer of SQLite, and for each statement on PostgreSQL."""

ROOM_BYTES = 2**20
"""What has to be free beside SQLite's file: a start takes less, and its log has to grow before that shows."""

_READ = select(tables.action_runs.c.id).limit(1)
_WRITE = update(tables.workers).values(name=tables.workers.c.name).where(false())
"""Rights, locks and read-only servers are looked at for no row too."""


def is_ready() -> bool:
    """Whether the database can be read and written; why not is in the log."""
    try:
        with database().probing(PROBE_SECONDS) as tx:
            tx.rows(_READ)
            tx.changed(_WRITE)
    except SQLAlchemyError as error:
        if outage.as_ours(error) is None:
            log.warning("the database takes no writes (what to do: flask actions doctor): %s", said(error))
        return False
    if _is_full():
        log.warning("the database takes no writes: the disk of its file is full")
        return False
    return True


def _is_full() -> bool:
    """Whether SQLite's file has no room to grow. Of a server's disk nobody here knows."""
    engine = database().engine
    file = engine.url.database
    if engine.dialect.name != "sqlite" or not file or not Path(file).is_file():
        return False
    disk = os.statvfs(file)
    return disk.f_bavail * disk.f_frsize < ROOM_BYTES
