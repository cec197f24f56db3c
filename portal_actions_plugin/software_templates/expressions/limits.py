"""How much an expression may make. No value larger than the limit ever comes to exist, so nothing later can be slow."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, MappingView
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from jinja2 import Undefined

MAX_SIZE = 256_000
"""Characters and list or object items of one value, and of everything that one render makes."""
MAX_FILE_SIZE = 2_000_000
"""Characters of a rendered skeleton file."""
MAX_DEPTH = 40
"""Levels of lists and objects inside each other."""
MAX_LOOPS = 100_000
"""Items that all loops of one render may go through."""
MAX_MADE = 10_000_000
"""Characters and items of all values that one render makes along the way: many may be alive at once."""
MAX_RANGE = 1_000
MAX_INT_BITS = 1_024
MAX_STRIPPED = 100
CPU_SECONDS = 2.0
"""Processor time of one render: a busy machine fails nobody."""


T = TypeVar("T")


class SandboxError(Exception):
    """An expression asked for something that it may not have, or for too much of it."""


@dataclass(slots=True)
class Budget:
    """What one render may use, and has used.

    Attributes:
        max_size: characters and items of the result.
        size: of the result so far.
        seconds: of processor time.
        made: characters and items of all values along the way, so far.
        loops: items that loops went through, so far.
        began: the thread's processor time at the beginning, in seconds.
    """

    max_size: int = MAX_SIZE
    size: int = 0
    seconds: float = CPU_SECONDS
    made: int = 0
    loops: int = 0
    began: float = field(default_factory=time.thread_time)

    def take(self, size: int) -> None:
        """Count what becomes part of the result."""
        self.size += size
        if self.size > self.max_size:
            raise SandboxError(f"the result is larger than {self.max_size:,} characters")

    def make(self, size: int) -> None:
        """Count a value that was made along the way."""
        self.made += size
        if self.made > MAX_MADE:
            raise SandboxError(f"it makes more than {MAX_MADE:,} characters or items along the way")

    def loop(self, items: int) -> None:
        """Count the items of a loop before it begins."""
        self.loops += items
        if self.loops > MAX_LOOPS:
            raise SandboxError(f"its loops go through more than {MAX_LOOPS:,} items")

    def check_time(self) -> None:
        """Stop what computes for too long; called at every operation."""
        if time.thread_time() - self.began > self.seconds:
            raise SandboxError(f"it computes for longer than {self.seconds:g} seconds")


_current: ContextVar[Budget | None] = ContextVar("portal_actions_render_budget", default=None)


@contextmanager
def budget(max_size: int = MAX_SIZE, seconds: float = CPU_SECONDS) -> Iterator[Budget]:
    """Give one render, or one check, its budget. Inside another one the outer one's is shared.

    Args:
        max_size: characters and items of the result.
        seconds: of processor time.
    """
    outer = _current.get()
    if outer is not None:
        yield outer
        return
    token = _current.set(inner := Budget(max_size, seconds=seconds))
    try:
        yield inner
    finally:
        _current.reset(token)


def current_budget() -> Budget:
    """The budget of the render that is going on."""
    return _current.get() or Budget()


def fits(size: int, most: int = MAX_SIZE) -> None:
    """Refuse a text or list before it is made; ``size`` counts its characters or items. Raises SandboxError."""
    if size > most:
        raise SandboxError(f"it makes a value larger than {most:,} characters or items")


def size_of(value: object) -> int:
    """Count a value's characters and items, at every depth: a text counts its characters and one, all else counts one.

    Raises:
        SandboxError: it is too large, too deep or too long a number.
    """
    current_budget().check_time()
    size = 0
    waiting: list[tuple[object, int]] = [(value, 0)]
    while waiting:
        part, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise SandboxError(f"it makes a value nested deeper than {MAX_DEPTH} levels")
        size += _own_size(part)
        inside = [item for pair in part.items() for item in pair] if isinstance(part, Mapping) else part
        if isinstance(inside, list | tuple):
            fits(size + len(inside))
            waiting.extend((item, depth + 1) for item in inside)
        fits(size)
    current_budget().make(size)
    return size


def measured(value: T) -> T:
    """Return a value as it is when it is within the limits.

    Raises:
        SandboxError: it is too large, too deep or too long a number.
    """
    size_of(value)
    return value


def _own_size(part: object) -> int:
    if isinstance(part, Undefined):
        return 1
    if isinstance(part, str):
        return len(part) + 1
    if isinstance(part, int) and part.bit_length() > MAX_INT_BITS:
        raise SandboxError("it makes a number that is too long")
    return 1


def settled(value: object) -> object:
    """Turn what Python gives lazily into a list, one item after the other, and measure it.

    Args:
        value: an iterator, a range or a mapping's view becomes a list; anything else stays what it is.

    Raises:
        SandboxError: it is too large, too deep or too long a number, or its items take too long to make.
    """
    if isinstance(value, Iterator | range | MappingView):
        items: list[object] = []
        size = 0
        for item in value:  # type: ignore[union-attr]
            current_budget().check_time()
            items.append(item)
            size += len(item) + 1 if isinstance(item, str) else 1
            fits(size)
        return measured(items)
    return measured(value)
