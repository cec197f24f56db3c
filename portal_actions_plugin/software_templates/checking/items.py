"""Checking what a step goes through when a template is loaded: its ``each``, and how many items are done at a time."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.checking.literal_inputs import ActionFinder
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.places import Key

MAX_CONCURRENCY = 20
"""Items of one step at a time."""


def read_each(data: Mapping[str, JsonValue], key: Key, findings: Findings) -> JsonValue:
    """Read the ``each`` of a step; None where it is done once.

    Args:
        data: the step.
        key: its place in the document.
        findings: where a problem is noted.
    """
    each = data.get("each")
    if findings.reading is Reading.BACKSTAGE and not each and not isinstance(each, list | Mapping):
        if each is not None:
            said = "this goes through nothing: the step is done once, as without it"
            findings.differ((*key, "each"), said, value=findings.read_as((*key, "each"), each))
        return None
    return each


def read_concurrency(data: Mapping[str, JsonValue], key: Key, findings: Findings, known_actions: Container[str]) -> int:
    """Read how many items of a step are done at a time, in a document of ours.

    Args:
        data: the step.
        key: its place in the document.
        findings: where a problem is noted.
        known_actions: those that a step may name; where more than their names is known, none may write to the workspace.
    """
    if findings.reading is not Reading.STRICT or "concurrency" not in data:
        return 1
    given, place = data["concurrency"], (*key, "concurrency")
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= MAX_CONCURRENCY:
        findings.add(place, f"this must be a number from 1 to {MAX_CONCURRENCY}", value=findings.read_as(place, given))
        return 1
    if data.get("each") is None:
        findings.add(place, "only a step with `each` has items to do at a time", value=str(given))
    elif given > 1 and _writes(str(data.get("action")), known_actions):
        said = "items that are done at a time can only read the workspace, and this action writes to it: leave it out"
        findings.add(place, said, value=str(given))
    return given


def _writes(action: str, known_actions: Container[str]) -> bool:
    if not isinstance(known_actions, ActionFinder) or action not in known_actions:
        return False
    return known_actions.get(action).workspace == "writes"
