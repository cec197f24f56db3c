"""Patterns of paths as Backstage's actions take them: ``*``, ``?``, ``[…]``, ``{a,b}``, and ``**`` for folders at any depth."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

MAX_PATTERN = 1_000
MAX_ALTERNATIVES = 200
"""Patterns that the braces of one pattern may stand for."""
MAX_PARTS = 40
MAX_ANY_DEPTH = 4
_MAGIC = re.compile(r"[*?\[{]")
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")

Parts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Globs:
    """Several patterns: a path matches when it matches one of them, and none that begins with ``!``.

    Attributes:
        wanted: the patterns, in parts.
        refused: those that began with ``!``.
        dot: whether a wildcard stands for names that begin with a dot, too.
    """

    wanted: tuple[Parts, ...]
    refused: tuple[Parts, ...]
    dot: bool

    @classmethod
    def of(cls, patterns: Iterable[str], *, dot: bool) -> Globs:
        """Read patterns; raises ValueError with what is wrong with one of them."""
        wanted: list[Parts] = []
        refused: list[Parts] = []
        for pattern in patterns:
            kept = refused if pattern.startswith("!") else wanted
            kept.extend(_parts(one) for one in _alternatives(pattern.removeprefix("!")))
        return cls(tuple(wanted), tuple(refused), dot)

    def matches(self, path: str) -> bool:
        """Whether a path matches; what is in a folder that is named without wildcards does as well."""
        parts = tuple(path.strip("/").split("/"))
        return self._any(self.wanted, parts) and not self._any(self.refused, parts)

    def _any(self, patterns: Sequence[Parts], parts: Parts) -> bool:
        return any(_match(pattern, parts, self.dot) or _is_below(pattern, parts) for pattern in patterns)


NOTHING = Globs((), (), dot=True)
"""Matches no path."""


def is_magic(pattern: str) -> bool:
    """Whether a path has anything of a pattern in it."""
    return bool(_MAGIC.search(pattern)) or pattern.startswith("!")


def _alternatives(pattern: str) -> Iterator[str]:
    if len(pattern) > MAX_PATTERN or "\0" in pattern:
        raise ValueError(f"a pattern has at most {MAX_PATTERN:,} characters")
    waiting, count = [pattern], 0
    while waiting:
        one = waiting.pop()
        found = _BRACES.search(one)
        if found is None:
            yield one
            continue
        options = found[1].split(",")
        count += len(options)
        if count > MAX_ALTERNATIVES:
            raise ValueError(f"the braces of a pattern stand for at most {MAX_ALTERNATIVES} others")
        waiting.extend(f"{one[: found.start()]}{option}{one[found.end() :]}" for option in options)


def _parts(pattern: str) -> Parts:
    parts = tuple(part for part in pattern.split("/") if part not in ("", "."))
    if len(parts) > MAX_PARTS or parts.count("**") > MAX_ANY_DEPTH:
        raise ValueError(f"a pattern has at most {MAX_PARTS} parts, and {MAX_ANY_DEPTH} times **")
    return parts


def _is_below(pattern: Parts, parts: Parts) -> bool:
    """Whether a pattern is the plain path of a folder that a path is in."""
    return len(parts) > len(pattern) > 0 and parts[: len(pattern)] == pattern


def _match(pattern: Parts, parts: Parts, dot: bool) -> bool:  # noqa: FBT001 local
    """Go through the path's parts with every place of the pattern that they may have come to."""
    places = _with_empty({0}, pattern)
    for part in parts:
        further: set[int] = set()
        for place in places:
            if place == len(pattern):
                continue
            if pattern[place] == "**":
                if dot or not part.startswith("."):
                    further.add(place)
            elif _match_part(pattern[place], part, dot):
                further.add(place + 1)
        places = _with_empty(further, pattern)
    return len(pattern) in places


def _with_empty(places: set[int], pattern: Parts) -> set[int]:
    """The places with those that follow because ``**`` may stand for nothing."""
    found = set(places)
    for place in sorted(places):
        while place < len(pattern) and pattern[place] == "**":
            place += 1  # noqa: PLW2901 it goes on
            found.add(place)
    return found


def _match_part(pattern: str, part: str, dot: bool) -> bool:  # noqa: FBT001 local
    if pattern == part:
        return True
    if part.startswith(".") and not dot and not pattern.startswith("."):
        return False
    return bool(_compiled(pattern).match(part))


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """The standard library's translation, which never looks back at what a ``*`` has taken."""
    return re.compile(fnmatch.translate(pattern.replace("[^", "[!")))
