"""Reading, writing and listing a workspace for an action: errors name the input, and no step makes more than its bound."""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path

from portal_actions_plugin.actions.files.globs import Globs, Work, is_magic
from portal_actions_plugin.actions.workspace import Workspace
from portal_actions_plugin.errors import ValidationError

MAX_FILES = 10_000
MAX_BYTES = 50_000_000
"""Of all that one step writes."""
MAX_LEVELS = 100
"""Folders inside each other: no workspace that is deeper is kept."""
MAX_TEXT = 5_000_000
"""Bytes of a file that is read as a text."""


def wrong(field: str, message: str, hint: str = "Correct the step's input.") -> ValidationError:
    """The error for an input that names what cannot be used.

    Args:
        field: the input's name; of a part of a list such as ``files.0.from``.
        message: one sentence.
        hint: what helps.
    """
    return ValidationError(f"{field}: {message}", hint=hint, fields={field: [message]})


@contextmanager
def disk_errors(field: str, path: str) -> Iterator[None]:
    """Turn what the disk says into an error that names the input and the path."""
    try:
        yield
    except (OSError, UnicodeEncodeError) as error:
        said = (error.strerror or type(error).__name__) if isinstance(error, OSError) else "it is no UTF-8 name"
        raise wrong(field, f"{path[:200]!r} cannot be used in the workspace: {said}.") from None


def missing(field: str, path: str) -> ValidationError:
    """The error for a path where nothing is."""
    return wrong(
        field,
        f"There is no {path[:200]!r} in the workspace.",
        "Write a step before this one that makes it, or correct the path: debug:log with listWorkspace: true shows what there is.",
    )


@dataclass(slots=True)
class Writer:
    """Writes files into a workspace, and counts them.

    Attributes:
        workspace: where.
        field: the input that names what is written, for errors.
        files: how many were written.
        size: bytes of them.
    """

    workspace: Workspace
    field: str
    files: int = 0
    size: int = 0

    def write(self, path: str, content: bytes, *, executable: bool = False) -> None:
        """Write a file and the folders that it is in.

        Raises:
            ValidationError: the path leads out of the workspace, cannot be used, or it is too much.
        """
        self.count(len(content))
        with disk_errors(self.field, path):
            place = self.workspace.path(path, self.field)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            if executable:
                place.chmod(place.stat().st_mode | 0o111)

    def link(self, path: str, target: str) -> bool:
        """Make a link, unless it leads out of the workspace; says whether it was made."""
        self.count(len(target))
        place = place_of(self.workspace, path, self.field)
        aim = Path(os.path.normpath(place.parent / target))
        if os.path.isabs(target) or not aim.is_relative_to(self.workspace.folder):  # noqa: PTH117 it is a text
            return False
        with disk_errors(self.field, path):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            place.symlink_to(target)
        return True

    def count(self, size: int) -> None:
        """Count a file before it is written."""
        self.files += 1
        self.size += size
        self.require_room(0)

    def require_room(self, size: int) -> None:
        """Refuse what would be too much with so many bytes more, before they are read."""
        if self.files > MAX_FILES or self.size + size > MAX_BYTES:
            raise wrong(
                self.field,
                f"This makes more than {MAX_FILES:,} files or {MAX_BYTES // 1_000_000} MB.",
                "Fetch less: a part of it, or without what is large.",
            )


def place_of(workspace: Workspace, path: str, field: str) -> Path:
    """Where a path of an input is; raises ValidationError when it leads out of the workspace, or can be no path."""
    with disk_errors(field, path):
        return workspace.path(path, field)


def make_folder(workspace: Workspace, path: str, field: str) -> None:
    """Make a folder and those above it; raises ValidationError where that cannot be."""
    with disk_errors(field, path):
        workspace.path(path, field).mkdir(parents=True, exist_ok=True)


def unlink(workspace: Workspace, path: str, field: str) -> None:
    """Remove a link, so that what is written there does not go where it leads; raises ValidationError as ``place_of``."""
    with disk_errors(field, path):
        place = workspace.path(path, field)
        if place.is_symlink():
            place.unlink()


def plain_path(path: str) -> str:
    """How outputs write a path that was given as an input, such as ``./docs/``."""
    return posixpath.normpath(path)


def read_text(workspace: Workspace, path: str, field: str) -> str:
    """Read a file as text, with the mark of its byte order where it has one.

    Raises:
        ValidationError: the path leads out of the workspace; there is no such file, or it is too large or no text.
    """
    with disk_errors(field, path):
        place = workspace.path(path, field)
        if not place.is_file():
            raise missing(field, path)
        if place.stat().st_size > MAX_TEXT:
            raise wrong(field, f"{path[:200]!r} is larger than {MAX_TEXT // 1_000_000} MB.")
        content = place.read_bytes()
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise wrong(field, f"{path[:200]!r} is no UTF-8 text.") from None


def entries(top: Path) -> Iterator[tuple[str, Path]]:
    """All files, links and folders in a folder with their paths below it, in the order in which Node lists them."""
    waiting = [("", top)]
    while waiting:
        above, folder = waiting.pop()
        with os.scandir(folder) as found:
            inside = sorted(found, key=lambda entry: entry.name)
        for entry in inside:
            path = f"{above}{entry.name}"
            yield path, Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                waiting.append((f"{path}/", Path(entry.path)))


@dataclass(slots=True)
class Listing:
    """What is in a workspace, for the paths and patterns of one step: looked at once, however many they are.

    Attributes:
        workspace: where to look.
    """

    workspace: Workspace
    _found: list[tuple[str, Path]] | None = None
    _work: Work = dataclass_field(default_factory=Work)

    def matching(self, pattern: str, field: str, *, dot: bool) -> list[tuple[str, Path]]:
        """What a path or a pattern stands for.

        Args:
            pattern: as an input has it.
            field: its name.
            dot: whether wildcards stand for names that begin with a dot.

        Returns:
            What is at that path; and the files and links to files that match the pattern, by path. Empty where nothing is.

        Raises:
            ValidationError: it leads out of the workspace, is no pattern that can be used, or all of them take too long.
        """
        place = place_of(self.workspace, pattern, field)
        plain = place.relative_to(self.workspace.folder).as_posix()
        named = {plain: place} if os.path.lexists(place) else {}
        if is_magic(pattern):
            try:
                globs = Globs.single(plain, dot=dot, work=self._work)
                with disk_errors(field, pattern):
                    files = self._files()
                named |= {path: found for path, found in files if globs.matches(path)}
            except ValueError as error:
                raise wrong(field, f"{pattern[:200]!r} cannot be used: {error}.") from None
        return sorted(named.items())

    def _files(self) -> list[tuple[str, Path]]:
        if self._found is None:
            self._found = [one for one in entries(self.workspace.folder) if not one[1].is_dir()]
        return self._found


def levels_of(folder: Path) -> int:
    """How many folders are inside each other in a folder, itself counted; looks no deeper than ``MAX_LEVELS``."""
    level, folders = 0, [folder]
    while folders and level <= MAX_LEVELS:
        level += 1
        below: list[Path] = []
        for one in folders:
            with os.scandir(one) as entries:
                below.extend(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
        folders = below
    return level


def remove(place: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it; nothing when it is gone already."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
