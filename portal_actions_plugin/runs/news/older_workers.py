"""Whether workers of the version before live: they know no namespace, and listen on other queues.

For one minor version rings go there as well while they do. What old web processes ring there is brought over by a sweep.
"""

from __future__ import annotations

import logging
import time

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.reading import workers
from portal_actions_plugin.storage import away, tables
from portal_actions_plugin.storage.sessions import single_read

log = logging.getLogger(__name__)

ASK_SECONDS = 30
"""How long the answer counts, whether workers of the version before live."""

SEEN_SECONDS = 60
"""A worker that was seen so lately may live: for one of today half of the stall time counts, which it may not know."""


def workers_live() -> bool:
    """Whether workers of the version before live. To be asked where one may: the database is, now and then."""
    kept = extension().kept
    asked_at, live = kept.get("older", (float("-inf"), False))
    if time.monotonic() - asked_at > ASK_SECONDS:
        live = _workers_live()
        kept["older"] = (time.monotonic(), live)
    return bool(live)


def _workers_live() -> bool:
    # A worker of today says which version it is.
    old = select(tables.workers.c.name).where(tables.workers.c.version.is_(None), workers.was_seen_within(SEEN_SECONDS))
    try:
        with single_read() as db:
            return db.row(old.limit(1)) is not None
    except SQLAlchemyError as error:
        away.tell(log, "the database cannot be asked whether workers of the version before live", away.said(error))
        return False
