"""The list of a step with ``each``: worked out before the transaction that makes the step due, and made fit to be kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.errors import ConfigurationError, ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.course import Course, with_secrets
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.secrets.sealing import seal, unseal
from portal_actions_plugin.runs.secrets.storable import require_storable
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.software_templates import items
from portal_actions_plugin.software_templates.items import Item, Known, ListError
from portal_actions_plugin.software_templates.step_rendering import ConditionError

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

Secrets = Callable[[], Mapping[str, Any]]
"""Gives a run's secrets by name, when they are needed."""


@dataclass(frozen=True, slots=True)
class KeptItem:
    """An item as it is kept: what people may see of it, and the rest sealed where there is more.

    Attributes:
        index: its place in the list, from 0.
        key: as people may see it, and so is ``value``.
        sealed: the real ones, encrypted; None where they are the same.
    """

    index: int
    key: str
    value: Any
    sealed: bytes | None = field(repr=False)

    @classmethod
    def of(cls, item: Item, sealed: bytes | None) -> KeptItem:
        """What is kept of an item."""
        key, value = (item.shown if sealed is not None else None) or (item.key, item.value)
        return cls(item.index, key, value, sealed)

    @property
    def shown(self) -> Item:
        """The item as people may see it."""
        return Item(self.index, self.key, self.value)

    def opened(self, keys: Sequence[str]) -> Item:
        """The item as it is; raises ConfigurationError when no key opens it any more."""
        if self.sealed is None:
            return self.shown
        real = unseal(self.sealed, keys)
        return Item(self.index, real["key"], real["value"], shown=(self.key, self.value))


@dataclass(frozen=True, slots=True)
class StepList:
    """The list of a step, to be kept.

    Attributes:
        position: the step's index in the template.
        items: all of them, also those that the step's ``if`` leaves out.
        sealed: of each, key and value encrypted; None where it is kept readable.
    """

    position: int
    items: Sequence[Item]
    sealed: Sequence[bytes | None]

    def to_do(self) -> list[KeptItem]:
        """Those that the step's ``if`` holds for, as they are kept."""
        of_all = zip(self.items, self.sealed, strict=True)
        return [KeptItem.of(item, sealed) for item, sealed in of_all if item.runs]


@dataclass(frozen=True, slots=True)
class Due:
    """What comes next in a template run.

    Attributes:
        course: the run then, with what steps have made that had nothing to go through.
        position: the next step's index; None when none is left.
        items: of a step with ``each``, those that begin, in their order; empty for any other step, and where ``error`` is set.
        lists: what has been worked out on the way, to be kept.
        error: why it is not known what the next step is to do: it begins, and fails by that.
    """

    course: Course
    position: int | None
    items: Sequence[KeptItem] = ()
    lists: Sequence[StepList] = ()
    error: ConditionError | None = None

    def courses(self) -> Sequence[Course]:
        """The run as each of what begins sees it."""
        return [self.course.at_item(item.shown) for item in self.items] or [self.course]


def what_is_due(course: Course, position: int, secrets: Secrets) -> Due:
    """Find the next step that has something to do, and work out its list. Never raises for what a template says.

    Args:
        course: with what the steps until now have made.
        position: the index of the first step that may be next.
        secrets: gives the run's.
    """
    course = course.at_item(None)
    lists: list[StepList] = []
    try:
        while (found := course.next_step(position)) is not None and course.template.steps[found].each is not None:
            made = work_out(course, found, _opened(secrets, found))
            step = course.template.steps[found]
            if running := made.to_do():
                return Due(course, found, running[: step.concurrency], [*lists, made])
            if course.failure is None:  # one that cleans up and has nothing to, has not run
                lists.append(made)
                course = course.after_success(step.id, {})
            position = found + 1
    except ConditionError as error:
        return Due(course, error.position, (), lists, error)
    return Due(course, found, (), lists)


def _opened(secrets: Secrets, position: int) -> Mapping[str, Any]:
    try:
        return secrets()
    except ConfigurationError as error:
        raise ListError(error.message, position) from None


def work_out(course: Course, position: int, secrets: Mapping[str, Any]) -> StepList:
    """Work out the list of a step.

    Args:
        course: with what the steps before have made.
        position: the step's index.
        secrets: the run's, by name.

    Raises:
        ListError: something is wrong with it, or this portal cannot keep it.
    """
    template, portal = course.template, extension().config.environment.secrets
    plain, most = course.context(), extension().config.max_items
    known = Known(plain, with_secrets(plain, secrets, portal), secrets, course.failure is not None)
    takes = _checks_of(template.steps[position].action)
    found = items.work_out(template, position, known, most, takes)
    if not secrets and not portal:
        _require_kept(found, position)
        return StepList(position, found, [None] * len(found))
    masks = dict.fromkeys(secrets, MASK)
    redactor = Redactor([*secrets.values(), *portal.values()])
    masked = (with_secrets(plain, masks, dict.fromkeys(portal, MASK)), masks)
    redactor.add(list(items.made_of_secrets(template, position, known, masked)))
    shown = [replace(item, shown=(redactor.text(item.key), redactor.data(item.value))) for item in found]
    _require_kept(shown, position)
    return StepList(position, shown, [_sealed(item, position, secrets) for item in shown])


def _checks_of(action_id: str) -> items.Takes:
    registry = extension().registry
    if action_id not in registry:
        return lambda _data: None  # its attempt says so
    action = registry.get(action_id)

    def takes(data: Mapping[str, JsonValue]) -> None:
        try:
            action.load_input(data)
        except ValidationError:
            raise
        except Exception as error:  # noqa: BLE001 a schema is anybody's code: the attempt says so
            log.warning("an item's input of %s cannot be checked ahead: %s", action_id, type(error).__name__)

    return takes


def _require_kept(found: Sequence[Item], position: int) -> None:
    try:
        require_storable({"each": [[item.key, item.value] for item in found]})
    except ValidationError as error:
        raise ListError(error.message, position) from None


def _sealed(item: Item, position: int, secrets: Mapping[str, Any]) -> bytes | None:
    """Key and value, encrypted, when the run has secrets or they hold one of the portal's."""
    real: dict[str, JsonValue] = {"key": item.key, "value": item.value}
    if not secrets and item.shown == (item.key, item.value):
        return None
    try:
        return seal(real, extension().config.secret_keys)
    except ConfigurationError as error:
        raise ListError(error.message, position) from None
