"""What can be known to be wrong with a template's parameters before anybody fills them in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from portal_actions_plugin.software_templates.parameters.inputs import validator
from portal_actions_plugin.software_templates.parameters.keywords import FORMATS
from portal_actions_plugin.software_templates.parameters.schemas import (
    declared,
    follow,
    is_secret,
    loops,
    merge_pages,
    modern,
    resolve,
    subschemas,
    whole,
)

if TYPE_CHECKING:
    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.places import Key

KEY: Key = ("spec", "parameters")
MAX_VALUES = 5_000
"""Values of one page."""
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
_META = Draft202012Validator(Draft202012Validator.META_SCHEMA, format_checker=FORMATS)


def read_pages(spec: Mapping[str, Any], findings: Findings) -> tuple[Mapping[str, Any], ...]:
    """Read ``spec.parameters``, one page or a list of them, and note what is wrong with their JSON Schema."""
    given = spec.get("parameters")
    pages = given if isinstance(given, list) else [given] if given else []
    before = len(findings.problems)
    for index, page in enumerate(pages):
        _check_page(page, (*KEY, index) if isinstance(given, list) else KEY, findings)
    if len(findings.problems) > before:
        return ()
    _check_together(pages, isinstance(given, list), findings)
    return tuple(pages)


def _check_page(page: Any, key: Key, findings: Findings) -> None:
    if not isinstance(page, Mapping):
        findings.add(key, "a page of parameters must be a JSON Schema object")
        return
    if _values(page) > MAX_VALUES:
        findings.add(key, f"a page of parameters has at most {MAX_VALUES:,} values")
        return
    if page.get("type", "object") != "object":
        findings.add((*key, "type"), "a page of parameters must have the type object")
    for error in _META.iter_errors(modern(page)):
        worst = best_match([error]) or error
        findings.add((*key, *worst.absolute_path), f"invalid JSON Schema: {worst.message[:200]}")
    for place, schema in subschemas(page, key):
        if "backstage:permissions" in schema:
            findings.add((*place, "backstage:permissions"), "this is not supported yet")
        if "patternProperties" in schema:
            findings.add((*place, "patternProperties"), "a form cannot ask for these: name them in properties")
        if "$dynamicRef" in schema:
            findings.add((*place, "$dynamicRef"), "write $ref instead")
        if is_secret(schema) and not _is_top_level(place[len(key) :]):
            findings.add(place, "a secret must be a parameter of its own, not a part of another one")


def _values(value: Any) -> int:
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return 1 + sum(map(_values, parts))


def _is_top_level(place: Key) -> bool:
    """Whether a schema is that of a top-level parameter, perhaps one that only a condition asks for."""
    while len(place) > 2 and place[0] in _CONDITIONS:
        place = place[_CONDITIONS[str(place[0])] :]
    return len(place) == 2 and place[0] == "properties"


def _check_together(pages: list[Mapping[str, Any]], many: bool, findings: Findings) -> None:  # noqa: FBT001
    merged = merge_pages(pages, "")
    fields = declared(merged)
    owners: dict[str, Any] = {}
    refs = _Refs(merged)
    for index, page in enumerate(pages):
        key = (*KEY, index) if many else KEY
        for name, schema in page.get("properties", {}).items():
            if owners.setdefault(name, schema) != schema:
                findings.add((*key, "properties", name), "another page declares this parameter differently")
            _check_parameter(merged, schema, (*key, "properties", name), findings)
        for name in page.get("required", []):
            if name not in fields:
                findings.add((*key, "required"), f"there is no parameter {name!r}")
        for place, schema in subschemas(page, key):
            _check_ref(refs, schema, place, findings)


def _check_parameter(merged: Mapping[str, Any], schema: Any, key: Key, findings: Findings) -> None:
    schema = whole(merged, schema)
    if not isinstance(schema, Mapping):
        return
    if is_secret(schema) and schema.get("type") != "string":
        findings.add(key, "a secret must have the type string")
    kind = {word: schema[word] for word in ("type", "enum", "const") if word in schema}
    if "default" in schema and not validator(kind).is_valid(schema["default"]):
        findings.add((*key, "default"), "this default is not of the parameter's own type or options")


class _Refs:
    """Where a ``$ref`` of a form may lead: to a schema of it, and never back to itself."""

    def __init__(self, form: Mapping[str, Any]) -> None:
        self.form = form
        self.schemas = {id(schema) for _, schema in subschemas(form)}
        self.ending: set[int] = set()


def _check_ref(refs: _Refs, schema: Mapping[str, Any], key: Key, findings: Findings) -> None:
    ref = schema.get("$ref")
    if ref is None:
        return
    if not str(ref).startswith("#/"):
        findings.add((*key, "$ref"), "only a $ref into this form works, such as #/definitions/name")
    elif isinstance(target := resolve(refs.form, schema), Mapping) and "$ref" in target:
        findings.add((*key, "$ref"), f"{ref} leads nowhere")
    elif not isinstance(target, bool) and id(follow(refs.form, schema)) not in refs.schemas:
        findings.add((*key, "$ref"), f"{ref} leads to what is no JSON Schema")
    elif loops(refs.form, schema, refs.ending):
        findings.add((*key, "$ref"), f"{ref} leads back to itself")
