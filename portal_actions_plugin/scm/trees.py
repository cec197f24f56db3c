"""The files of a repository at one of its commits, as they lie in git's own objects."""

from __future__ import annotations

import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from dulwich.index import validate_path, validate_path_element_ntfs
from dulwich.object_store import BaseObjectStore, iter_tree_contents
from dulwich.objects import Blob, Commit, ObjectID, Tag, Tree

from portal_actions_plugin.errors import NotFoundError, ValidationError
from portal_actions_plugin.scm.base import RepoFile

MAX_ENTRIES = 100_000
"""Files and folders that are looked at: a few folders that each hold another one ten times stand for more than there is time."""

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is read at most: files, and bytes of them together."""

    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A place in a repository.

    Attributes:
        commit: what a branch or a tag is at, or a commit that was named itself.
        path: of a folder or a file; empty for the top.
    """

    commit: ObjectID
    path: str


def wanted(refs: dict[bytes, ObjectID], where: str) -> Wanted | None:
    """Find what a branch, a tag or a commit and a path stand for that are written as one text.

    Args:
        refs: of the repository: ``refs/heads/…``, ``refs/tags/…``, and ``HEAD``.
        where: such as ``feature/new/skeletons/go``; of several branches that it begins with the longest counts. An empty
            one is the top of the default branch.

    Returns:
        None when it begins with none of them.
    """
    if not where:
        found = refs.get(b"HEAD")
        return Wanted(found, "") if found else None
    parts = where.split("/")
    for length in range(len(parts), 0, -1):
        name, path = "/".join(parts[:length]), "/".join(parts[length:])
        for ref in (f"refs/heads/{name}", f"refs/tags/{name}"):
            if (sha := refs.get(ref.encode(errors="replace"))) is not None:
                return Wanted(sha, path)
    if parts[0] == "HEAD" and refs.get(b"HEAD"):
        return Wanted(refs[b"HEAD"], "/".join(parts[1:]))
    return Wanted(ObjectID(parts[0].encode()), "/".join(parts[1:])) if _SHA.fullmatch(parts[0]) else None


def files_at(store: BaseObjectStore, place: Wanted, bounds: Bounds, name: str) -> tuple[RepoFile, ...]:
    """Read the files of a folder, or a file, of a repository.

    Submodules are left out, and so are paths that lead elsewhere on some system.

    Args:
        store: has the commit's objects.
        place: what to read.
        bounds: how much at most.
        name: the repository's, for errors.

    Raises:
        NotFoundError: nothing is there.
        ValidationError: it is too much.
    """
    found = _at(store, place)
    if found is None:
        raise NotFoundError(f"{name} has no {place.path or 'files'} there.", hint="Check the address.")
    mode, sha = found
    if not stat.S_ISDIR(mode):
        blob = store[sha]
        return (_file(place.path.rpartition("/")[2], mode, bytes(blob.data) if isinstance(blob, Blob) else b""),)
    files: list[RepoFile] = []
    size = 0
    for path, kind, content in contents(store, sha):
        size += len(content)
        files.append(_file(path, kind, content))
        if len(files) > bounds.files or size > bounds.size:
            raise ValidationError(
                f"{place.path or 'The repository'} of {name} has more than {bounds.files:,} files or "
                f"{bounds.size // 1_000_000} MB.",
                hint="Fetch a folder in it.",
            )
    return tuple(files)


def _file(path: str, mode: int, content: bytes) -> RepoFile:
    return RepoFile(path, content, bool(mode & stat.S_IXUSR) and stat.S_ISREG(mode), stat.S_ISLNK(mode))


def commit_of(store: BaseObjectStore, sha: ObjectID) -> Commit | None:
    """The commit that a SHA is of, or a tag's; None where it is of something else."""
    try:
        found = store[sha]
        while isinstance(found, Tag):
            found = store[found.object[1]]
    except KeyError:
        return None
    return found if isinstance(found, Commit) else None


def _at(store: BaseObjectStore, place: Wanted) -> tuple[int, ObjectID] | None:
    commit = commit_of(store, place.commit)
    found: tuple[int, ObjectID] | None = (stat.S_IFDIR, ObjectID(commit.tree)) if commit else None
    for part in filter(None, place.path.encode(errors="replace").split(b"/")):
        if found is None or not stat.S_ISDIR(found[0]):
            return None
        folder = store[found[1]]
        found = folder[part] if isinstance(folder, Tree) and part in folder else None
    return found


def contents(
    store: BaseObjectStore, tree: ObjectID, kinds: Collection[int] = (stat.S_IFREG, stat.S_IFLNK)
) -> Iterator[tuple[str, int, bytes]]:
    """The path, mode and content of each file of a tree, at every depth, but for what no folder should be given.

    Args:
        store: has its objects.
        tree: which one.
        kinds: of files: ``stat.S_IFREG``, ``stat.S_IFLNK``.

    Raises:
        ValidationError: it has too many entries, whatever they are.
    """
    for number, item in enumerate(iter_tree_contents(store, tree, include_trees=True)):
        if number > MAX_ENTRIES:
            raise ValidationError(
                f"The repository has more than {MAX_ENTRIES:,} files and folders.", hint="Take a smaller one."
            )
        if item.path is None or item.mode is None or item.sha is None or stat.S_IFMT(item.mode) not in kinds:
            continue
        if not validate_path(item.path, validate_path_element_ntfs):
            continue
        blob = store[item.sha]
        try:
            path = item.path.decode()
        except UnicodeDecodeError:
            continue
        if isinstance(blob, Blob):
            yield path, item.mode, bytes(blob.data)
