"""What is known of a step's input before the steps that it depends on have run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.expressions import host_calls
from portal_actions_plugin.software_templates.expressions.limits import budget
from portal_actions_plugin.software_templates.languages import LANGUAGES
from portal_actions_plugin.software_templates.places import has_expression
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.spec import repeated_ids
from portal_actions_plugin.software_templates.step_rendering import names_of, where_of

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.expressions.references import References
    from portal_actions_plugin.software_templates.spec import Template
    from portal_actions_plugin.software_templates.step_rendering import StepContext


class _Unknown(Enum):
    PART = auto()


_UNKNOWN: Final = _Unknown.PART


class KnownInputs:
    """What a run's steps are given, as far as it is known at one moment of the run: no secret is."""

    def __init__(self, template: Template, context: StepContext) -> None:
        """Take the template and what expressions may name; steps without outputs are those that are yet to come."""
        self._template = template
        self._context = names_of(template, context)
        self._done = frozenset(context["steps"]) - repeated_ids(template.steps)  # one of that id may be yet to come

    def input(self, position: int, only: Collection[str] | None = None) -> dict[str, JsonValue]:
        """A step's input, without each part that is not known yet.

        Args:
            position: the step's index.
            only: which of its fields are wanted; None for all.
        """
        written = self._template.steps[position].input
        wanted = written if only is None else {name: written[name] for name in only if name in written}
        with budget():
            found = self._known(wanted, where_of(self._template, position, "input"))
        return found if isinstance(found, dict) else {}

    def is_run(self, position: int) -> bool:
        """Whether it is known that a step will be run, by its ``if``."""
        condition = self._template.steps[position].condition
        if self._template.steps[position].each is not None:
            return False  # it may have no items
        if condition is None:
            return True
        if isinstance(condition, str) and not self._names_known(condition):
            return False
        try:
            with budget():
                where = where_of(self._template, position, "if")
                return self._template.language.holds(condition, self._context, where)
        except ValidationError:
            return False

    def _known(self, value: JsonValue, where: str) -> JsonValue | _Unknown:
        if isinstance(value, Mapping):
            parts = {key: self._known(part, f"{where}.{key}") for key, part in value.items()}
            return {key: part for key, part in parts.items() if part is not _UNKNOWN}
        if isinstance(value, list | tuple):
            items = [self._known(item, f"{where}[{index}]") for index, item in enumerate(value)]
            return [item for item in items if item is not _UNKNOWN]
        if not isinstance(value, str) or not has_expression(value):
            return value
        if not self._names_known(value):
            return _UNKNOWN
        try:
            return self._template.language.value(value, self._context, where)
        except ValidationError:
            return _UNKNOWN  # the step will say it, in its own words

    def _names_known(self, text: str) -> bool:
        secret = self._template.secret_names
        return all(
            found.steps <= self._done
            and not found.problems
            and not found.names & {"secrets", "each"}
            and ("environment", "secrets") not in found.members
            and "environment" not in found.whole
            and not (found.parameters & secret)
            and "failure" not in found.called
            for found in _read(text, self._template.reading, host_calls.current().names)
        )


def literal(value: JsonValue) -> JsonValue | None:
    """A value without each part that has an expression: what is known whatever the run is. None when nothing is."""
    if isinstance(value, Mapping):
        return {key: part for key, of in value.items() if (part := literal(of)) is not None}
    if isinstance(value, list | tuple):
        return [part for of in value if (part := literal(of)) is not None]
    return None if isinstance(value, str) and has_expression(value) else value


def step_of(value: JsonValue) -> str | None:
    """The one step whose output a value is made of, and of nothing else; None where that is not so."""
    return _made_of(value, "step:")


def parameter_of(value: JsonValue) -> str | None:
    """The one parameter that a value is made of, and of nothing else; None where that is not so."""
    return _made_of(value, "parameter:")


def _made_of(value: JsonValue, kind: str) -> str | None:
    named = _named(value) if isinstance(value, str) and "${{" in value else ()
    return named[0].removeprefix(kind) if len(named) == 1 and named[0].startswith(kind) else None


# A template's texts are the same at each of its starts.


@lru_cache(maxsize=512)
def _named(text: str) -> tuple[str, ...]:
    found = _read(text, Reading.STRICT, host_calls.NONE.names)
    names = {f"step:{name}" for one in found for name in one.steps}
    names |= {f"parameter:{name}" for one in found for name in one.parameters}
    names |= {name for one in found for name in one.names - {"steps", "parameters"}}
    return tuple(sorted(names))


@lru_cache(maxsize=512)
def _read(text: str, reading: Reading, _host_names: object) -> tuple[References, ...]:
    return LANGUAGES[reading].references(text)
