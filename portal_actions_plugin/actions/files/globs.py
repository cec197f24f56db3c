"""Patterns of paths as Backstage's actions take them: ``*``, ``?``, ``[…]``, ``{a,b}``, ``@(a|b)``, and ``**`` for any depth.

A path is matched by a set of places in it, kept as the bits of one number, that each part of a pattern moves on. Nothing is
tried again, so no pattern is slow; what all patterns of a step do together is counted, and has an end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from portal_actions_plugin.actions.files.glob_syntax import (
    MAX_PATTERN,
    AnyDepth,
    Group,
    Node,
    OneOf,
    Sequence,
    Star,
    Text,
    parse,
)

__all__ = ["MAX_PATTERN", "NOTHING", "Globs", "TooMuchError", "Work", "is_magic"]

MAX_STEPS = 30_000_000
"""What all patterns of one step may do: some ten seconds."""
_MAGIC = re.compile(r"[*?\[{(\\]")


class TooMuchError(ValueError):
    """The patterns of a step take too long together."""


@dataclass(slots=True)
class Work:
    """Counts what matching does.

    Attributes:
        steps: so far.
    """

    steps: int = 0

    def step(self, many: int = 1) -> None:
        """Count; raises TooMuchError when it is too much."""
        self.steps += many
        if self.steps > MAX_STEPS:
            raise TooMuchError("the patterns of this step take too long for so many files: write fewer or simpler ones")


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One pattern: its text, and what it is made of; None when it is a plain path."""

    text: str
    parts: Sequence | None

    @classmethod
    def of(cls, text: str) -> _Pattern:
        if len(text) > MAX_PATTERN or "\0" in text:
            raise ValueError(f"a pattern has at most {MAX_PATTERN:,} characters, and no zero byte")
        plain = text.removeprefix("./").rstrip("/")
        plain = "**" if plain in ("", ".") else plain
        return cls(plain, parse(plain) if _MAGIC.search(plain) else None)


@dataclass(frozen=True, slots=True)
class Globs:
    """Several patterns: a path matches when it matches one of them, and none after that one that begins with ``!``.

    Attributes:
        dot: whether a wildcard stands for names that begin with a dot, too.
        work: counts what matching does.
    """

    dot: bool
    work: Work
    _plain: Mapping[str, int]
    _wanted: tuple[tuple[int, _Pattern], ...]
    _refused: tuple[tuple[int, _Pattern], ...]

    @classmethod
    def of(cls, patterns: Iterable[str], *, dot: bool) -> Globs:
        """Read patterns; raises ValueError with what is wrong with one of them."""
        read = [(index, one.startswith("!"), _Pattern.of(one.removeprefix("!"))) for index, one in enumerate(patterns)]
        wanted = [(index, one) for index, refuses, one in read if not refuses]
        return cls(
            dot,
            Work(),
            {one.text: index for index, one in reversed(wanted)},
            tuple((index, one) for index, one in wanted if one.parts is not None),
            tuple((index, one) for index, refuses, one in read if refuses),
        )

    @classmethod
    def single(cls, pattern: str, *, dot: bool, work: Work) -> Globs:
        """Read one pattern, in which a ``!`` at the beginning is no more than that; raises ValueError as ``of``."""
        one = _Pattern.of(pattern)
        return cls(dot, work, {one.text: 0}, ((0, one),) if one.parts is not None else (), ())

    def matches(self, path: str) -> bool:
        """Whether a path matches; what is in a folder that is named as it is does as well; raises TooMuchError."""
        walk = _Walk(path, self.dot, self.work)
        found = self._first(walk)
        return found is not None and not any(index > found and walk.matches(one) for index, one in self._refused)

    def _first(self, walk: _Walk) -> int | None:
        """The index of the first pattern that a path matches."""
        named = [self._plain[one] for one in _with_folders(walk.path) if one in self._plain]
        first = min(named, default=None)
        for index, one in self._wanted:
            if first is not None and index > first:
                break
            if walk.matches(one):
                return index
        return first


NOTHING = Globs(dot=True, work=Work(), _plain={}, _wanted=(), _refused=())
"""Matches no path."""


def is_magic(pattern: str) -> bool:
    """Whether a path has anything of a pattern in it."""
    return bool(_MAGIC.search(pattern))


def _with_folders(path: str) -> Iterator[str]:
    """A path, and each folder that it is in."""
    yield path
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


@dataclass(slots=True)
class _Walk:
    """Moves places in one path on. A place is the number of signs before it, and a bit of a number."""

    path: str
    dot: bool
    work: Work
    _masks: dict[str, int] = field(default_factory=dict)

    def matches(self, pattern: _Pattern) -> bool:
        self.work.step()
        if self.path == pattern.text or self.path.startswith(f"{pattern.text}/"):
            return True
        return pattern.parts is not None and bool(self.after(pattern.parts, 1) >> len(self.path) & 1)

    def after(self, pattern: Sequence, places: int) -> int:
        """The places that a pattern leads to from some."""
        for node in pattern:
            if not places:
                break
            self.work.step(1 + len(self.path) // 256)
            places = self._after_node(node, places)
        return places

    def _after_node(self, node: Node, places: int) -> int:
        if isinstance(node, Text):
            return (places & self._at(node.text)) << len(node.text)
        if isinstance(node, OneOf):
            return (places & self._of_kind(node)) << 1
        if isinstance(node, Star):
            return _run(places, self._free())
        if isinstance(node, AnyDepth):
            return self._any_depth(node, places)
        return self._group(node, places)

    def _any_depth(self, node: AnyDepth, places: int) -> int:
        whole = _run(places & self._starts(), self._free() | self._at("/"))
        if node.is_last:
            return whole
        return (whole & self._starts()) | places & self._starts()

    def _group(self, group: Group, places: int) -> int:
        self.work.step()
        if group.kind == "!":
            return self._not(group, places)
        if group.kind in "@?":
            return self._one_of(group, places) | (places if group.kind == "?" else 0)
        found = self._one_of(group, places) if group.kind == "+" else places
        new = found
        while new:
            new = self._one_of(group, new) & ~found
            found |= new
        return found

    def _one_of(self, group: Group, places: int) -> int:
        found = 0
        self.work.step(len(group.choices))
        for one in group.choices:
            found |= self.after(one, places)
        return found

    def _not(self, group: Group, places: int) -> int:
        """From each place, those that none of the choices leads to."""
        found = 0
        while places:
            place = places & -places
            places ^= place
            found |= _run(place, self._free()) & ~self._one_of(group, place)
        return found

    # Where in the path something is, as the bits of the places before it.

    def _at(self, text: str) -> int:
        if text not in self._masks:
            self._masks[text] = _bits(_places_of(text, self.path))
            self.work.step(1 + self._masks[text].bit_count() // 8)
        return self._masks[text]

    def _starts(self) -> int:
        """Where names begin."""
        return 1 | self._at("/") << 1

    def _free(self) -> int:
        """What a wildcard stands for."""
        all_of_it = (1 << len(self.path)) - 1
        hidden = 0 if self.dot else self._at(".") & self._starts()
        return all_of_it & ~self._at("/") & ~hidden

    def _of_kind(self, node: OneOf) -> int:
        found = 0
        signs = set(self.path) - {"/"}
        self.work.step((len(self.path) + len(signs) * (1 + len(node.signs) + len(node.classes))) // 8)
        for sign in signs:
            if node.holds(sign):
                found |= self._at(sign)
        return found & self._free()


def _places_of(text: str, path: str) -> Iterator[int]:
    place = path.find(text)
    while place >= 0:
        yield place
        place = path.find(text, place + 1)


def _bits(places: Iterable[int]) -> int:
    found = 0
    for place in places:
        found |= 1 << place
    return found


def _run(places: int, free: int) -> int:
    """The places, and those that lead on from them over signs that are free: the carry of an addition runs through them."""
    return places | ((places & free) + free) ^ free
