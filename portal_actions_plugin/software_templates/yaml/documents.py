"""Reading the documents of a YAML file: each value knows its line, and no file can make us read for ever."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.yaml import core
from portal_actions_plugin.software_templates.yaml.scanning import ScanningLoader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.places import Key

MAX_BYTES = 1_000_000
MAX_NODES = 50_000
"""Values of one file once its aliases are written out."""
MAX_CHARACTERS = 1_000_000
"""Characters of those values, and of their keys."""
MAX_KEY = 500
MAX_LEVELS = 40
_MAX_SPELLED = 100
_MERGE = "<<"
_YAML = "tag:yaml.org,2002:"
_SCALARS = (core.NULL, core.BOOL, core.INT, core.FLOAT, core.STR)


class UnreadableError(Exception):
    """The file is no YAML that can be read at all. ``line`` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(slots=True)
class Document:
    """One YAML document as JSON values.

    Attributes:
        data: what it says.
        lines: the line of each value, counted from 1, by its place.
        spelled: how each number, truth value and null is written, by its place.
        problems: what JSON cannot say, by place.
        cautions: what is read as something else than it looks like, by place.
        files: the file of each part that a placeholder brought in, by its place; its lines are that file's.
    """

    data: JsonValue = None
    lines: dict[Key, int] = field(default_factory=dict)
    spelled: dict[Key, str] = field(default_factory=dict)
    problems: list[tuple[Key, str]] = field(default_factory=list)
    cautions: list[tuple[Key, str]] = field(default_factory=list)
    files: dict[Key, Path] = field(default_factory=dict)

    @property
    def mapping(self) -> Mapping[str, JsonValue]:
        """What it says when that is a mapping, else an empty one."""
        return self.data if isinstance(self.data, dict) else {}

    def line(self, key: Key) -> int:
        """The line of a value, or of the nearest one around it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)

    def file(self, key: Key) -> Path | None:
        """The file that a value was brought in from; None for what the document says itself."""
        if not self.files:
            return None
        return next(
            (self.files[key[:length]] for length in range(len(key), -1, -1) if key[:length] in self.files), None
        )


class _Loader(ScanningLoader):
    """SafeLoader that reads YAML 1.2's core schema, where a date is a text. It counts while it reads."""

    yaml_implicit_resolvers = core.resolvers()

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.composed = 0
        self.written = 0
        self.characters = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Read one value, unless there were too many."""
        current_budget().check_time()
        self.composed += 1
        if self.composed > MAX_NODES:
            line = self.line + 1
            raise UnreadableError(line, f"it has more than {MAX_NODES:,} values")
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(event.anchor, None)  # YAML 1.2 lets an anchor's name be used again
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def scan_flow_scalar_non_spaces(self, double: bool, start_mark: object) -> list[str]:  # noqa: FBT001 PyYAML's
        """Read the characters and escapes of a text in quotes."""
        try:
            found: list[str] = super().scan_flow_scalar_non_spaces(double, start_mark)
        except (ValueError, OverflowError):
            raise UnreadableError(self.line + 1, "an escape names a character that does not exist") from None
        return found

    def write_out(self, characters: int, line: int) -> None:
        """Count a value and its characters as often as it is written out."""
        current_budget().check_time()
        self.written += 1
        self.characters += characters
        if self.written > MAX_NODES:
            raise UnreadableError(line, f"it has more than {MAX_NODES:,} values once its aliases are written out")
        if self.characters > MAX_CHARACTERS:
            message = f"it has more than {MAX_CHARACTERS:,} characters once its aliases are written out"
            raise UnreadableError(line, message)


def read_documents(text: str) -> list[Document]:
    """Read every document of a YAML text.

    Raises:
        UnreadableError: with the line, for a syntax error or a text that is too large.
    """
    return list(iter_documents(text))


def iter_documents(text: str) -> Iterator[Document]:
    """Read the documents of a YAML text one after the other: those before a syntax error come before it is raised.

    Raises:
        UnreadableError: as ``read_documents`` does.
    """
    try:
        yield from _read(_Loader(text if text.endswith("\n") else f"{text}\n"))  # a block text ends with its line
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UnreadableError(mark.line + 1 if mark else 1, _said(error, text, mark)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        raise UnreadableError(line, f"the character {error.character!r} is not allowed in YAML") from None
    except RecursionError:
        raise UnreadableError(1, f"it is nested deeper than {MAX_LEVELS} levels") from None


def with_merges(document: Document) -> Document:
    """The document with its merge keys written out, as YAML 1.1 has them: of several mappings the first one wins.

    Args:
        document: as ``read_documents`` gives it.
    """
    places = {place for place, _ in document.cautions if place[-1:] == (_MERGE,)}
    problems = list(document.problems)
    return Document(
        data=_merged(document.data, (), places, problems),
        lines=document.lines,
        spelled=document.spelled,
        problems=problems,
        cautions=[(place, message) for place, message in document.cautions if place not in places],
    )


def _merged(value: JsonValue, key: Key, places: Collection[Key], problems: list[tuple[Key, str]]) -> JsonValue:
    if isinstance(value, list):
        return [_merged(item, (*key, index), places, problems) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    parts = {name: _merged(item, (*key, name), places, problems) for name, item in value.items()}
    if (place := (*key, _MERGE)) not in places:
        return parts
    merged = parts.pop(_MERGE)
    merged_parts = merged if isinstance(merged, list) else [merged]
    if not all(isinstance(part, dict) for part in merged_parts):
        problems.append((place, "<< takes a mapping, or a list of mappings"))
    for part in merged_parts:
        parts = {**(part if isinstance(part, dict) else {}), **parts}
    return parts


def _said(error: yaml.MarkedYAMLError, text: str, mark: yaml.Mark | None) -> str:
    said = " ".join(part for part in (error.context, error.problem) if part) or "it cannot be read"
    line = text.splitlines()[mark.line : mark.line + 1] if mark else []
    # Braces within a mapping in braces are what people write: {message: hello ${{ parameters.name }}}
    return f"{said}; put the text that has {{{{ in quotes" if any("{{" in one for one in line) else said


def _read(loader: _Loader) -> Iterator[Document]:
    while loader.check_node():
        node = loader.get_node()
        document = Document()
        if node is not None:
            document.data = _Reader(loader, document).value(node, ())
        yield document


class _Reader:
    """Turns the nodes of one document into JSON values, and counts them."""

    def __init__(self, loader: _Loader, document: Document) -> None:
        self._loader = loader
        self._document = document

    def value(self, node: yaml.Node, key: Key) -> JsonValue:
        line = node.start_mark.line + 1
        self._document.lines.setdefault(key, line)
        self._loader.write_out(len(node.value) if isinstance(node, yaml.ScalarNode) else 0, line)
        if len(key) > MAX_LEVELS:
            raise UnreadableError(line, f"it is nested deeper than {MAX_LEVELS} levels, or an alias contains itself")
        if not node.tag.startswith(_YAML):
            self._caution(key, f"the tag {_tag(node)} means nothing here: take it away")
        if isinstance(node, yaml.MappingNode) and _is(node, core.MAP):
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode) and _is(node, core.SEQ):
            return [self.value(item, (*key, index)) for index, item in enumerate(node.value)]
        scalar = self._scalar(node, key)
        if not isinstance(scalar, str) and isinstance(node, yaml.ScalarNode):
            self._document.spelled[key] = node.value[:_MAX_SPELLED]
        return scalar

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, JsonValue]:
        found: dict[str, JsonValue] = {}
        for name_node, value_node in node.value:
            name = self._name(name_node, key)
            if name is None:
                continue
            place = (*key, name)
            if name in found:
                self._document.problems.append((place, "this key is there twice"))
            if name == _MERGE and isinstance(name_node, yaml.ScalarNode) and name_node.style is None:
                self._caution(place, "YAML 1.2 has no merge keys: << is a key like others. Write its content out")
            self._document.lines[place] = name_node.start_mark.line + 1
            found[name] = self.value(value_node, place)
        return found

    def _name(self, node: yaml.Node, key: Key) -> str | None:
        """A key as text; None when it cannot be one."""
        line = node.start_mark.line + 1
        try:
            name = core.key_text(node)
            self._loader.write_out(len(name), line)
            name.encode()
        except (ValueError, RecursionError):
            self._document.problems.append((key, "a key must be a text"))
            return None
        if len(name) > MAX_KEY:
            self._document.problems.append((key, f"a key has at most {MAX_KEY} characters"))
            return None
        if not isinstance(node, yaml.ScalarNode):
            place = (*key, name)
            self._document.lines[place] = line
            self._caution(place, f"braces without quotes are a mapping: {name!r} is a key here. Put the text in quotes")
        return name

    def _caution(self, key: Key, message: str) -> None:
        self._document.cautions.append((key, message))

    def _scalar(self, node: yaml.Node, key: Key) -> core.Scalar:
        if isinstance(node, yaml.ScalarNode) and _is(node, *_SCALARS):
            try:
                value = core.scalar(node)
                if isinstance(value, str):
                    value.encode()
                if not isinstance(value, float) or math.isfinite(value):
                    return value
            except (ValueError, OverflowError):
                pass  # what a tag says of a text that it does not fit, or half a character
        self._document.problems.append((key, f"this is no JSON value ({_tag(node)})"))
        return None


def _is(node: yaml.Node, *tags: str) -> bool:
    """Whether a node is of a kind that JSON has; one with a tag of somebody's own is what it looks like."""
    return node.tag in tags or not node.tag.startswith(_YAML)


def _tag(node: yaml.Node) -> str:
    return node.tag.removeprefix(_YAML)[:100].encode(errors="replace").decode()
