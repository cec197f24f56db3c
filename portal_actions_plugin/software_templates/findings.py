"""Collecting what is wrong with one template, each with its file, line and key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from portal_actions_plugin.host import Severity, TemplateFinding
from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.places import value_at, written
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.places import Key
    from portal_actions_plugin.software_templates.skeletons.files import Signature
    from portal_actions_plugin.software_templates.spec import Template
    from portal_actions_plugin.software_templates.yaml.documents import Document


MAX_FINDINGS = 200
"""Problems of one document that are told, and warnings."""
_MAX_MESSAGE = 500
_MAX_VALUE = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of one document.

    Attributes:
        name: the template's name; empty when it has none.
        line: where the name is.
        template: None when there is any problem.
        waiting: what it is once all that it waits for is there; None when it can be used, or has another problem.
        problems: by line.
        warnings: by line.
        skeletons: the signature of each skeleton folder that its steps name, from before its files were read.
    """

    name: str
    line: int
    template: Template | None
    problems: tuple[TemplateFinding, ...]
    warnings: tuple[TemplateFinding, ...] = ()
    skeletons: Mapping[str, Signature] = field(default_factory=dict)
    waiting: Template | None = None


class Findings:
    """The findings of one document, and readers that note what has the wrong type.

    Attributes:
        refused: how many problems were noted that are some in both readings.
    """

    def __init__(self, file: Path, document: Document) -> None:
        self._file = file
        self._document = document
        self.reading = Reading.of(document.mapping.get("apiVersion"))
        self.refused = 0
        self._found: dict[Severity, dict[TemplateFinding, None]] = {severity: {} for severity in Severity}
        for key, message in document.problems:
            self.add(key, message)
        for key, message in document.cautions:
            self.differ(key, message)

    @property
    def problems(self) -> tuple[TemplateFinding, ...]:
        """What takes the template away, in the order of its lines."""
        return self._by_line(Severity.PROBLEM)

    @property
    def warnings(self) -> tuple[TemplateFinding, ...]:
        """What does not, in the order of its lines."""
        return self._by_line(Severity.WARNING)

    def add(self, key: Key, message: str, *, value: str = "", write: str = "") -> None:
        """Note a problem, once. At most ``MAX_FINDINGS`` of a document are kept.

        Args:
            key: the place of the value that is wrong; its line is looked up.
            message: what is wrong; cut after 500 characters.
            value: the expression or value that it is about; cut after 200 characters.
            write: what to write instead.

        Raises:
            SandboxError: the check of the document has taken too long.
        """
        self.refused += 1
        self._note(Severity.PROBLEM, self._place(key), key, (message, value, write))

    def wait(self, key: Key, message: str, waits_for: str, *, value: str = "") -> None:
        """Note a problem that is none of the file: what it asks for is not there yet.

        Args:
            key: as for ``add``, and so are ``message`` and ``value``.
            message: what is missing.
            waits_for: the id of an action, or a word of the format such as ``each``.
            value: the expression that it is about.
        """
        self._note(Severity.PROBLEM, self._place(key), key, (message, value, ""), waits_for)

    def wait_if_reached(self, key: Key, message: str, waits_for: str) -> None:
        """Note that a part which a run may pass by is not there yet: at home, a run fails that comes to it. See ``wait``."""
        self._note(self.reading.severity, self._place(key), key, (message, "", ""), waits_for)

    def differ(self, key: Key, message: str, *, value: str = "", write: str = "") -> None:
        """Note what runs at home: a warning in documents of Backstage, a problem in ours. See ``add``."""
        self._note(self.reading.severity, self._place(key), key, (message, value, write))

    def differ_in_file(self, file: Path, line: int, key: Key, message: str, *, value: str = "") -> None:
        """Note something of that kind in another file than the template's own.

        Args:
            file: such as a skeleton's.
            line: in that file, from 1.
            key: where the template names it.
            message: what is wrong.
            value: the expression that it is about.
        """
        self._note(self.reading.severity, (file, line), key, (message, value, ""))

    def at(self, key: Key) -> JsonValue:
        """What the document has at a place; None where there is nothing."""
        return value_at(self._document.mapping, key)

    def read_as(self, key: Key, value: JsonValue) -> str:
        """Show a value as it is read: ``true``, and ``true (written yes)`` where YAML has made something else of it."""
        shown = json.dumps(value, ensure_ascii=False)
        spelled = self.spelled(key)
        return _cut(shown, _MAX_VALUE) + ("" if spelled in {None, shown} else f" (written {spelled})")

    def spelled(self, key: Key) -> str | None:
        """How a number, a truth value or null is written in the file; None for all else."""
        return self._document.spelled.get(key)

    def _place(self, key: Key) -> tuple[Path, int]:
        return self._document.file(key) or self._file, self._document.line(key)

    def _note(
        self, severity: Severity, place: tuple[Path, int], key: Key, said: tuple[str, str, str], waits_for: str = ""
    ) -> None:
        current_budget().check_time()
        file, line = place
        message, value, write = (
            _cut(text, most) for text, most in zip(said, (_MAX_MESSAGE, _MAX_VALUE, _MAX_VALUE), strict=True)
        )
        found = self._found[severity]
        if len(found) < MAX_FINDINGS:
            noted = TemplateFinding(str(file), line, written(key), message, severity=severity, value=value, write=write)
            found[replace(noted, waits_for=_cut(waits_for, _MAX_VALUE))] = None

    def _by_line(self, severity: Severity) -> tuple[TemplateFinding, ...]:
        own = str(self._file)
        return tuple(
            sorted(self._found[severity], key=lambda found: (found.file != own, found.file, found.line, found.key))
        )

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

        At home an entity has no other keys than its own, while nothing reads those of ``metadata`` and ``spec``.

        Args:
            parent: whose keys to look at.
            key: its own place in the document.
            known: the keys that it may have.
        """
        note = self.differ if key else self.add
        for name in parent.keys() - set(known):
            if near := get_close_matches(name, known, n=1, cutoff=0.8):
                note((*key, name), f"unknown key; did you mean {near[0]}?", value=name, write=near[0])


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
