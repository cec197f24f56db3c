"""What a text that begins with an expression may become, as far as the template itself says it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.software_templates.parameters.schemas import declared, merge_pages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.parameters.schemas import Schema

_LEADING = re.compile(r"\s*\$\{\{(?P<source>(?:'[^']*'|\"[^\"]*\"|(?!\}\}).)*)\}\}", re.DOTALL)
_TEXT = re.compile(r"'([^'\\]*)'|\"([^\"\\]*)\"")
_PARAMETER = re.compile(r"\bparameters(?:\.(\w+)|\[\s*(?:'([^']+)'|\"([^\"]+)\")\s*\])")
_SAME_VALUE = ("oneOf", "anyOf", "allOf")
MAX_VALUES = 200
"""Values that are looked at; a form that offers more of them is not made for people."""


@dataclass(frozen=True, slots=True)
class Choices:
    """The values that a form offers.

    Attributes:
        pages: of the form, as they are written.
    """

    pages: Sequence[Schema] = ()

    def of(self, text: str) -> Iterator[str]:
        """Say what a text may become whose first part is an expression, such as ``${{ parameters.ci }}/files``.

        Args:
            text: unrendered.

        Yields:
            For each value that the expression may have, that value with the rest of the text, which may have expressions
            of its own. Beside the texts that stand in the expression, these are the ``enum``, ``const`` and ``default`` of
            the parameters that it names. What is not alone in its expression counts only where it begins with a dot.
        """
        found = _LEADING.match(text)
        if found is None:
            return
        source, rest = found["source"], text[found.end() :]
        named = ["".join(filter(None, groups)) for groups in _PARAMETER.findall(source)]
        is_alone = _PARAMETER.fullmatch(source.strip()) is not None
        quoted = ("".join(groups) for groups in _TEXT.findall(source))
        offered = (value for name in named for value in self._offered(name))
        kept = (value for value in (*quoted, *offered) if value and (is_alone or value.startswith(".")))
        for value in islice(dict.fromkeys(kept), MAX_VALUES):
            yield f"{value}{rest}"

    def items_of(self, each: JsonValue) -> Iterator[object]:
        """Say what a step may go through.

        Args:
            each: as the template has it: a list, an object, or an expression that is a parameter.

        Yields:
            The values of its items, as far as they have no expression; of a parameter, what its form offers.
        """
        if isinstance(each, str):
            source = each.strip().removeprefix("${{").removesuffix("}}").strip()
            found = _PARAMETER.fullmatch(source)
            each = list(self._items("".join(filter(None, found.groups())))) if found else []
        values = each.values() if isinstance(each, Mapping) else each if isinstance(each, list) else ()
        yield from islice(values, MAX_VALUES)

    def _items(self, name: str) -> Iterator[Any]:
        for schema in declared(merge_pages(self.pages, "")).get(name, ()):
            if isinstance(schema, Mapping):
                yield from _values(schema.get("items"))
                default = schema.get("default")
                yield from default if isinstance(default, list) else ()

    def _offered(self, name: str) -> Iterator[str]:
        schemas = declared(merge_pages(self.pages, "")).get(name, ())
        return (value for schema in schemas for value in _values(schema) if isinstance(value, str))


def _values(schema: object) -> Iterator[object]:
    """What a schema says that a value may be, or is when none is given."""
    if not isinstance(schema, Mapping):
        return
    offered = schema.get("enum")
    yield from offered if isinstance(offered, list) else ()
    yield from (schema[word] for word in ("const", "default") if word in schema)
    for word in _SAME_VALUE:
        parts = schema.get(word)
        for part in parts if isinstance(parts, list) else ():
            yield from _values(part)
