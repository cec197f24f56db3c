"""What the doctor says: how bad something is, what it is, and what mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from redis import Redis
from sqlalchemy import make_url

from portal_actions_plugin.extension import extension

OK = "ok"
WARNING = "warning"
CRITICAL = "critical"
LEVELS = (OK, WARNING, CRITICAL)
"""From good to bad; the place of the worst one is the exit code, as monitoring plugins have it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of an examination.

    Attributes:
        level: one of ``LEVELS``.
        part: what was looked at.
        message: what was found.
        mend: the command to run or the setting to change; None when all is well.
        not_checked: the parts that cannot be looked at before this one is mended.
    """

    level: str
    part: str
    message: str
    mend: str | None = None
    not_checked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    Attributes:
        part: what it is called.
        look: finds what is to be said; nothing when all is well.
        well: what is said then.
        spoils_the_rest: whether the checks after it would only echo what this one finds, when that is critical.
    """

    part: str
    look: Callable[[], Iterable[Finding]]
    well: str = ""
    spoils_the_rest: bool = False


def fine(part: str, message: str) -> Finding:
    """Say that a part is well."""
    return Finding(OK, part, message)


def warning(part: str, message: str, mend: str) -> Finding:
    """Say what is wrong with a part, though runs start and go on, and what mends it."""
    return Finding(WARNING, part, message, mend)


def critical(part: str, message: str, mend: str) -> Finding:
    """Say what is wrong with a part, so that runs cannot start or go on, and what mends it."""
    return Finding(CRITICAL, part, message, mend)


def worst(findings: Iterable[Finding]) -> int:
    """How bad it is altogether: 0 all well, 1 warnings, 2 critical."""
    return max((LEVELS.index(finding.level) for finding in findings), default=0)


# -- words -----------------------------------------------------------------------------------------------------------


def counted(number: int, noun: str) -> str:
    """Say how many there are, such as ``1 run`` or ``2 runs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """Say how long something takes, in the unit that a tired reader needs."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def database_address() -> str:
    """Which database it is and where, without credentials."""
    url = make_url(extension().config.database_url)
    if url.get_backend_name() == "sqlite":
        return f"SQLite in {url.database}"
    where = url.host or str(url.query.get("host", "the local socket"))
    return f"PostgreSQL at {where}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def redis_address() -> str:
    """Where Redis is, without credentials."""
    known = _redis_settings(extension().redis)
    if path := known.get("path"):
        return str(path)
    return f"{known.get('host')}:{known.get('port')}/{known.get('db') or 0}"


def _redis_settings(client: Redis) -> dict[str, object]:
    known: dict[str, object] = client.connection_pool.connection_kwargs
    return known
