"""What to say to people when the database cannot be used: none of its own words, which are in the log."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionLeftError

from portal_actions_plugin.errors import NotSetUpError, PortalActionsError, UnavailableError
from portal_actions_plugin.storage.away import is_away, said
from portal_actions_plugin.storage.sessions import database

if TYPE_CHECKING:
    from portal_actions_plugin.storage.migrations import Standing

log = logging.getLogger(__name__)

T = TypeVar("T")

AGAIN_SECONDS = 5
"""When to ask again while the database is away."""

AGAIN_WHEN_SET_UP_SECONDS = 60
"""When to ask again while somebody has to finish the set-up."""


_UNDEFINED = ("42P01", "42703")
"""SQLSTATEs: a table and a column that are not there."""


def is_outage(error: BaseException) -> bool:
    """Whether the database is away, or has no connection left for this process."""
    return is_away(error) or isinstance(error, NoConnectionLeftError)


def is_missing(error: BaseException) -> bool:
    """Whether an error says that a table or a column is not there."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    if getattr(cause, "sqlstate", None) in _UNDEFINED:
        return True
    return isinstance(cause, sqlite3.OperationalError) and str(cause).startswith(("no such table", "no such column"))


def unusable_tables(error: BaseException) -> Standing | None:
    """Where the tables stand, when an error comes of tables that this version cannot use; needs an app context.

    Raises:
        SQLAlchemyError: the database cannot say.
    """
    if not isinstance(error, OperationalError | ProgrammingError) or is_away(error):
        return None
    # It takes long to import, and only who has met an error needs it.
    from portal_actions_plugin.storage import migrations

    tables = migrations.standing(database())
    return None if tables.usable else tables


def as_ours(error: SQLAlchemyError) -> PortalActionsError | None:
    """What to say of an error of the database, which is logged on one line; None when it is a bug."""
    try:
        tables = unusable_tables(error)
    except SQLAlchemyError as later:
        error, tables = later, None
    if tables:
        log.error("the tables cannot be used: %s: %s", tables.trouble, tables.mend)
        is_newer = tables.found is not None and not tables.known
        return NotSetUpError(
            "The database is of a newer version than this portal." if is_newer else None,
            retry_after=AGAIN_WHEN_SET_UP_SECONDS,
        )
    if is_missing(error):
        log.error(
            "a table or column is not there, though the tables say that they are up to date; restore a backup, or run "
            "flask actions db upgrade on an empty database: %s",
            said(error),
        )
        return NotSetUpError(retry_after=AGAIN_WHEN_SET_UP_SECONDS)
    if is_outage(error):
        log.warning("the database is away (what to do: flask actions doctor): %s", said(error))
        return UnavailableError(retry_after=AGAIN_SECONDS)
    return None


def unless_away(ask: Callable[[], T], otherwise: T) -> T:
    """Ask something on a page of the host's, which the portal's database must not break; say otherwise while it is away."""
    try:
        return ask()
    except Exception as error:
        if not is_outage(error):
            raise
        log.warning(
            "a page is made without what the database knows (what to do: flask actions doctor): %s", said(error)
        )
        return otherwise


@contextmanager
def told() -> Iterator[None]:
    """Let who calls hear of an outage as an error of ours.

    Raises:
        UnavailableError: the database does not answer.
        NotSetUpError: its tables are not those of this version.
    """
    try:
        yield
    except SQLAlchemyError as error:
        ours = as_ours(error)
        if ours is None:
            raise
        raise ours from None
