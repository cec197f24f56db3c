"""Requests that are noted before they are sent: a forge that cannot say whose something is, is asked with their help.

A note is written once and never changed, as checkpoints are, so that each request has one of its own.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.opening import Notes


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
