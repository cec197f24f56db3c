"""Lists of named things that are in memory as a whole: pages of them, each of a bounded size."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TypeVar

from portal_actions_plugin.run_types import Page
from portal_actions_plugin.runs.reading.cursors import about, seal, unseal
from portal_actions_plugin.runs.reading.paging import MAX_PAGE_BYTES

T = TypeVar("T")


def page_of(
    kind: str,
    things: Iterable[T],
    *,
    name: Callable[[T], str],
    shown: Callable[[T], dict[str, object]],
    limit: int,
    cursor: str | None,
) -> Page:
    """A page of things, by name.

    Args:
        kind: what its cursors are bound to.
        things: all of them, in any order.
        name: gives a thing's name.
        shown: gives what the API says of a thing.
        limit: how many at most; fewer where they are large.
        cursor: of the page before, whose last name need not exist any more; None for the first page.

    Raises:
        ValidationError: the cursor is none of this list.
    """
    after = unseal(cursor, about(kind)).decode() if cursor is not None else None
    items: list[dict[str, object]] = []
    last, size = "", 0
    for thing in sorted(things, key=name):
        if after is not None and name(thing) <= after:
            continue
        if len(items) == limit or size > MAX_PAGE_BYTES:
            return Page(items, limit, seal(last.encode(), about(kind)))
        items.append(shown(thing))
        last = name(thing)
        size += len(json.dumps(items[-1], default=str))
    return Page(items, limit, None)
