"""Checking the lists of a parameter's schema: names and options that are there twice, and labels that do not match."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.parameters.schemas import Schema
    from portal_actions_plugin.software_templates.places import Key


def check_lists(schema: Schema, place: Key, findings: Findings) -> None:
    """Note what forms take as it is, and what the author has not meant.

    Args:
        schema: a parameter's, or a page.
        place: of it in the document.
        findings: where it is noted.
    """
    for word, what in (("required", "is required"), ("enum", "is an option")):
        values = schema.get(word)
        for index, value in _again(values if isinstance(values, list) else ()):
            key = (*place, word, index)
            said = f"{findings.read_as(key, value)} {what} already: it counts once; write it once"
            findings.differ(key, said)
    _check_labels(schema, place, findings)


def _check_labels(schema: Schema, place: Key, findings: Findings) -> None:
    labels, options = schema.get("enumNames"), schema.get("enum")
    if options is None and schema.get("type") == "boolean":
        options = [True, False]  # as forms do, in this order
    if labels is None or isinstance(labels, Mapping):
        return
    if not isinstance(labels, list) or not isinstance(options, list):
        findings.differ((*place, "enumNames"), "this must be a list beside enum: it is left out of account")
    elif len(labels) != len(options):
        said = f"there are {len(labels)} names for {len(options)} options: an option without one is shown as it is"
        findings.differ((*place, "enumNames"), f"{said}; write a name for each option, in their order")


def _again(values: Sequence[JsonValue]) -> list[tuple[int, JsonValue]]:
    """The values that are in a list before, too."""
    seen: set[str] = set()
    found = []
    for index, value in enumerate(values):
        shown = json.dumps(value, sort_keys=True)
        if shown in seen:
            found.append((index, value))
        seen.add(shown)
    return found
