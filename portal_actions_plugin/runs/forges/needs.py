"""What the steps of a start will ask of forges, as far as it is known before any of them runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from portal_actions_plugin.actions.scm_operations import commits_to
from portal_actions_plugin.extension import extension
from portal_actions_plugin.scm.base import Operation
from portal_actions_plugin.software_templates.known_inputs import KnownInputs, parameter_of, step_of

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from portal_actions_plugin.actions.registry import Action
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.runs.course import Course
    from portal_actions_plugin.software_templates.spec import Step, Template


@dataclass(frozen=True, slots=True)
class Target:
    """Which part of which forge a step works on.

    Attributes:
        provider: the installation's name.
        owner: None where it is not known yet.
        fields: the inputs of the start that name the two, as keys of its field errors, the provider's first.
    """

    provider: str
    owner: str | None
    fields: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Need:
    """What one step asks of a forge.

    Attributes:
        target: of which one.
        operations: what it asks.
        step: what people call it; empty for a one-off.
    """

    target: Target
    operations: frozenset[Operation]
    step: str = ""


def needs_of_action(action: Action, data: Mapping[str, JsonValue]) -> list[Need]:
    """What a one-off asks of a forge; ``data`` is its input, without secrets."""
    if not action.operations:
        return []
    target = _named_by(data, given=data)
    return [Need(target, _asked(action, data))] if target else []


def needs_of_template(course: Course, first: int) -> Iterator[Need]:
    """What the steps of a template run ask of forges, where it is known which and that they will be run.

    A repository that an earlier step makes or finds is where that step's is.

    Args:
        course: of the run: its inputs, and the outputs of steps that are done.
        first: the index of the step that it begins with.
    """
    registry = extension().registry
    steps = course.template.steps
    if not any(step.action in registry and registry.get(step.action).operations for step in steps[first:]):
        return
    known = KnownInputs(course.template, course.context())
    targets: dict[str, Target] = {}
    for position, step in enumerate(steps):
        action = registry.get(step.action) if step.action in registry else None
        if action is None or not action.operations:
            continue
        data = known.input(position)
        if target := _target(step, data, targets):
            targets[step.id] = target
            if position >= first and known.is_run(position):
                yield Need(target, _operations(action, data, course.template), step.id)


def _operations(action: Action, data: Mapping[str, JsonValue], template: Template) -> frozenset[Operation]:
    """What a step asks for; what is in a skeleton is known, too."""
    operations = _asked(action, data)
    folder = data.get("skeleton")
    if Operation.COMMIT in operations and isinstance(folder, str):
        below = f"{PurePosixPath(folder)}/"
        files = (path.removeprefix(below) for path in template.skeleton_files if path.startswith(below))
        return operations | commits_to(files)
    return operations


def _asked(action: Action, data: Mapping[str, JsonValue]) -> frozenset[Operation]:
    """What an action says that it asks for; nothing where that cannot be worked out: then the forge will say."""
    try:
        return action.operations_for(data)
    except Exception:
        log.warning("the operations of %s cannot be worked out", action.id, exc_info=True)
        return frozenset()


def _target(step: Step, data: Mapping[str, JsonValue], earlier: Mapping[str, Target]) -> Target | None:
    return _named_by(data, written=step.input) or earlier.get(step_of(step.input.get("repo")) or "")


def _named_by(
    data: Mapping[str, JsonValue],
    *,
    given: Mapping[str, JsonValue] | None = None,
    written: Mapping[str, JsonValue] | None = None,
) -> Target | None:
    """Where an input says that a step works.

    Args:
        data: as much of it as is known.
        given: the start's own input, when it is a one-off's.
        written: the step's unrendered input, when it is a template's.
    """
    path = _path_to_place(data)
    place = _at(data, path)
    provider, owner = place.get("provider"), place.get("owner")
    if not isinstance(provider, str):
        return None
    fields: list[tuple[str, ...]] = []
    for name in ("provider", "owner"):
        if given is not None:
            fields.append((*path, name))
        elif parameter := parameter_of(_at(written or {}, path).get(name)) or parameter_of((written or {}).get("repo")):
            fields.append((parameter,))
    return Target(provider, owner if isinstance(owner, str) else None, tuple(dict.fromkeys(fields)))


def _path_to_place(data: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """Where an input names provider and owner: itself, its ``repo``, or the ``repo`` in the outputs of createRepo."""
    for path in ((), ("repo",), ("repo", "repo")):
        if "provider" in _at(data, path):
            return path
    return ()


def _at(data: Mapping[str, JsonValue], path: tuple[str, ...]) -> Mapping[str, JsonValue]:
    found: JsonValue = dict(data)
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
