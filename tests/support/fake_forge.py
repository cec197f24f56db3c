"""A kind of forge as another package brings it: what its credentials reach is what a test says."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pytest

from portal_actions_plugin.scm import providers
from portal_actions_plugin.scm.base import Operation, Reach
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.remote.credentials import given_token, no_credential
from tests.support.waiting import PATIENCE_SECONDS

OPERATIONS = frozenset(Operation) - {Operation.DISPATCH_WORKFLOW}


@dataclass
class Forge:
    """What the fake forge says, and what it was asked.

    Attributes:
        reach: what a credential reaches; a test may change it at any time.
        error: raised instead.
        asked: the owner of each question, in order.
        opened: how often the kind was opened.
    """

    reach: Reach = field(default_factory=lambda: Reach("robot", "Fake Forge 1.0"))
    error: Exception | None = None
    asked: list[str | None] = field(default_factory=list)
    opened: int = 0
    answers: threading.Event = field(default_factory=threading.Event)

    def hang(self) -> None:
        """Answer no question until ``go_on``."""
        self.answers.clear()

    def go_on(self) -> None:
        self.answers.set()


@dataclass
class Provider:
    """One opening of it."""

    opening: Opening
    operations: frozenset[Operation] = OPERATIONS

    def reach(self, owner: str | None) -> Reach:
        forge: Forge = FORGE
        forge.asked.append(owner)
        token = given_token(self.opening, owner, environment="FAKE_TOKEN")
        if token is None:
            raise no_credential(self.opening, owner, environment="FAKE_TOKEN")
        assert forge.answers.wait(PATIENCE_SECONDS)
        if forge.error:
            raise forge.error
        return forge.reach


FORGE = Forge()


def open_fake(opening: Opening) -> Any:
    FORGE.opened += 1
    return Provider(opening)


def bring(monkeypatch: pytest.MonkeyPatch) -> Forge:
    """Pretend that a package brings the kind ``fake``."""
    module = sys.modules[__name__]
    forge = Forge()
    forge.go_on()
    monkeypatch.setattr(module, "FORGE", forge)
    extra = {
        providers.GROUP: EntryPoint("fake", f"{__name__}:open_fake", providers.GROUP),
        providers.OPERATIONS_GROUP: EntryPoint("fake", f"{__name__}:OPERATIONS", providers.OPERATIONS_GROUP),
    }
    monkeypatch.setattr(providers, "entry_points", lambda group: [*entry_points(group=group), extra[group]])
    return forge
