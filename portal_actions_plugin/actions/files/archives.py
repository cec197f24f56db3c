"""Packing what is in a workspace."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from portal_actions_plugin.actions.files.disk import MAX_BYTES, MAX_FILES, entries, place_of, wrong
from portal_actions_plugin.actions.workspace import Workspace

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time of each file in an archive: the same files make the same archive."""
_FOLDER = 0o40755 << 16 | 0x10


def packed(workspace: Workspace, path: str, *, left_out: Path) -> bytes:
    """Pack a file, or all that is in a folder, as a zip archive.

    Args:
        workspace: where it is.
        path: of what is packed.
        left_out: what is not packed: the archive itself. What is in ``.git`` is left out as well.

    Returns:
        The archive: folders, and files with who may execute them. A link is the file that it leads to.

    Raises:
        ValidationError: the path leads out of the workspace, or it is too much.
        OSError: what the disk says.
    """
    place = place_of(workspace, path, "path")
    found = [(place.name, place)] if place.is_file() else sorted(_below(place))
    out, size = BytesIO(), 0
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, file) in enumerate(found):
            if file == left_out or not _is_inside(workspace, file):
                continue
            if file.is_dir():
                folder = zipfile.ZipInfo(f"{name}/", _LONG_AGO)
                folder.external_attr = _FOLDER
                archive.writestr(folder, b"")
                continue
            size += file.stat().st_size
            if size > MAX_BYTES or number > MAX_FILES * 2:
                raise wrong("path", f"{path[:200]!r} has more than {MAX_BYTES // 1_000_000} MB or {MAX_FILES:,} files.")
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.external_attr = (file.stat().st_mode & 0o777) << 16
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _below(folder: Path) -> Iterator[tuple[str, Path]]:
    return (one for one in entries(folder) if ".git" not in one[0].split("/"))


def _is_inside(workspace: Workspace, file: Path) -> bool:
    """Whether it is a file or a folder, or a link to a file of the workspace."""
    if not file.is_symlink():
        return file.is_file() or file.is_dir()
    return file.is_file() and file.resolve().is_relative_to(workspace.folder)
