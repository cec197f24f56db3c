"""The JSON Schema of a template's parameters: its pages as one schema, and what that schema declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from portal_actions_plugin.software_templates.places import Key

Schema = Mapping[str, Any]
"""A JSON Schema by its words. Each word has a type of its own, which only JSON Schema's own schema can check."""

PAGE_WORDS = frozenset({"when", "backstage:permissions"})
"""What is said of a page, and is no part of its JSON Schema."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames",
        "unevaluatedProperties", "unevaluatedItems")  # fmt: skip
_MANY = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_NAMED = ("properties", "patternProperties", "definitions", "$defs", "dependentSchemas", "dependencies")
_CHOICES = ("oneOf", "anyOf", "not")
_SAME_PLACE = ("allOf", "anyOf", "oneOf")
# How many parts of a place each word takes up: `allOf[0]`, `then`, `dependencies.name`.
_CONDITIONS = {
    "allOf": 2,
    "anyOf": 2,
    "oneOf": 2,
    "if": 1,
    "then": 1,
    "else": 1,
    "dependencies": 2,
    "dependentSchemas": 2,
}


def merge_pages(pages: Sequence[Schema], title: str) -> dict[str, Any]:
    """Make one JSON Schema of all pages, in the 2020-12 dialect.

    Draft 7's ``dependencies`` and lists of ``items``, which portals' forms use, become their 2020-12 words. An unknown
    field is refused unless a page says otherwise.

    Args:
        pages: one JSON Schema object a page, as the template has them.
        title: of the whole, where it is not one page that has a title of its own.
    """
    merged: dict[str, Any] = {"$schema": DIALECT, "title": title, "type": "object", "properties": {}, "required": []}
    conditions: list[Any] = []
    for page in pages:
        conditions.extend(_add_page(merged, modern(page)))
    if len(pages) == 1 and "title" in pages[0]:
        merged["title"] = pages[0]["title"]
    if conditions:
        merged["allOf"] = conditions
    if "additionalProperties" not in merged:
        # A field that only a condition declares is unknown to additionalProperties, which looks at its own place only.
        conditional = declared(merged).keys() - merged["properties"].keys()
        merged["unevaluatedProperties" if conditional else "additionalProperties"] = False
    return merged


def _add_page(merged: dict[str, Any], page: dict[str, Any]) -> list[Any]:
    """Merge a page, and return what it demands beyond its own properties."""
    conditions = list(page.pop("allOf", []))
    conditions.extend({word: page.pop(word)} for word in _CHOICES if word in page)
    if "if" in page:
        conditions.append({word: page.pop(word) for word in ("if", "then", "else") if word in page})
    for word, value in page.items():
        if word == "properties":
            conditions.extend(_add_properties(merged[word], value))
        elif word == "required":
            merged[word] = list(dict.fromkeys([*merged[word], *value]))
        elif word == "dependentSchemas":
            conditions.extend({word: {name: schema}} for name, schema in value.items())
        elif word == "dependentRequired":
            conditions.append({word: value})
        elif isinstance(value, Mapping) and isinstance(merged.get(word), dict):
            merged[word].update(value)
        elif isinstance(value, list) and isinstance(merged.get(word), list):
            merged[word].extend(value)
        elif word == "additionalProperties":
            merged[word] = value if value is not False else merged.get(word, False)
        else:
            merged.setdefault(word, value)
    return conditions


def _add_properties(merged: dict[str, Any], properties: Mapping[str, Any]) -> Iterator[Any]:
    """Merge a page's parameters; what another page says otherwise of one of them counts as well."""
    for name, schema in properties.items():
        if merged.setdefault(name, schema) != schema:
            yield {"properties": {name: schema}}


def plain_page(page: Schema) -> dict[str, Any]:
    """A page without what is said of the page itself: when it is shown, and to whom."""
    return {word: value for word, value in page.items() if word not in PAGE_WORDS}


def modern(schema: Schema) -> dict[str, Any]:
    """Copy a schema, with the words of draft 7 that portals' forms use written in 2020-12's."""
    new: dict[str, Any] = {}
    for word, value in schema.items():
        if word == "dependencies" and isinstance(value, Mapping):
            _add_dependencies(new, value)
        elif word == "items" and isinstance(value, list):
            new["prefixItems"] = [_modern_part(item) for item in value]
        elif word == "additionalItems":
            new["items"] = _modern_part(value)
        elif word in _NAMED and isinstance(value, Mapping):
            new[word] = {**new.get(word, {}), **{name: _modern_part(part) for name, part in value.items()}}
        elif word in _MANY and isinstance(value, list):
            new[word] = [_modern_part(part) for part in value]
        elif word == "required" and isinstance(value, list) and all(isinstance(name, str) for name in value):
            new[word] = list(dict.fromkeys(value))
        elif word not in {"$id", "$schema"}:
            new[word] = _modern_part(value) if word in _ONE else deepcopy(value)
    return new


def _modern_part(part: object) -> object:
    return modern(part) if isinstance(part, Mapping) else deepcopy(part)


def _add_dependencies(new: dict[str, Any], dependencies: Mapping[str, Any]) -> None:
    for name, needs in dependencies.items():
        word, value = (
            ("dependentRequired", list(needs)) if isinstance(needs, list) else ("dependentSchemas", _modern_part(needs))
        )
        into = new.setdefault(word, {})
        if isinstance(into, dict):  # else the form is wrong there, and its check says so
            into[name] = value


def subschemas(schema: object, key: Key = ()) -> Iterator[tuple[Key, Schema]]:
    """Go through a schema and all schemas inside it, each with its place.

    Args:
        schema: a JSON Schema; true, false and what is none at all have nothing inside.
        key: its own place.

    Yields:
        The place and the schema, an outer one before those inside it.
    """
    if not isinstance(schema, Mapping):
        return
    yield key, schema
    for word, value in schema.items():
        if word in _NAMED and isinstance(value, Mapping):
            for name, part in value.items():
                yield from subschemas(part, (*key, word, name))
        elif word in _MANY and isinstance(value, list):
            for index, part in enumerate(value):
                yield from subschemas(part, (*key, word, index))
        elif word in _ONE:
            yield from subschemas(value, (*key, word))


def resolve(root: Schema, schema: object) -> object:
    """Follow local ``$ref``s, from one to the next, at most 32 of them.

    Args:
        root: the form, where a ``$ref`` leads.
        schema: a part of it.

    Returns:
        The schema that the last one leads to; what has none, or one that cannot be followed, as it is.
    """
    for _ in range(32):
        target = follow(root, schema)
        if target is schema:
            break
        schema = target
    return schema


def follow(root: Schema, schema: object) -> object:
    """Follow one local ``$ref``.

    Args:
        root: the form, where a ``$ref`` leads.
        schema: a part of it.

    Returns:
        The schema that it leads to; what has none, or one that cannot be followed, as it is.
    """
    if not isinstance(schema, Mapping) or "$ref" not in schema:
        return schema
    target: object = root
    for part in str(schema["$ref"]).removeprefix("#/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, Mapping) or name not in target:
            return schema
        target = target[name]
    return target


def whole(root: Schema, schema: object) -> object:
    """A schema with what its ``$ref`` leads to; the words beside a ``$ref`` count too.

    Args:
        root: the form, where a ``$ref`` leads.
        schema: a part of it.
    """
    target = resolve(root, schema)
    if target is not schema and isinstance(target, Mapping) and isinstance(schema, Mapping):
        return {**target, **schema}
    return target


def declared(root: Schema) -> dict[str, list[object]]:
    """The top-level fields of a schema, also those that only a condition asks for.

    Args:
        root: all pages as one schema.

    Returns:
        By name, the schemas that say what the field is: several where a condition adds to it.
    """
    found: dict[str, list[object]] = {}
    for place in _same_place(root, root, set()):
        properties = place.get("properties")
        for name, schema in properties.items() if isinstance(properties, Mapping) else ():
            found.setdefault(name, []).append(whole(root, schema))
    return found


def _same_place(root: Schema, schema: object, seen: set[int]) -> Iterator[Schema]:
    schema = resolve(root, schema)
    if not isinstance(schema, Mapping) or id(schema) in seen:
        return
    seen.add(id(schema))
    yield schema
    for part in beside(schema):
        yield from _same_place(root, part, seen)


def beside(schema: Schema) -> list[object]:
    """The schemas inside one that may judge the same value as it does, with those of all its conditions."""
    found = [part for word in _SAME_PLACE if isinstance(schema.get(word), list) for part in schema[word]]
    found += [schema[word] for word in ("if", "then", "else", "not") if word in schema]
    dependent = schema.get("dependentSchemas")
    return [*found, *(dependent.values() if isinstance(dependent, Mapping) else ())]


def is_top_level(place: Key) -> bool:
    """Whether a schema at this place of a page is that of a top-level parameter, perhaps one that a condition asks for."""
    while len(place) > 2 and place[0] in _CONDITIONS:
        place = place[_CONDITIONS[str(place[0])] :]
    return len(place) == 2 and place[0] == "properties"


def loops(root: Schema, schema: object, ending: set[int], path: tuple[int, ...] = ()) -> bool:
    """Whether checking one value by this schema would lead back to the same schema for ever.

    Args:
        root: the form, where ``$ref`` leads.
        schema: a part of it.
        ending: what is known not to; grows.
        path: the schemas on the way here.
    """
    schema = resolve(root, schema)
    if not isinstance(schema, Mapping) or id(schema) in ending:
        return False
    if id(schema) in path or any(loops(root, part, ending, (*path, id(schema))) for part in beside(schema)):
        return True
    ending.add(id(schema))
    return False


def is_secret(schema: object) -> bool:
    """Whether a parameter's schema marks it as a secret: ``ui:field: Secret`` or ``writeOnly: true``."""
    return isinstance(schema, Mapping) and (schema.get("ui:field") == "Secret" or schema.get("writeOnly") is True)


def requested_secrets(schema: object) -> frozenset[str]:
    """Which secret of the requester's own a parameter's picker asks for: ``requestUserCredentials.secretsKey``."""
    options = schema.get("ui:options") if isinstance(schema, Mapping) else None
    asked = options.get("requestUserCredentials") if isinstance(options, Mapping) else None
    key = asked.get("secretsKey") if isinstance(asked, Mapping) else None
    return frozenset({key} if isinstance(key, str) and key else ())
