"""Which rows partial indexes are of.

Queries say these conditions with the very same words: SQLite matches the text of an index's condition, not its sense, and
does not use the index otherwise.
"""

from __future__ import annotations

from sqlalchemy import text

ENDED = text("finished_at IS NOT NULL")
"""Of both kinds of run."""

IS_RETRY = text("retry_of IS NOT NULL")
"""Of both kinds of run."""

ACTIVE_FIX = text("status IN ('queued', 'running') AND dedupe_key IS NOT NULL")
"""Of both kinds of run: at most one of them mends the same failed check."""

TO_ANNOUNCE = text("announced_at IS NULL AND finished_at IS NOT NULL")
"""Of both kinds of run. A run that ends announced is never in it."""

QUEUED_ROW = text("status = 'queued'")
"""Of action runs."""

WANTS_LOCK = text("status = 'queued' AND lock_key IS NOT NULL")
"""Of action runs."""

WAITS_FOR_NOBODY = text("status = 'queued' AND lock_key IS NULL AND held_back_at IS NULL")
"""Of action runs."""

HELD_BACK = text("status = 'queued' AND held_back_at IS NOT NULL")
"""Of action runs."""

NO_SUCCESS = text("outcome <> 'success'")
"""Of attempts: a success is told by its run."""

REFUSED = text("outcome IN ('denied', 'rate_limited')")
"""Of the audit."""

UNUSUAL = text("outcome NOT IN ('accepted', 'success')")
"""Of the audit: what is usual is soon found without an index, and every run would write to it."""

KEPT = text("emptied_at IS NULL")
"""A workspace whose contents are still there."""
