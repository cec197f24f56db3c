"""The skeleton folders of a template: hashed when it is loaded, compared when a step reads them."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConfigurationError, ConflictError, ValidationError
from portal_actions_plugin.host import SkeletonFile
from portal_actions_plugin.software_templates.expressions.limits import current_budget

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from portal_actions_plugin.software_templates.spec import Template

MAX_FILES = 2_000
MAX_LEVELS = 40
MAX_BYTES = 20_000_000

Signature = tuple[object, ...]


class SkeletonError(Exception):
    """A skeleton folder cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a skeleton folder.

    Attributes:
        path: below the template's folder.
        file: where its content is: what it is a link to, if it is one.
        status: of that file, as ``os.stat`` gives it.
    """

    path: str
    file: Path
    status: os.stat_result


def folder_path(folder: str) -> str:
    """Write a skeleton folder such as ``./skeleton/`` as its plain path below the template's folder.

    Raises:
        SkeletonError: the path is absolute, climbs out, or names the template's own folder.
    """
    path = PurePosixPath(folder)
    if path.is_absolute() or ".." in path.parts or "\\" in folder or "\0" in folder:
        raise SkeletonError(f"{folder!r} must be a folder below the template's file, without ..")
    if not path.parts:
        raise SkeletonError("the skeleton must be a folder of its own, below the template's file")
    return path.as_posix()


def find_files(base: Path, folder: str) -> tuple[Found, ...]:
    """Find the files of a skeleton folder, at every depth, sorted by path.

    Args:
        base: the template's folder.
        folder: the skeleton's path below it, as ``folder_path`` gives it.

    Raises:
        SkeletonError: the folder is missing, empty or too large, or leads out of ``base``.
    """
    root = base.resolve()
    top = _inside(root, base / folder)
    if not top.is_dir():
        raise SkeletonError(f"there is no skeleton folder {folder}")
    found = []
    size = 0
    for one in _walk(root, top, folder):
        found.append(one)
        size += one.status.st_size
        if len(found) > MAX_FILES or size > MAX_BYTES:
            raise SkeletonError(f"{folder} has more than {MAX_FILES:,} files or {MAX_BYTES // 1_000_000} MB")
    if not found:
        raise SkeletonError(f"the skeleton folder {folder} is empty")
    return tuple(sorted(found, key=lambda one: one.path))


def _walk(root: Path, folder: Path, path: str) -> Iterator[Found]:
    if path.count("/") > MAX_LEVELS:
        raise SkeletonError(f"{path} is deeper than {MAX_LEVELS} folders")
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        for entry in entries:
            current_budget().check_time()
            below = f"{path}/{entry.name}"
            if not _is_utf8(below):
                raise SkeletonError(f"{below!r} is no UTF-8 name")
            file = _inside(root, Path(entry.path)) if entry.is_symlink() else Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(root, Path(entry.path), below)
                continue
            status = file.stat()
            if not stat.S_ISREG(status.st_mode):
                raise SkeletonError(f"{below!r} is a link to a folder, or no regular file")
            yield Found(below, file, status)
    except OSError as error:
        raise SkeletonError(f"{path} cannot be read: {error.strerror}") from None


def _is_utf8(name: str) -> bool:
    return name.encode(errors="replace").decode() == name


def _inside(root: Path, path: Path) -> Path:
    try:
        real = path.resolve()
    except (OSError, RuntimeError) as error:
        raise SkeletonError(f"{path.name} cannot be read: {error}") from None
    if not real.is_relative_to(root):
        raise SkeletonError(f"{path.name} is a link that leads out of the template's folder")
    return real


def signature(base: Path, folder: str) -> Signature:
    """Something that differs once a file of a skeleton folder was added, changed or removed; reads no file.

    Args:
        base: the template's folder.
        folder: the skeleton's path below it, as ``folder_path`` gives it.

    Returns:
        The path and the stamp of each file; what is wrong where the folder cannot be used.
    """
    try:
        return tuple((one.path, stamp(one.status)) for one in find_files(base, folder))
    except SkeletonError as error:
        return (str(error),)


def stamp(status: os.stat_result) -> Signature:
    """What changes with a file's content."""
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


def contents(found: tuple[Found, ...]) -> Iterator[tuple[Found, bytes]]:
    """Each file with what is in it; raises SkeletonError."""
    return ((one, _content(one)) for one in found)


def digest(content: bytes) -> str:
    """SHA-256 of a file's content, as hex digits."""
    return hashlib.sha256(content).hexdigest()


def read_skeleton(template: Template, folder: str) -> tuple[SkeletonFile, ...]:
    """Read a skeleton folder of a template from disk, as it was when the run started.

    Args:
        template: as it was when the run started.
        folder: as the step's input names it, such as ``./skeleton``.

    Returns:
        The files sorted by their path below that folder.

    Raises:
        ConfigurationError: the template came from no folder.
        ValidationError: the template's steps name no such skeleton folder.
        ConflictError: a file was changed, removed or added since the template was loaded.
    """
    if template.folder is None:
        raise ConfigurationError(
            f"The skeleton folder {folder!r} of {template.name} cannot be read: this template came without files.",
            hint="Give the files in the step's input instead.",
        )
    try:
        name = folder_path(folder)
    except SkeletonError as error:
        raise ValidationError(f"{template.name}: {error}.") from None
    expected = {path: digest for path, digest in template.skeleton_files.items() if path.startswith(f"{name}/")}
    if not expected:
        raise ValidationError(
            f"{template.name} has no skeleton folder {folder!r}.",
            hint="Write the folder in the step's input.skeleton as plain text, without an expression.",
        )
    return _read_as_expected(template, name, expected)


def _read_as_expected(template: Template, name: str, expected: Mapping[str, str]) -> tuple[SkeletonFile, ...]:
    try:
        found = {one.path: one for one in find_files(Path(str(template.folder)), name)}
        texts = {path: _content(one) for path, one in found.items()}
    except SkeletonError as error:
        raise _changed(template, str(error)) from None
    for path in sorted(expected.keys() | texts.keys()):
        if path not in texts:
            raise _changed(template, f"{path} was removed since this run started")
        if path not in expected:
            raise _changed(template, f"{path} was added since this run started")
        if digest(texts[path]) != expected[path]:
            raise _changed(template, f"{path} changed since this run started")
    return tuple(
        SkeletonFile(
            path.removeprefix(f"{name}/"), content, bool(found[path].status.st_mode & stat.S_IXUSR), found[path].file
        )
        for path, content in sorted(texts.items())
    )


def _changed(template: Template, what: str) -> ConflictError:
    return ConflictError(
        f"The skeleton of {template.name} is not what it was: {what}; start the template again.",
        hint="Start the template again: a new run takes the files as they are now.",
    )


def _content(found: Found) -> bytes:
    try:
        return found.file.read_bytes()
    except OSError as error:
        raise SkeletonError(f"{found.path} cannot be read: {error.strerror}") from None
