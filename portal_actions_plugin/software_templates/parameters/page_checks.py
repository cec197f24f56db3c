"""Checking what a template says of its form's pages: when each is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.expressions.checks import check_condition, check_value
from portal_actions_plugin.software_templates.parameters.pages import condition_of
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.expressions.checks import Scope
    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.places import Key

_ALWAYS = "its page is always shown"


def check_when(when: JsonValue, key: Key, scope: Scope, findings: Findings) -> None:
    """Note what is wrong with the ``when`` of a page.

    Args:
        when: as the template has it.
        key: its place in the document.
        scope: what its expression may name.
        findings: where it is noted.
    """
    if not isinstance(when, str | bool):
        findings.differ(key, f"this is no expression, true or false: {_ALWAYS}")
    elif isinstance(when, bool) or not when.strip():
        return
    elif findings.reading is Reading.STRICT:
        check_condition(when, key, scope, findings)
    else:
        text = condition_of(when)
        unreadable = [(used, problem) for used in scope.references(text) for problem in used.problems]
        for used, problem in unreadable:
            findings.differ(key, f"{used.expression}: {problem}; {_ALWAYS}", value=used.expression)
        if not unreadable:
            check_value(text, key, scope, findings)
