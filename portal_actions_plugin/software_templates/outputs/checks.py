"""Checking a template's ``output`` when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.expressions.checks import Scope, check_condition, check_value
from portal_actions_plugin.software_templates.outputs.addresses import link_address
from portal_actions_plugin.software_templates.outputs.rendering import NEEDED
from portal_actions_plugin.software_templates.places import has_expression

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.places import Key

_KEYS = {"links": ("title", "url", "entityRef", "icon", "if"), "text": ("title", "content", "icon", "default", "if")}


def check_output(output: Mapping[str, JsonValue], scope: Scope, findings: Findings) -> None:
    """Note what is wrong with the output, and with each of its expressions.

    Args:
        output: as the template has it.
        scope: what its expressions may name.
        findings: where problems are noted.
    """
    for name, value in output.items():
        key: Key = ("spec", "output", name)
        if name not in NEEDED or isinstance(value, str):
            check_value(value, key, scope, findings)
        elif not isinstance(value, list):
            findings.differ(key, f"this must be a list of entries, each with {_either(name)}")
            check_value(value, key, scope, findings)
        else:
            for index, entry in enumerate(value):
                _check_entry(name, entry, (*key, index), scope, findings)


def _check_entry(name: str, entry: JsonValue, key: Key, scope: Scope, findings: Findings) -> None:
    if not isinstance(entry, Mapping):
        if name == "links" or not isinstance(entry, str):
            findings.differ(key, f"this must be a mapping with {_either(name)}: no page shows it")
        check_value(entry, key, scope, findings)
        return
    if "if" in entry:
        check_condition(entry["if"], (*key, "if"), scope, findings)
    check_value({part: value for part, value in entry.items() if part != "if"}, key, scope, findings)
    if not any(entry.get(part) for part in NEEDED[name]):
        near = [part for part in entry if get_close_matches(str(part), NEEDED[name], n=1, cutoff=0.6)]
        findings.differ(
            (*key, near[0]) if near else key,
            f"this is left out of every run: it has no {' and no '.join(NEEDED[name])}",
            value=str(near[0]) if near else "",
            write=NEEDED[name][0] if near else "",
        )
    for part in _KEYS[name]:
        _check_part(part, entry.get(part), (*key, part), findings)


def _check_part(part: str, value: JsonValue, key: Key, findings: Findings) -> None:
    if value is None or part in {"if", "default"}:
        return
    if not isinstance(value, str):
        findings.differ(key, "this must be a text: put it in quotes", value=findings.read_as(key, value))
    elif part == "url" and value and not has_expression(value) and link_address(value) is None:
        said = "this becomes no link: one leads to http://…, https://…, mailto:… or an address of this portal, /…"
        findings.differ(key, said, value=value)


def _either(name: str) -> str:
    return " or ".join(NEEDED[name])
