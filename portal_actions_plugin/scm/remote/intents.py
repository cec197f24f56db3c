"""Requests that are noted before they are sent: a forge that cannot say whose something is, is asked with their help.

A note is written once and never changed, as checkpoints are, so that each request has one of its own.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from portal_actions_plugin.scm.remote.fields import moment, text

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.opening import Notes

_SPAN = timedelta(minutes=2)
"""How long after it was sent a request may still make something: longer than a call, and than a proxy in between waits."""
_ROUNDED = timedelta(seconds=2)
"""Forges say whole seconds, and their machines need not agree on them."""


def fingerprint(*parts: JsonValue) -> str:
    """What tells an input from every other one; nobody gets a claim that is among it from this."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Intents:
    """The requests for one thing: those that may have been carried out, and what has come of them.

    Attributes:
        notes: of the provider's opening.
        key: the thing's, with its input's fingerprint in it: another input inherits nothing.
    """

    notes: Notes
    key: str

    def open(self) -> list[JsonValue]:
        """What was noted of the requests that the forge has not refused, oldest first."""
        noted = (f"{self.key}.{number}" for number in range(self._count()))
        return [self.notes.load(one) for one in noted if self.notes.load(f"{one}.refused") is None]

    def add(self, about: JsonValue) -> None:
        """Note a request that is going to be sent."""
        self.notes.save(f"{self.key}.{self._count()}", about)

    def add_at(self, now: datetime) -> None:
        """Note a request that is going to be sent now, by the forge's clock."""
        self.add({"at": now.isoformat()})

    def were_on_their_way(self, at: datetime) -> bool:
        """Whether one of the requests of ``add_at`` may have made what was made at that time, by the forge's clock."""
        sent = (moment(text(noted, "at")) for noted in self.open())
        return any(began - _ROUNDED <= at <= began + _SPAN for began in sent)

    def refused(self) -> None:
        """Note that the forge has refused the last request: nothing came of it."""
        self.notes.save(f"{self.key}.{self._count() - 1}.refused", 1)

    @property
    def made(self) -> JsonValue:
        """What is known to have come of them; None while that is not known."""
        return self.notes.load(f"{self.key}.made")

    def keep_made(self, about: JsonValue) -> None:
        """Note what has come of them."""
        self.notes.save(f"{self.key}.made", about)

    def _count(self) -> int:
        number = 0
        while self.notes.load(f"{self.key}.{number}") is not None:
            number += 1
        return number
