"""What a provider is opened with: which installation, for whom, and its ways to the run that uses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from portal_actions_plugin.scm.base import Author, Guard, Operation
from portal_actions_plugin.settings.installations import Installation

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue


class Notes(Protocol):
    """What a provider remembers across the attempts of a run, and of the runs that retry it: its checkpoints."""

    def load(self, key: str) -> JsonValue:
        """What was kept under a key; None when there is nothing."""

    def save(self, key: str, value: JsonValue) -> None:
        """Keep a JSON value; it is committed when this returns. It holds no credential."""


class Pauses(Protocol):
    """When a credential may call its forge again. All workers on all machines keep to it."""

    def wait(self, installation: str, credential: str) -> float:
        """Seconds until the credential may be used again; 0 when it may be used now."""

    def begin(self, installation: str, credential: str, seconds: float | None) -> float:
        """Let nobody use the credential for so many seconds; a longer pause that is set already stays.

        None is for a forge that names no time: a minute, and longer for each refusal in a row. Returns how long it is now.
        """


class NoNotes:
    """Remembers nothing longer than this object lives: for calls that belong to no run."""

    def __init__(self) -> None:
        self._kept: dict[str, JsonValue] = {}

    def load(self, key: str) -> JsonValue:
        return self._kept.get(key)

    def save(self, key: str, value: JsonValue) -> None:
        self._kept[key] = value


class NoPauses:
    """Knows of no pause and sets none: for calls that belong to no run."""

    def wait(self, installation: str, credential: str) -> float:  # noqa: ARG002 the protocol's arguments
        return 0.0

    def begin(self, installation: str, credential: str, seconds: float | None) -> float:  # noqa: ARG002 likewise
        """Let the next call find out anew."""
        return 60.0 if seconds is None else seconds


def _always() -> None:
    """Let every write pass: there is no attempt that could have ended."""


def _ignore(_text: str) -> None:
    """Tell nobody."""


def _no_token(_owner: str) -> str | None:
    """Know no credential."""
    return None


@dataclass(frozen=True, slots=True)
class Opening:
    """What a provider gets from whoever opens it. Entry points of ``portal_actions.scm_providers`` are called with it.

    Attributes:
        installation: which forge, and what the portal has set for it.
        author: who commits are by.
        guard: called right before every write; raises when this attempt may not write any more.
        log: writes a line of the run's log.
        warn: keeps a warning with the run's result.
        redact: masks a value in everything that the run writes from now on; every credential is given to it.
        notes: what is remembered across attempts.
        pauses: when credentials may be used again.
        own_token: the requester's own, when the step works in their name: it counts before all of the portal's.
        operations: what the step asks for, so that a credential can be narrowed to it; empty where that is not known.
        host_token: the host's hook ``scm_credentials`` for this installation: a token by owner, or None.
        local_root: the setting ``LOCAL_SCM_ROOT``.
        local_url: the setting ``LOCAL_SCM_URL``.
    """

    installation: Installation
    author: Author
    guard: Guard = _always
    log: Callable[[str], None] = _ignore
    warn: Callable[[str], None] = _ignore
    redact: Callable[[str], None] = _ignore
    notes: Notes = field(default_factory=NoNotes)
    pauses: Pauses = field(default_factory=NoPauses)
    operations: frozenset[Operation] = frozenset()
    own_token: str | None = field(default=None, repr=False)
    host_token: Callable[[str], str | None] = _no_token
    local_root: Path | None = None
    local_url: str | None = None

    def without_guard(self) -> Opening:
        """The same, for calls that are no GET and change nothing all the same."""
        return replace(self, guard=_always)
