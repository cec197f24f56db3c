"""How much of what a handler says is kept: masked first, then cut, and what is cut says so."""

from __future__ import annotations

from collections.abc import Sequence

from portal_actions_plugin.host import Link
from portal_actions_plugin.runs.redaction import Redactor

MAX_ERROR_CHARS = 4_000
"""Of an error's message, and of its hint."""

MAX_LINKS = 100
MAX_LINK_TITLE = 200
MAX_LINK_URL = 2_000
MAX_WARNINGS = 100
MAX_WARNING_CHARS = 1_000
MAX_CHECKPOINTS = 1_000
"""Of an action run. Their size is limited as that of outputs is."""

CUT = " … (cut)"


def cut(text: str, longest: int) -> str:
    """The text, or as much of it as may be kept."""
    return text if len(text) <= longest else text[:longest] + CUT


def error_text(text: str) -> str:
    """An error's message or hint as it is kept."""
    return cut(text, MAX_ERROR_CHARS)


def links(made: Sequence[Link], redactor: Redactor) -> list[Link]:
    """The links as they are kept. An address that is cut is none any more: a page shows it as text."""
    return [
        Link(cut(redactor.text(str(link.title)), MAX_LINK_TITLE), cut(redactor.text(str(link.url)), MAX_LINK_URL))
        for link in made[:MAX_LINKS]
    ]


def warnings(said: Sequence[str], links_made: int, redactor: Redactor) -> list[str]:
    """The warnings as they are kept, with one more for what of links and warnings is not."""
    lost = [
        f"{made - kept} more {things} are not kept: a run keeps {kept}."
        for made, kept, things in ((links_made, MAX_LINKS, "links"), (len(said), MAX_WARNINGS, "warnings"))
        if made > kept
    ]
    return [cut(redactor.text(str(text)), MAX_WARNING_CHARS) for text in said[:MAX_WARNINGS]] + lost
