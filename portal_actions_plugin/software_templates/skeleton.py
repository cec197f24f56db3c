"""The skeleton folders of a template: hashed when it is loaded, compared when a step reads them."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, Protocol

from portal_actions_plugin.errors import ConfigurationError, ConflictError, ValidationError
from portal_actions_plugin.host import SkeletonFile
from portal_actions_plugin.software_templates.expressions.limits import current_budget

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from portal_actions_plugin.software_templates.spec import Step, Template

MAX_FILES = 2_000
MAX_LEVELS = 40
MAX_BYTES = 20_000_000
MAX_PATH = 1_000
MAX_CHOICES = 10
"""Folders that one step may choose from, where each is looked at by itself."""
FETCHING = frozenset({"fetch:template", "fetch:template:file", "fetch:plain", "fetch:plain:file"})
"""The actions whose ``url`` may be a path that begins beside the template."""

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


def source_path(source: str) -> str:
    """Write what a step fetches from beside its template, such as ``../shared/./ci/``, as its plain path from there.

    Raises:
        SkeletonError: the path is absolute, or no path at all.
    """
    if source.startswith("/") or "\\" in source or "\0" in source or len(source) > MAX_PATH:
        raise SkeletonError(f"{source[:100]!r} must be a path that begins beside the template's file")
    return posixpath.normpath(source or ".")


class Choices(Protocol):
    """What the form of a template offers."""

    def of(self, text: str) -> Iterable[str]:
        """What a text may become whose first part is an expression."""


class Source(NamedTuple):
    """What a step takes from beside its template.

    Attributes:
        field: the input that names it, ``skeleton`` or ``url``.
        path: its plain path from the template's folder.
        is_choice: whether it is one of those that an expression may become.
    """

    field: str
    path: str
    is_choice: bool = False


def sources_of(step: Step, choices: Choices) -> Iterator[Source]:
    """What a step takes from beside its template, as far as that can be known without a run.

    Args:
        step: any one.
        choices: what the form of its template offers.

    Yields:
        What its inputs name as plain text, and what an expression may become.

    Raises:
        SkeletonError: an input names what is no such path.
    """
    given = step.input.get("skeleton")
    if isinstance(given, str) and "${{" not in given:
        yield Source("skeleton", folder_path(given))
    url = step.input.get("url", ".")
    if step.action not in FETCHING or not isinstance(url, str):
        return
    if path := _beside(url):
        yield Source("url", source_path(path))
    elif "://" not in url.partition("${{")[0]:
        yield from (Source("url", path, is_choice=True) for path in _chosen(url, choices))


def _chosen(url: str, choices: Choices) -> Iterable[str]:
    """The paths that a ``url`` may become which begins with an expression; of many of them, the folder that they are in."""
    found = dict.fromkeys(_plain_paths(choices.of(url)))
    return found if len(found) <= MAX_CHOICES else [posixpath.commonpath(found)]


def _plain_paths(urls: Iterable[str]) -> Iterator[str]:
    for url in urls:
        if path := _beside(url):
            try:
                yield source_path(path)
            except SkeletonError:
                continue  # nobody has to choose it


def _beside(url: str) -> str:
    """The part of a ``url`` that leads to what lies beside the template; empty for an address, or where nobody knows yet.

    Of ``./ci/${{ parameters.type }}/x`` that is ``./ci``: a run may ask for anything in it.
    """
    known = url.partition("${{")[0].partition("{%")[0]
    if "://" in known:
        return ""
    if known == url:
        return url or "."
    return known.rpartition("/")[0] or "." if known.startswith(".") else ""


def find_files(base: Path, folder: str, root: Path | None = None) -> tuple[Found, ...]:
    """Find the files of a skeleton folder, at every depth, sorted by path; what is in ``.git`` is left out.

    Args:
        base: the template's folder.
        folder: the skeleton's path from there, as ``folder_path`` or ``source_path`` gives it; it may be one file.
        root: the folder that nothing may lead out of; None for the deepest one that both are in.

    Raises:
        SkeletonError: the folder is missing, empty or too large, or leads out of the root.
    """
    climbs = PurePosixPath(folder).parts.count("..")
    inside = (root or Path(os.path.normpath(base / ("../" * climbs)))).resolve()
    top = _inside(inside, base / folder)
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
        folder: as the step's input names it, such as ``./skeleton``, or a file or folder in one that it names.

    Returns:
        The files sorted by their path below that folder; a file that is named itself, by its own name.

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
        name = source_path(folder)
    except SkeletonError as error:
        raise ValidationError(f"{template.name}: {error}.") from None
    expected = {path: digest for path, digest in template.skeleton_files.items() if _is_in(path, name)}
    if not expected or not _is_named(template, name):
        raise ValidationError(
            f"{template.name} has no skeleton folder {folder!r}.",
            hint="Write it in the step's input as plain text, as far as it can be known without an expression.",
        )
    return _read_as_expected(template, name, expected)


def read_all(template: Template) -> dict[str, tuple[bytes, bool]]:
    """Read all files of a template's skeleton folders from disk, as they were when it was loaded.

    Args:
        template: one that came from a folder.

    Returns:
        Each file's content by its path below that folder, and whether it can be executed.

    Raises:
        ConflictError: a file was changed or removed since.
    """
    root = Path(str(template.folder)).resolve()
    files = {}
    for path, expected in template.skeleton_files.items():
        try:
            found = Found(path, file := _inside(root, root / path), file.stat())
            content = _content(found)
        except SkeletonError as error:
            raise _changed(template, str(error)) from None
        except OSError as error:
            raise _changed(template, f"{path} cannot be read: {error.strerror}") from None
        if digest(content) != expected:
            raise _changed(template, f"{path} changed since it was loaded")
        files[path] = (content, bool(found.status.st_mode & stat.S_IXUSR))
    return files


def _read_as_expected(template: Template, name: str, expected: Mapping[str, str]) -> tuple[SkeletonFile, ...]:
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
            PurePosixPath(path).name if path == name else path.removeprefix(_before(name)),
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
