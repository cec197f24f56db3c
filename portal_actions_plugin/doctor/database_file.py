"""The doctor's look at SQLite's file: whether it is whole, and whether its disk has room. A server sees to that itself."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from portal_actions_plugin.doctor.causes import MEND_DAMAGED
from portal_actions_plugin.doctor.findings import Check, Finding, critical, fine, warning
from portal_actions_plugin.storage.sessions import database
from portal_actions_plugin.upkeep.readiness import ROOM_BYTES

MOST_BYTES = 1_000_000_000
"""A larger file is not read through: that takes longer than somebody waits for a doctor."""

CHECK_SECONDS = 5.0
_TURNS = 10_000
"""Steps of SQLite's machine after which it asks whether the time is over."""

_MOST_ERRORS = 3
LOW_BYTES = 500_000_000
"""Below this somebody should look: runs may write some of it before anybody does."""


def file_of_database() -> Path | None:
    """The file of SQLite; None for a server's database, and for one in memory."""
    url = database().engine.url
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
        return None
    return Path(name)


def _whole() -> Iterator[Finding]:
    file = file_of_database()
    if file is None:
        yield fine("file", "the server sees to its files")
        return
    by_hand = f"sqlite3 {file} 'PRAGMA integrity_check'"
    if file.stat().st_size > MOST_BYTES:
        yield fine("file", f"it is too large to be read through here: now and then, {by_hand}")
        return
    try:
        wrong = _wrong_with(file)
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        yield fine("file", f"nothing was wrong with it within {CHECK_SECONDS:g} s; the whole of it: {by_hand}")
    except sqlite3.DatabaseError as error:
        yield critical("file", f"{file} is damaged: {error}", MEND_DAMAGED)
    else:
        if wrong:
            yield critical("file", f"{file} is damaged: {'; '.join(wrong)}", MEND_DAMAGED)


def _wrong_with(file: Path) -> list[str]:
    """What SQLite's quick check finds, at most ``_MOST_ERRORS``; it waits for nobody, and nobody waits for it."""
    over = time.monotonic() + CHECK_SECONDS
    with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
        connection.set_progress_handler(lambda: time.monotonic() > over, _TURNS)
        found = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({_MOST_ERRORS})")]
    return [] if found == ["ok"] else found


def _room() -> Iterator[Finding]:
    file = file_of_database()
    if file is None:
        yield fine("disk", "of the database server's disk nobody here knows")
        return
    disk = os.statvfs(file.parent)
    free = disk.f_bavail * disk.f_frsize
    where = f"{_megabytes(free)} are free for {file}"
    mend = f"make room below {file.parent.resolve()}: flask actions prune --older-than 90d, or a larger disk"
    if free < ROOM_BYTES:
        yield critical("disk", f"{where}: nothing can be started or go on", mend)
    elif free < LOW_BYTES:
        yield warning("disk", where, mend)
    else:
        yield fine("disk", where)


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000_000:,.1f} GB" if size >= 1_000_000_000 else f"{size // 1_000_000} MB"


CHECKS = (
    Check("disk", _room),
    Check("file", _whole, "nothing is wrong with it", spoils_the_rest=True),
)
