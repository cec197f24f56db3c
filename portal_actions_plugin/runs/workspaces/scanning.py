"""What a folder holds: looked at without following a link, and no more of it than a workspace may hold."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from portal_actions_plugin.errors import ValidationError

MAX_LEVELS = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a workspace may hold: bytes of all files, and how many files, links and folders."""

    size: int
    files: int


@dataclass(slots=True)
class Found:
    """What a folder holds, by path: files with mode and size, folders with mode, links with what is written in them."""

    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


def scan(folder: Path, limits: Limits) -> Found:
    """Look at all that is in a folder, at every depth.

    Args:
        folder: absolute, with no link in it.
        limits: how much it may hold.

    Raises:
        ValidationError: it holds more, or what cannot be kept; names the file and the limit.
    """
    found = Found()
    size = 0
    for entry, path in _walk(folder, ""):
        status = entry.stat(follow_symlinks=False)
        if entry.is_symlink():
            found.links[path] = _target(folder, Path(entry.path), path)
        elif stat.S_ISDIR(status.st_mode):
            found.folders[path] = stat.S_IMODE(status.st_mode) & 0o777
        elif stat.S_ISREG(status.st_mode):
            found.files[path] = (stat.S_IMODE(status.st_mode) & 0o777, status.st_size)
            size += status.st_size
        else:
            raise _refused(f"{path} is neither a file nor a folder nor a link", "Remove it in the step that makes it.")
        if len(found.files) + len(found.links) > limits.files or len(found.folders) > limits.files:
            raise _refused(
                f"with {path} it holds more than {limits.files:,} files or folders",
                "Keep fewer of them, or ask your platform team: PORTAL_ACTIONS_MAX_WORKSPACE_FILES is the limit.",
            )
    if size > limits.size:
        largest = max(found.files, key=lambda path: found.files[path][1])
        raise _refused(
            f"it holds {size / 1e6:,.1f} MB, and {limits.size / 1e6:,.1f} MB are allowed; the largest file is {largest} "
            f"with {found.files[largest][1] / 1e6:,.1f} MB",
            "Keep less, or ask your platform team: PORTAL_ACTIONS_MAX_WORKSPACE_BYTES is the limit.",
        )
    return found


def _walk(folder: Path, at: str) -> Iterator[tuple[os.DirEntry[str], str]]:
    if at.count("/") > MAX_LEVELS:
        raise _refused(f"{at[:200]} is deeper than {MAX_LEVELS} folders", "Keep it less deep.")
    _readable(folder, 0o500)
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            path = f"{at}{entry.name}"
            if entry.name.encode(errors="replace").decode() != entry.name:
                raise _refused(f"{path!a} is no UTF-8 name", "Give it another name in the step that makes it.")
            yield entry, path
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{path}/")


def content_of(folder: Path, path: str, size: int) -> bytes:
    """The content of a file that was looked at; raises ValidationError when it grows meanwhile."""
    file = folder / path
    _readable(file, 0o400)
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as opened:
        content = opened.read(size + 1)
    if len(content) != size:
        raise _refused(f"{path} changes while it is read", "Let nothing write to it when the step is over.")
    return content


def _readable(place: Path, bits: int) -> None:
    """What its own user may not read cannot be kept: it gets its mode back where it is written again."""
    mode = stat.S_IMODE(place.lstat().st_mode)
    if mode & bits != bits:
        place.chmod(mode | bits)


def _target(folder: Path, link: Path, path: str) -> str:
    target = str(link.readlink())
    goes_to = Path(os.path.realpath(link))
    if target.startswith("/") or not goes_to.is_relative_to(folder):
        raise _refused(
            f"the link {path} leads out of it ({target[:200]})", "Write a relative link to something in the workspace."
        )
    if target.encode(errors="replace").decode() != target:
        raise _refused(f"what the link {path} leads to is no UTF-8 name", "Write another link.")
    return target


def _refused(why: str, hint: str) -> ValidationError:
    return ValidationError(f"The workspace cannot be kept: {why}.", hint=hint)
