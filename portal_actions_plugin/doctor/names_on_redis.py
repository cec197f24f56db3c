"""The doctor's look at the names that several portals share on one Redis."""

from __future__ import annotations

from collections.abc import Iterator

from redis.exceptions import RedisError
from sqlalchemy import select

from portal_actions_plugin.doctor.findings import Check, Finding, counted, critical, fine, warning
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.doorbells import neighbours
from portal_actions_plugin.runner.doorbells.foreign import LATELY_SECONDS
from portal_actions_plugin.runs.news.redis_names import NamespaceUnknownError, RedisNames, namespace
from portal_actions_plugin.runs.reading import workers
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading

MEND_SHARED = (
    "where the copy is: flask actions db new-identity, and start its workers and web processes again; "
    "or give each portal a PORTAL_ACTIONS_NAMESPACE of its own"
)
MEND_UNKNOWN = "flask actions db new-identity, and start workers and web processes again"
MEND_RENAMED = "start workers and web processes again: they go by the names that they were started with"

SEEN_SECONDS = 30
"""Well within the time after which Redis forgets a database whose supervisors have gone."""


def look() -> Iterator[Finding]:
    """Whether this portal's names are its own, and its workers go by them."""
    try:
        known = RedisNames(namespace())
    except NamespaceUnknownError as error:
        yield critical("namespace", f"no worker can be woken: {error}", MEND_UNKNOWN)
        return
    try:
        found = [*_shared(known), *_renamed(known)]
    except (RedisError, OSError):
        yield fine("namespace", f"{known.namespace}; Redis does not answer")
        return
    yield from found
    if not found:
        yield fine("namespace", f"names on Redis carry {known.namespace}, and no other portal goes by that")


def _shared(known: RedisNames) -> Iterator[Finding]:
    if shared := neighbours.together(known):
        who = " and ".join(one.where for one in shared)
        message = (
            f"{counted(len(shared), 'database')} go by {known.namespace} on this Redis, and take each other's "
            f"wake-ups, so that runs wait: {who}"
        )
        yield critical("namespace", message, MEND_SHARED)
    elif heard := int(extension().redis.get(known.foreign) or 0):
        message = (
            f"{counted(heard, 'wake-up')} of another portal came to this one's workers, the last one within "
            f"{LATELY_SECONDS // 60} min: it goes by {known.namespace} on this Redis too, or somebody else writes there"
        )
        yield warning("namespace", message, MEND_SHARED)


def _renamed(known: RedisNames) -> Iterator[Finding]:
    """Whether workers are alive, and none of them goes by the names of today."""
    alive = select(tables.workers.c.name).where(
        tables.workers.c.version.is_not(None), workers.was_seen_within(SEEN_SECONDS)
    )
    with reading() as db:
        own, number = neighbours.fingerprint(db), len(db.rows(alive))
    if number and own not in {one.fingerprint for one in neighbours.seen(known)}:
        message = (
            f"{counted(number, 'worker')} go by another namespace than {known.namespace}, which is this database's "
            "by now: what web processes queue waits until a sweeper wakes workers for it"
        )
        yield warning("namespace", message, MEND_RENAMED)


CHECK = Check("namespace", look)
