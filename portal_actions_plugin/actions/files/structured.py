"""Data in files: JSON and YAML that is read, and merged as Roadie merges it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.software_templates.expressions.limits import SandboxError, budget
from portal_actions_plugin.software_templates.yaml.documents import UnreadableError, read_documents

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

MAX_LEVELS = 100
_READ_SECONDS = 10.0
_BYTE_ORDER = "\ufeff"


def read_json(text: str) -> JsonValue:
    """Read JSON; raises ValueError with what is wrong, as the end of a sentence."""
    try:
        value: JsonValue = json.loads(text.removeprefix(_BYTE_ORDER), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON, or nested too deeply") from None
    return value


def _no_constant(name: str) -> JsonValue:
    raise ValueError(name)


def read_yaml(text: str) -> list[JsonValue]:
    """Read each document of a YAML text; raises ValueError with what is wrong, as the end of a sentence."""
    try:
        with budget(seconds=_READ_SECONDS):
            documents = read_documents(text.removeprefix(_BYTE_ORDER))
    except UnreadableError as error:
        raise ValueError(f"line {error.line}: {error.message}") from None
    except SandboxError as error:
        raise ValueError(str(error).rstrip(".")) from None
    for document in documents:
        for key, message in document.problems:
            raise ValueError(f"line {document.line(key)}: {message}")
    return [document.data for document in documents]


def put_into(document: JsonValue, new: JsonValue, *, join_lists: bool) -> JsonValue:
    """Merge data into a document of a file.

    Args:
        document: as it stands in the file.
        new: what comes to it.
        join_lists: as ``merged`` takes it.

    Returns:
        Both; of two lists the items one by one. The document itself where the two are of different kinds.

    Raises:
        ValueError: it is nested too deeply.
    """
    if document is None:
        return new
    if isinstance(document, list) and isinstance(new, list):
        both = zip(document, new, strict=False)
        items = [merged(one, other, join_lists=join_lists) for one, other in both]
        return [*items, *document[len(new) :], *new[len(document) :]]
    if isinstance(document, Mapping) and isinstance(new, Mapping):
        return merged(document, new, join_lists=join_lists)
    return document


def merged(before: JsonValue, new: JsonValue, *, join_lists: bool, depth: int = 0) -> JsonValue:
    """Merge as Roadie does: objects key by key, anything else is replaced.

    Args:
        before: what is there.
        new: what comes to it.
        join_lists: put lists one after the other, without what is there already.
        depth: how deep it is.

    Raises:
        ValueError: it is nested too deeply.
    """
    if depth > MAX_LEVELS:
        raise ValueError(f"it is nested deeper than {MAX_LEVELS} levels")
    if join_lists and isinstance(before, list):
        return _joined(before, new)
    if isinstance(before, Mapping) and isinstance(new, Mapping):
        found = dict(before)
        for key, value in new.items():
            found[key] = merged(found.get(key), value, join_lists=join_lists, depth=depth + 1)
        return found
    return new


def _joined(before: list[Any], new: JsonValue) -> list[Any]:
    found: list[Any] = []
    seen: set[tuple[bool, object]] = set()
    for item in [*before, *(new if isinstance(new, list) else [new])]:
        if not isinstance(item, list | dict):
            kind = isinstance(item, bool), item  # Python's True is 1
            if kind in seen:
                continue
            seen.add(kind)
        found.append(item)
    return found


def only_keys(value: JsonValue, keys: frozenset[str]) -> JsonValue:
    """A value without the keys of objects, at every depth, that are not among these: JavaScript's list of a replacer."""
    if isinstance(value, Mapping):
        return {key: only_keys(part, keys) for key, part in value.items() if key in keys}
    return [only_keys(item, keys) for item in value] if isinstance(value, list) else value


def _one_document(text: str) -> JsonValue:
    found = read_yaml(text)
    if len(found) > 1:
        raise ValueError("it has several documents, which are for the parser multiyaml")
    return found[0] if found else None


READERS: Mapping[str, Callable[[str], JsonValue]] = {
    "json": read_json,
    "yaml": _one_document,
    "multiyaml": lambda text: list(read_yaml(text)),
}
"""By the name of the input ``parser``; each raises ValueError."""
