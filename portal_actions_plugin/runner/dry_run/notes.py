"""What a dry run keeps: for each step what it would create and change, or why it would be refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue


class Kind(StrEnum):
    """What would become of something."""

    CREATE = "create"
    CHANGE = "change"
    CALL = "call"


class StepState(StrEnum):
    """What would become of a step."""

    RUNS = "runs"
    REFUSED = "refused"
    SKIPPED = "skipped"
    NOT_TRIED = "not tried"
    NOT_REACHED = "not reached"


@dataclass(frozen=True, slots=True)
class Write:
    """Something that would be written.

    Attributes:
        kind: whether it is made, changed, or asked of somebody whose doing nobody knows.
        what: such as ``repository``.
        target: such as ``acme/orders on github``.
        details: what else there is to say, by name.
    """

    kind: Kind
    what: str
    target: str
    details: Mapping[str, JsonValue] = field(default_factory=dict)


class Writes:
    """The writes of the step that is being tried."""

    def __init__(self) -> None:
        self.all: list[Write] = []

    def note(self, kind: Kind, what: str, target: str, **details: JsonValue) -> None:
        """Keep one."""
        self.all.append(Write(kind, what, target, details))

    def take(self) -> tuple[Write, ...]:
        """All since this was last asked."""
        taken, self.all = tuple(self.all), []
        return taken


@dataclass(frozen=True, slots=True)
class TriedStep:
    """What became of a step. Texts are masked.

    Attributes:
        position: its index.
        input: as it was rendered; empty where it was not.
        writes: what it would write, up to where it would fail.
        error: why it is refused, or was not tried; empty otherwise.
        hint: what helps.
        says: its warnings, or what is wrong with each field of its input.
        item: of a step with ``each``, the key of the item.
    """

    position: int
    id: str
    name: str
    action: str
    state: StepState
    input: Mapping[str, JsonValue] = field(default_factory=dict)
    writes: tuple[Write, ...] = ()
    error: str = ""
    hint: str = ""
    says: tuple[str, ...] = ()
    item: str = ""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a start would come to.

    Attributes:
        template: its name.
        version: of its definition.
        lacks: what keeps a start from being accepted: permissions, and what credentials may not.
        steps: in order.
        output: what it would give in the end.
    """

    template: str
    version: str
    lacks: tuple[str, ...]
    steps: tuple[TriedStep, ...]
    output: Mapping[str, JsonValue]

    @property
    def is_fine(self) -> bool:
        """Whether nothing is lacking, and no step is refused."""
        return not self.lacks and all(step.state is not StepState.REFUSED for step in self.steps)
