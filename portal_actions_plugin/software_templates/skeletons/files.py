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
from portal_actions_plugin.software_templates.skeletons.names import SkeletonError, source_path, sources_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from portal_actions_plugin.software_templates.spec import Template

MAX_FILES = 2_000
MAX_LEVELS = 40
MAX_BYTES = 20_000_000

Signature = tuple[object, ...]


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


def find_files(base: Path, folder: str, root: Path | None = None) -> tuple[Found, ...]:
    """Find the files of a skeleton folder, at every depth, sorted by path; what is in ``.git`` is left out.

    Args:
        base: the template's folder.
        folder: the skeleton's path from there, as ``folder_path`` or ``source_path`` gives it; it may be one file.
        root: the folder that nothing may lead out of; None for the deepest one that both are in.

    Raises:
        SkeletonError: the folder is missing, empty or too large, or leads out of the root.
    """
    inside = root.resolve() if root else _reached(base, folder)
    top = _inside(inside, base / folder, folder)
    if top.is_file():
        return (Found(folder, top, top.stat()),)
    if not top.is_dir():
        raise SkeletonError(f"there is no skeleton folder {folder}")
    found = []
    size = 0
    for one in _walk(inside, top, "" if folder == "." else folder):
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
            below = f"{path}/{entry.name}" if path else entry.name
            if not _is_utf8(below):
                raise SkeletonError(f"{below!r} is no UTF-8 name")
            file = _inside(root, Path(entry.path)) if entry.is_symlink() else Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if entry.name == ".git":
                    continue
                yield from _walk(root, Path(entry.path), below)
                continue
            status = file.stat()
            if not stat.S_ISREG(status.st_mode):
                raise SkeletonError(f"{below!r} is a link to a folder, or no regular file")
            yield Found(below, file, status)
    except OSError as error:
        raise SkeletonError(f"{path} cannot be read: {error.strerror}") from None


def _reached(base: Path, path: str) -> Path:
    """The deepest folder that both a template's folder and a path from there are in."""
    return Path(os.path.normpath(base / ("../" * PurePosixPath(path).parts.count("..")))).resolve()


def _is_utf8(name: str) -> bool:
    return name.encode(errors="replace").decode() == name


def _inside(root: Path, path: Path, written: str = "") -> Path:
    try:
        real = path.resolve()
    except (OSError, RuntimeError) as error:
        raise SkeletonError(f"{path.name} cannot be read: {error}") from None
    if not real.is_relative_to(root):
        leads = "is a link that leads" if path.is_symlink() else "leads"
        raise SkeletonError(f"{written or path.name} {leads} out of the template folder")
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
        folder: as the step's input names it, such as ``./skeleton``, or a file or folder in one that it names.

    Returns:
        The files sorted by their path below that folder; a file that is named itself, by its own name.

    Raises:
        ConfigurationError: the template came from no folder.
        ValidationError: the template's steps name no such skeleton folder.
        ConflictError: a file was changed, removed or added since the template was loaded.
    """
    name = path_of(template, folder)
    return _read_as_expected(template, name)


def path_of(template: Template, folder: str) -> str:
    """The plain path of a skeleton folder that a template's steps name, or of what is in one; raises as ``read_skeleton``."""
    if template.folder is None:
        raise ConfigurationError(
            f"The skeleton folder {folder!r} of {template.name} cannot be read: this template came without files.",
            hint="Give the files in the step's input instead.",
        )
    try:
        name = source_path(folder)
    except SkeletonError as error:
        raise ValidationError(f"{template.name}: {error}.") from None
    if not _expected(template, name) or not _is_named(template, name):
        raise ValidationError(
            f"{template.name} has no skeleton folder {folder!r}.",
            hint="Write it in the step's input as plain text, as far as it can be known without an expression.",
        )
    return name


def _expected(template: Template, name: str) -> dict[str, str]:
    return {path: digest for path, digest in template.skeleton_files.items() if _is_in(path, name)}


def read_all(template: Template) -> dict[str, tuple[bytes, bool]]:
    """Read all files of a template's skeleton folders from disk, as they were when it was loaded.

    Args:
        template: one that came from a folder.

    Returns:
        Each file's content by its path below that folder, and whether it can be executed.

    Raises:
        ConflictError: a file was changed or removed since.
    """
    base = Path(str(template.folder))
    files = {}
    for path, expected in template.skeleton_files.items():
        try:
            found = Found(path, file := _inside(_reached(base, path), base / path), file.stat())
            content = _content(found)
        except SkeletonError as error:
            raise _changed(template, str(error)) from None
        except OSError as error:
            raise _changed(template, f"{path} cannot be read: {error.strerror}") from None
        if digest(content) != expected:
            raise _changed(template, f"{path} changed since it was loaded")
        files[path] = (content, bool(found.status.st_mode & stat.S_IXUSR))
    return files


def files_in(name: str, files: Mapping[str, tuple[bytes, bool]]) -> tuple[SkeletonFile, ...]:
    """Pick what is in a skeleton folder, or in a part of one.

    Args:
        name: the folder as ``path_of`` gives it, or one file.
        files: each file's content by its path from the template's folder, and whether it can be executed.

    Returns:
        Sorted by path below that folder; a file that is named itself, by its own name.
    """
    return tuple(
        SkeletonFile(_path_in(path, name), content, executable)
        for path, (content, executable) in sorted(files.items())
        if _is_in(path, name)
    )


def _read_as_expected(template: Template, name: str) -> tuple[SkeletonFile, ...]:
    expected = _expected(template, name)
    try:
        # What was hashed at the start was looked at then: nothing else can have these hashes, wherever it lies.
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
            _path_in(path, name),
            content,
            bool(found[path].status.st_mode & stat.S_IXUSR),
            found[path].file,
        )
        for path, content in sorted(texts.items())
    )


def _is_named(template: Template, name: str) -> bool:
    """Whether a step names a skeleton, or one that it is in: no other one was hashed as a whole."""
    try:
        return any(_is_in(name, one.path) for step in template.steps for one in sources_of(step, template.choices))
    except SkeletonError:
        return False


def _is_in(path: str, name: str) -> bool:
    """Whether a file's path is that of a skeleton, or below it."""
    return path == name or (path.startswith(_before(name)) and not path.startswith("../", len(_before(name))))


def _path_in(path: str, name: str) -> str:
    return PurePosixPath(path).name if path == name else path.removeprefix(_before(name))


def _before(name: str) -> str:
    """What the paths of a skeleton's files begin with."""
    return "" if name == "." else f"{name}/"


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
