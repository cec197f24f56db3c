"""Findings about actions that are not there: how many templates ask for each, and where it says how to add one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal_actions_plugin.host import TemplateFinding

HOW = '"An action that is not there" in the docs says how to add it'
_ASKED = "there is no action "


def no_action(action: str) -> str:
    """What a finding says of an action that is not there."""
    return f"{_ASKED}{action!r}"


def counted(findings: Iterable[TemplateFinding]) -> list[TemplateFinding]:
    """Say in each finding about an action that is not there how many templates ask for it.

    Args:
        findings: of all templates that are looked at together.

    Returns:
        All of them, in their order.
    """
    found = list(findings)
    users: dict[str, set[tuple[str, str]]] = {}
    for one in found:
        if one.waits_for and one.message == no_action(one.waits_for):
            users.setdefault(one.message, set()).add((one.file, one.template))
    if not users:
        return found
    return [
        replace(one, message=f"{one.message}, {_asked_by(len(users[one.message]))}") if one.message in users else one
        for one in found
    ]


def _asked_by(templates: int) -> str:
    who = "1 template here asks for" if templates == 1 else f"{templates} templates here ask for"
    return f"which {who}: {HOW}"
