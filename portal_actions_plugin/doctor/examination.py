"""The doctor: looks at everything that a run needs, and says what is wrong and what mends it.

It reads, and nothing it does may hang: somebody is waiting for it at three in the morning.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.doctor import (
    causes,
    database_file,
    forges,
    keys,
    layout,
    names_on_redis,
    parts,
    queues,
    runs,
    turns,
    workspaces,
)
from portal_actions_plugin.doctor.findings import CRITICAL, Check, Finding, critical, fine
from portal_actions_plugin.runner.process.interruptions import TimeLimitError, time_limit
from portal_actions_plugin.storage.away import said

__all__ = ["Finding", "examine"]

log = logging.getLogger(__name__)

CHECK_SECONDS = 20
"""How long one check may take, whatever it waits for; longer than each of the waits that are foreseen."""

AGAIN = "then run `flask actions doctor` again"
MEND_SLOW = f"find out what it waits for, such as a store behind a template source, {AGAIN}"
MEND_ODD = f"correct what the log says, {AGAIN}"

OF_THE_DATABASE: Sequence[Check] = (
    *parts.OF_THE_DATABASE[:1],
    *database_file.CHECKS,
    *parts.OF_THE_DATABASE[1:],
    *queues.CHECKS,
    *runs.CHECKS,
    *turns.CHECKS,
    keys.CHECK,
    names_on_redis.CHECK,
    workspaces.CHECK,
)
"""In this order: when the database is away or empty, there is no need to find out again for each."""

OTHERS: Sequence[Check] = (*parts.OTHERS, layout.CHECK, forges.CHECK)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a check found, and whether the checks after it would only echo the last of it."""

    found: Sequence[Finding]
    spoils_the_rest: bool = False


def examine() -> list[Finding]:
    """Look at everything, whatever is broken. Raises nothing."""
    if not parts.is_loaded():
        return [critical("portal", parts.NOT_LOADED, parts.MEND_NOT_LOADED)]
    return [*_look_at(OF_THE_DATABASE), *_look_at(OTHERS)]


def _look_at(checks: Sequence[Check]) -> Iterator[Finding]:
    for place, check in enumerate(checks, 1):
        seen = _bounded(check)
        if seen.spoils_the_rest:
            # One cause is one finding: those whose part would fail for it are named with it, and looked at next time.
            yield from seen.found[:-1]
            yield replace(seen.found[-1], not_checked=tuple(after.part for after in checks[place:]))
            return
        yield from seen.found


def _bounded(check: Check) -> _Seen:
    """Look, and give up when it takes too long; what was found until then counts."""
    found: list[Finding] = []
    try:
        with time_limit(CHECK_SECONDS):
            return _look(check, found)
    except TimeLimitError:
        of_database = check in OF_THE_DATABASE
        mend = causes.MEND_DATABASE if of_database else MEND_SLOW
        found.append(critical(check.part, f"could not be checked within {CHECK_SECONDS:g} s", mend))
        return _Seen(found, of_database)


def _look(check: Check, found: list[Finding]) -> _Seen:
    try:
        # One by one, so that those before an error stay.
        for finding in check.look():
            found.append(finding)  # noqa: PERF402
    except SQLAlchemyError as error:
        seen = _refused(check, error)
        return _Seen([*found, *seen.found], seen.spoils_the_rest)
    except Exception as error:
        log.exception("the check of %s failed", check.part)
        found.append(_unchecked(check, error, MEND_ODD))
    if not found:
        found.append(fine(check.part, check.well))
    return _Seen(found, check.spoils_the_rest and found[-1].level == CRITICAL)


def _refused(check: Check, error: SQLAlchemyError) -> _Seen:
    if causes.is_locked(error):
        mend, spoils = causes.mend_of(error) or "", True
    elif parts.answers():
        # On SQLite a missing table is the same class of error as a database that is away.
        mend, spoils = causes.mend_of(error) or MEND_ODD, False
    else:
        mend, spoils = causes.mend_of(error) or causes.MEND_DATABASE, True
    return _Seen([_unchecked(check, error, mend)], spoils)


def _unchecked(check: Check, error: Exception, mend: str) -> Finding:
    return critical(check.part, f"could not be checked: {type(error).__name__}: {said(error)}", mend)
