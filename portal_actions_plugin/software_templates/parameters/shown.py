"""What a form shows to somebody who has answered some of it: the fields of the branches that the answers lead to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.parameters.inputs import validator
from portal_actions_plugin.software_templates.parameters.schemas import modern, resolve, whole

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.parameters.schemas import Schema

_MAX_DEPTH = 12
_CONDITIONS = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependentRequired",
                         "$ref", "$defs", "definitions", "properties", "required", "items", "prefixItems"})  # fmt: skip


def flat_pages(pages: Iterable[Schema], form: Schema, answers: Mapping[str, JsonValue]) -> tuple[Schema, ...]:
    """Work out each page's conditions, as ``Template.shown`` says.

    Args:
        pages: one JSON Schema object a page, as written; those that are shown.
        form: all of them as one schema.
        answers: by parameter, with the defaults.
    """
    flat = _Flat(form)
    return tuple(flat.of(modern(page), dict(answers)) for page in pages)


class _Flat:
    """Makes plain schemas of those with conditions."""

    def __init__(self, form: Schema) -> None:
        self._form = form
        self._root = validator(form)

    def of(self, given: object, answer: JsonValue, above: tuple[int, ...] = ()) -> dict[str, Any]:
        """The plain schema of a value.

        Args:
            given: its schema, with conditions.
            answer: the value so far.
            above: the schemas that it is inside of: what leads back to itself goes on as far as there are answers.
        """
        current_budget().check_time()
        schema = whole(self._form, given)
        if not isinstance(schema, Mapping):
            return {}
        own = id(resolve(self._form, given))
        if len(above) > _MAX_DEPTH or (answer is None and own in above):
            return {word: value for word, value in schema.items() if word not in _CONDITIONS}
        flat = self._at_one_place(schema, answer, 0)
        self._go_inside(flat, answer, (*above, own))
        if not flat["required"]:
            del flat["required"]
        return flat

    def _go_inside(self, flat: dict[str, Any], answer: JsonValue, above: tuple[int, ...]) -> None:
        answers = answer if isinstance(answer, dict) else {}
        if "properties" in flat:
            flat["properties"] = {
                name: self.of(part, answers.get(name), above) for name, part in flat["properties"].items()
            }
        if isinstance(flat.get("items"), Mapping):
            items = flat["items"]
            flat["items"] = self.of(items, None, above)
            if isinstance(answer, list) and "properties" in flat["items"]:
                flat["prefixItems"] = [self.of(items, one, above) for one in answer]

    def _at_one_place(self, schema: Schema, answer: JsonValue, depth: int) -> dict[str, Any]:
        """A schema joined with those of its conditions that judge the same value; what is inside is as written."""
        flat = {word: value for word, value in schema.items() if word not in _CONDITIONS or word == "items"}
        if _is_titled(schema):
            flat |= {word: schema[word] for word in ("oneOf", "anyOf") if word in schema}
        if isinstance(schema.get("properties"), Mapping):
            flat["properties"] = dict(schema["properties"])
        flat["required"] = list(schema.get("required", ()))
        if depth > _MAX_DEPTH:
            return flat
        for branch, deciders in self._applying(schema, answer):
            self._join(flat, self._at_one_place(branch, answer, depth + 1), deciders)
        return flat

    def _join(self, flat: dict[str, Any], more: Mapping[str, Any], deciders: Collection[str]) -> None:
        fields = flat.setdefault("properties", {}) if "properties" in more else {}
        for name, part in more.get("properties", {}).items():
            if part is False:
                fields.pop(name, None)  # the branch says that it must not be there
            elif name not in fields:
                fields[name] = part
            elif isinstance(part, Mapping) and name not in deciders:
                # What chose the branch keeps all its options, or nobody could choose another one.
                fields[name] = {**_mapping(whole(self._form, fields[name])), **_mapping(whole(self._form, part))}
        flat["required"] = list(dict.fromkeys([*flat["required"], *more["required"]]))
        for word, value in more.items():
            if word not in ("properties", "required"):
                flat.setdefault(word, value)

    def _applying(self, schema: Schema, answer: JsonValue) -> Iterator[tuple[Schema, Collection[str]]]:
        """The schemas beside a schema that count too, each with the fields that decided so."""
        answers = answer if isinstance(answer, dict) else {}
        for part in schema.get("allOf", ()):
            yield from self._resolved(part, ())
        if "if" in schema:
            branch = schema.get("then" if self._fits(schema["if"], answers) else "else", True)
            yield from self._resolved(branch, _named(schema["if"]))
        for name, needs in schema.get("dependentRequired", {}).items():
            if name in answers:
                yield {"required": needs}, ()
        for name, branch in schema.get("dependentSchemas", {}).items():
            if name in answers:
                yield from self._resolved(branch, (name,))
        for word in ("oneOf", "anyOf"):
            if word in schema and not _is_titled(schema):
                branches = [one for part in schema[word] for one, _ in self._resolved(part, ())]
                yield from self._chosen(branches, answers)

    def _chosen(
        self, branches: list[Schema], answers: Mapping[str, JsonValue]
    ) -> Iterator[tuple[Schema, Collection[str]]]:
        deciders = _deciders(branches)
        if deciders:
            yield {"properties": {name: _any_of(name, branches) for name in deciders}}, deciders
            for branch in branches:
                if all(name in answers and self._fits(branch["properties"][name], answers[name]) for name in deciders):
                    yield branch, deciders
                    return
        elif any("properties" in branch for branch in branches):
            # Nothing tells them apart before they are filled in: all may be, and the check says which fit.
            for branch in branches:
                yield {word: value for word, value in branch.items() if word != "required"}, ()
        else:
            # Such as a text or nothing: the first of them that is something.
            yield from [(branch, ()) for branch in branches if branch.get("type") != "null" and len(branch) > 0][:1]

    def _resolved(self, part: object, deciders: Collection[str]) -> Iterator[tuple[Schema, Collection[str]]]:
        schema = whole(self._form, part)
        if isinstance(schema, Mapping):
            yield schema, deciders

    def _fits(self, schema: object, answer: JsonValue) -> bool:
        return bool(self._root.evolve(schema=schema).is_valid(answer))


def _mapping(part: object) -> Mapping[str, Any]:
    return part if isinstance(part, Mapping) else {}


def _named(schema: object) -> frozenset[str]:
    """The fields that a condition looks at."""
    if not isinstance(schema, Mapping):
        return frozenset()
    parts = [part for word in ("allOf", "anyOf", "oneOf") for part in schema.get(word, ())]
    inner = [_named(part) for part in [*parts, schema.get("not")]]
    return frozenset(_mapping(schema.get("properties"))).union(*inner)


def _is_titled(schema: Schema) -> bool:
    """Whether the branches of a schema are only its options, each with a title: ``oneOf: [{const, title}]``."""
    parts = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
    return bool(parts) and all(isinstance(part, Mapping) and "const" in part for part in parts)


def _deciders(branches: list[Schema]) -> list[str]:
    """The fields by whose value branches tell themselves apart."""
    decided = [
        [name for name, part in _mapping(branch.get("properties")).items() if _values(part) is not None]
        for branch in branches
    ]
    return [name for name in decided[0] if all(name in names for names in decided)] if decided else []


def _values(part: object) -> list[Any] | None:
    if not isinstance(part, Mapping):
        return None
    return [part["const"]] if "const" in part else part.get("enum")


def _any_of(name: str, branches: list[Schema]) -> dict[str, Any]:
    """The field that chooses a branch, with the options of all."""
    first = {word: value for word, value in branches[0]["properties"][name].items() if word not in ("const", "enum")}
    options = [value for branch in branches for value in _values(branch["properties"][name]) or ()]
    unlike = [value for index, value in enumerate(options) if value not in options[:index]]
    return {**first, "enum": unlike}
