"""Data in files: JSON and YAML that is read, merged as lodash merges, and written as at home."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
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
_BYTE_ORDER = "\ufeff"
_SAFE = 2**53
_BREAKS = re.compile("[\x85\u2028\u2029]")
"""What YAML 1.1 takes for the end of a line and 1.2 for a sign like others."""


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
    numbers = _as_javascript(value)
    if not indent:
        return json.dumps(numbers, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(numbers, ensure_ascii=False, indent=indent)


def _as_javascript(value: JsonValue) -> JsonValue:
    """A value with 1 for 1.0: JavaScript has one kind of numbers."""
    if isinstance(value, Mapping):
        return {key: _as_javascript(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_as_javascript(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _SAFE else value


@dataclass(frozen=True, slots=True)
class YamlStyle:
    """How YAML is written.

    Attributes:
        indent: spaces a level, 2 to 9.
        indents_lists: whether lists stand a level deeper than their key.
        single_quotes: whether texts that need quotes have single ones where that can be.
        width: of a line, in which a longer text is folded; 0 folds none.
    """

    indent: int = 2
    indents_lists: bool = True
    single_quotes: bool = False
    width: int = 0


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would read as something else."""

    def __init__(self, *arguments: Any, style: YamlStyle, **options: Any) -> None:
        width = style.width if style.width > 0 else _WIDTH
        super().__init__(*arguments, **{**options, "indent": min(max(style.indent, 2), 9), "width": width})
        self._style = style

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 PyYAML's
        super().increase_indent(flow, indentless and not self._style.indents_lists)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 PyYAML's
        return True

    def choose_scalar_style(self) -> str:
        style: str = super().choose_scalar_style()
        if style != "'":
            return style
        return style if self._style.single_quotes and not _BREAKS.search(getattr(self.event, "value", "")) else '"'


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None if "\n" not in value else '"' if _BREAKS.search(value) else "|"
    return dumper.represent_scalar(core.STR, value, style=style)


_Dumper.add_representer(str, _text)
for _first, _patterns in core.resolvers().items():
    _Dumper.yaml_implicit_resolvers = {
        **_Dumper.yaml_implicit_resolvers,
        _first: [*_Dumper.yaml_implicit_resolvers.get(_first, []), *_patterns],
    }


@_not_too_deep
def write_yaml(value: JsonValue, style: YamlStyle = YamlStyle()) -> str:
    """Write one YAML document, in block style and in the order of its keys; raises ValueError where it is nested too deeply."""
    dumper: Any = partial(_Dumper, style=style)
    text = yaml.dump(
        _as_javascript(value), Dumper=dumper, allow_unicode=True, default_flow_style=False, sort_keys=False
    )
    return text.removesuffix("...\n")


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
