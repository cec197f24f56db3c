"""Editing git trees in memory: what changes to some paths make of a tree."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dulwich.objects import ObjectID, Tree

if TYPE_CHECKING:
    from dulwich.object_store import BaseObjectStore

Entry = tuple[int, ObjectID]
"""The mode and the SHA of what lies at a path."""
Changes = Mapping[bytes, Entry | None]
"""The new entry of each path; None for a path that goes."""
FILE, EXECUTABLE, FOLDER = 0o100644, 0o100755, stat.S_IFDIR


class PathInTheWayError(Exception):
    """A file would have to lie where a folder is, or the other way round; the argument is the path."""


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
