"""What a forge's refusals are told by: its own words, shortened, and rules that say what they mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ActionError, RemoteError

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.remote.answers import ForgeAnswer

SHOWN_CHARS = 300
"""So much of a forge's words is in an error."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a refusal means, by its words: the error, who can mend it, and the input field that could be changed, if any."""

    words: re.Pattern[str]
    kind: type[ActionError]
    hint: str
    field: str = ""

    def fields(self, message: str) -> dict[str, list[str]]:
        """The errors by field, for an error with this message."""
        return {self.field: [message]} if self.field else {}


def rule(words: str, kind: type[ActionError], hint: str, field: str = "") -> Rule:
    """A rule for words, as a regular expression whatever their case."""
    return Rule(re.compile(words, re.IGNORECASE), kind, hint, field)


def first_rule(rules: Sequence[Rule], said: str) -> Rule | None:
    """The first of some rules whose words were said; None where none of them knows what was."""
    return next((one for one in rules if one.words.search(said)), None)


def shown(parts: Iterable[str], separator: str, answer: ForgeAnswer) -> str:
    """What a forge says, on one line and shortened; says so when it said nothing.

    Args:
        parts: its words.
        separator: between them.
        answer: that they are in.
    """
    said = " ".join(separator.join(parts).split())
    cut = said if len(said) <= SHOWN_CHARS else said[:SHOWN_CHARS] + "…"
    return cut or f"it answered {answer.status} and said nothing"


def body_of(answer: ForgeAnswer) -> JsonValue:
    """The body as JSON; None when it is something else, such as a proxy's page."""
    try:
        return answer.json()
    except RemoteError:
        return None
