"""Workspaces as folders of this machine: for the time of an attempt, and for nobody but this user to read."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from portal_actions_plugin.errors import ConfigurationError

PRIVATE = 0o700

LEFT_SECONDS = 600.0
"""So old is a folder whose process nobody knows before it goes: it may have been made just before its run began."""


def root() -> Path:
    """The folder of all working folders of this user on this machine, made where there is none.

    Raises:
        ConfigurationError: somebody else's, or readable by others, is in its place.
    """
    place = _root()
    try:
        place.mkdir(mode=PRIVATE, exist_ok=True)
        found = place.lstat()
    except OSError as error:
        raise ConfigurationError(f"A workspace needs the folder {place}: {error.strerror}.", hint=_HINT) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigurationError(
            f"A workspace needs the folder {place}, and what is there is not this user's alone.", hint=_HINT
        )
    return place


_HINT = "Tell your platform team: it is made below TMPDIR of the worker, with mode 700."


def _root() -> Path:
    return Path(os.path.realpath(tempfile.gettempdir())) / f"portal-actions-{os.getuid()}"


def of_process(process_token: str) -> Path:
    """Where a job process has its working folder; whether there is one is another question."""
    return _root() / process_token


def make(process_token: str) -> Path:
    """Make a job process's working folder anew, empty."""
    root()
    place = of_process(process_token)
    remove_tree(place)
    place.mkdir(mode=PRIVATE)
    return place


class Hold:
    """Says, until it is let go or its process ends, that somebody works in a folder.

    Several portals of one user share the folder of all working folders, and none knows the processes of the others.
    Where the file system cannot do that, nobody is told.
    """

    def __init__(self, place: Path) -> None:
        """Take hold of a folder that is there."""
        self._file: tuple[int, os.stat_result] | None = None
        with suppress(OSError):
            descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
            self._file = descriptor, os.fstat(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def is_of(self, place: Path) -> bool:
        """Whether this is the folder that is held: another one may be in its place by now."""
        if self._file is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._file[0]), place.stat())
        except OSError:
            return False

    def let_go(self) -> None:
        """Let go of it. What a handler has closed, or has put in its place, is left alone."""
        if self._file is None:
            return
        descriptor, was = self._file
        self._file = None
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), was):
                os.close(descriptor)


def _is_held(place: Path) -> bool:
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def remove_of_process(process_token: str) -> None:
    """Remove what a job process has left of workspaces."""
    remove_tree(of_process(process_token))


def left_behind(is_alive: Callable[[list[str]], set[str]]) -> Iterator[Path]:
    """The working folders of processes that are gone, as after a power cut: nobody holds them.

    Args:
        is_alive: says of some processes' tokens which of them have a run still.
    """
    try:
        places = list(_root().iterdir())
    except OSError:
        return
    before = time.time() - LEFT_SECONDS
    old = [place for place in places if _is_older(place, before)]
    alive = is_alive([place.name for place in old]) if old else set()
    yield from (place for place in old if place.name not in alive and not _is_held(place))


def _is_older(place: Path, before: float) -> bool:
    try:
        return place.lstat().st_ctime < before
    except OSError:  # its process has removed it meanwhile
        return False


def remove_tree(place: Path) -> None:
    """Remove a folder with all that is in it, also what a handler has taken its own permissions from."""

    def allow(_function: object, path: str, _why: object) -> None:
        with suppress(OSError):
            Path(path).parent.chmod(PRIVATE)
            if not Path(path).is_symlink() and Path(path).is_dir():
                Path(path).chmod(PRIVATE)
                shutil.rmtree(path, ignore_errors=True)
            else:
                Path(path).unlink()

    if place.is_symlink() or place.is_file():
        place.unlink(missing_ok=True)
    elif place.exists():
        with suppress(RecursionError):
            shutil.rmtree(place, onerror=allow)
            shutil.rmtree(place, ignore_errors=True)
        if place.exists():
            _flatten(place)
            shutil.rmtree(place, ignore_errors=True)


def _flatten(place: Path) -> None:
    """Empty a folder that is too deep for the standard library: what is in its folders comes up before they go."""
    number = 0
    waiting = [place]
    while waiting:
        folder = waiting.pop()
        with suppress(OSError):
            folder.chmod(PRIVATE)
            with os.scandir(folder) as entries:
                found = list(entries)
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    number += 1
                    above = place / f"{number}-{place.name[:100]}"
                    Path(entry.path).chmod(PRIVATE)
                    Path(entry.path).rename(above)
                    waiting.append(above)
                else:
                    Path(entry.path).unlink()
            if folder != place:
                folder.rmdir()
