"""Rendering what a run gives in the end: the template's ``output``.

Nothing here ends a run: it is over by then. What has no value, or cannot be evaluated, is left out, with a log line.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.expressions.limits import budget
from portal_actions_plugin.software_templates.expressions.rendering import UndefinedValueError
from portal_actions_plugin.software_templates.nunjucks.rendering import StatusCheck
from portal_actions_plugin.software_templates.places import asks_for_status
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.step_rendering import names_of

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.spec import Template
    from portal_actions_plugin.software_templates.step_rendering import StepContext, Values

log = logging.getLogger(__name__)

NEEDED: Final[Mapping[str, tuple[str, ...]]] = {"links": ("url", "entityRef"), "text": ("content",)}
"""The lists of the output whose entries may have an ``if``, and what an entry needs one of to be of any use."""


class _Omitted(Enum):
    PART = auto()


_DROPPED: Final = _Omitted.PART
"""Stands for a part of the output that is left out."""


def render_output(template: Template, context: StepContext) -> dict[str, JsonValue]:
    """Render what a run gives that has succeeded. Never raises.

    A value that is undefined, such as an output of a skipped step, is left out, and so is a link without an address or
    a text without content. An entry's own ``if`` is evaluated.

    Args:
        template: that has run.
        context: as ``step_context`` builds it, with the outputs of all steps.
    """
    return _bounded(_Output(template, context, has_failed=False).whole, template)


def render_output_after_failure(template: Template, context: StepContext) -> dict[str, JsonValue]:
    """Render what a run gives that has failed: the links and texts whose ``if`` asks for that. Never raises.

    Args:
        template: that has run.
        context: as ``step_context`` builds it, with the outputs of the steps that succeeded.
    """
    if not tells_of_failures(template):
        return {}
    return _bounded(_Output(template, context, has_failed=True).asked_for, template)


def tells_of_failures(template: Template) -> bool:
    """Whether an entry's ``if`` may ask for runs that have failed, with ``failure()`` or ``always()``."""
    conditions = (entry.get("if") for name in NEEDED for entry in _entries(template.output.get(name)))
    return any(map(asks_for_status, conditions))


def _entries(value: JsonValue) -> list[Mapping[str, JsonValue]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list | tuple) else []


def _bounded(
    render: Callable[[Mapping[str, JsonValue]], dict[str, JsonValue]], template: Template
) -> dict[str, JsonValue]:
    try:
        with budget():
            return render(template.output)
    except Exception:  # a bug of ours must not change how a run has ended
        log.exception("The output of a run of %s could not be rendered", template.name)
        return {}


def is_truthy(value: JsonValue) -> bool:
    """Whether an ``if`` of the output holds that is this value, as at home: of lists and objects only ``[]`` does not."""
    return len(value) > 0 if isinstance(value, list | tuple) else isinstance(value, Mapping) or bool(value)


class _Output:
    """Renders what a run gives, without each part that has no value."""

    def __init__(self, template: Template, context: StepContext, *, has_failed: bool) -> None:
        self._language = template.language
        self._is_strict = template.reading is Reading.STRICT
        self._context = names_of(template, context)
        self._has_failed = has_failed

    def whole(self, output: Values) -> dict[str, JsonValue]:
        parts = {key: self._top(key, value, f"output.{key}") for key, value in output.items()}
        return {key: part for key, part in parts.items() if part is not _DROPPED}

    def asked_for(self, output: Values) -> dict[str, JsonValue]:
        """The entries whose ``if`` has asked whether the run failed, and holds."""
        found: dict[str, JsonValue] = {}
        for key in NEEDED:
            value = output.get(key)
            items = value if isinstance(value, list | tuple) else ()
            entries = [
                self._entry(key, item, f"output.{key}[{index}]", only_if_asked=True)
                for index, item in enumerate(items)
                if isinstance(item, Mapping) and "if" in item
            ]
            if kept := [entry for entry in entries if entry is not _DROPPED]:
                found[key] = kept
        return found

    def _top(self, key: str, value: JsonValue, where: str) -> JsonValue | _Omitted:
        if key not in NEEDED:
            return self._part(value, where)
        if isinstance(value, list | tuple):
            entries = [self._entry(key, item, f"{where}[{index}]") for index, item in enumerate(value)]
            return [entry for entry in entries if entry is not _DROPPED]
        rendered = self._part(value, where)
        return _without_hidden(rendered) if isinstance(rendered, list) else rendered

    def _entry(self, key: str, item: JsonValue, where: str, *, only_if_asked: bool = False) -> JsonValue | _Omitted:
        """One of the links or texts."""
        if not isinstance(item, Mapping):
            return self._part(item, where)
        if "if" in item and not self._is_shown(item["if"], f"{where}.if", only_if_asked=only_if_asked):
            return _DROPPED
        rendered = self._object({name: value for name, value in item.items() if name != "if"}, where)
        if any(rendered.get(name) for name in NEEDED[key]):
            return rendered
        log.warning("%s is left out: it has no %s", where, " and no ".join(NEEDED[key]))
        return _DROPPED

    def _is_shown(self, condition: JsonValue, where: str, *, only_if_asked: bool) -> bool:
        check = StatusCheck(has_failed=self._has_failed)
        try:
            holds = self._language.shows(condition, self._context, where, check)
        except ValidationError as error:
            log.warning("A part of a template's output is left out: %s", error.message)
            return False
        return holds and (check.was_called or not only_if_asked)

    def _object(self, value: Values, where: str) -> dict[str, JsonValue]:
        parts = {key: self._part(item, f"{where}.{key}") for key, item in value.items()}
        return {key: part for key, part in parts.items() if part is not _DROPPED}

    def _part(self, value: JsonValue, where: str) -> JsonValue | _Omitted:
        if isinstance(value, Mapping):
            return self._object(value, where)
        if isinstance(value, list | tuple):
            items = [self._item(item, f"{where}[{index}]") for index, item in enumerate(value)]
            return [item for item in items if item is not _DROPPED]
        try:
            return self._language.value(value, self._context, where, StatusCheck(has_failed=self._has_failed))
        except ValidationError as error:
            if not isinstance(error, UndefinedValueError):
                log.warning("A value of a template's output is left out: %s", error.message)
            return _DROPPED

    def _item(self, item: JsonValue, where: str) -> JsonValue | _Omitted:
        """An item of another list: in ours it may have an ``if`` as well, and goes when it has lost a part."""
        if not self._is_strict or not isinstance(item, Mapping):
            return self._part(item, where)
        if "if" in item and not self._is_shown(item["if"], f"{where}.if", only_if_asked=False):
            return _DROPPED
        wanted = {key: value for key, value in item.items() if key != "if"}
        rendered = self._object(wanted, where)
        return rendered if len(rendered) == len(wanted) else _DROPPED


def _without_hidden(items: list[JsonValue]) -> list[JsonValue]:
    """Entries of a list that an expression gave: their ``if`` is a value by now."""
    shown = [item for item in items if not isinstance(item, Mapping) or is_truthy(item.get("if", True))]
    return [{k: v for k, v in item.items() if k != "if"} if isinstance(item, Mapping) else item for item in shown]
