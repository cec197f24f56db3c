"""When a credential may call its forge again: a row that every worker on every machine keeps to, by the database's clock.

A forge that counts what a credential asks for refuses all of its workers at once. So whoever is refused says so here, and
the others do not ask in vain: some forges lock out who goes on.
"""

from __future__ import annotations

import hashlib
import logging
import math

from sqlalchemy import String, bindparam, delete, insert, select, update
from sqlalchemy.exc import DBAPIError

from portal_actions_plugin.runs.conditions import NOW
from portal_actions_plugin.storage import away, tables
from portal_actions_plugin.storage.sessions import Row, Transaction, single_read, transaction
from portal_actions_plugin.storage.sql import milliseconds_between, now_plus
from portal_actions_plugin.storage.statements import CompiledOnce

log = logging.getLogger(__name__)

_LOCK = "portal_actions.forge_pauses"

FIRST_SECONDS = 60.0
"""The pause after a refusal that names no time. GitHub asks for a minute at least, and for longer each time after that."""

MOST_DOUBLED = 8
"""So many refusals in a row make a pause longer, to two hours; more do not."""

LONGEST_SECONDS = 86_400.0
"""However long the other side says: after a day somebody looks again."""

FORGET_SECONDS = 86_400.0

FIRST_PACE_MS = 250
"""How far apart calls are after a refusal; further by ``SLOWER`` after the next one."""

SLOWEST_PACE_MS, QUICKEST_PACE_MS = 4000, 50
SLOWER, QUICKER = 1.5, 0.985
"""Each call lets the next one follow a little sooner, so that the pace stays near to what the forge allows.

About one call in thirty is refused then, which is how it is found out.
"""

PACE_FORGOTTEN_SECONDS = 60.0
"""Who has not called for so long begins without a pace."""

LONGEST_TURN_SECONDS = 5.0
"""A turn that is further away is not taken: whoever has that long to wait does something else meanwhile, and asks again."""

_pause = tables.forge_pauses.c
_this = (
    _pause.installation == bindparam("of_installation", type_=String()),
    _pause.credential == bindparam("of_credential", type_=String()),
)
_STANDING = select(
    milliseconds_between(NOW, _pause.until).label("left"),
    milliseconds_between(_pause.until, NOW).label("over_for"),
    milliseconds_between(NOW, _pause.next_at).label("turn"),
    milliseconds_between(_pause.next_at, NOW).label("idle"),
    _pause.refusals,
    _pause.pace_ms,
).where(*_this)
# Compiled once, since it is read before each call of a forge.
_READ = CompiledOnce(_STANDING)


class ForgePauses:
    """The pauses of all forges; it is a ``scm.opening.Pauses``."""

    def wait(self, installation: str, credential: str) -> float:
        """Seconds until a credential may be used again; 0 when it may be used now, or the database is away.

        After a refusal calls take turns, some way apart: who is told a short wait has one, and nobody else has it.

        Args:
            installation: the forge's name in the portal's settings.
            credential: its key, which tells nothing of the secret.
        """
        key = _key(installation, credential)
        try:
            with single_read() as db:
                row = db.row(_READ, key)
            if row is None or not _pace(row) or _left(row) > LONGEST_TURN_SECONDS:
                return _left(row)
            with transaction("forge_turn") as tx:
                return _take_turn(tx, key)
        except DBAPIError as error:
            away.bear(error, log, "pauses of forges cannot be kept to")
            return 0.0

    def begin(self, installation: str, credential: str, seconds: float | None) -> float:
        """Let nobody use a credential for a while. One that is set to be longer stays; a day is the longest.

        Args:
            installation: the forge's name in the portal's settings.
            credential: its key, which tells nothing of the secret.
            seconds: what the forge has named; None when it has named no time: a minute then, and twice as long each
                time that it refuses soon after the last pause.

        Returns:
            In how many seconds the forge may be asked again: what it has named, or longer.
        """
        named = None if seconds is None or not math.isfinite(seconds) else max(seconds, 0.0)
        try:
            with transaction("pause_forge") as tx:
                return _begin(tx, _key(installation, credential), named)
        except DBAPIError as error:
            away.bear(error, log, "a pause of a forge cannot be kept")
            return FIRST_SECONDS if named is None else named


def _take_turn(tx: Transaction, key: dict[str, str]) -> float:
    tx.lock(_LOCK)
    row = tx.row(_READ, key)
    pace, left = _pace(row), _left(row)
    if not pace or left > LONGEST_TURN_SECONDS:
        return left
    quicker = int(pace * QUICKER) if pace > QUICKEST_PACE_MS else None
    turn = update(tables.forge_pauses).where(*_this).values(next_at=now_plus(left + pace / 1000), pace_ms=quicker)
    tx.changed(turn, key)
    return left


def _begin(tx: Transaction, key: dict[str, str], named: float | None) -> float:
    tx.lock(_LOCK)
    before = tx.row(_READ, key)
    pause_left = before["left"] / 1000 if before else 0.0
    refusals = 0 if named is not None else _refusals_in_a_row(before)
    length = _doubled(refusals) if named is None else named
    ahead = now_plus(min(length, LONGEST_SECONDS))
    values: dict[str, object] = {}
    if not pause_left:
        # Who is refused while a pause is on had asked before it, and says nothing new of the pace.
        slower = min(max(int(SLOWER * _pace(before)), FIRST_PACE_MS), SLOWEST_PACE_MS)
        values |= {"pace_ms": slower, "next_at": ahead}
    if length > pause_left or before is None:
        values |= {"until": ahead, "refusals": refusals}
    if before is None:
        names = {"installation": key["of_installation"], "credential": key["of_credential"]}
        tx.execute(insert(tables.forge_pauses).values(**names, **values))
    elif values:
        tx.changed(update(tables.forge_pauses).where(*_this).values(**values), key)
    tx.changed(delete(tables.forge_pauses).where(_pause.until < now_plus(-FORGET_SECONDS)))
    return max(length, pause_left)


def _left(row: Row | None) -> float:
    """Seconds until the pause is over, and the turns that are taken."""
    return max(row["left"], row["turn"] or 0) / 1000 if row else 0.0


def _pace(row: Row | None) -> int:
    """How many milliseconds calls are apart; 0 for no pace."""
    if row is None or row["pace_ms"] is None or (row["idle"] or 0) / 1000 > PACE_FORGOTTEN_SECONDS:
        return 0
    pace: int = row["pace_ms"]
    return pace


def _refusals_in_a_row(before: Row | None) -> int:
    """How many refusals without a time these are, with the one that is new.

    Those who were refused at the same time count once: the pause is on, and each of them had asked before it.
    """
    if before is None or not before["refusals"]:
        return 1
    count: int = before["refusals"]
    if before["left"]:
        return count
    return min(count + 1, MOST_DOUBLED) if before["over_for"] / 1000 <= _doubled(count) else 1


def _doubled(refusals: int) -> float:
    return FIRST_SECONDS * 2.0 ** (refusals - 1)


def _key(installation: str, credential: str) -> dict[str, str]:
    return {"of_installation": installation, "of_credential": hashlib.sha256(credential.encode()).hexdigest()}
