"""What people see of a run, by the time it starts: all that the dictionary will ever need of it.

A template's steps are known at its start. So no step that follows brings anything new, and no worker writes words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from portal_actions_plugin.runs.dictionary.values import STEP_NAME, TITLE, Seen, seen_in
from portal_actions_plugin.software_templates.spec import Template

_WHO_AND_WHAT = ("requested_by", "requester_name", "entity")


def seen_of_template_run(template: Template, about: Mapping[str, Any]) -> Iterator[Seen]:
    """What is seen of a run of this template; ``about`` has the columns that say who asked for it, and about what."""
    yield from seen_in("template", template.name)
    yield from seen_in(TITLE, template.name, template.title)
    for step in template.steps:
        yield from seen_in("step_id", step.id)
        yield from seen_in(STEP_NAME, step.id, step.name)
        yield from seen_in("action", step.action)
    yield from _who_and_what(about)


def seen_of_one_off(action: str, about: Mapping[str, Any]) -> Iterator[Seen]:
    """What is seen of a run of this action; ``about`` likewise."""
    yield from seen_in("action", action)
    yield from _who_and_what(about)


def _who_and_what(about: Mapping[str, Any]) -> Iterator[Seen]:
    for field in _WHO_AND_WHAT:
        yield from seen_in(field, about[field])
