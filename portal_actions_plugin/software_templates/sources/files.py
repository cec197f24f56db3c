"""Files of a template folder: how people may see their paths, and reading one that a document names, within bounds."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from portal_actions_plugin.software_templates.skeletons.files import Signature, stamp

_GIT = ".git"


class FileError(Exception):
    """A file that a document names cannot be used; the message says why, as a sentence without its end."""


@dataclass(frozen=True, slots=True)
class Named:
    """A file that a document names.

    Attributes:
        path: where it lies, through no link but those of the folder itself.
        shown: the same as the document says it, without ``..``; for messages.
    """

    path: Path
    shown: Path


def shown_path(file: Path, folders: Iterable[Path]) -> str:
    """A file's path as people may see it.

    Args:
        file: a template's file, or a folder of templates.
        folders: the template folders.

    Returns:
        Its path below the first of them that it is in; its own name when it is in none, or is one of them.
    """
    for folder in folders:
        if file != folder and file.is_relative_to(folder):
            return str(file.relative_to(folder))
    return file.name


def named_path(given: str, file: Path, root: Path) -> Path:
    """Where a path that a document names leads, whether something is there or not.

    Args:
        given: relative to the document's file, or to the root when it begins with a slash.
        file: the document's.
        root: the template folder that it is in.

    Raises:
        FileError: it is a URL, or not a path that can be read at all.
    """
    if "://" in given or given.startswith("//"):
        raise FileError("a URL is not read here: name a file in the template folder")
    if not given or "\0" in given or "\\" in given or len(given) > 1_000:
        raise FileError("this is no path of a file: write one such as ./parts/common.yaml")
    base = root if given.startswith("/") else file.parent
    return Path(os.path.normpath(base / PurePosixPath(given.lstrip("/"))))


def find(given: str, file: Path, root: Path) -> Named:
    """Find a file that a document names, see ``named_path``.

    Raises:
        FileError: as ``named_path``; or it leads out of the root, or into its ``.git``, or is no file.
    """
    path = named_path(given, file, root)
    try:
        top, real = root.resolve(), path.resolve()
        if not real.is_relative_to(top):
            raise FileError(f"{given} leads out of the template folder")
        if _GIT in real.relative_to(top).parts:
            raise FileError(f"{given} leads into {_GIT}")
        if not stat.S_ISREG(real.stat().st_mode):
            raise FileError(f"{given} is no file")
    except FileNotFoundError:
        raise FileError(f"there is no file {given}") from None
    except (OSError, RuntimeError) as error:
        raise FileError(f"{given} cannot be read: {_said(error)}") from None
    return Named(real, path)


def read(named: Named, most: int) -> bytes:
    """What is in a file.

    Args:
        named: as ``find`` gave it; should a link lie there by now, it is not followed.
        most: bytes that it may have.

    Raises:
        FileError: it is larger, or cannot be read.
    """
    try:
        # Not to wait for who writes into what has become a pipe meanwhile.
        with os.fdopen(os.open(named.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise FileError(f"{named.shown.name} is no file")
            content = stream.read(most + 1)
    except OSError as error:
        raise FileError(f"{named.shown.name} cannot be read: {error.strerror}") from None
    if len(content) > most:
        raise FileError(f"{named.shown.name} is larger than {most:,} bytes")
    return content


def file_stamp(path: Path) -> Signature:
    """What changes with a file's content, and when it comes or goes; empty where there is none."""
    try:
        return stamp(path.stat())
    except OSError:
        return ()


def is_file(path: Path | str) -> bool:
    """Whether a file is there, or something that hides one: reading that will say why it cannot be read."""
    # Not `Path.is_file`: every start asks about every template, and to make a path takes longer than to ask.
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 as said
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        return error.errno != errno.ELOOP


def _said(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "its links lead back to themselves"
