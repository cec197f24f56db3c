"""What a workspace held after a step: each path with its mode, size and content's name, as a row keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict


@dataclass(frozen=True, slots=True)
class File:
    """A file.

    Attributes:
        path: below the workspace, with ``/`` between its parts.
        mode: its permission bits.
        size: in bytes.
        name: what its content is kept by.
        owner: the template run whose content that is: this one, or one that it resumes.
        masked: what its content without the run's secrets is kept by, where there are any in it; the empty text
            where it cannot be shown without them.
    """

    path: str
    mode: int
    size: int
    name: str
    owner: str
    masked: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that a workspace holds, each kind sorted by path.

    Attributes:
        files: with their contents' names.
        folders: path and permission bits.
        links: path and what is written in it.
        shown: what people see of a path that has a secret in it, by that path.
    """

    files: tuple[File, ...] = ()
    folders: tuple[tuple[str, int], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    shown: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def count(self) -> int:
        """Files and links."""
        return len(self.files) + len(self.links)

    def contents(self) -> dict[str, str]:
        """Every content that it needs, by name, with the run that owns it."""
        found = {file.name: file.owner for file in self.files}
        return found | {file.masked: file.owner for file in self.files if file.masked}

    def as_json(self) -> WrittenManifest:
        """Write it as a row keeps it: ten thousand files are to be a small row still."""
        owners = sorted({file.owner for file in self.files})
        place = {owner: number for number, owner in enumerate(owners)}
        return {
            "owners": owners,
            "files": [
                [file.path, file.mode, file.size, file.name, place[file.owner], *_masked(file)] for file in self.files
            ],
            "folders": [list(folder) for folder in self.folders],
            "links": [list(link) for link in self.links],
            "shown": dict(self.shown),
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Manifest:
        """Read back what ``as_json`` wrote."""
        owners: Sequence[str] = written["owners"]
        return cls(
            tuple(
                File(path, mode, size, name, owners[owner], *masked)
                for path, mode, size, name, owner, *masked in written["files"]
            ),
            tuple((path, mode) for path, mode in written["folders"]),
            tuple((path, target) for path, target in written["links"]),
            written["shown"],
        )


class WrittenManifest(TypedDict):
    """A manifest as JSON."""

    owners: list[str]
    files: list[list[str | int]]
    folders: list[list[str | int]]
    links: list[list[str]]
    shown: dict[str, str]


def _masked(file: File) -> tuple[str, ...]:
    return () if file.masked is None else (file.masked,)


def by_owner(contents: Mapping[str, str], names: Iterable[str]) -> dict[str, list[str]]:
    """Contents by the run that owns them, each once.

    Args:
        contents: the owner of each, by name.
        names: those that are wanted.
    """
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        found.setdefault(contents[name], []).append(name)
    return found
