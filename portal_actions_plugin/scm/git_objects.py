"""Building git's objects in memory: blobs, the trees that changes to some paths make, and commits."""

from __future__ import annotations

import re
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dulwich.object_store import MemoryObjectStore
from dulwich.objects import Blob, Commit, ObjectID, Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dulwich.object_store import BaseObjectStore

    from portal_actions_plugin.scm.base import Author, FileChange

Entry = tuple[int, ObjectID]
"""The mode and the SHA of what lies at a path."""
Changes = Mapping[bytes, Entry | None]
"""The new entry of each path; None for a path that goes."""
FILE, EXECUTABLE, LINK, FOLDER = 0o100644, 0o100755, 0o120000, stat.S_IFDIR


class PathInTheWayError(Exception):
    """A file would have to lie where a folder is, or the other way round; the argument is the path."""


def mode_of(change: FileChange, before: int | None = None) -> int:
    """The mode that git keeps of a file.

    Args:
        change: what it becomes.
        before: the mode of what lies there; None when nothing does.
    """
    if change.is_link:
        return LINK
    if change.executable is not None:
        return EXECUTABLE if change.executable else FILE
    return before if before is not None and stat.S_ISREG(before) else FILE


def edit_tree(store: BaseObjectStore, root: ObjectID | None, changes: Changes) -> list[Tree]:
    """Apply changes to a tree, None for a path that goes.

    Args:
        store: the object store to read trees from; nothing is written to it.
        root: the tree to start from; None for an empty one.
        changes: the new entry of each path.

    Returns:
        The trees that are new, folders before what holds them; the last one is the root.

    Raises:
        PathInTheWayError: a file would have to lie where a folder is, or below a file.
    """
    editor = _Editor(store, [])
    editor.made.append(editor.edit(root, changes, b""))
    return editor.made


@dataclass(frozen=True, slots=True)
class _Editor:
    store: BaseObjectStore
    made: list[Tree]

    def edit(self, root: ObjectID | None, changes: Changes, above: bytes) -> Tree:
        tree = Tree() if root is None else self.store[root].copy()
        assert isinstance(tree, Tree)  # noqa: S101 a commit and a folder's entry name nothing else
        here: dict[bytes, Entry | None] = {}
        below: dict[bytes, dict[bytes, Entry | None]] = {}
        for path, entry in changes.items():
            name, slash, rest = path.partition(b"/")
            if slash:
                below.setdefault(name, {})[rest] = entry
            else:
                here[name] = entry
        # What goes makes room for what comes: a file may become a folder, and a folder a file.
        for name in [name for name, entry in here.items() if entry is None and name in tree]:
            del tree[name]
        for name, nested in below.items():
            self._edit_folder(tree, name, nested, above)
        for name, entry in here.items():
            if entry is not None:
                self._set(tree, name, entry, above)
        return tree

    def _edit_folder(self, tree: Tree, name: bytes, nested: Changes, above: bytes) -> None:
        there = _at(tree, name)
        if there is not None and not stat.S_ISDIR(there[0]):
            raise _in_the_way(above + name)
        folder = self.edit(there[1] if there else None, nested, above + name + b"/")
        if len(folder):
            self.made.append(folder)
            tree[name] = (FOLDER, folder.id)
        elif there is not None:
            del tree[name]

    def _set(self, tree: Tree, name: bytes, entry: Entry, above: bytes) -> None:
        there = _at(tree, name)
        if there is not None and stat.S_ISDIR(there[0]):
            raise _in_the_way(above + name)
        tree[name] = entry


def _at(tree: Tree, name: bytes) -> Entry | None:
    return tree[name] if name in tree else None  # noqa: SIM401 a Tree has no get


def _in_the_way(path: bytes) -> PathInTheWayError:
    return PathInTheWayError(path.decode(errors="replace"))


def new_commit(tree: ObjectID, parents: Sequence[ObjectID], author: Author, message: str) -> Commit:
    """Build a commit of now, which is not stored yet.

    Args:
        tree: what it holds.
        parents: the commits that it follows; none for a first one.
        author: who it is by, as author and committer.
        message: as people wrote it.
    """
    who = _identity(author)
    now = int(time.time())
    commit = Commit()
    commit.tree = tree
    commit.parents = list(parents)
    commit.author = commit.committer = who
    commit.author_time = commit.commit_time = now
    commit.author_timezone = commit.commit_timezone = 0
    commit.message = (message.rstrip() + "\n").encode(errors="replace")
    return commit


def orphan_commit(changes: Sequence[FileChange], author: Author, message: str) -> list[Blob | Tree | Commit]:
    """Build all objects of a commit without a parent, which holds some files and nothing else.

    Args:
        changes: the files, each path once.
        author: who it is by.
        message: as people wrote it.

    Returns:
        What the commit refers to, and itself as the last one.

    Raises:
        PathInTheWayError: a path is a file and a folder at once.
    """
    blobs = [Blob.from_string(change.content) for change in changes]
    entries = {change.path.encode(): (mode_of(change), blob.id) for change, blob in zip(changes, blobs, strict=True)}
    trees = edit_tree(MemoryObjectStore(), None, entries)
    return [*blobs, *trees, new_commit(trees[-1].id, [], author, message)]


def _identity(author: Author) -> bytes:
    name, email = (re.sub(r"[<>\x00-\x1f]", "", text).strip() for text in (author.name, author.email))
    return f"{name or 'Portal Actions'} <{email}>".encode(errors="replace")
