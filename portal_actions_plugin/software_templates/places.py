"""Where a value lies in a document: the names and indexes that lead to it, and how people read them."""

from __future__ import annotations

Key = tuple[str | int, ...]
"""Names of mappings and indexes of lists, from the top: ``("spec", "steps", 1, "action")``."""


def written(key: Key) -> str:
    """Write a place as ``spec.steps[1].action``; the document itself is ``document``."""
    parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return parts.removeprefix(".") or "document"
