"""Which files a commit has to change: worked out here, from what a tree names, without reading any file from the forge."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from portal_actions_plugin.errors import ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import FileChange
from portal_actions_plugin.scm.git_objects import EXECUTABLE, mode_of

TRIES = 5
"""How often a commit is made on top of a branch that moves meanwhile."""


class Entry(NamedTuple):
    """What lies at a path of a tree: git's mode and the object's SHA."""

    mode: int
    sha: str

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of the repository; a submodule is none."""
        return stat.S_ISDIR(self.mode)


class TreeReader(Protocol):
    """A tree of a forge, of which only that is read which is asked for."""

    def entry(self, path: str) -> Entry | None:
        """What lies at a path; None when nothing does."""


class NoTree:
    """The tree of a branch that has no commit."""

    def entry(self, path: str) -> None:
        """Nothing lies anywhere."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file that a commit has to change.

    Attributes:
        change: what was asked for.
        mode: what git will have as its mode; 0 of what goes.
        sha: what its blob will be; empty of what goes.
        before: what lies there now; None when nothing does.
    """

    change: FileChange
    mode: int
    sha: str
    before: Entry | None

    @property
    def path(self) -> str:
        """Where it lies."""
        return self.change.path

    @property
    def is_gone(self) -> bool:
        """Whether it is to be deleted."""
        return self.change.is_gone

    @property
    def executable(self) -> bool:
        """Whether it will be executable."""
        return self.mode == EXECUTABLE


def blob_sha(content: bytes) -> str:
    """The SHA that git gives a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def plan(
    changes: Sequence[FileChange],
    tree: TreeReader,
    *,
    name: str,
    branch: str,
    seen: Callable[[str], TreeReader | None],
) -> list[PlannedFile]:
    """Work out which of the files a commit has to change.

    Args:
        changes: the files to write, each path once.
        tree: of the branch as it is now.
        name: what errors call the repository: ``owner/repo``.
        branch: what errors call the branch.
        seen: gives the tree of a commit that somebody names by its SHA; None when there is no such commit.

    Returns:
        The files that are not there already, in the order of ``changes``.

    Raises:
        ConflictError: a file is not as expected, or would have to lie where a folder is, or below a file.
        ValidationError: a path would have to be a file and a folder at once.
    """
    planned = []
    paths = {change.path for change in changes}
    for change in changes:
        before = tree.entry(change.path)
        wanted = (
            None
            if change.is_gone
            else Entry(mode_of(change, before.mode if before else None), blob_sha(change.content))
        )
        if wanted == before:
            continue
        _check_expected(change, before, name, branch, seen)
        _check_way(change.path, before, tree, name, paths)
        mode, sha = wanted or (0, "")
        planned.append(PlannedFile(change, mode, sha, before))
    return planned


def missing_branch(name: str, branch: str, base_branch: str | None, branches: Sequence[str]) -> NotFoundError:
    """The error for a branch that is missing and has nothing to be made from.

    Args:
        name: the repository: ``owner/repo``.
        branch: the one that was to be committed to.
        base_branch: what it was to be made from; None when nothing was named.
        branches: some of those that there are.
    """
    missing = base_branch or branch
    why = "" if missing == branch else f", so {branch} cannot be made from it"
    return NotFoundError(f"{name} has no branch {missing}{why}.", hint=f"Its branches are: {', '.join(branches[:10])}.")


def moved_each_time(name: str, branch: str) -> ConflictError:
    """The error for a branch that somebody else pushed to each time that a commit was made on top of it."""
    return ConflictError(
        f"The branch {branch} of {name} moved each of the {TRIES} times that this commit was made on top of it.",
        hint="Start again when nobody else pushes to that branch.",
    )


def _check_expected(
    change: FileChange, before: Entry | None, name: str, branch: str, seen: Callable[[str], TreeReader | None]
) -> None:
    expected = change.expected_sha
    if expected is None or (before is not None and expected == before.sha):
        return
    then = seen(expected)
    if then is None or then.entry(change.path) != before:
        is_now = "gone" if before is None else f"blob {before.sha[:7]}"
        raise ConflictError(
            f"{change.path} on {branch} of {name} is not as {expected[:7]} says: it is {is_now}.",
            hint="Look at the file as it is now, and start again with its current SHA.",
        )


def _check_way(path: str, before: Entry | None, tree: TreeReader, name: str, paths: set[str]) -> None:
    parts = path.split("/")
    for depth in range(1, len(parts)):
        above = "/".join(parts[:depth])
        if above in paths:
            message = f"{above} cannot be a file and a folder at once."
            raise ValidationError(message, fields={"files": [message]})
        there = tree.entry(above)
        if there is not None and not there.is_folder:
            raise _in_the_way(above, name, "file")
    if before is not None and before.is_folder:
        raise _in_the_way(path, name, "folder")


def _in_the_way(path: str, name: str, kind: str) -> ConflictError:
    return ConflictError(
        f"{path} of {name} is a {kind}: nothing was written.", hint="Choose another path, or move what is there."
    )
