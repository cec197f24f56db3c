"""How a live page knows that nothing has changed: by the state that it was given as its ETag, and asks with again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import request

from portal_actions_plugin.blueprints.pages.query import wants_absolute
from portal_actions_plugin.runs.guards.identity import current_identity

MOVING = "moving"
"""What a page says of itself in its fact ``live``: something on it is queued or running."""

STILL = "still"
"""Nothing moves, but something may begin. A page that says neither stays as it is."""

_FRESH_SECONDS = 600


def page_state(template: str, facts: Mapping[str, Any]) -> str:
    """What a page tells, as a short text that is another one once the page would tell something else.

    Only what the clock alone changes has no part in it. How often the page was renewed has, since form tokens age: a
    page that is only renewed goes on as slowly as before, and not all pages are renewed at once.

    Args:
        template: the page's file.
        facts: what it shows. ``moments`` are those at which it reads otherwise though no row has changed.
    """
    identity = current_identity()
    told = [template, facts, wants_absolute(request), identity and (identity.id, identity.name)]
    told += [moment > datetime.now(UTC) for moment in facts.get("moments", ())]
    state = hashlib.sha256(repr(told).encode()).hexdigest()[:32]
    renewed = (time.time() + int(state[:8], 16)) // _FRESH_SECONDS
    return f"{state}-{renewed:.0f}"
