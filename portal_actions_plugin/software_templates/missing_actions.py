"""Findings about actions that are not there: how many templates ask for each, and where it says how to add one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal_actions_plugin.host import TemplateFinding

HOW = '"An action that is not there" in the docs says how to add it'
_ASKED = "there is no action "
_NEAR = 0.9
"""How alike two names are of which one is a slip: fetch:rails is no fetch:plain."""


def no_action(action: str, known: Collection[str] = ()) -> str:
    """What a finding says of an action that is not there, and which of those that are known it is most likely meant to be."""
    near = get_close_matches(action, known, n=1, cutoff=_NEAR)
    return f"{_ASKED}{action!r}" + (f"; did you mean {near[0]!r}?" if near else "")


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
        if one.waits_for and one.message.startswith(no_action(one.waits_for)):
            users.setdefault(one.waits_for, set()).add((one.file, one.template))
    return [_with_count(one, users) for one in found]


def _with_count(one: TemplateFinding, users: Mapping[str, set[tuple[str, str]]]) -> TemplateFinding:
    said = no_action(one.waits_for)
    if one.waits_for not in users or not one.message.startswith(said):
        return one
    return replace(one, message=f"{said}, {_asked_by(len(users[one.waits_for]))}{one.message.removeprefix(said)}")


def _asked_by(templates: int) -> str:
    who = "1 template here asks for" if templates == 1 else f"{templates} templates here ask for"
    return f"which {who}: {HOW}"
