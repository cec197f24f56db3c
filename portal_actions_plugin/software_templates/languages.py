"""The language of a template's expressions: ours, which is strict, and the one that a v1beta3 document has at home."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol, cast

from portal_actions_plugin.software_templates.expressions import rendering as strict
from portal_actions_plugin.software_templates.expressions.limits import SandboxError, budget
from portal_actions_plugin.software_templates.expressions.references import References
from portal_actions_plugin.software_templates.expressions.references import references as strict_references
from portal_actions_plugin.software_templates.expressions.rendering import ExpressionError, UndefinedValueError
from portal_actions_plugin.software_templates.expressions.undefined import Sparse
from portal_actions_plugin.software_templates.expressions.values import kind_of
from portal_actions_plugin.software_templates.nunjucks import rendering as nunjucks
from portal_actions_plugin.software_templates.nunjucks.javascript import (
    Function,
    JavaScriptError,
    Undefined,
    entries,
    truthy,
)
from portal_actions_plugin.software_templates.nunjucks.references import references as nunjucks_references
from portal_actions_plugin.software_templates.nunjucks.suggestions import instead_of
from portal_actions_plugin.software_templates.nunjucks.syntax import NunjucksSyntaxError
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.expressions.rendering import Context
    from portal_actions_plugin.software_templates.nunjucks.rendering import StatusCheck

log = logging.getLogger(__name__)


class Language(Protocol):
    """How the expressions of a template are evaluated. Each method raises ExpressionError, which names place and expression."""

    def holds(self, condition: JsonValue, context: Context, where: str, check: StatusCheck | None = None) -> bool:
        """Whether an ``if`` holds; no ``if`` does.

        Args:
            condition: as the template has it, a text, true or false; None when there is none.
            context: what expressions may name; JSON values only.
            where: the place of the ``if``, for errors.
            check: answers ``always()`` and ``failure()``, and notes that one was called; without it nothing has failed.
        """

    def shows(self, condition: JsonValue, context: Context, where: str, check: StatusCheck) -> bool:
        """Whether an entry of the output is there that has this ``if``.

        Args:
            condition: as the template has it.
            context: what expressions may name; JSON values only.
            where: the place of the ``if``, for errors.
            check: answers ``always()`` and ``failure()``, and notes that one was called.
        """

    def render(
        self, value: Mapping[str, JsonValue], context: Context, where: str, check: StatusCheck | None = None
    ) -> dict[str, JsonValue]:
        """Render every text of an object, at every depth; keys are never rendered.

        Args:
            value: such as a step's input.
            context: what expressions may name; JSON values only.
            where: the place of the value, for errors.
            check: as for ``holds``.
        """

    def value(self, value: JsonValue, context: Context, where: str, check: StatusCheck | None = None) -> JsonValue:
        """Render one value; what has none raises UndefinedValueError.

        Args:
            value: any part of a template.
            context: what expressions may name; JSON values only.
            where: its place, for errors.
            check: as for ``holds``.
        """

    def items(
        self, each: JsonValue, context: Context, where: str, check: StatusCheck | None = None
    ) -> list[tuple[str, JsonValue]]:
        """What an ``each`` goes through: the key and the value of each item, in order. Keys are texts, also of a list.

        Args:
            each: as the template has it.
            context: what expressions may name; JSON values only.
            where: the place of the ``each``, for errors.
            check: as for ``holds``.
        """

    def references(self, text: str) -> tuple[References, ...]:
        """What the expressions of a text name; never raises."""

    def instead(self, text: str) -> str:
        """What to write instead of a text that cannot be read, such as JavaScript's ternary; empty where nobody knows."""


class _Strict:
    """What has no value is an error that names it."""

    def holds(self, condition: JsonValue, context: Context, where: str, check: StatusCheck | None = None) -> bool:
        return strict.evaluate_condition(condition, _with_status(context, check), where)

    def shows(self, condition: JsonValue, context: Context, where: str, check: StatusCheck) -> bool:
        return strict.evaluate_condition(condition, _with_status(context, check), where)

    def render(
        self, value: Mapping[str, JsonValue], context: Context, where: str, check: StatusCheck | None = None
    ) -> dict[str, JsonValue]:
        return strict.render(value, _with_status(context, check), where)

    def value(self, value: JsonValue, context: Context, where: str, check: StatusCheck | None = None) -> JsonValue:
        return strict.render(value, _with_status(context, check), where)

    def items(
        self, each: JsonValue, context: Context, where: str, check: StatusCheck | None = None
    ) -> list[tuple[str, JsonValue]]:
        found = strict.render(each, _with_status(context, check), where)
        return [*found.items()] if isinstance(found, Mapping) else _listed(found, each, where)

    def references(self, text: str) -> tuple[References, ...]:
        return strict_references(text)

    def instead(self, text: str) -> str:
        equal = text.replace("!==", "!=").replace("===", "==")
        return next((one for one in (instead_of(equal), equal) if one not in {"", text} and _is_readable(one)), "")


class _Backstage:
    """As at home: what has no value is left out, and what cannot be read stays as it is written.

    Otherwise than there, an ``if`` that cannot be read is an error, a hole of a list is left out, and a text that is
    written as an empty one stays.
    """

    def holds(self, condition: JsonValue, context: Context, where: str, check: StatusCheck | None = None) -> bool:
        if not isinstance(condition, str):
            return condition is not False
        return _is_met(_condition(condition, context, where, _functions(check)))

    def shows(self, condition: JsonValue, context: Context, where: str, check: StatusCheck) -> bool:
        if not isinstance(condition, str):
            return _is_met(condition)
        value = _condition(condition, context, where, _functions(check))
        # There an undefined value loses its key, and what has no `if` is shown.
        return isinstance(value, Undefined) or _is_met(value)

    def render(
        self, value: Mapping[str, JsonValue], context: Context, where: str, check: StatusCheck | None = None
    ) -> dict[str, JsonValue]:
        with budget():
            return _object(value, _plain(context), where, _functions(check))

    def value(self, value: JsonValue, context: Context, where: str, check: StatusCheck | None = None) -> JsonValue:
        with budget():
            found = _rendered(value, _plain(context), where, _functions(check))
        if isinstance(found, Undefined):
            raise UndefinedValueError(where, str(value), "it is undefined")
        return found

    def items(
        self, each: JsonValue, context: Context, where: str, check: StatusCheck | None = None
    ) -> list[tuple[str, JsonValue]]:
        with budget():
            if isinstance(each, str):
                found = _condition(each, context, where, _functions(check))
            else:
                found = _rendered(each, _plain(context), where, _functions(check))
        if isinstance(found, Undefined):
            raise UndefinedValueError(where, str(each), "it is undefined, and no list")
        return _pairs(found) if isinstance(found, Mapping) else _listed(found, each, where)

    def references(self, text: str) -> tuple[References, ...]:
        return nunjucks_references(text)

    def instead(self, text: str) -> str:
        return instead_of(text)


LANGUAGES: Final[Mapping[Reading, Language]] = {Reading.STRICT: _Strict(), Reading.BACKSTAGE: _Backstage()}
"""By a document's reading."""


def _pairs(found: Mapping[str, JsonValue]) -> list[tuple[str, JsonValue]]:
    """Keys and values in the order that they have in JavaScript."""
    return [(key, found[key]) for key, _ in entries(found)]


def _listed(found: JsonValue, each: JsonValue, where: str) -> list[tuple[str, JsonValue]]:
    if not isinstance(found, list | tuple):
        raise ExpressionError(where, str(each), f"it gives {kind_of(found)}, and no list")
    return [(str(index), value) for index, value in enumerate(found)]


def _is_readable(text: str) -> bool:
    return not any(used.problems for used in strict_references(text))


def _with_status(context: Context, check: StatusCheck | None) -> Context:
    """A context with what expressions may call: a sandbox calls what is given to it by name."""
    known = check or nunjucks.StatusCheck(has_failed=False)
    return cast("Context", {**context, **known.callables})


def _functions(check: StatusCheck | None) -> Mapping[str, Function]:
    """What expressions may call."""
    return (check or nunjucks.StatusCheck(has_failed=False)).functions


def _condition(
    condition: str, context: Context, where: str, functions: Mapping[str, Function]
) -> JsonValue | Undefined:
    try:
        return nunjucks.evaluate(condition, _plain(context), functions)
    except nunjucks.FAILURES as error:
        raise ExpressionError(where, condition, _said(error)) from None


def _is_met(value: JsonValue | Undefined) -> bool:
    return len(value) > 0 if isinstance(value, list) else truthy(value)


def _plain(context: Context) -> dict[str, object]:
    """A context without the names that are known and have no value: here they are undefined as all others."""
    return {name: dict(part) if isinstance(part, Sparse) else part for name, part in context.items()}


def _object(
    value: Mapping[str, JsonValue], context: Mapping[str, object], where: str, functions: Mapping[str, Function]
) -> dict[str, JsonValue]:
    rendered = {key: _rendered(part, context, f"{where}.{key}", functions) for key, part in value.items()}
    return {key: part for key, part in rendered.items() if not isinstance(part, Undefined)}


def _rendered(
    value: JsonValue, context: Mapping[str, object], where: str, functions: Mapping[str, Function]
) -> JsonValue | Undefined:
    if isinstance(value, Mapping):
        return _object(value, context, where, functions)
    if isinstance(value, list | tuple):
        items = [_rendered(item, context, f"{where}[{index}]", functions) for index, item in enumerate(value)]
        return [item for item in items if not isinstance(item, Undefined)]
    return _text(value, context, where, functions) if isinstance(value, str) and value else value


def _text(
    text: str, context: Mapping[str, object], where: str, functions: Mapping[str, Function]
) -> JsonValue | Undefined:
    try:
        return nunjucks.evaluate(text, context, functions)
    except SandboxError as error:
        raise ExpressionError(where, text, str(error).rstrip(".")) from None
    except nunjucks.FAILURES as error:
        log.warning("%s stays as it is written, since it cannot be evaluated: %s", where, _said(error))
        return text


def _said(error: BaseException) -> str:
    """What went wrong, without a value: it may be a secret."""
    if isinstance(error, NunjucksSyntaxError | JavaScriptError | SandboxError):
        return str(error).rstrip(".")
    return strict.problem_of(error)
