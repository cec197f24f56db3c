"""The doctor: looks at everything that a run needs, and says what is wrong and what mends it.

It reads, and nothing it does may hang: somebody is waiting for it at three in the morning.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.runner.doctor import parts, rows
from portal_actions_plugin.runner.doctor.findings import CRITICAL, Check, Finding, critical, fine, said, warning

__all__ = ["Finding", "examine"]

log = logging.getLogger(__name__)

OF_THE_DATABASE: Sequence[Check] = (*parts.OF_THE_DATABASE, *rows.CHECKS)
"""In this order: when the database is away or empty, there is no need to find out again for each."""

OTHERS = parts.OTHERS


def examine() -> list[Finding]:
    """Look at everything, whatever is broken. Raises nothing."""
    return [*_look_at(OF_THE_DATABASE), *_look_at(OTHERS)]


def _look_at(checks: Sequence[Check]) -> Iterator[Finding]:
    skipped, first = "", ""
    for check in checks:
        if skipped:
            yield warning(check.part, f"not checked: {skipped}", first)
            continue
        try:
            found = list(check.look()) or [fine(check.part, check.well)]
        except SQLAlchemyError as error:
            # On SQLite a missing table is the same class of error as a database that is away: ask.
            skipped = "" if parts.answers() else parts.AWAY
            first = parts.MEND_DATABASE
            found = [_unchecked(check, error, first)]
        except Exception as error:
            log.exception("the check of %s failed", check.part)
            found = [_unchecked(check, error, "correct what the log says, then run `flask actions doctor` again")]
        yield from found
        broken = next((finding for finding in found if finding.level == CRITICAL), None)
        if check.else_skipped and broken:
            skipped, first = check.else_skipped, broken.mend or ""


def _unchecked(check: Check, error: Exception, mend: str) -> Finding:
    return critical(check.part, f"could not be checked: {type(error).__name__}: {said(error)}", mend)
