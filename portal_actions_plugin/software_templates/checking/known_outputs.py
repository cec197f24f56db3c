"""Outputs of steps that a template names, and that their actions never give."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from marshmallow import INCLUDE

from portal_actions_plugin.software_templates.checking.literal_inputs import ActionFinder
from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.places import Key
    from portal_actions_plugin.software_templates.spec import Step, Template

NAMED = re.compile(
    r"steps(?:\.(?P<plain>\w+)|\[\s*['\"](?P<quoted>[^'\"]+)['\"]\s*\])\.outputs?(?P<way>(?:\.\w+|\[\s*['\"][^'\"]+['\"]\s*\])+)(?P<call>\s*\()?"
)
"""An output as an expression names it, perhaps with what is inside it or a method of it."""
PART = re.compile(r"\w[^.\[\]'\"]*")
"""One name of the way to what is inside."""

Promised = Mapping[str, frozenset[str]]
"""What a step may give, by its id; a step that may give anything is not in it."""


def promised(steps: Sequence[Step], known_actions: Container[str]) -> Promised:
    """What the steps of a template may give.

    Args:
        steps: all of them.
        known_actions: whose schemas of outputs are looked at, when more than their names are known.

    Returns:
        By the id of each step whose actions all say what they give.
    """
    if not isinstance(known_actions, ActionFinder):
        return {}
    found: dict[str, frozenset[str]] = {}
    open_ones = set()
    for step in steps:
        schema = known_actions.get(step.action).output if step.action in known_actions else None
        fields = schema() if schema else None
        if fields is None or fields.unknown == INCLUDE:
            open_ones.add(step.id)
        else:
            names = (field.data_key or name for name, field in fields.fields.items())
            found[step.id] = found.get(step.id, frozenset()).union(names)
    return {name: names for name, names in found.items() if name not in open_ones}


def never_given(text: str, known: Promised) -> Iterator[tuple[str, str]]:
    """The outputs that a text names, and that no run will have.

    Args:
        text: unrendered.
        known: of the steps.

    Yields:
        The step's id and the output's name.
    """
    for match in NAMED.finditer(text) if "output" in text else ():
        step = match["plain"] or match["quoted"]
        way = PART.findall(match["way"])
        if match["call"]:
            way.pop()  # the name of a method
        if way and step in known and way[0] not in known[step]:
            yield step, way[0]


def check_outputs(template: Template, known_actions: Container[str], findings: Findings) -> None:
    """Note the outputs that no run will have, in a document of Backstage: in one of ours an action may give more than it says.

    Args:
        template: whose steps and output are looked at.
        known_actions: as for ``promised``.
        findings: where it is noted.
    """
    known = promised(template.steps, known_actions)
    if not known or template.reading is not Reading.BACKSTAGE:
        return
    actions = {step.id: step.action for step in template.steps}
    for index, step in enumerate(template.steps):
        for name, part in (("if", step.condition), ("each", step.each), ("input", dict(step.input))):
            _check(part, ("spec", "steps", index, name), known, actions, findings)
    _check(dict(template.output), ("spec", "output"), known, actions, findings)


def _check(value: JsonValue, key: Key, known: Promised, actions: Mapping[str, str], findings: Findings) -> None:
    current_budget().check_time()
    if isinstance(value, Mapping | list):
        for name, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            _check(part, (*key, name), known, actions, findings)
    elif isinstance(value, str):
        for step, name in dict.fromkeys(never_given(value, known)):
            findings.differ(key, f"{actions[step]} gives no output {name!r}{_instead(name, known[step])}", value=value)


def _instead(name: str, given: frozenset[str]) -> str:
    if near := get_close_matches(name, given, n=1):
        return f"; did you mean {near[0]!r}?"
    return f"; it gives {', '.join(sorted(given))}" if given else "; it gives none"
