"""Judging the values that a form brings along: its defaults, and the options of ``enum`` and ``const``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.software_templates.parameters.inputs import ValueCheck
from portal_actions_plugin.software_templates.parameters.schemas import (
    Schema,
    is_secret,
    is_top_level,
    modern,
    subschemas,
    whole,
)
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.places import Key

_MAX_RULES = 5
_OPTIONS = ("enum", "const")
_COUNTS = {Reading.BACKSTAGE: "; it counts as no default"}


def check_values(form: Schema, pages: Mapping[Key, Schema], findings: Findings) -> dict[Key, Schema]:
    """Note every default, and every option of an ``enum`` or ``const``, that its own schema refuses.

    Args:
        form: all pages as one schema.
        pages: the pages as written, by their places.
        findings: where they are noted.

    Returns:
        The pages without such defaults: a value that the form itself refuses is worth nothing to anybody.
    """
    check = ValueCheck(form)
    usable: dict[Key, Schema] = {}
    for key, page in pages.items():
        refused: list[Key] = []
        for place, schema in subschemas(page, key):
            if "default" in schema and _is_refused(check, schema, place, findings):
                refused.append(place[len(key) :])
            _check_options(check, schema, place, findings)
            _check_branch(check, form, schema, (key, place), findings)
        usable[key] = _without_defaults(page, refused)
    return usable


def _is_refused(check: ValueCheck, schema: Schema, place: Key, findings: Findings) -> bool:
    default = schema["default"]
    rules = _rules(check, {word: value for word, value in schema.items() if word != "default"}, default)
    if rules:
        key = (*place, "default")
        shown = "•••" if is_secret(schema) else findings.read_as(key, default)
        instead = _instead(schema, default, findings.spelled(key))
        said = f"the default of {_name(place)} is read as {shown}, which the parameter itself refuses: {rules}"
        said += _COUNTS.get(findings.reading, "") + ("" if instead else "; write a default that fits, or none")
        findings.differ(key, said, value=shown, write=instead)
    return bool(rules)


def _instead(schema: Schema, default: JsonValue, spelled: str | None) -> str:
    kind = schema.get("type")
    if kind == "string" and default is not None and spelled:
        return f'default: "{spelled}"'
    if kind in {"integer", "number"} and isinstance(default, str) and default.lstrip("-").isdigit():
        return f"default: {int(default)}"
    if kind == "boolean" and default in ("true", "false"):
        return f"default: {default}"
    if kind == "array" and isinstance(default, str):
        return f"default: {json.dumps([default], ensure_ascii=False)}"
    return ""


def _check_options(check: ValueCheck, schema: Schema, place: Key, findings: Findings) -> None:
    for word in _OPTIONS:
        if word in schema:
            rest = {name: value for name, value in schema.items() if name not in {word, "default"}}
            lost = [one for one in _options(schema, word) if _tell_option(check, rest, (place, *one), findings)]
            if word == "enum" and lost and len(lost) == len(schema[word]):
                findings.differ((*place, word), f"nothing satisfies {_name(place)}: it refuses each of its own options")


def _tell_option(check: ValueCheck, rest: Schema, option: tuple[Key, Key, JsonValue], findings: Findings) -> bool:
    place, below, value = option
    rules = _rules(check, rest, value)
    if rules:
        key = (*place, *below)
        shown = "•••" if is_secret(rest) else findings.read_as(key, value)
        spelled = findings.spelled(key)
        as_text = f'"{spelled}"' if rest.get("type") == "string" and spelled else ""
        what = "the only value" if below == ("const",) else "an option"
        message = f"{what} of {_name(place)} is read as {shown}, which the parameter itself refuses: {rules}"
        findings.differ(key, message, value=shown, write=as_text)
    return bool(rules)


def _check_branch(check: ValueCheck, form: Schema, schema: Schema, at: tuple[Key, Key], findings: Findings) -> None:
    """What a condition asks of a parameter has to be something that the parameter can be."""
    page, place = at
    below = place[len(page) :]
    if len(below) <= 2 or not is_top_level(below) or not any(word in schema for word in _OPTIONS):
        return
    declared = whole(form, form["properties"].get(below[-1], True))
    if not isinstance(declared, Mapping):
        return
    rest = {word: value for word, value in declared.items() if word != "default"}
    for word in _OPTIONS:
        for under, value in _options(schema, word):
            if rules := _rules(check, rest, value):
                key = (*place, *under)
                shown = findings.read_as(key, value)
                message = f"{_name(place)} is never {shown}, which this condition asks for: {rules}"
                findings.differ(key, message, value=shown)


def _options(schema: Schema, word: str) -> list[tuple[Key, JsonValue]]:
    if word not in schema:
        return []
    if word == "const":
        return [((word,), schema[word])]
    return [((word, index), value) for index, value in enumerate(schema[word])]


def _rules(check: ValueCheck, schema: Schema, value: JsonValue) -> str:
    """The rules of a schema that a value breaks, each with its name; empty when there is none."""
    found = list(dict.fromkeys(_said(check, schema, value)))
    more = [f"and {len(found) - _MAX_RULES} more rules"] if len(found) > _MAX_RULES else []
    return ", ".join([*found[:_MAX_RULES], *more])


def _said(check: ValueCheck, schema: Schema, value: JsonValue) -> Iterator[str]:
    for place, message, rule in check.refusals(modern(schema), value):
        inside = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
        yield f"{inside or 'it'} {message} ({rule})"


def _name(place: Key) -> str:
    """A parameter as people know it: ``size``, ``address.city``, ``tags[]``."""
    name, begins = "", 0
    for index, part in enumerate(place):
        if index and place[index - 1] in {"properties", "definitions", "$defs"} and index > begins:
            name, begins = f"{name}.{part}" if name else str(part), index + 1
        elif part == "items" and name:
            name += "[]"
    return name or "the page"


def _without_defaults(page: Schema, places: list[Key]) -> Schema:
    if not places:
        return page
    usable: Any = deepcopy(dict(page))
    for place in places:
        inside = usable
        for part in place:
            inside = inside[part]
        inside.pop("default", None)  # an alias of YAML may have led here before
    return usable  # type: ignore[no-any-return]
