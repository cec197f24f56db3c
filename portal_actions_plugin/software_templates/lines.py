"""Reading YAML so that every value knows its line, and so that no file can make us read for ever."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portal_actions_plugin.software_templates.schemas import Key

MAX_BYTES = 1_000_000
MAX_NODES = 50_000
"""Values of one file once its aliases are written out."""
MAX_LEVELS = 40
_MERGE = "tag:yaml.org,2002:merge"
_NOT_JSON = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")


class UnreadableError(Exception):
    """The file is no YAML that can be read at all."""

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
        problems: what JSON cannot say, by place.
    """

    data: Any = None
    lines: dict[Key, int] = field(default_factory=dict)
    problems: list[tuple[Key, str]] = field(default_factory=list)

    def line(self, key: Key) -> int:
        """The line of a value, or of the nearest one around it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


class _Loader(yaml.SafeLoader):
    """SafeLoader without dates: a date stays the text that it is in JSON."""


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
        self._seen = 0

    def value(self, node: yaml.Node, key: Key) -> Any:
        line = node.start_mark.line + 1
        self._document.lines.setdefault(key, line)
        self._seen += 1
        if self._seen > MAX_NODES:
            raise UnreadableError(line, f"it has more than {MAX_NODES:,} values once its aliases are written out")
        if len(key) > MAX_LEVELS:
            raise UnreadableError(line, f"it is nested deeper than {MAX_LEVELS} levels, or an alias contains itself")
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.value(item, (*key, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, key)

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for name_node, value_node in node.value:
            if name_node.tag == _MERGE:
                merged = {**self._merged(value_node, key), **merged}
                continue
            name = self._scalar(name_node, key)
            place = (*key, str(name))
            if not isinstance(name, str):
                self._document.problems.append((place, f"the key {name!r} is no text: put it in quotes"))
            elif name in own:
                self._document.problems.append((place, "this key is there twice"))
            self._document.lines[place] = name_node.start_mark.line + 1
            own[str(name)] = self.value(value_node, place)
        return {**merged, **own}

    def _merged(self, node: yaml.Node, key: Key) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        # Of several merged mappings the first one wins.
        for part in reversed(node.value if isinstance(node, yaml.SequenceNode) else [node]):
            value = self.value(part, key)
            if isinstance(value, dict):
                merged.update(value)
            else:
                self._document.problems.append((key, "<< takes a mapping"))
        return merged

    def _scalar(self, node: yaml.Node, key: Key) -> Any:
        try:
            value = self._loader.construct_object(node) if isinstance(node, yaml.ScalarNode) else node
        except (yaml.YAMLError, ValueError):
            value = node
        json_value = value is None or isinstance(value, str | bool | int)
        if json_value or (isinstance(value, float) and math.isfinite(value)):
            return value
        self._document.problems.append((key, f"this is no JSON value ({node.tag.removeprefix('tag:yaml.org,2002:')})"))
        return None
