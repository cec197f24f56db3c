"""Which databases go by a namespace on Redis: two are a copy and its original, and take each other's doorbells.

Each sweeper leaves there which database it is at. What tells databases apart is of their servers, and so not copied along.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from redis.exceptions import RedisError
from sqlalchemy import make_url, text
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.news.redis_names import NamespaceUnknownError, RedisNames, redis_names
from portal_actions_plugin.storage.sessions import Transaction, database, single_read

log = logging.getLogger(__name__)

TELL_SECONDS = 10
FORGET_SECONDS = 90
"""A database whose sweepers have not been seen for so long is no neighbour any more."""

TOGETHER_SECONDS = 20
"""For so long two have to be there at once. A server that is started anew, or taken over, is another one at once."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_SERVER = text(
    "SELECT (SELECT oid FROM pg_database WHERE datname = current_database())::text AS oid, "
    "pg_postmaster_start_time()::text AS started"
)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A database that goes by a namespace.

    Attributes:
        fingerprint: tells it apart from others.
        where: how the first machine that was seen at it calls it.
        since: when it was first seen, in seconds of Redis' clock.
        until: when it was last seen.
    """

    fingerprint: str
    where: str
    since: float
    until: float


def fingerprint(db: Transaction) -> str:
    """What tells the database apart from a copy of it: its server and its place there, or the file.

    Args:
        db: a read or a transaction of it.

    Returns:
        16 hexadecimal digits.
    """
    if database().engine.dialect.name == "postgresql":
        row = db.row(_SERVER) or {}
        # A server's own identifier is copied along with its files, and not everybody may read it.
        parts = [row.get("oid"), row.get("started")]
    else:
        file = Path(str(make_url(extension().config.database_url).database)).stat()
        parts = [_machine(), file.st_dev, file.st_ino]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _machine() -> str:
    """What tells this machine from others, and not its containers apart: they may share a file."""
    try:
        return _BOOT.read_text()
    except OSError:
        return socket.gethostname()


def be_seen() -> None:
    """Leave on Redis which database this process is at, now and then; say so when there is another one."""
    kept = extension().kept
    if time.monotonic() - kept.get("seen_at", float("-inf")) < TELL_SECONDS:
        return
    kept["seen_at"] = time.monotonic()
    try:
        with single_read() as db:
            own = fingerprint(db)
        _leave(redis_names(), f"{own} {_where()}")
        if strangers := [one.where for one in together(redis_names()) if one.fingerprint != own]:
            log.error(
                "another database goes by the namespace %s on this Redis, and takes its wake-ups: %s "
                "(what to do: flask actions doctor)",
                redis_names().namespace,
                ", ".join(strangers),
            )
    except (RedisError, OSError, SQLAlchemyError, NamespaceUnknownError) as error:
        log.debug("which database this is could not be left on Redis: %s", error)


def _where() -> str:
    url = make_url(extension().config.database_url)
    place = url.database if url.get_backend_name() == "sqlite" else f"{url.host or 'local'}/{url.database}"
    return f"{place} of {socket.gethostname()}"


def _leave(known: RedisNames, member: str) -> None:
    redis = extension().redis
    now = _now()
    gone = cast("list[bytes]", redis.zrangebyscore(known.databases, "-inf", now - FORGET_SECONDS))
    with redis.pipeline() as together_:
        if gone:
            together_.zrem(known.databases, *gone)
            together_.zrem(known.databases_since, *gone)
        together_.zadd(known.databases, {member: now})
        together_.zadd(known.databases_since, {member: now}, nx=True)
        for key in (known.databases, known.databases_since):
            together_.expire(key, 2 * FORGET_SECONDS)
        together_.execute()


def _now() -> float:
    seconds, micros = extension().redis.time()
    return seconds + micros / 1e6


def seen(known: RedisNames) -> Sequence[Neighbour]:
    """The databases that were seen lately.

    Args:
        known: the names of a namespace on Redis.

    Returns:
        The one that is there for longest comes first.

    Raises:
        RedisError: Redis is away.
    """
    redis, now = extension().redis, _now()
    until = _scores(redis.zrangebyscore(known.databases, now - FORGET_SECONDS, "+inf", withscores=True))
    since = _scores(redis.zrange(known.databases_since, 0, -1, withscores=True))
    found: dict[str, Neighbour] = {}
    for member, last in until.items():
        mark, _, where = member.decode(errors="replace").partition(" ")
        first = since.get(member, last)
        before = found.get(mark, Neighbour(mark, where, first, last))
        found[mark] = Neighbour(mark, before.where, min(before.since, first), max(before.until, last))
    return sorted(found.values(), key=lambda one: one.since)


def _scores(answer: object) -> dict[bytes, float]:
    """Each member's score, in what Redis answers when it is asked for both."""
    return dict(cast("list[tuple[bytes, float]]", answer))


def together(known: RedisNames) -> Sequence[Neighbour]:
    """Those databases of a namespace that are at work at the same time as another one; none when all is well."""
    all_seen = seen(known)
    return [
        one
        for one in all_seen
        if any(
            min(one.until, other.until) - max(one.since, other.since) >= TOGETHER_SECONDS
            for other in all_seen
            if other is not one
        )
    ]
