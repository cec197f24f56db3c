"""What the contract's tests are given: how to open a forge, and where to work in it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from portal_actions_plugin.run_types import JsonValue
from portal_actions_plugin.scm.base import Collaborator, FileChange, RepoRef
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.provider import ScmProvider


class AttemptLostError(BaseException):
    """The run was canceled, or another process has taken it over: what a guard raises. No ``Exception``, as in a worker."""


@dataclass(slots=True)
class Memory:
    """What a run and those that retry it remember, as ``opening.Notes``: what was kept first stays, as with checkpoints."""

    kept: dict[str, JsonValue] = field(default_factory=dict)

    def load(self, key: str) -> JsonValue:
        return self.kept.get(key)

    def save(self, key: str, value: JsonValue) -> None:
        self.kept.setdefault(key, value)


@dataclass(slots=True)
class Attempt:
    """One attempt of a run that has opened the forge.

    Attributes:
        scm: the provider, as this attempt has it.
        memory: what it remembers; hand it to ``ForgeUnderTest.attempt`` for the next attempt of the same run.
        claim: what the run's handlers would claim things with.
        lines: what it wrote to the log.
        warnings: what it warned of.
        redacted: what it asked to be masked.
    """

    scm: ScmProvider
    memory: Memory
    claim: str
    lines: list[str]
    warnings: list[str]
    redacted: list[str]


@dataclass(frozen=True)
class ForgeUnderTest:
    """A forge, and where the contract's tests may work in it.

    Attributes:
        opener: what the entry point names.
        opening: with the installation, and whatever else the provider needs; the tests set guard, log, notes and the like.
        owner: a user, an organisation or a group in which repositories can be made.
        missing_owner: nobody has this name.
        collaborators: somebody who can be added to a repository; empty leaves that test out.
        workflow: the name of a workflow that can be started, once ``workflow_files`` are there; empty leaves that out.
        workflow_files: what the forge's CI needs in the repository for it.
        webhook_events: names of two of the forge's events.
        credential: the token that it is opened with; empty for none.
    """

    opener: Callable[[Opening], ScmProvider]
    opening: Opening
    owner: str
    missing_owner: str = "nobody-is-called-so"
    collaborators: tuple[Collaborator, ...] = ()
    workflow: str = ""
    workflow_files: tuple[FileChange, ...] = ()
    webhook_events: tuple[str, str] = ("push", "release")
    credential: str = field(default="", repr=False)

    def attempt(self, before: Attempt | None = None, *, lost_at: int | None = None) -> Attempt:
        """Open the forge for an attempt.

        Args:
            before: an earlier attempt of the same run; None begins another run.
            lost_at: at which of its writes, counted from 1, the attempt is not the run's any more; None for never.
        """
        memory = before.memory if before else Memory()
        claim = before.claim if before else uuid.uuid4().hex
        lines: list[str] = []
        warnings: list[str] = []
        redacted: list[str] = []
        opening = replace(
            self.opening,
            guard=_Guard(lost_at),
            log=lines.append,
            warn=warnings.append,
            redact=redacted.append,
            notes=memory,
        )
        return Attempt(self.opener(opening), memory, claim, lines, warnings, redacted)

    def new_repo(self, attempt: Attempt, *, init_with_readme: bool = True) -> RepoRef:
        """Create a repository that nobody has used yet."""
        made = attempt.scm.create_repo(
            self.owner,
            new_name(),
            visibility="private",
            description="",
            init_with_readme=init_with_readme,
            claim=uuid.uuid4().hex,
        )
        return made.ref


class _Guard:
    """Counts the writes of an attempt, and ends it at one of them."""

    def __init__(self, lost_at: int | None) -> None:
        self._lost_at = lost_at
        self._writes = 0

    def __call__(self) -> None:
        self._writes += 1
        if self._lost_at is not None and self._writes >= self._lost_at:
            raise AttemptLostError


def new_name() -> str:
    """A name that no repository has."""
    return f"contract-{uuid.uuid4().hex[:12]}"
