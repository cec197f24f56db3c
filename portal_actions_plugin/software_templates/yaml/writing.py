"""Writing JSON and YAML as Backstage's actions do: numbers as JavaScript has them, texts that every reader takes for texts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec

import yaml

from portal_actions_plugin.software_templates.yaml import core

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

P = ParamSpec("P")

_WIDTH = 2**20
_SAFE = 2**53
_END = "...\n"
"""What PyYAML writes on a line of its own after a text that is the whole document."""
_BREAKS = re.compile("[\x85\u2028\u2029]")
"""What YAML 1.1 takes for the end of a line and 1.2 for a sign like others."""


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
    """A value with 1 for 1.0, and null for what is no number: JavaScript has one kind of them."""
    if isinstance(value, Mapping):
        return {key: _as_javascript(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_as_javascript(item) for item in value]
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < _SAFE else value


@dataclass(frozen=True, slots=True)
class YamlStyle:
    """How YAML is written.

    Attributes:
        indent: spaces a level, 2 to 9.
        indents_lists: whether lists stand a level deeper than their key.
        single_quotes: whether texts that need quotes have single ones where that can be.
        width: of a line, in which a longer text is folded that has no double quotes; 0 folds none.
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

    def write_double_quoted(self, text: str, split: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002 PyYAML's
        """Fold none of these: PyYAML writes a backslash too much where it folds between several spaces."""
        super().write_double_quoted(text, split=False)


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
    return text.removesuffix(_END) if text.endswith(f"\n{_END}") else text
