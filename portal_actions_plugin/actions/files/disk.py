"""Reading, writing and listing a workspace for an action: errors name the input, and no step makes more than its bound."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from portal_actions_plugin.actions.files.globs import Globs, is_magic
from portal_actions_plugin.actions.workspace import Workspace
from portal_actions_plugin.errors import ValidationError

MAX_FILES = 10_000
MAX_BYTES = 50_000_000
"""Of all that one step writes."""
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
        if self.files > MAX_FILES or self.size > MAX_BYTES:
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


def read_text(workspace: Workspace, path: str, field: str) -> str:
    """Read a file as text.

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
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise wrong(field, f"{path[:200]!r} is no UTF-8 text.") from None


def entries(workspace: Workspace) -> Iterator[tuple[str, Path]]:
    """All files, links and folders of a workspace with their paths, each folder before what is in it."""
    waiting = [("", workspace.folder)]
    while waiting:
        above, folder = waiting.pop()
        with os.scandir(folder) as found:
            inside = sorted(found, key=lambda entry: entry.name)
        for entry in inside:
            path = f"{above}{entry.name}"
            yield path, Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                waiting.append((f"{path}/", Path(entry.path)))


def matching(workspace: Workspace, pattern: str, field: str, *, dot: bool) -> list[tuple[str, Path]]:
    """What a path or a pattern stands for.

    Args:
        workspace: where to look.
        pattern: as an input has it.
        field: its name.
        dot: whether wildcards stand for names that begin with a dot.

    Returns:
        What is there, by path; empty where nothing matches.

    Raises:
        ValidationError: it leads out of the workspace, or is too long a pattern.
    """
    place = place_of(workspace, pattern, field)
    plain = place.relative_to(workspace.folder).as_posix()
    if os.path.lexists(place):
        return [(plain, place)]
    if not is_magic(pattern):
        return []
    try:
        globs = Globs.of([plain], dot=dot)
    except ValueError as error:
        raise wrong(field, f"{pattern[:200]!r} cannot be used: {error}.") from None
    return sorted((path, found) for path, found in entries(workspace) if globs.matches(path))


def remove(place: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it; nothing when it is gone already."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
