"""Lists of named things that are in memory as a whole: pages of them, each of a bounded size."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from portal_actions_plugin.run_types import Page
from portal_actions_plugin.runs.reading.paging import MAX_PAGE_BYTES


def page_of(
    things: Iterable[Any],
    *,
    name: Callable[[Any], str],
    shown: Callable[[Any], dict[str, Any]],
    limit: int,
    cursor: str | None,
) -> Page:
    """A page by name. The cursor is the last name of the page before; it need not exist any more."""
    items: list[dict[str, Any]] = []
    last, size = None, 0
    for thing in sorted(things, key=name):
        if cursor is not None and name(thing) <= cursor:
            continue
        if len(items) == limit or size > MAX_PAGE_BYTES:
            return Page(items, limit, last)
        items.append(shown(thing))
        last = name(thing)
        size += len(json.dumps(items[-1], default=str))
    return Page(items, limit, None)
