"""Reading the documents of a YAML file: each value knows its line, and no file can make us read for ever."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import yaml

from portal_actions_plugin.software_templates.expressions.limits import current_budget

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.places import Key

MAX_BYTES = 1_000_000
MAX_NODES = 50_000
"""Values of one file once its aliases are written out."""
MAX_CHARACTERS = 1_000_000
"""Characters of those values, and of their keys."""
MAX_KEY = 500
MAX_LEVELS = 40
_MAX_NUMBER = 100
_MAX_SPELLED = 100
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MERGE = "tag:yaml.org,2002:merge"
_NOT_JSON = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")

Scalar: TypeAlias = bool | int | float | str | None


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
    """

    data: JsonValue = None
    lines: dict[Key, int] = field(default_factory=dict)
    spelled: dict[Key, str] = field(default_factory=dict)
    problems: list[tuple[Key, str]] = field(default_factory=list)

    @property
    def mapping(self) -> Mapping[str, JsonValue]:
        """What it says when that is a mapping, else an empty one."""
        return self.data if isinstance(self.data, dict) else {}

    def line(self, key: Key) -> int:
        """The line of a value, or of the nearest one around it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


class _Loader(yaml.SafeLoader):
    """SafeLoader without dates: a date stays the text that it is in JSON. It counts while it reads."""

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
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

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


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NOT_JSON]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_documents(text: str) -> list[Document]:
    """Read every document of a YAML text.

    Raises:
        UnreadableError: with the line, for a syntax error or a text that is too large.
    """
    try:
        return list(_read(_Loader(text)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UnreadableError(mark.line + 1 if mark else 1, _said(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        raise UnreadableError(line, f"the character {error.character!r} is not allowed in YAML") from None
    except RecursionError:
        raise UnreadableError(1, f"it is nested deeper than {MAX_LEVELS} levels") from None


def _said(error: yaml.MarkedYAMLError) -> str:
    return " ".join(part for part in (error.context, error.problem) if part) or "it cannot be read"


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
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.value(item, (*key, index)) for index, item in enumerate(node.value)]
        scalar = self._scalar(node, key)
        if not isinstance(scalar, str) and isinstance(node, yaml.ScalarNode):
            self._document.spelled[key] = node.value[:_MAX_SPELLED]
        return scalar

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, JsonValue]:
        merged: dict[str, JsonValue] = {}
        own: dict[str, JsonValue] = {}
        for name_node, value_node in node.value:
            if name_node.tag == _MERGE:
                merged = {**self._merged(value_node, key), **merged}
                continue
            self._loader.write_out(len(name_node.value), name_node.start_mark.line + 1)
            name = self._scalar(name_node, key)
            if isinstance(name, str) and len(name) > MAX_KEY:
                self._document.problems.append((key, f"a key has at most {MAX_KEY} characters"))
                continue
            place = (*key, str(name))
            if not isinstance(name, str):
                self._document.problems.append((place, _not_a_text(name_node, name)))
            elif name in own:
                self._document.problems.append((place, "this key is there twice"))
            self._document.lines[place] = name_node.start_mark.line + 1
            own[str(name)] = self.value(value_node, place)
        return {**merged, **own}

    def _merged(self, node: yaml.Node, key: Key) -> dict[str, JsonValue]:
        merged: dict[str, JsonValue] = {}
        # Of several merged mappings the first one wins.
        for part in reversed(node.value if isinstance(node, yaml.SequenceNode) else [node]):
            value = self.value(part, key)
            if isinstance(value, dict):
                merged.update(value)
            else:
                self._document.problems.append((key, "<< takes a mapping"))
        return merged

    def _scalar(self, node: yaml.Node, key: Key) -> Scalar:
        try:
            value = self._loader.construct_object(node) if _is_readable(node) else node
            if isinstance(value, str):
                value.encode()
        except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            value = node  # whatever a tag says of a text that it does not fit
        if value is None or isinstance(value, str | bool | int):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value
        kind = node.tag.removeprefix("tag:yaml.org,2002:")[:100].encode(errors="replace").decode()
        self._document.problems.append((key, f"this is no JSON value ({kind})"))
        return None


def _not_a_text(node: yaml.ScalarNode, name: Scalar) -> str:
    spelled = node.value[:_MAX_SPELLED]
    return f'the key {spelled or "that is empty"} is read as {json.dumps(name)}, which is no text: write "{spelled}"'


def _is_readable(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and (node.tag not in _NUMBERS or len(node.value) <= _MAX_NUMBER)
