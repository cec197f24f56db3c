"""Data in files: JSON and YAML that is read, merged as lodash merges, and written as at home."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import yaml

from portal_actions_plugin.software_templates.expressions.limits import SandboxError, budget
from portal_actions_plugin.software_templates.yaml import core
from portal_actions_plugin.software_templates.yaml.documents import UnreadableError, read_documents

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

P = ParamSpec("P")

MAX_LEVELS = 100
_READ_SECONDS = 10.0
_WIDTH = 2**20


def read_json(text: str) -> JsonValue:
    """Read JSON; raises ValueError with what is wrong, as the end of a sentence."""
    try:
        value: JsonValue = json.loads(text, parse_constant=_no_constant)
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
            documents = read_documents(text)
    except UnreadableError as error:
        raise ValueError(f"line {error.line}: {error.message}") from None
    except SandboxError as error:
        raise ValueError(str(error).rstrip(".")) from None
    for document in documents:
        for key, message in document.problems:
            raise ValueError(f"line {document.line(key)}: {message}")
    return [document.data for document in documents]


def _not_too_deep(write: Callable[P, str]) -> Callable[P, str]:
    """Have a writer that calls itself for each level raise ValueError where there are too many."""

    @wraps(write)
    def bounded(*args: P.args, **kwargs: P.kwargs) -> str:
        try:
            return write(*args, **kwargs)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None

    return bounded


@_not_too_deep
def write_json(value: JsonValue, indent: int | str | None = 2) -> str:
    """Write JSON as JavaScript does: on one line without an indent; raises ValueError where it is nested too deeply."""
    if not indent:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(value, ensure_ascii=False, indent=indent)


class _Dumper(yaml.SafeDumper):
    """Writes lists a level deeper than their key, and quotes what YAML 1.1 or 1.2 would read as something else."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002 PyYAML's
        super().increase_indent(flow, False)  # noqa: FBT003

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 PyYAML's
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(core.STR, value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)
for _first, _patterns in core.resolvers().items():
    _Dumper.yaml_implicit_resolvers = {
        **_Dumper.yaml_implicit_resolvers,
        _first: [*_Dumper.yaml_implicit_resolvers.get(_first, []), *_patterns],
    }


@_not_too_deep
def write_yaml(value: JsonValue, indent: int = 2) -> str:
    """Write one YAML document, in block style and in the order of its keys.

    Args:
        value: what to write.
        indent: spaces a level, 2 to 9.

    Raises:
        ValueError: it is nested too deeply.
    """
    return yaml.dump(
        value,
        Dumper=_Dumper,
        allow_unicode=True,
        default_flow_style=False,
        sort_keys=False,
        width=_WIDTH,
        indent=min(max(indent, 2), 9),
    )


def merged(before: JsonValue, new: JsonValue, *, join_lists: bool, depth: int = 0) -> JsonValue:
    """Merge as lodash does: objects key by key, lists item by item, anything else is replaced.

    Args:
        before: what is there.
        new: what comes to it.
        join_lists: put lists one after the other instead, without what is there already.
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
    if isinstance(before, list) and isinstance(new, list):
        rest = before[len(new) :]
        both = zip(before, new, strict=False)
        return [
            *(merged(one, other, join_lists=join_lists, depth=depth + 1) for one, other in both),
            *new[len(before) :],
            *rest,
        ]
    return new


def _joined(before: list[Any], new: JsonValue) -> list[Any]:
    found: list[Any] = []
    seen: set[tuple[type, object]] = set()
    for item in [*before, *(new if isinstance(new, list) else [new])]:
        if not isinstance(item, list | dict):
            if (type(item), item) in seen:
                continue
            seen.add((type(item), item))
        found.append(item)
    return found


def only_keys(value: JsonValue, keys: frozenset[str]) -> JsonValue:
    """A value without the keys of objects, at every depth, that are not among these: JavaScript's list of a replacer."""
    if isinstance(value, Mapping):
        return {key: only_keys(part, keys) for key, part in value.items() if key in keys}
    return [only_keys(item, keys) for item in value] if isinstance(value, list) else value


READERS: Mapping[str, Callable[[str], JsonValue]] = {
    "json": read_json,
    "yaml": lambda text: next(iter(read_yaml(text)), None),
    "multiyaml": lambda text: list(read_yaml(text)),
}
"""By the name of the input ``parser``; each raises ValueError."""
