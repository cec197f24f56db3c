"""Placeholders of a document, such as ``{$yaml: ./common.yaml}``: the content of a file that lies beside it takes their place."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NoReturn

from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.sources.files import (
    FileError,
    Named,
    file_stamp,
    find,
    named_path,
    read,
)
from portal_actions_plugin.software_templates.yaml.documents import (
    MAX_BYTES,
    MAX_CHARACTERS,
    MAX_LEVELS,
    MAX_NODES,
    Document,
    UnreadableError,
    read_documents,
    with_merges,
)

if TYPE_CHECKING:
    from pathlib import Path

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.places import Key
    from portal_actions_plugin.software_templates.skeletons.files import Signature

_TEXTS = ("$text", "$openapi", "$asyncapi")
WORDS = ("$yaml", "$json", *_TEXTS)
MAX_PLACEHOLDERS = 100
"""Placeholders of one document."""


class _ContentError(Exception):
    """What a placeholder names holds nothing that can take its place."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def fill(document: Document, file: Path, root: Path, *, merges: bool) -> tuple[Document, Mapping[Path, Signature]]:
    """Put the content of files in the place of a document's placeholders.

    A mapping with one key is one when the key is of ``WORDS``. As at home, nothing is looked at below a mapping that
    has another key with a ``$``, nor within what was put in.

    Args:
        document: as its file says it; its lists of lines and problems are added to.
        file: the document's; paths are relative to it, or begin with a slash.
        root: the template folder that it is in. No placeholder leads out of it.
        merges: whether ``<<`` is written out, as in the document itself.

    Returns:
        The document with all of it, and the stamps of the files that it names.
    """
    filling = _Filling(document, file, root, merges=merges)
    document.data = filling.part(document.data, ())
    return document, filling.stamps


class _Filling:
    """The placeholders of one document, and how much they have brought in so far."""

    def __init__(self, document: Document, file: Path, root: Path, *, merges: bool) -> None:
        self._document = document
        self._file = file
        self._root = root
        self._merges = merges
        self._number = 0
        self._values = 0
        self._characters = 0
        self._known: dict[tuple[str, Path], Document] = {}
        self.stamps: dict[Path, Signature] = {}

    def part(self, value: JsonValue, key: Key) -> JsonValue:
        current_budget().check_time()
        if isinstance(value, list):
            return [self.part(item, (*key, index)) for index, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if not any(name.startswith("$") for name in value):
            return {name: self.part(item, (*key, name)) for name, item in value.items()}
        if len(value) == 1:
            ((word, given),) = value.items()
            return self._filled(word, given, key, value) if word in WORDS else value
        for word in (word for word in WORDS if isinstance(value.get(word), str)):
            self._caution((*key, word), f"{word} stands beside other keys, and stays as it is: only alone it is read")
        return value

    def _filled(self, word: str, given: JsonValue, key: Key, value: JsonValue) -> JsonValue:
        self._number += 1
        place = (*key, word)
        if not isinstance(given, str):
            self._problem(place, f"{word} takes the path of a file, as a text")
            return value
        if self._number > MAX_PLACEHOLDERS:
            self._problem(place, f"a document has at most {MAX_PLACEHOLDERS} placeholders")
            return value
        try:
            path = named_path(given, self._file, self._root)
            self.stamps[path] = file_stamp(path)
            named = find(given, self._file, self._root)
            content = self._content(word, named)
        except FileError as error:
            self._problem(place, f"{word}: {error}")
            return value
        except _ContentError as error:
            self._document.files[place], self._document.lines[place] = path, error.line
            self._problem(place, f"{word}: {error}")
            return value
        if not self._fits(content.data, key):
            self._problem(place, f"{word}: with {given} the document has too many values, characters or levels")
            return value
        self._put(content, path, key)
        return content.data

    def _content(self, word: str, named: Named) -> Document:
        kind = "$text" if word in _TEXTS else word
        if (kind, named.path) not in self._known:
            try:
                text = read(named, MAX_BYTES).decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise FileError(f"{named.shown.name} is no UTF-8 text: {error.reason}") from None
            self._known[kind, named.path] = self._read(kind, text)
        return self._known[kind, named.path]

    def _read(self, kind: str, text: str) -> Document:
        if kind == "$text":
            return Document(text, {(): 1})
        if kind == "$json":
            return _json(text)
        try:
            documents = read_documents(text)
        except UnreadableError as error:
            raise _ContentError(error.line, error.message) from None
        if len(documents) != 1:
            raise _ContentError(1, f"this must be one YAML document, and is {len(documents)}")
        return with_merges(documents[0]) if self._merges else documents[0]

    def _fits(self, data: JsonValue, key: Key) -> bool:
        waiting: list[tuple[JsonValue, int]] = [(data, len(key))]
        while waiting:
            current_budget().check_time()
            value, depth = waiting.pop()
            self._values += 1
            if isinstance(value, str):
                self._characters += len(value)
            elif isinstance(value, Mapping):
                self._characters += sum(map(len, value))
                waiting.extend((part, depth + 1) for part in value.values())
            elif isinstance(value, list):
                waiting.extend((part, depth + 1) for part in value)
            if depth > MAX_LEVELS or self._values > MAX_NODES or self._characters > MAX_CHARACTERS:
                return False
        return True

    def _put(self, content: Document, path: Path, key: Key) -> None:
        """Let what is found in the content be told with its own file and line."""
        document = self._document
        document.files[key] = path
        document.lines.update(((*key, *inner), line) for inner, line in content.lines.items())
        document.spelled.update(((*key, *inner), spelled) for inner, spelled in content.spelled.items())
        document.problems.extend(((*key, *inner), message) for inner, message in content.problems)
        document.cautions.extend(((*key, *inner), message) for inner, message in content.cautions)
        if nested := next(_words_in(content.data), None):
            self._caution(key, f"{nested} within a file that a placeholder names is not read, and stays as it is")

    def _problem(self, key: Key, message: str) -> None:
        self._document.problems.append((key, message))

    def _caution(self, key: Key, message: str) -> None:
        self._document.cautions.append((key, message))


def _words_in(value: JsonValue) -> Iterator[str]:
    """The placeholders within a value, at every depth; it is known to be no deeper than a document."""
    if isinstance(value, dict):
        yield from (word for word in WORDS if len(value) == 1 and isinstance(value.get(word), str))
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _words_in(part)


def _json(text: str) -> Document:
    """A JSON text. Its lines are YAML's, where that can read it as well."""
    try:
        data: JsonValue = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        json.dumps(data, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise _ContentError(error.lineno, f"this is no JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        message = (
            "it is nested too deeply" if isinstance(error, RecursionError) else "it holds a value that none may have"
        )
        raise _ContentError(1, f"this is no JSON that can be used: {message}") from None
    try:
        (document,) = read_documents(text)
    except (UnreadableError, ValueError):
        return Document(data, {(): 1})
    return Document(data, document.lines)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(digits[:20])
    return value
