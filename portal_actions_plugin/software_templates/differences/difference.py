"""What one difference says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue


class Kind(Enum):
    """What the examples of a difference are."""

    VALUE = auto()
    """Each is a value of a step's input."""
    YAML = auto()
    """Each is the text of a YAML file."""
    DOCUMENT = auto()
    """The first is a part of a template's document; a test of its own shows what comes of it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that at least one of our readings does otherwise than Backstage's scaffolder. Texts are Markdown.

    Attributes:
        name: for tests, and for links to it.
        written: what a template has.
        at_home: what Backstage's scaffolder makes of it.
        backstage: what is made of it here, in a document with Backstage's ``apiVersion``; empty for the same as at home.
        ours: the same in a document of our own; empty for the same as ``backstage``.
        why: the reason.
        examples: the first is for people. All are tried by the tests.
        kind: what the examples are.
    """

    name: str
    written: str
    at_home: str
    backstage: str
    ours: str
    why: str
    examples: tuple[JsonValue, ...]
    kind: Kind = Kind.VALUE
