"""Checking what a template says of its form's pages: when each is shown, to whom, and what runs before a start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.expressions.checks import check_condition, check_value
from portal_actions_plugin.software_templates.parameters.pages import condition_of
from portal_actions_plugin.software_templates.parameters.schemas import subschemas
from portal_actions_plugin.software_templates.parameters.tags import KEY as TAGS
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.expressions.checks import Scope
    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.parameters.schemas import Schema
    from portal_actions_plugin.software_templates.places import Key

_DECORATORS = ("formDecorators", "EXPERIMENTAL_formDecorators")
_ALWAYS = "its page is always shown"


def check_when(when: JsonValue, key: Key, scope: Scope, findings: Findings) -> None:
    """Note what is wrong with the ``when`` of a page.

    Args:
        when: as the template has it.
        key: its place in the document.
        scope: what its expression may name.
        findings: where it is noted.
    """
    if not isinstance(when, str | bool):
        findings.differ(key, f"this is no expression, true or false: {_ALWAYS}")
    elif isinstance(when, bool) or not when.strip():
        return
    elif findings.reading is Reading.STRICT:
        check_condition(when, key, scope, findings)
    else:
        text = condition_of(when)
        unreadable = [(used, problem) for used in scope.references(text) for problem in used.problems]
        for used, problem in unreadable:
            findings.differ(key, f"{used.expression}: {problem}; {_ALWAYS}", value=used.expression)
        if not unreadable:
            check_value(text, key, scope, findings)


def check_decorators(spec: Mapping[str, JsonValue], findings: Findings) -> None:
    """Note that what a form at home would run before a start does not run here."""
    for word in _DECORATORS:
        if spec.get(word):
            said = "form decorators are code of Backstage's own pages: none runs here, and no secret comes of one"
            said += "; write an action, or ui:options.requestUserCredentials for a token"
            findings.differ(("spec", word), said)


def check_tags(part: Mapping[str, JsonValue], place: Key, findings: Findings) -> None:
    """Note tags that are none: somebody would have what its author wants to keep from them.

    Args:
        part: a page, a parameter or a step.
        place: of it in the document.
        findings: where it is noted.
    """
    if TAGS not in part:
        return
    asked = part[TAGS]
    tags = asked["tags"] if isinstance(asked, Mapping) and asked.keys() == {"tags"} else None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        said = "this must have tags, a list of texts, and nothing else"
        findings.add((*place, TAGS), said, write=f"{TAGS}: {{tags: [name]}}")


def check_tagged_parameter(page: Schema, place: Key, below: Key, findings: Findings) -> None:
    """Note a tagged parameter that a form could not be without: only all of a page may go, or what nothing else names.

    Args:
        page: as written.
        place: of the page in the document.
        below: the parameter's place in the page.
        findings: where it is noted.
    """
    is_plain = len(below) == 2 and below[0] == "properties"
    name = below[-1] if is_plain else None
    conditions = {word: value for word, value in page.items() if word not in ("properties", "required")}
    names = {found for _, schema in subschemas(conditions) for found in schema.get("properties", {})}
    names |= {one for _, schema in subschemas(conditions) for one in schema.get("dependencies", {})}
    if not is_plain or name in names:
        said = "only a page, or a parameter that no condition names, can be kept from somebody"
        findings.add((*place, *below, TAGS), f"{said}; write a page of its own with these tags")
