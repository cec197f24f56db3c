"""Which values belong to what is shown: those of a branch that the answers do not lead to are nobody's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.parameters.schemas import beside, is_secret, whole

if TYPE_CHECKING:
    from jsonschema.protocols import Validator as SchemaValidator

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.parameters.defaults import Defaults
    from portal_actions_plugin.software_templates.parameters.schemas import Schema
    from portal_actions_plugin.software_templates.places import Key

_MAX_DEPTH = 32
_MAX_ROUNDS = 10
"""How often an answer may lead to fields whose answers lead to more."""
_MAX_SAID = 3
_MAX_REMEMBERED = 1_000
_CHOICES = ("oneOf", "anyOf")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of somebody's values.

    Attributes:
        values: without those of branches that are not shown.
        gone: the place of each that is gone, and why it is not asked for.
    """

    values: dict[str, JsonValue]
    gone: list[tuple[Key, str]]


class Branches:
    """What the conditions of a form ask for. Threads may share it."""

    def __init__(self, form: Schema, root: SchemaValidator) -> None:
        """Take the whole form, and what tells which of its conditions hold."""
        self.form = form
        self._root = root
        self._optional: dict[tuple[int, ...], frozenset[str]] = {}

    def keep(self, values: dict[str, JsonValue], defaults: Defaults) -> Kept:
        """Leave out what no branch that applies asks for; what no branch knows at all stays.

        Args:
            values: by field; they are not changed.
            defaults: which count as answers.
        """
        keeping = _Keeping(self, defaults)
        return Kept(keeping.of_object([self.form], values, ()), keeping.gone)

    def optional(self, given: Sequence[object]) -> frozenset[str]:
        """The fields that only a condition asks for; ``given`` are schemas of one object."""
        key = tuple(map(id, given))  # all of them are parts of the form, which lives as long as this
        remembered = self._optional.get(key)
        if remembered is None:
            known = _names(found for one in given for found in self.everything(one, set()))
            remembered = frozenset(known - _names(found for one in given for found in self._always(one, 0)))
            if len(self._optional) > _MAX_REMEMBERED:
                self._optional.clear()
            self._optional[key] = remembered
        return remembered

    def _always(self, given: object, depth: int) -> Iterator[Schema]:
        current_budget().check_time()
        schema = whole(self.form, given)
        if isinstance(schema, Mapping) and depth <= _MAX_DEPTH:
            yield schema
            for part in schema.get("allOf", ()):
                yield from self._always(part, depth + 1)

    def everything(self, given: object, seen: set[int]) -> Iterator[Schema]:
        """A schema, and all that may judge the same value."""
        schema = whole(self.form, given)
        if not isinstance(schema, Mapping) or id(given) in seen:
            return
        seen.add(id(given))
        yield schema
        for part in beside(schema):
            yield from self.everything(part, seen)

    def applying(self, given: object, value: JsonValue, depth: int = 0) -> Iterator[Schema]:
        """A schema, and those of its conditions that do judge the same value."""
        current_budget().check_time()
        schema = whole(self.form, given)
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
            return
        yield schema
        names = value.keys() if isinstance(value, dict) else ()
        parts = list(schema.get("allOf", ()))
        if "if" in schema:
            parts += [schema["if"], schema.get("then")] if self._fits(schema["if"], value) else [schema.get("else")]
        parts += [part for name, part in schema.get("dependentSchemas", {}).items() if name in names]
        for word in _CHOICES:
            parts += self._chosen(schema.get(word, ()), value)
        for part in parts:
            yield from self.applying(part, value, depth + 1)

    def _chosen(self, branches: Sequence[object], value: JsonValue) -> list[object]:
        """The branches that a value fits; where it fits none yet, those that it would by what tells them apart."""
        fitting = [branch for branch in branches if self._fits(branch, value)]
        told = [(branch, _deciders(whole(self.form, branch))) for branch in branches]
        if fitting or not isinstance(value, dict) or not all(deciders for _, deciders in told):
            return fitting or list(branches)
        meant = [
            branch
            for branch, deciders in told
            if all(name in value and self._fits(part, value[name]) for name, part in deciders.items())
        ]
        # What tells them apart is asked for in any case.
        return [*meant, *({"properties": deciders} for _, deciders in told)]

    def _fits(self, schema: object, value: JsonValue) -> bool:
        return bool(self._root.evolve(schema=schema).is_valid(value))

    def why(self, given: Sequence[object], name: str, shown: Mapping[str, JsonValue]) -> str:
        """When a field is unknown, in the author's own words: no other value is repeated.

        Args:
            given: the schemas of the object that the field is in.
            name: of the field.
            shown: the object's values that are asked for.
        """
        deciding = dict.fromkeys(one for schema in given for one in self._deciding(schema, name, 0) if one != name)
        said = [self._said(given, one, shown) for one in list(deciding)[:_MAX_SAID]]
        return f"is unknown when {' and '.join(said)}" if said else "is unknown with these answers"

    def _said(self, given: Sequence[object], name: str, shown: Mapping[str, JsonValue]) -> str:
        if name not in shown:
            return f"{name} is not given"
        declared = _parts([found for one in given for found in self.everything(one, set())], name)
        parts = [part for one in declared if isinstance(part := whole(self.form, one), Mapping)]
        options = [option for part in parts for option in (*part.get("enum", ()), *_const(part))]
        value = shown[name]
        if any(map(is_secret, parts)) or not (isinstance(value, bool) or value in options):
            return f"{name} is what it is"
        return f"{name} is {str(value) if isinstance(value, str) else str(value).lower()}"

    def _deciding(self, given: object, name: str, depth: int) -> Iterator[str]:
        """The fields by which it is decided whether a field is asked for."""
        current_budget().check_time()
        schema = whole(self.form, given)
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH or name not in _names(self.everything(given, set())):
            return
        for key, part in schema.get("dependentSchemas", {}).items():
            if name in _names(self.everything(part, set())):
                yield key
                yield from self._deciding(part, name, depth + 1)
        then = [schema[word] for word in ("then", "else") if word in schema]
        if any(name in _names(self.everything(part, set())) for part in then):
            yield from sorted(_names(self.everything(schema.get("if"), set())))
        choices = [part for word in _CHOICES for part in schema.get(word, ())]
        for part in choices:
            if name in _names(self.everything(part, set())):
                yield from _deciders(whole(self.form, part))
        for part in (*schema.get("allOf", ()), *then, *choices):
            yield from self._deciding(part, name, depth + 1)


@dataclass(slots=True)
class _Keeping:
    """Goes through somebody's values once, and notes what it leaves out."""

    branches: Branches
    defaults: Defaults
    gone: list[tuple[Key, str]] = field(default_factory=list)

    def of_object(self, given: Sequence[object], value: dict[str, JsonValue], place: Key) -> dict[str, JsonValue]:
        optional = self.branches.optional(given)
        shown = self._shown(given, value, place) if optional & value.keys() else value
        if gone := value.keys() - shown.keys():
            filled = self._filled(given, shown, place)
            self.gone += [((*place, name), self.branches.why(given, name, filled)) for name in sorted(gone)]
        if not any(isinstance(part, dict | list) for part in shown.values()):
            return dict(shown)
        applying = self._applying(given, shown, place)
        return {name: self._inside(_parts(applying, name), part, (*place, name)) for name, part in shown.items()}

    def _inside(self, given: Sequence[object], value: JsonValue, place: Key) -> JsonValue:
        current_budget().check_time()
        schemas = [found for one in given if isinstance(found := whole(self.branches.form, one), Mapping)]
        if not schemas or len(place) > _MAX_DEPTH:
            return value
        if isinstance(value, list):
            return [self._inside(_items(schemas, index), item, (*place, index)) for index, item in enumerate(value)]
        return self.of_object(given, value, place) if isinstance(value, dict) else value

    def _shown(self, given: Sequence[object], value: dict[str, JsonValue], place: Key) -> dict[str, JsonValue]:
        """The values whose fields would be shown one after the other, as somebody fills in the form."""
        optional = self.branches.optional(given)
        shown = {name: part for name, part in value.items() if name not in optional}
        for _ in range(_MAX_ROUNDS):
            asked = _names(self._applying(given, shown, place))
            again = {name: part for name, part in value.items() if name not in optional or name in asked}
            if again.keys() == shown.keys():
                break
            shown = again
        return shown

    def _applying(self, given: Sequence[object], value: dict[str, JsonValue], place: Key) -> list[Schema]:
        filled = self._filled(given, value, place)
        return [found for schema in given for found in self.branches.applying(schema, filled)]

    def _filled(self, given: Sequence[object], value: dict[str, JsonValue], place: Key) -> dict[str, JsonValue]:
        for schema in given:
            value = self.defaults.fill(schema, value, place)
        return value


def _names(schemas: Iterable[Schema]) -> set[str]:
    return {name for schema in schemas for name in _mapping(schema.get("properties"))}


def _parts(schemas: Sequence[Schema], name: str) -> list[object]:
    return [found[name] for schema in schemas if name in (found := _mapping(schema.get("properties")))]


def _items(schemas: Sequence[Schema], index: int) -> list[object]:
    """The schemas of one item of a list."""
    first = [schema.get("prefixItems", ()) for schema in schemas]
    return [
        items[index] if index < len(items) else schema.get("items")
        for schema, items in zip(schemas, first, strict=True)
    ]


def _deciders(branch: object) -> Mapping[str, Any]:
    """The fields of a branch that tell it apart from others: those with a value of their own."""
    properties = _mapping(branch.get("properties")) if isinstance(branch, Mapping) else {}
    return {
        name: part for name, part in properties.items() if isinstance(part, Mapping) and {"const", "enum"} & part.keys()
    }


def _const(part: Schema) -> list[Any]:
    return [part["const"]] if "const" in part else []


def _mapping(part: object) -> Mapping[str, Any]:
    return part if isinstance(part, Mapping) else {}
