"""Whether the database is away: decided here for every read and write, by what its error says and by nothing else.

Away is what passes by itself or is made good by somebody: whoever can wait tries again, and nothing of a run ends.
"""

from __future__ import annotations

import logging
import re
import sqlite3
import time

from sqlalchemy.exc import DBAPIError, OperationalError

AGAIN_SECONDS = 60.0
"""How often the log says again that something has to wait for the database."""

_CLASSES = ("08", "40", "53")
"""Of SQLSTATEs: the connection, a transaction that may be repeated, and resources that are used up."""

_STATES = frozenset(
    {
        "25006",  # the server takes no writes, as in a failover
        "25P03",  # it has ended a session that was idle in a transaction
        "25P04",  # or a transaction that took too long
        "55P03",  # a lock was not free in time
        "57014",  # a time limit, of the server or the role: those that are set here never come this way
        "57P01",  # the server shuts down
        "57P02",  # has crashed
        "57P03",  # or does not take connections yet
        "57P05",  # a session that was idle for too long
        "58030",  # a disk that fails
    }
)
_SQLITE_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
    }
)
_PRIMARY = 0xFF
"""The part of an SQLite code that is not about details."""

_BEFORE_HOST = re.compile(r"://\S*@")
_IN_QUERY = re.compile(r"(password=)[^&\s'\"]*", re.IGNORECASE)

_told: dict[str, tuple[str, float]] = {}


def is_away(error: BaseException) -> bool:
    """Whether an error says that the database cannot do now what it will do later."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & _PRIMARY in _SQLITE_CODES
    state = getattr(cause, "sqlstate", None)
    if state is None:
        # PostgreSQL's driver has none for a failure to connect, whatever the server said, and for a lost connection.
        return isinstance(error, OperationalError)
    return state in _STATES or str(state).startswith(_CLASSES)


def bear(error: Exception, log: logging.Logger, what: str) -> None:
    """Let something wait while the database is away, and say so: at once, and then once a minute.

    Args:
        error: what the database has said; raised again when it is something else, which nobody has expected.
        log: where to say it, in the database's own words.
        what: cannot be done, in the same words each time.
    """
    if not is_away(error):
        raise error
    tell(log, what, said(error))


def tell(log: logging.Logger, what: str, why: str) -> None:
    """Say in a log that something cannot be done, and why: at once, and then once a minute."""
    now = time.monotonic()
    told, at = _told.get(what, ("", -AGAIN_SECONDS))
    if told == why and now - at < AGAIN_SECONDS:
        log.debug("%s: %s", what, why)
        return
    _told[what] = (why, now)
    log.warning("%s: %s", what, why)


def said(error: BaseException) -> str:
    """What an error says, on one line, without a password or the link and statement that SQLAlchemy adds."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return without_credentials(" ".join(str(cause).split()) or type(cause).__name__)[:300]


def without_credentials(text: str) -> str:
    """Leave out what addresses say of users and passwords."""
    return _IN_QUERY.sub(r"\1***", _BEFORE_HOST.sub("://***@", text))
