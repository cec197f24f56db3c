"""The folder that the steps of a template run share, as a handler sees it: safe paths in it, and the files that it holds."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from portal_actions_plugin.errors import ValidationError

MAX_PATH = 4_096


@dataclass(frozen=True, slots=True)
class WorkspaceFile:
    """A file or a link of the workspace.

    Attributes:
        path: below the folder that was asked for, with ``/`` between its parts.
        file: where it is.
        mode: as git writes it: ``100644``, ``100755`` for what can be executed, ``120000`` for a link.
    """

    path: str
    file: Path
    mode: str

    def content(self) -> bytes:
        """What it holds; of a link, what it points to."""
        return os.fsencode(self.file.readlink()) if self.mode == "120000" else self.file.read_bytes()


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder that the steps of a template run share.

    Attributes:
        folder: absolute, with no link in it.
    """

    folder: Path

    def path(self, relative: str, field: str = "path") -> Path:
        """Find a place in the workspace, whether something is there or not.

        Args:
            relative: below the workspace, such as ``./src/main.py``; ``.`` and the empty text are the workspace itself.
            field: the input that names it, for the error.

        Returns:
            An absolute path, of which no part but the last is a link.

        Raises:
            ValidationError: it is absolute or too long, no path can be so, or it leads out of the workspace, by itself or by
                a link.
        """
        try:
            return self._found(relative, field)
        except (OSError, UnicodeEncodeError, RuntimeError) as error:
            raise _unusable(relative, field, error) from None

    def _found(self, relative: str, field: str) -> Path:
        relative.encode()  # no name that is no UTF-8 is kept
        written = PurePosixPath(relative)
        if written.is_absolute() or len(relative) > MAX_PATH or "\0" in relative or "\\" in relative:
            raise self._outside(relative, field)
        parts: list[str] = []
        for part in written.parts:
            if part != "..":
                parts.append(part)
            elif parts:
                parts.pop()
            else:
                raise self._outside(relative, field)
        place = self.folder.joinpath(*parts)
        if not place.parent.resolve().is_relative_to(self.folder) and parts:
            raise self._outside(relative, field)
        resolved = place.parent.resolve() / place.name if parts else self.folder
        if resolved.is_symlink() and not resolved.resolve().is_relative_to(self.folder):
            raise self._outside(relative, field)
        return resolved

    def files(self, relative: str = ".", field: str = "path") -> Iterator[WorkspaceFile]:
        """Walk through the files and links of a folder, at every depth, in the order of their paths; ``.git`` is left out.

        Args:
            relative: the folder, as ``path`` takes it.
            field: the input that names it, for the error.

        Raises:
            ValidationError: it leads out of the workspace, or is no folder.
        """
        top = self.path(relative, field)
        if not top.is_dir():
            raise ValidationError(
                f"There is no folder {relative!r} in the workspace.",
                hint="Write a step before this one that makes it, such as fetch:template, or another path.",
                fields={field: [f"There is no folder {relative!r} in the workspace."]},
            )
        found = list(_walk(top, PurePosixPath()))
        yield from sorted(found, key=lambda one: one.path)

    def _outside(self, relative: str, field: str) -> ValidationError:
        message = (
            f"{relative[:200]!r} leads out of the workspace: write a path below it, without .. and without a leading /."
        )
        return ValidationError(f"{field}: {message}", fields={field: [message]})


def _unusable(relative: str, field: str, error: Exception) -> ValidationError:
    if isinstance(error, OSError):
        why = error.strerror or type(error).__name__
    else:
        # The standard library says in this way that links lead to each other.
        why = "it is no UTF-8 name" if isinstance(error, UnicodeEncodeError) else "links on the way lead in a circle"
    message = f"{relative[:200]!r} cannot be used in the workspace: {why}."
    return ValidationError(f"{field}: {message}", hint="Correct the step's input.", fields={field: [message]})


def _walk(folder: Path, at: PurePosixPath) -> Iterator[WorkspaceFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                yield WorkspaceFile(str(at / entry.name), Path(entry.path), "120000")
            elif entry.is_dir():
                if entry.name != ".git":
                    yield from _walk(Path(entry.path), at / entry.name)
            elif entry.is_file():
                is_executable = entry.stat().st_mode & stat.S_IXUSR
                yield WorkspaceFile(str(at / entry.name), Path(entry.path), "100755" if is_executable else "100644")
