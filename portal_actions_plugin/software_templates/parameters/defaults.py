"""Filling in the defaults of a form's fields, but for those that somebody saw and left empty."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, overload

from portal_actions_plugin.software_templates.expressions.limits import current_budget, measured
from portal_actions_plugin.software_templates.parameters.schemas import resolve

if TYPE_CHECKING:
    from jsonschema.protocols import Validator as SchemaValidator

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.parameters.schemas import Schema
    from portal_actions_plugin.software_templates.places import Key

_MAX_DEPTH = 32


class Defaults:
    """Fills in defaults, also those of nested objects and of the conditions that apply.

    Attributes:
        added: the places that were filled in.
    """

    def __init__(self, root: SchemaValidator, document: Schema, left_empty: Collection[Key]) -> None:
        """Take what tells which conditions apply, the whole form, and the places that stay empty."""
        self._root = root
        self._document = document
        self._left_empty = left_empty
        self.added: list[Key] = []

    @overload
    def fill(self, given: object, value: dict[str, JsonValue], place: Key = ()) -> dict[str, JsonValue]: ...
    @overload
    def fill(self, given: object, value: JsonValue, place: Key = ()) -> JsonValue: ...
    def fill(self, given: object, value: JsonValue, place: Key = ()) -> JsonValue:
        """Copy a value with the defaults of its schema, which is ``given``; ``place`` is where the value lies."""
        return self._fill(given, value, place, 0)

    @overload
    def _fill(self, given: object, value: dict[str, JsonValue], place: Key, depth: int) -> dict[str, JsonValue]: ...
    @overload
    def _fill(self, given: object, value: JsonValue, place: Key, depth: int) -> JsonValue: ...
    def _fill(self, given: object, value: JsonValue, place: Key, depth: int) -> JsonValue:
        current_budget().check_time()
        schema = resolve(self._document, given)
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
            return value
        if isinstance(value, list) and "items" in schema:
            return [self._fill(schema["items"], item, (*place, index), depth + 1) for index, item in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        filled = dict(value)
        for name, part in schema.get("properties", {}).items():
            if name in filled:
                filled[name] = self._fill(part, filled[name], (*place, name), depth + 1)
            else:
                filled.update(self._absent(name, part, (*place, name), depth + 1))
        for branch in self._applying(schema, filled):
            filled = self._fill(branch, filled, place, depth + 1)
        return filled

    def _absent(self, name: str, part: object, place: Key, depth: int) -> dict[str, JsonValue]:
        whole = resolve(self._document, part)
        if not isinstance(whole, Mapping) or place in self._left_empty:
            return {}
        if "default" in whole:
            self.added.append(place)
            return {name: self._fill(whole, deepcopy(measured(whole["default"])), place, depth)}
        if "properties" not in whole or whole is not part:  # a $ref may lead back to itself
            return {}
        made = self._fill(whole, {}, place, depth)
        # An optional object whose own required fields are still open stays away: the user did not ask for it.
        return {name: made} if made and set(whole.get("required", ())) <= made.keys() else {}

    def _applying(self, schema: Schema, data: Mapping[str, JsonValue]) -> Iterator[object]:
        yield from schema.get("allOf", ())
        if "if" in schema:
            yield schema.get("then" if self._fits(schema["if"], data) else "else", True)
        for name, branch in schema.get("dependentSchemas", {}).items():
            if name in data:
                yield branch
        for word in ("oneOf", "anyOf"):
            yield from [branch for branch in schema.get(word, ()) if self._chosen(branch, data)][:1]

    def _chosen(self, branch: object, data: Mapping[str, JsonValue]) -> bool:
        """A form's branches tell themselves apart by a field that is answered already."""
        properties = branch.get("properties", {}) if isinstance(branch, Mapping) else {}
        return bool(properties.keys() & data.keys()) and self._fits({"properties": properties}, data)

    def _fits(self, schema: object, data: Mapping[str, JsonValue]) -> bool:
        return bool(self._root.evolve(schema=schema).is_valid(data))
