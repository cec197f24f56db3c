"""``kind: Location`` documents: which further files of the template folder are read."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from portal_actions_plugin.software_templates.places import written
from portal_actions_plugin.software_templates.sources.files import FileError, find, is_file, named_path

if TYPE_CHECKING:
    from portal_actions_plugin.software_templates.places import Key
    from portal_actions_plugin.software_templates.yaml.documents import Document

KIND = "Location"
MAX_TARGETS = 500
"""Targets of one file."""
MAX_DEPTH = 10
"""Locations that lead to each other, one below the other."""
MAX_FOUND = 2_000
"""Files that all Locations of a template folder lead to."""
MAX_ENTRIES = 20_000
"""Files and folders that all targets of a template folder look at."""
_TYPES = ("file", "url")
_MAGIC = re.compile(r"[*?\[]")
_AT_FORGE = re.compile(r"https?://[^?#]+?/(?:blob|tree|raw)/[^/?#]+/(?P<path>\w[\w./-]*)")
"""The address of a file at a forge, such as those of the very repository that it is in."""
_MAX_PARTS = 40
_MAX_ANY_DEPTH = 2
_MAX_WILDCARDS = 20
"""Of one pattern: each takes its time with every name that it is held against."""
_STARS = re.compile(r"\*+|[?\[]")


@dataclass(frozen=True, slots=True)
class Target:
    """A file, or a pattern of files, that a Location names.

    Attributes:
        path: as it is written: relative to its file, or to the template folder when it begins with a slash.
        key: where it is written, such as ``spec.targets[0]``.
        line: counts from 1.
        optional: whether it may be missing.
    """

    path: str
    key: str
    line: int
    optional: bool = False


@dataclass(slots=True)
class Targets:
    """What the Locations of one file name, and what is wrong with them: key, line and message."""

    found: list[Target] = field(default_factory=list)
    problems: list[tuple[str, int, str]] = field(default_factory=list)

    def problem(self, document: Document, key: Key, message: str) -> None:
        """Note what is wrong at a place of a document."""
        self.problems.append((written(key), document.line(key), message))


def is_location(document: Document) -> bool:
    """Whether a document names further files."""
    version = document.mapping.get("apiVersion")
    return document.mapping.get("kind") == KIND and isinstance(version, str) and version.startswith("backstage.io/")


def read_location(document: Document, targets: Targets) -> None:
    """Read the targets of a Location: ``spec.target``, then ``spec.targets``.

    Args:
        document: see ``is_location``.
        targets: those of its file so far; they are added to.
    """
    for place, message in document.problems:
        targets.problem(document, place, message)
    spec = document.mapping.get("spec")
    if not isinstance(spec, Mapping):
        targets.problem(document, ("spec",), "a Location has a spec with target or targets")
        return
    kind = spec.get("type")
    if kind is not None and kind not in _TYPES:
        targets.problem(document, ("spec", "type"), f"a Location of this type is not read: write {' or '.join(_TYPES)}")
        return
    listed = spec.get("targets")
    if listed is not None and not isinstance(listed, list):
        targets.problem(document, ("spec", "targets"), "this must be a list of paths")
        listed = None
    given: list[tuple[Key, object]] = [(("spec", "target"), spec["target"])] if spec.get("target") is not None else []
    given += [(("spec", "targets", index), path) for index, path in enumerate(listed or ())]
    for key, path in given:
        if not isinstance(path, str) or not path:
            targets.problem(document, key, "a target must be a path, as a text")
        elif len(targets.found) >= MAX_TARGETS:
            targets.problem(document, key, f"the Locations of a file have at most {MAX_TARGETS} targets")
            return
        else:
            line, is_optional = document.line(key), spec.get("presence") == "optional"
            targets.found.append(Target(path, written(key), line, optional=is_optional))


class Unfound(NamedTuple):
    """A file that a target stands for and that cannot be used, or the target itself; and why, as a sentence without its end."""

    path: str
    message: str


class Expansion:
    """Finds the files that targets stand for in one template folder, and counts what it looks at for all of them."""

    def __init__(self, root: Path) -> None:
        """Take the template folder. No target leads out of it."""
        self._root = root
        self._seen = 0

    def files(self, target: Target, file: Path) -> tuple[list[Path], list[Unfound]]:
        """The files that a target stands for.

        Args:
            target: of a Location.
            file: the Location's.

        Returns:
            The files, sorted, and those that cannot be used.
        """
        if self._seen > MAX_ENTRIES:
            return [], []  # told of where it was too much
        try:
            self._look()
            if not _MAGIC.search(target.path):
                return self._found([target.path], file)
            path = named_path(target.path, file, self._root)
            if not path.is_relative_to(self._root):
                raise FileError(f"{target.path} leads out of the template folder")
            parts = path.relative_to(self._root).parts
            wildcards = len(_STARS.findall(target.path))
            any_depth = sum(part == "**" for part in parts)
            if len(parts) > _MAX_PARTS or wildcards > _MAX_WILDCARDS or any_depth > _MAX_ANY_DEPTH:
                raise FileError(f"{target.path} is too long a pattern")
            matched = sorted(set(self._below(self._root, parts)))
        except FileError as error:
            return [], [Unfound(target.path, str(error))]
        found, wrong = self._found([f"/{one.relative_to(self._root).as_posix()}" for one in matched], file)
        return found, wrong if matched else [Unfound(target.path, f"{target.path} matches no file")]

    def _found(self, paths: Iterable[str], file: Path) -> tuple[list[Path], list[Unfound]]:
        found, wrong = [], []
        for path in paths:
            try:
                found.append(find(path, file, self._root).shown)
            except FileError as error:
                own = _AT_FORGE.fullmatch(path)
                is_here = own is not None and self._is_here(f"/{own['path']}", file)
                message = f"{error}; this one is here, as /{own['path']}" if own and is_here else str(error)
                wrong.append(Unfound(path, message))
        return found, wrong

    def _is_here(self, path: str, file: Path) -> bool:
        try:
            find(path, file, self._root)
        except FileError:
            return False
        return True

    def _below(self, folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
        first, rest = parts[0], parts[1:]
        is_any_depth = first == "**"
        if is_any_depth and rest:
            yield from self._below(folder, rest)
        if not _MAGIC.search(first):
            path = folder / first
            if not rest and is_file(path):
                yield path
            elif rest and self._is_folder_inside(path):
                yield from self._below(path, rest)
            return
        matches = re.compile(fnmatch.translate(first)).match
        for entry in self._entries(folder):
            if not matches(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):  # through no link, which may lead elsewhere or back
                if is_any_depth or rest:
                    yield from self._below(Path(entry.path), parts if is_any_depth else rest)
            elif not rest and is_file(entry.path):
                yield Path(entry.path)

    def _is_folder_inside(self, path: Path) -> bool:
        """Whether it is a folder that no link leads out of: what lies elsewhere has names that nobody may read here."""
        try:
            return path.is_dir() and path.resolve().is_relative_to(self._root.resolve())
        except (OSError, RuntimeError):
            return False

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        """What is in a folder, but for what is hidden."""
        try:
            with os.scandir(folder) as found:
                entries = [entry for entry in found if not entry.name.startswith(".")]
        except OSError:
            return
        for entry in entries:
            self._look()
            yield entry

    def _look(self) -> None:
        self._seen += 1
        if self._seen > MAX_ENTRIES:
            raise FileError(f"the targets of Locations look at more than {MAX_ENTRIES:,} files and folders")
