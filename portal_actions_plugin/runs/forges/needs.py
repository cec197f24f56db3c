"""What the steps of a start will ask of forges, as far as it is known before any of them runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from portal_actions_plugin.actions.scm_fields import OWN_TOKEN
from portal_actions_plugin.actions.scm_operations import commits_to
from portal_actions_plugin.extension import extension
from portal_actions_plugin.scm.base import Operation
from portal_actions_plugin.software_templates.forge_targets import REPO_URL, Target, target_of_action, target_of_step
from portal_actions_plugin.software_templates.known_inputs import KnownInputs
from portal_actions_plugin.software_templates.spec import repeated_ids

PLACE = ("provider", "owner", "repo", REPO_URL)
"""The fields that say where a step works."""

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from portal_actions_plugin.actions.registry import Action
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.runs.course import Course
    from portal_actions_plugin.software_templates.spec import Template


@dataclass(frozen=True, slots=True)
class Need:
    """What one step asks of a forge.

    Attributes:
        target: of which one.
        operations: what it asks.
        step: what people call it; empty for a one-off.
        kinds: the kinds of forges that its action is for; all where it names none.
    """

    target: Target
    operations: frozenset[Operation]
    step: str = ""
    kinds: tuple[str, ...] = ()


def is_on_disk(provider: str) -> bool:
    """Whether an installation is of the kind that has no credentials: there is nothing to find out about it."""
    installation = extension().config.scm.get(provider)
    return installation is not None and installation.kind == "local"


def needs_of_action(action: Action, data: Mapping[str, JsonValue]) -> list[Need]:
    """What a one-off asks of a forge; ``data`` is its input, without secrets."""
    if not action.operations or data.get(OWN_TOKEN):
        return []
    target = target_of_action(data, _provider_at)
    return [Need(target, _asked(action, data), kinds=action.forges)] if target else []


def needs_of_template(course: Course, first: int) -> Iterator[Need]:
    """What the steps of a template run ask of forges, where it is known which and that they will be run.

    A repository that an earlier step makes or finds is where that step's is. What a step works on in a group that an
    earlier one makes cannot be asked before.

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
    groups: list[_Groups] = []
    repeated = repeated_ids(steps)
    for position, step in enumerate(steps):
        action = registry.get(step.action) if step.action in registry else None
        if action is None or not action.operations:
            continue
        place = known.input(position, PLACE)
        if target := target_of_step(place, step.input, targets, _provider_at):
            if step.id not in repeated:
                targets[step.id] = target
            # Whatever the requester's own token may do, the portal's does not tell.
            if position >= first and OWN_TOKEN not in step.input and known.is_run(position):
                data = place if is_on_disk(target.provider) else known.input(position)
                operations = _operations(action, data, course.template)
                if not any(one.has(target) for one in groups):
                    yield Need(target, operations, step.id, action.forges)
        if not callable(action.operations) and Operation.ENSURE_GROUP in action.operations:
            groups.append(_Groups(known.input(position, ("path",)).get("path")))


@dataclass(frozen=True, slots=True)
class _Groups:
    """Groups that a step makes, where they are missing; ``path`` is its input, as far as it is known."""

    path: JsonValue

    def has(self, target: Target) -> bool:
        """Whether somebody may be the owner only because of them; what is not known may be anybody."""
        if target.owner is None:
            return False
        names = [one.get("slug") if isinstance(one, dict) else one for one in self._parts()]
        known = [name for name in names if isinstance(name, str)]
        made, asked = [name.casefold() for name in known], target.owner.casefold().split("/")
        return not known or len(known) < len(names) or asked[: len(made)] == made or made[: len(asked)] == asked

    def _parts(self) -> list[JsonValue]:
        return list(self.path) if isinstance(self.path, list) else []


def _provider_at(host: str) -> str | None:
    found = extension().config.forge_addresses.at_host(host)
    return found.name if found else None


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
