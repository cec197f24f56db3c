"""Collecting what is wrong with one template file, each with its line and key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from portal_actions_plugin.host import TemplateProblem
from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.places import written

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.places import Key
    from portal_actions_plugin.software_templates.skeleton import Signature
    from portal_actions_plugin.software_templates.spec import Template
    from portal_actions_plugin.software_templates.yaml_documents import Document


MAX_PROBLEMS = 200
"""Problems of one document that are told."""
_MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of one document.

    Attributes:
        name: the template's name; empty when it has none.
        line: where the name is.
        template: None when there is any problem.
        skeletons: the signature of each skeleton folder that its steps name, from before its files were read.
    """

    name: str
    line: int
    template: Template | None
    problems: tuple[TemplateProblem, ...]
    skeletons: Mapping[str, Signature] = field(default_factory=dict)


class Findings:
    """The problems of one document, and readers that note what has the wrong type."""

    def __init__(self, file: Path, document: Document) -> None:
        self._file = file
        self._document = document
        self.problems: list[TemplateProblem] = []
        self._seen: set[TemplateProblem] = set()
        for key, message in document.problems:
            self.add(key, message)

    def add(self, key: Key, message: str) -> None:
        """Note a problem, once. At most ``MAX_PROBLEMS`` of a document are kept.

        Args:
            key: the place of the value that is wrong; its line is looked up.
            message: what is wrong; cut after 500 characters.

        Raises:
            SandboxError: the check of the document has taken too long.
        """
        current_budget().check_time()
        said = message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}…"
        problem = TemplateProblem(str(self._file), self._document.line(key), written(key), said)
        if problem not in self._seen and len(self.problems) < MAX_PROBLEMS:
            self._seen.add(problem)
            self.problems.append(problem)

    def mapping(self, parent: Mapping[str, JsonValue], key: Key) -> Mapping[str, JsonValue]:
        """Read a mapping, and note what is there instead; one that is missing or empty counts as empty.

        Args:
            parent: what it is a part of.
            key: its place in the document; the last part is its name in the parent.
        """
        value = parent.get(str(key[-1]))
        if value is not None and not isinstance(value, Mapping):
            self.add(key, "this must be a mapping (name: value)")
        return value if isinstance(value, Mapping) else {}

    def text(self, parent: Mapping[str, JsonValue], key: Key, default: str | None = None) -> str:
        """Read a text, and note what is there instead.

        Args:
            parent: what it is a part of.
            key: its place in the document; the last part is its name in the parent.
            default: what a missing text is; without one it must be there, and not be empty.

        Returns:
            The text; an empty one where something was noted.
        """
        value = parent.get(str(key[-1]))
        if value is None and default is not None:
            return default
        if value is None:
            self.add(key, f"{key[-1]} is missing")
        elif not isinstance(value, str):
            self.add(key, "this must be a text: put it in quotes")
        elif not value and default is None:
            self.add(key, "this must not be empty")
        return value if isinstance(value, str) else ""

    def texts(self, parent: Mapping[str, JsonValue], key: Key) -> tuple[str, ...]:
        """Read a list of texts, and note what is there instead; a missing one is empty.

        Args:
            parent: what it is a part of.
            key: its place in the document; the last part is its name in the parent.
        """
        value = parent.get(str(key[-1])) or []
        if isinstance(value, list):
            texts = tuple(item for item in value if isinstance(item, str))
            if len(texts) == len(value):
                return texts
        self.add(key, "this must be a list of texts")
        return ()

    def typing_errors(self, parent: Mapping[str, JsonValue], key: Key, known: Iterable[str]) -> None:
        """Note keys that look like a known one with a typing error; others may belong to somebody else.

        Args:
            parent: whose keys to look at.
            key: its own place in the document.
            known: the keys that it may have.
        """
        for name in parent.keys() - set(known):
            if near := get_close_matches(name, known, n=1, cutoff=0.8):
                self.add((*key, name), f"unknown key; did you mean {near[0]}?")
