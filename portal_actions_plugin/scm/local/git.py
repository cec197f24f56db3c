"""One bare git repository on disk: reading it, and moving its branches by compare-and-swap."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from dulwich.errors import NotGitRepository
from dulwich.file import FileLocked
from dulwich.graph import find_merge_base
from dulwich.object_store import DiskObjectStore, iter_tree_contents
from dulwich.objects import S_ISGITLINK, Blob, Commit, ObjectID, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo

from portal_actions_plugin.errors import ConflictError, NotFoundError, RemoteError
from portal_actions_plugin.scm.git_objects import FOLDER, Entry, edit_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


BRANCHES = b"refs/heads/"
LOCK_SECONDS = 30.0
REF_LOCK_SECONDS = 5.0
REF_LOCK_STALE_SECONDS = 10.0
MAX_LOOSE = 100
"""Objects that are stored each in a file of its own; more go into one."""


@contextmanager
def opened(path: Path, name: str) -> Iterator[BareRepo]:
    """Open a repository for reading.

    Args:
        path: its folder.
        name: what errors call it: ``owner/repo``.

    Raises:
        NotFoundError: there is none.
        RemoteError: the disk refuses.
    """
    with disk_errors(name):
        try:
            git = BareRepo(path, name)
        except NotGitRepository:
            raise NotFoundError(f"There is no repository {name} on the local forge.") from None
        try:
            yield git
        finally:
            git.close()


@contextmanager
def disk_errors(name: str) -> Iterator[None]:
    """Turn what the disk says into an error that names the repository."""
    try:
        yield
    except OSError as error:
        raise RemoteError(
            f"The local forge could not read or write {name}: {error}.",
            hint="Tell your platform team: look at the disk, and at who owns the folder of the repositories.",
        ) from error


@contextmanager
def locked(path: Path, name: str) -> Iterator[None]:
    """Hold the lock that all writers of ours take. The kernel frees it when its process dies.

    Args:
        path: the repository's folder.
        name: what errors call it: ``owner/repo``.

    Raises:
        NotFoundError: there is no such folder.
        RemoteError: another process held it for ``LOCK_SECONDS``.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        raise NotFoundError(f"There is no repository {name} on the local forge.") from None
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _try_lock(fd):
            if time.monotonic() > deadline:
                raise RemoteError(f"{name} was being written to by another process for {LOCK_SECONDS:.0f} seconds.")
            time.sleep(0.02)
        yield
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class BareRepo:
    """An open repository. Packs and packed refs are cached, so a second look at a moved branch needs a new one."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._repo = Repo(str(path))
        self._refs = self._repo.refs
        store = self._repo.object_store
        assert isinstance(store, DiskObjectStore)  # noqa: S101 a repository in a folder has no other
        self._store = store
        self._store.fsync_object_files = True  # a committed run survives a power cut, so what it made must too

    def close(self) -> None:
        """Let go of the files that are open."""
        self._repo.close()

    def head(self, branch: str) -> ObjectID | None:
        """The commit that a branch is at."""
        try:
            return self._refs[_ref(branch)]
        except KeyError:
            return None

    def default_branch(self) -> str:
        """The branch that HEAD names, born or not."""
        target = self._refs.read_ref(Ref(b"HEAD")) or b""
        prefix = b"ref: " + BRANCHES
        return target.removeprefix(prefix).decode(errors="replace") if target.startswith(prefix) else "main"

    def set_default_branch(self, branch: str) -> None:
        """Let HEAD name a branch."""
        self._refs.set_symbolic_ref(Ref(b"HEAD"), _ref(branch))

    def branches(self) -> dict[str, ObjectID]:
        """All branches and where they are, by name."""
        found = self._refs.as_dict(Ref(BRANCHES))
        return {name.decode(errors="replace"): sha for name, sha in sorted(found.items())}

    def commit(self, sha: ObjectID) -> Commit:
        """A commit by its SHA; raises RemoteError when it is something else, KeyError when it is not there."""
        found = self._store[sha]
        if not isinstance(found, Commit):
            raise RemoteError(f"{short(sha)} of {self.name} is not a commit.")
        return found

    def tree(self, sha: ObjectID | None) -> ObjectID | None:
        """The tree of a commit."""
        return None if sha is None else ObjectID(self.commit(sha).tree)

    def seen_tree(self, commit: str) -> ObjectID | None:
        """The tree of a commit that somebody names; None when the text names no commit of this repository."""
        if not re.fullmatch("[0-9a-f]{40}", commit):
            return None
        sha = ObjectID(commit.encode())
        if sha not in self._store:
            return None
        found = self._store[sha]
        return ObjectID(found.tree) if isinstance(found, Commit) else None

    def entry(self, tree: ObjectID | None, path: str) -> Entry | None:
        """Mode and SHA of what lies at a path of a tree; None when nothing does, or there is no tree."""
        found: Entry | None = None if tree is None else (FOLDER, tree)
        for segment in path.encode().split(b"/"):
            if found is None or not stat.S_ISDIR(found[0]):
                return None
            folder = self._store[found[1]]
            found = folder[segment] if isinstance(folder, Tree) and segment in folder else None
        return found

    def file(self, tree: ObjectID | None, path: str) -> tuple[bytes, str] | None:
        """Content and blob SHA of a file of a tree; None when no file lies at that path."""
        entry = self.entry(tree, path)
        found = None if entry is None or S_ISGITLINK(entry[0]) else self._store[entry[1]]
        return (bytes(found.data), found.id.decode()) if isinstance(found, Blob) else None

    def files(self, tree: ObjectID | None) -> Iterator[tuple[str, Entry]]:
        """Every file of a tree and its folders, by path."""
        if tree is not None:
            for item in iter_tree_contents(self._store, tree):
                yield item.path.decode(errors="replace"), (item.mode, item.sha)

    def changes(self, old: ObjectID | None, new: ObjectID | None) -> dict[bytes, Entry | None]:
        """What turns one tree into another: the new entry of each changed path, None where it is gone."""
        found: dict[bytes, Entry | None] = {}
        for (old_path, new_path), (_, mode), (_, sha) in self._store.tree_changes(old, new):
            if new_path is not None and mode is not None and sha is not None:
                found[new_path] = (mode, sha)
            elif old_path is not None:
                found.setdefault(old_path, None)
        return found

    def merge_base(self, one: ObjectID, other: ObjectID) -> ObjectID | None:
        """The newest commit that two commits share; None when their histories have nothing in common."""
        found = find_merge_base(self._repo, [one, other])
        return found[0] if found else None

    def log(self, start: ObjectID, limit: int) -> Iterator[Commit]:
        """The newest commits that lead to one, itself first, at most ``limit``."""
        for step in self._repo.get_walker(include=[start], max_entries=limit):
            yield step.commit

    def diff_to(self, out: IO[bytes], old: ObjectID | None, new: ObjectID | None) -> None:
        """Write a unified diff between two trees to a binary file; None stands for an empty tree."""
        from dulwich.patch import write_tree_diff

        write_tree_diff(out, self._store, old, new)

    def edited(self, root: ObjectID | None, changes: Mapping[bytes, Entry | None]) -> list[Tree]:
        """The trees that changes to a tree make, nothing written yet; the last one is the new root.

        Raises:
            PathInTheWayError: a file would have to lie where a folder is, or below a file.
        """
        return edit_tree(self._store, root, changes)

    def write(self, objects: Iterable[Blob | Tree | Commit]) -> None:
        """Store objects; no branch names them yet. Only under ``locked``."""
        objects = list(objects)
        if len(objects) > MAX_LOOSE:
            self._write_pack(objects)
            return
        for item in objects:
            try:
                self._store.add_object(item)
            except FileLocked as leftover:
                # Every writer of loose objects with such a lock is ours, and we hold our lock: this one is dead.
                Path(os.fsdecode(leftover.lockfilename)).unlink(missing_ok=True)
                self._store.add_object(item)

    def _write_pack(self, objects: Sequence[Blob | Tree | Commit]) -> None:
        """Store many objects in one file: each file of its own would have to reach the disk by itself."""
        self._store.add_objects([(item, None) for item in objects])
        for file in Path(os.fsdecode(self._store.pack_dir)).glob("pack-*"):
            fd = os.open(file, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def swap(self, branch: str, old: ObjectID | None, new: ObjectID) -> bool:
        """Move a branch from ``old`` to ``new``, or make it when ``old`` is None; False when it was elsewhere by then.

        Raises:
            ConflictError: another branch's name has this one as a folder, or the other way round.
            RemoteError: another git process keeps the branch locked.
        """
        for other in self.branches() if old is None else ():
            if other.startswith(f"{branch}/") or branch.startswith(f"{other}/"):
                raise ConflictError(f"{self.name} has a branch {other}, so git cannot have a branch {branch} there.")
        deadline = time.monotonic() + REF_LOCK_SECONDS
        while True:
            try:
                if old is None:
                    return self._refs.add_if_new(_ref(branch), new)
                return self._refs.set_if_equals(_ref(branch), old, new)
            except FileLocked as held:
                self._outwait(Path(os.fsdecode(held.lockfilename)), branch, deadline)

    def _outwait(self, lock: Path, branch: str, deadline: float) -> None:
        """Sleep a little, or remove a lock that a killed process has left: git holds them for milliseconds."""
        try:
            age = time.time() - lock.stat().st_mtime
        except FileNotFoundError:
            return
        if age > REF_LOCK_STALE_SECONDS:
            lock.unlink(missing_ok=True)
        elif time.monotonic() > deadline:
            raise RemoteError(f"Another git process keeps the branch {branch} of {self.name} locked ({lock}).")
        else:
            time.sleep(0.05)


def short(sha: bytes | str) -> str:
    """The first seven digits, as people write them."""
    return (sha if isinstance(sha, str) else sha.decode())[:7]


def moment(seconds: float) -> datetime:
    """A moment in UTC, of the seconds since 1970 that git keeps."""
    return datetime.fromtimestamp(seconds, UTC)


def _ref(branch: str) -> Ref:
    return Ref(BRANCHES + branch.encode())
