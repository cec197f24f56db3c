"""Ours beside the oracle's: the same words for what both gave, and what is different on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.software_templates.differences import DIFFERENCES, Kind
from portal_actions_plugin.software_templates.expressions.rendering import ExpressionError, UndefinedValueError
from portal_actions_plugin.software_templates.expressions.undefined import Sparse
from portal_actions_plugin.software_templates.languages import LANGUAGES
from portal_actions_plugin.software_templates.nunjucks.javascript import UNDEFINED, Undefined
from portal_actions_plugin.software_templates.readings import Reading
from tests.oracle.questions import CONTEXT

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

DIFFERENT = {
    example: one.name
    for one in DIFFERENCES
    if one.backstage and one.kind is Kind.VALUE
    for example in one.examples
    if isinstance(example, str)
}
"""Texts that documents of Backstage have otherwise than at home: the name of the difference by its example."""

_READINGS = {"backstage": Reading.BACKSTAGE, "ours": Reading.STRICT}


def as_input(reading: str, value: JsonValue) -> dict[str, Any]:
    """What a document's reading makes of a value in a step's input, in the words of the oracle's answers.

    Args:
        reading: ``backstage`` or ``ours``.
        value: as the template has it.
    """
    parameters = Sparse(CONTEXT["parameters"], {*CONTEXT["parameters"], "missing"}, "was not given")
    try:
        found = LANGUAGES[_READINGS[reading]].render({"a": value}, {**CONTEXT, "parameters": parameters}, "input")
    except ExpressionError as error:
        return {"error": error.problem}
    return {"value": found}


def as_at_home(given: Any) -> dict[str, Any]:
    """What ours makes of a step's input, as the oracle answers."""
    found = ours(given, CONTEXT)
    return {"undefined": True} if isinstance(found, Undefined) else {"value": found}


def ours(given: Any, context: Mapping[str, Any]) -> Any:
    """Render as Backstage does, holes of lists included; undefined where there is no value."""
    if isinstance(given, str):
        try:
            return LANGUAGES[Reading.BACKSTAGE].value(given, context, "input") if given else UNDEFINED
        except UndefinedValueError:
            return UNDEFINED
        except ExpressionError as error:
            return {"error": error.problem}
    if isinstance(given, dict):
        parts = {key: ours(part, context) for key, part in given.items()}
        return {key: part for key, part in parts.items() if not isinstance(part, Undefined)}
    if isinstance(given, list):
        return [{"$": "undefined"} if (item := ours(one, context)) is UNDEFINED else item for one in given]
    return given
