"""Checking a template's parameters when it is loaded, before anybody fills them in: its pages and their JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from portal_actions_plugin.software_templates.parameters.checking.lists import check_lists
from portal_actions_plugin.software_templates.parameters.checking.values import check_values
from portal_actions_plugin.software_templates.parameters.checking.words import check_tagged_parameter, check_tags
from portal_actions_plugin.software_templates.parameters.formats import CHECKED, is_format
from portal_actions_plugin.software_templates.parameters.keywords import META_FORMATS
from portal_actions_plugin.software_templates.parameters.schemas import (
    declared,
    follow,
    is_secret,
    is_top_level,
    loops,
    merge_pages,
    modern,
    resolve,
    subschemas,
    whole,
)
from portal_actions_plugin.software_templates.parameters.tags import KEY as TAGS

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.parameters.schemas import Schema
    from portal_actions_plugin.software_templates.places import Key

KEY: Key = ("spec", "parameters")
MAX_VALUES = 5_000
"""Values of one page."""
_NO_FORMAT = "; write a pattern, or leave it out"
_META = Draft202012Validator(Draft202012Validator.META_SCHEMA, format_checker=META_FORMATS)


def read_pages(spec: Mapping[str, JsonValue], findings: Findings) -> tuple[Schema, ...]:
    """Read ``spec.parameters``, and note what is wrong with the pages' JSON Schema.

    Args:
        spec: the ``spec`` of a template's document; its ``parameters`` are one page or a list of them.
        findings: where problems are noted.

    Returns:
        One JSON Schema object a page, as written but for the defaults that it refuses itself; none when one of them cannot
        be used.
    """
    given = spec.get("parameters")
    pages: dict[Key, JsonValue] = {KEY: given} if given else {}
    if isinstance(given, list):
        pages = {(*KEY, index): page for index, page in enumerate(given)}
    before = findings.refused
    for key, page in pages.items():
        _check_page(page, key, findings)
    if findings.refused > before:
        return ()
    schemas: Mapping[Key, Schema] = {key: page for key, page in pages.items() if isinstance(page, Mapping)}
    form = merge_pages(tuple(schemas.values()), "")
    _check_together(form, schemas, findings)
    if findings.refused == before:
        schemas = check_values(form, schemas, findings)
    return tuple(schemas.values())


def page_places(pages: Sequence[Schema], findings: Findings) -> Iterator[tuple[Key, Schema]]:
    """The pages of a template, each with its place in the document.

    Args:
        pages: as ``read_pages`` returned them.
        findings: of the document.
    """
    is_list = isinstance(findings.at(KEY), list)
    return (((*KEY, index) if is_list else KEY, page) for index, page in enumerate(pages))


def _check_page(page: JsonValue, key: Key, findings: Findings) -> None:
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
        _check_words(schema, place, findings)
        if TAGS in schema and place != key:
            check_tagged_parameter(page, key, place[len(key) :], findings)
        if is_secret(schema) and not is_top_level(place[len(key) :]):
            findings.add(place, "a secret must be a parameter of its own, not a part of another one")


def _check_words(schema: Schema, place: Key, findings: Findings) -> None:
    check_lists(schema, place, findings)
    check_tags(schema, place, findings)
    if "format" in schema and not is_format(schema["format"]):
        known = _known_format(schema["format"])
        findings.differ(
            (*place, "format"),
            f"nothing checks the format {schema['format']!r}: any value has it{'' if known else _NO_FORMAT}",
            write=known,
        )
    if "patternProperties" in schema:
        findings.add((*place, "patternProperties"), "a form cannot ask for these: name them in properties")
    if "$dynamicRef" in schema:
        findings.add((*place, "$dynamicRef"), "write $ref instead")


def _known_format(name: object) -> str:
    near = get_close_matches(str(name), CHECKED, n=1, cutoff=0.8)
    return f"format: {near[0]}" if near else ""


def _values(value: JsonValue) -> int:
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return 1 + sum(map(_values, parts))


def _check_together(merged: Schema, pages: Mapping[Key, Schema], findings: Findings) -> None:
    fields = declared(merged)
    owners: dict[str, object] = {}
    refs = _Refs(merged)
    for key, page in pages.items():
        for name, schema in page.get("properties", {}).items():
            if "when" not in page and owners.setdefault(name, schema) != schema:
                said = "another page declares this parameter differently: a value has to fit both"
                findings.differ((*key, "properties", name), said)
            _check_parameter(merged, schema, (*key, "properties", name), findings)
        for name in page.get("required", []):
            if name not in fields:
                said = f"there is no parameter {name!r}: nobody can give it, and nothing can be started"
                said += f"; write {name} in properties, or leave it out"
                findings.differ((*key, "required"), said, value=str(name))
        for place, schema in subschemas(page, key):
            _check_ref(refs, schema, place, findings)


def _check_parameter(merged: Schema, given: object, key: Key, findings: Findings) -> None:
    schema = whole(merged, given)
    if not isinstance(schema, Mapping):
        return
    if is_secret(schema) and schema.get("type") != "string":
        findings.add(key, "a secret must have the type string")


class _Refs:
    """Where a ``$ref`` of a form may lead: to a schema of it, and never back to itself."""

    def __init__(self, form: Schema) -> None:
        self.form = form
        self.schemas = {id(schema) for _, schema in subschemas(form)}
        self.ending: set[int] = set()


def _check_ref(refs: _Refs, schema: Schema, key: Key, findings: Findings) -> None:
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
