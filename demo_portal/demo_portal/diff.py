"""A unified diff, cut into files and lines that a page can show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_HEADERS = ("index ", "new file", "deleted file", "old mode", "new mode", "similarity", "rename ", "copy ")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a diff. ``kind`` is added, removed, context, hunk or note."""

    kind: str
    text: str
    old: int | None = None
    new: int | None = None


@dataclass(slots=True)
class File:
    """What changes in a file."""

    path: str
    lines: list[Line] = field(default_factory=list)

    @property
    def added(self) -> int:
        return sum(line.kind == "added" for line in self.lines)

    @property
    def removed(self) -> int:
        return sum(line.kind == "removed" for line in self.lines)


def files(diff: str) -> list[File]:
    """Take a diff apart."""
    found: list[File] = []
    for part in re.split(r"^(?=diff --git )", diff, flags=re.MULTILINE):
        lines = part.split("\n")
        if lines[0].startswith("diff --git "):
            found.append(File(_path(lines), list(_lines(lines[1:]))))
    return found


def _path(lines: list[str]) -> str:
    """The file's path: the new one, unless the file is gone."""
    for sign, side in (("+++ ", "b/"), ("--- ", "a/")):
        for line in lines:
            if line.startswith("@@"):
                break
            if line.startswith(sign + side):
                return line.removeprefix(sign + side)
    return lines[0].rpartition(" b/")[2]


def _lines(lines: list[str]) -> Iterator[Line]:
    old = new = 0
    in_hunk = False
    while lines and not lines[-1]:
        lines = lines[:-1]
    for line in lines:
        if hunk := _HUNK.match(line):
            old, new, in_hunk = int(hunk[1]), int(hunk[2]), True
            yield Line("hunk", line)
        elif not in_hunk:
            if not line.startswith((*_HEADERS, "--- ", "+++ ")):
                yield Line("note", line)
        elif line.startswith("+"):
            yield Line("added", line[1:], new=new)
            new += 1
        elif line.startswith("-"):
            yield Line("removed", line[1:], old=old)
            old += 1
        elif line.startswith("\\"):
            yield Line("note", line[2:])
        else:
            yield Line("context", line[1:], old, new)
            old, new = old + 1, new + 1
