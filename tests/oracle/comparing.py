"""Ours beside the oracle's: the same words for what both gave, and what is different on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portal_actions_plugin.software_templates.nunjucks import rendering
from portal_actions_plugin.software_templates.nunjucks.javascript import UNDEFINED, Undefined
from tests.oracle.questions import CONTEXT

DIFFERENT = {
    "${{ 'nope.example?owner=a&repo=b' | parseRepoUrl }}": "a portal's forges are not known to the filter",
    "${{ cycler }}": "there is no cycler",
    "{% macro m(a) %}<${{ a }}>{% endmacro %}${{ m(1) }}": "macros are not supported, and said so at load",
}
"""Questions whose answer is another one here, and why."""


def as_at_home(given: Any) -> dict[str, Any]:
    """What ours makes of a step's input, as the oracle answers."""
    found = ours(given, CONTEXT)
    return {"undefined": True} if isinstance(found, Undefined) else {"value": found}


def ours(given: Any, context: Mapping[str, Any]) -> Any:
    """Render as Backstage does, holes of lists included; undefined where there is no value."""
    if isinstance(given, str):
        try:
            return rendering.evaluate(given, context, rendering.StatusCheck(has_failed=False).functions)
        except rendering.FAILURES:
            return given
    if isinstance(given, dict):
        parts = {key: ours(part, context) for key, part in given.items()}
        return {key: part for key, part in parts.items() if not isinstance(part, Undefined)}
    if isinstance(given, list):
        return [{"$": "undefined"} if (item := ours(one, context)) is UNDEFINED else item for one in given]
    return given
