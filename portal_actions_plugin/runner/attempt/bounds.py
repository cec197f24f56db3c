"""How much of what a handler says is kept, masked, and what is cut says so.

A handler may say very much. No more of it is looked at than is kept, and what a secret needs that stands at the cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TypeVar

from portal_actions_plugin.errors import PortalActionsError, field_lines
from portal_actions_plugin.run_types import Link
from portal_actions_plugin.runs.secrets.redaction import Redactor

MAX_ERROR_CHARS = 4_000
"""Of an error's message, and of its hint."""

MAX_FIELD_LINES = 20
"""Of an error's fields: so many are told with its message."""

MAX_LINKS = 100
MAX_LINK_TITLE = 200
MAX_LINK_URL = 2_000
MAX_WARNINGS = 100
MAX_WARNING_CHARS = 1_000
MAX_CHECKPOINTS = 1_000
"""Of an action run. Their size is limited as that of outputs is."""

CUT = " … (cut)"

LONGEST_TOKEN = 4_096
"""Characters: of what is known to be secret by its shape alone, such as a private key."""

E = TypeVar("E", bound=PortalActionsError)


def cut(text: str, longest: int) -> str:
    """The text, or its first ``longest`` characters and a word that it was cut."""
    return text if len(text) <= longest else text[:longest] + CUT


def masked(text: str, longest: int, redactor: Redactor) -> str:
    """A text as it is kept, at most so many characters of it, and no part of a secret.

    Args:
        text: of any length.
        longest: how many characters may be kept.
        redactor: knows what to mask.
    """
    beyond = max(LONGEST_TOKEN, redactor.longest)
    if len(text) <= longest + 2 * beyond:
        return cut(redactor.text(text), longest)
    looked_at = redactor.text(text[: longest + 2 * beyond])
    # A secret that is there in part, and so not masked, is at the very end. What was masked has moved that forward.
    return looked_at[: len(looked_at) - beyond][:longest] + CUT


def error(said: E, redactor: Redactor) -> E:
    """Bound and mask all that an error says, in place.

    Args:
        said: the error; its message and hint keep ``MAX_ERROR_CHARS`` characters each.
        redactor: knows what to mask.

    Returns:
        That error.
    """
    said.message = masked(_with_fields(said), MAX_ERROR_CHARS, redactor)
    said.hint = masked(str(said.hint), MAX_ERROR_CHARS, redactor)
    said.fields = redactor.data(said.fields)
    said.args = (said.message,)
    return said


def _with_fields(said: PortalActionsError) -> str:
    """The message, and below it what is wrong with which field, as far as it does not say so itself: no run keeps more."""
    message = str(said.message)
    lines = list(islice(field_lines(said.fields), MAX_FIELD_LINES + 1))
    more = [f"… and more than {MAX_FIELD_LINES} fields"] if len(lines) > MAX_FIELD_LINES else []
    new = [line for line in lines[:MAX_FIELD_LINES] if line.partition(": ")[2] not in message]
    return "\n".join([message, *new, *more])


def links(made: Sequence[Link], redactor: Redactor) -> list[Link]:
    """The links as they are kept, masked. An address that is cut is none any more: a page shows it as text.

    Args:
        made: what a handler has made, the oldest first; the first ``MAX_LINKS`` are kept.
        redactor: knows what to mask.
    """
    return [
        Link(masked(str(link.title), MAX_LINK_TITLE, redactor), masked(str(link.url), MAX_LINK_URL, redactor))
        for link in made[:MAX_LINKS]
    ]


def warnings(said: Sequence[str], links_made: int, redactor: Redactor) -> list[str]:
    """The warnings as they are kept, masked, with one more for what of links and warnings is not.

    Args:
        said: a handler's warnings, the oldest first; the first ``MAX_WARNINGS`` are kept.
        links_made: how many links it has made.
        redactor: knows what to mask.
    """
    lost = [
        f"{made - kept} more {things} are not kept: a run keeps {kept}."
        for made, kept, things in ((links_made, MAX_LINKS, "links"), (len(said), MAX_WARNINGS, "warnings"))
        if made > kept
    ]
    return [masked(str(text), MAX_WARNING_CHARS, redactor) for text in said[:MAX_WARNINGS]] + lost
