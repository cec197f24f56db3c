"""What a step with ``each`` goes through: its list, worked out once and as a whole, and what its items make together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.nunjucks.rendering import StatusCheck
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.step_rendering import (
    ConditionError,
    input_context,
    names_of,
    render_step_input,
    texts_made_of_secrets,
    where_of,
)

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.spec import Template
    from portal_actions_plugin.software_templates.step_rendering import StepContext, Values

CPU_SECONDS = 10.0
"""Of processor time, so much may all items of a list take to be worked out."""

Takes = Callable[[Mapping[str, "JsonValue"]], object]
"""Checks the input of an item; raises ValidationError."""


class ListError(ConditionError):
    """The list of a step with ``each``, or something of one of its items, cannot be worked out."""

    hint = "Correct the step's `each`, its `if` or its input in the template, or the input that they read."


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a step with ``each``.

    Attributes:
        index: its place in the list, from 0.
        key: of an object its key, of a list its index as a text.
        value: what ``each.value`` gives.
        runs: whether the step's ``if`` holds for it.
        shown: key and value as people may see them, without what is made of secrets.
    """

    index: int
    key: str
    value: JsonValue
    runs: bool = True
    shown: tuple[str, JsonValue] | None = None

    @property
    def context(self) -> Values:
        """What expressions know as ``each``."""
        return {"key": self.key, "value": self.value}

    @property
    def shown_context(self) -> Values:
        """The same, as people may see it."""
        key, value = self.shown or (self.key, self.value)
        return {"key": key, "value": value}


@dataclass(frozen=True, slots=True)
class Known:
    """What the expressions of a step may name.

    Attributes:
        plain: without secrets, as ``step_context`` builds it.
        secret: with the secrets among its parameters and environment.
        secrets: the secret inputs by parameter.
        has_failed: whether a step before has failed, so that only what asks for that runs.
    """

    plain: StepContext
    secret: StepContext
    secrets: Values
    has_failed: bool = False

    def check(self) -> StatusCheck:
        """What answers ``always()`` and ``failure()``."""
        return StatusCheck(has_failed=self.has_failed)


def work_out(template: Template, position: int, known: Known, most: int, takes: Takes) -> list[Item]:
    """Work out the list of a step with ``each``: each ``if``, and each input is rendered and checked.

    Args:
        template: whose step it is.
        position: the step's index.
        known: what its expressions may name.
        most: items that it may have.
        takes: checks an item's input as the step's action does.

    Raises:
        ListError: it is no list or too long, or something of an item fails; carries the position.
    """
    step, began = template.steps[position], time.thread_time()
    names = {**names_of(template, known.secret), **input_context(template, known.secrets)}
    try:
        found = template.language.items(step.each, names, where_of(template, position, "each"), known.check())
        if len(found) > most:
            where = where_of(template, position, "each")
            raise ValidationError(f"{where}: it has {len(found):,} items; a step goes through {most:,} at most.")
        items = []
        for index, (key, value) in enumerate(found):
            items.append(_checked(template, position, known, Item(index, key, value), takes))
            if time.thread_time() - began > CPU_SECONDS:
                where = where_of(template, position, "input")
                raise ValidationError(f"{where}: its items take longer than {CPU_SECONDS:g} seconds to work out.")
    except ValidationError as error:
        raise ListError(error.message, position) from None
    return items


def _checked(template: Template, position: int, known: Known, item: Item, takes: Takes) -> Item:
    step = template.steps[position]
    try:
        if not _runs(template, position, known, item):
            return Item(item.index, item.key, item.value, runs=False)
        secret = {**known.secret, "each": item.context}
        takes(render_step_input(template, position, secret, known.secrets, known.check()))
    except ValidationError as error:
        raise ValidationError(f"{step.id}[{item.key}]: {_in_short(error)}") from None
    return item


def _runs(template: Template, position: int, known: Known, item: Item) -> bool:
    """Whether the step's ``if`` holds for an item; after a failure it has to ask for that, too."""
    plain, check = {**names_of(template, known.plain), "each": item.context}, known.check()
    try:
        where = where_of(template, position, "if")
        holds = template.language.holds(_condition(template, position), plain, where, check)
    except ValidationError:
        if known.has_failed and not check.was_called:
            return False
        raise
    return holds and (check.was_called or not known.has_failed)


def _in_short(error: ValidationError) -> str:
    fields = "; ".join(f"{name}: {said}" for name, said in error.fields.items()) if error.fields else ""
    return f"{error.message} {fields}".strip()


def _condition(template: Template, position: int) -> JsonValue:
    condition = template.steps[position].condition
    # At home an empty `if` beside an `each` is none.
    return None if template.reading is Reading.BACKSTAGE and condition == "" else condition


def made_of_secrets(
    template: Template, position: int, known: Known, masked: tuple[StepContext, Values]
) -> Iterator[JsonValue]:
    """The parts of a list that are others with other secrets: what its ``each`` has made of secrets.

    Args:
        template: whose step it is.
        position: the step's index. ``work_out`` has succeeded with it, and with what is known.
        known: what its expressions may name.
        masked: a context and secrets that have something else in place of each secret.
    """
    each = template.steps[position].each
    for value, other in texts_made_of_secrets(
        template, (each, where_of(template, position, "each")), (known.secret, known.secrets), masked, known.check()
    ):
        yield from differing(value, other)


def differing(value: JsonValue, other: JsonValue) -> Iterator[JsonValue]:
    """The parts of a value that another one of the same shape has not; all of it where that has another shape."""
    if isinstance(value, Mapping) and isinstance(other, Mapping) and value.keys() == other.keys():
        for key, part in value.items():
            yield from differing(part, other[key])
    elif isinstance(value, list) and isinstance(other, list) and len(value) == len(other):
        for part, another in zip(value, other, strict=True):
            yield from differing(part, another)
    elif value != other:
        yield value
        if isinstance(value, Mapping):
            yield list(value)


def gathered(of_items: Iterable[Values]) -> dict[str, JsonValue]:
    """What a step with ``each`` has made: of each output the list of what its items gave, in their order.

    Args:
        of_items: the outputs of those that ran.
    """
    lists: dict[str, list[JsonValue]] = {}
    for outputs in of_items:
        for name, value in outputs.items():
            lists.setdefault(name, []).append(value)
    return {**lists}
