"""Contents in a folder: beside an SQLite file, or on a disk that all machines of a portal share."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from portal_actions_plugin.runs.workspaces.stores.store import Shelf, missing, unreachable
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import new_id

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600

_TEMPORARY = ".new-"
_NAMED_BY = 2
"""Characters of a content's name that name the folder it is in: none gets more entries than a file system likes."""


class FolderStore:
    """Keeps each content as a file of its own: ``<root>/<kind>/<owner>/<ab>/<name>``."""

    name = "folder"
    is_near = True

    def __init__(self, root: Path) -> None:
        self._root = root

    def describe(self) -> str:
        return f"the folder {self._root}"

    def put(self, shelf: Shelf, contents: Iterable[tuple[str, bytes]]) -> None:
        folder = self._folder(shelf)
        with self._asking():
            folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            written = [self._write(folder, name, content) for name, content in contents]
            if not written:
                return
            # Renamed only when the bytes are on the disk: after a power cut no name stands for half a content.
            _sync(folder, [new for new, _ in written])
            reached("workspace.put")
            for new, place in written:
                place.parent.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
                new.replace(place)
            _sync_folders({place.parent for _, place in written} | {folder, folder.parent})

    def _write(self, folder: Path, name: str, content: bytes) -> tuple[Path, Path]:
        new = folder / f"{_TEMPORARY}{new_id()}"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return new, _place(folder, name)

    def get(self, shelf: Shelf, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        folder = self._folder(shelf)
        for name in names:
            with self._asking():
                try:
                    content = _place(folder, name).read_bytes()
                except FileNotFoundError:
                    raise missing(self.describe(), shelf, name) from None
            yield name, content

    def lacks(self, shelf: Shelf, names: Collection[str]) -> set[str]:
        folder = self._folder(shelf)
        with self._asking():
            # Listed, not asked about one by one: ten thousand files, which a page waits for, are in 256 folders.
            there = {part: _listed(folder / part) for part in {name[:_NAMED_BY] for name in names}}
        return {name for name in names if name not in there[name[:_NAMED_BY]]}

    def delete(self, shelf: Shelf, names: Sequence[str]) -> None:
        folder = self._folder(shelf)
        with self._asking():
            for name in names:
                _place(folder, name).unlink(missing_ok=True)

    def clear(self, shelf: Shelf) -> None:
        with self._asking(), suppress(FileNotFoundError):
            shutil.rmtree(self._folder(shelf))

    def sizes(self, shelf: Shelf) -> Mapping[str, int]:
        with self._asking():
            files = [file for file in self._folder(shelf).glob("*/*") if file.is_file()]
            return {file.name: file.stat().st_size for file in files}

    def owners(self, kind: str) -> Iterator[str]:
        with self._asking():
            try:
                found = sorted(os.listdir(self._root / kind))  # noqa: PTH208 names are enough
            except FileNotFoundError:
                return
        yield from found

    def _folder(self, shelf: Shelf) -> Path:
        return self._root / shelf.kind / shelf.owner

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unreachable(self.describe(), error.strerror or type(error).__name__) from None


def _place(folder: Path, name: str) -> Path:
    return folder / name[:_NAMED_BY] / name


def _listed(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 names are enough
    except FileNotFoundError:
        return frozenset()


def _sync(folder: Path, files: Sequence[Path]) -> None:
    """Have the files on the disk: in one go where the system can, since one by one takes milliseconds for each."""
    if sys.platform == "linux" and len(files) > 1:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            if ctypes.CDLL(None).syncfs(descriptor) == 0:
                return
        finally:
            os.close(descriptor)
    for file in files:
        _sync_one(file)


def _sync_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        _sync_one(folder)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
