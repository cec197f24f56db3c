"""Named points on the way of a run: around every commit, fork, ring and signal.

Nothing happens at them, and a point costs one comparison, until a test sets a visitor: that may then kill, stop or
delay the process exactly there.
"""

from __future__ import annotations

from collections.abc import Callable

Visitor = Callable[[str], None]

_visitor: Visitor | None = None


def set_visitor(visitor: Visitor | None) -> None:
    """Call ``visitor(name)`` at every point that this process, or one forked from it, comes to."""
    global _visitor  # noqa: PLW0603 one process has one visitor
    _visitor = visitor


def reached(point: str) -> None:
    """Mark a point, such as ``claim.before_commit``."""
    if _visitor is not None:
        _visitor(point)
