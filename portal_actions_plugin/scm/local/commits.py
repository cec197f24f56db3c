"""Committing files to a branch of a local repository, so that nobody's commit is lost."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dulwich.objects import Blob, Commit, ObjectID, Tree

from portal_actions_plugin.errors import ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import Author, CommitResult, FileChange, Guard
from portal_actions_plugin.scm.git_objects import Entry, PathInTheWayError, mode_of, new_commit
from portal_actions_plugin.scm.local.git import BareRepo, locked, opened, short

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TRIES = 5


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """What is to be committed, where, and by whom.

    Attributes:
        branch: where to.
        base_branch: what a missing branch is made from; None makes none.
        changes: the files to write, each path once.
        message: the commit's.
        author: who it is by.
        guard: called right before every write; raises when nothing may be written any more.
        allow_empty: whether a commit is made that changes nothing.
    """

    branch: str
    base_branch: str | None
    changes: Sequence[FileChange]
    message: str
    author: Author
    guard: Guard
    allow_empty: bool = False


def commit_files(path: Path, name: str, request: CommitRequest) -> CommitResult:
    """Make one commit of all changes; none when everything is there already.

    Our own writers wait for each other. A push from outside is noticed by the compare-and-swap: then the commit is
    made again on top of it, a few times.

    Args:
        path: the repository's folder.
        name: what errors call it: ``owner/repo``.
        request: what to commit.

    Raises:
        NotFoundError: there is no such repository, or the branch is missing and there is nothing to make it from.
        ConflictError: a file is not as expected, or the branch moved each time.
    """
    with locked(path, name):
        for _ in range(TRIES):
            with opened(path, name) as git:
                done = _try_commit(git, request)
            if done is not None:
                return done
    raise ConflictError(
        f"The branch {request.branch} of {name} moved each of the {TRIES} times that this commit was made on top of it.",
        hint="Start again when nobody else pushes to that branch.",
    )


def first_commit(path: Path, name: str, request: CommitRequest) -> None:
    """Commit to a repository that nobody else knows of yet; ``name`` is what errors call it: ``owner/repo``."""
    with opened(path, name) as git:
        _try_commit(git, request)


def _try_commit(git: BareRepo, request: CommitRequest) -> CommitResult | None:
    """Commit on top of the branch as it is now; None when it has moved meanwhile."""
    head = git.head(request.branch)
    parent, created_from = (head, None) if head is not None else _start(git, request)
    root = git.tree(parent)
    blobs: list[Blob] = []
    entries: dict[bytes, Entry | None] = {}
    for change in request.changes:
        before = git.entry(root, change.path)
        blob = Blob.from_string(change.content)
        entry = None if change.is_gone else (mode_of(change, before[0] if before else None), blob.id)
        if entry != before:
            _check_expected(git, root, change, request.branch)
            entries[change.path.encode()] = entry
            blobs += [] if change.is_gone else [blob]
    if not entries and parent is not None and not request.allow_empty:
        return CommitResult(parent.decode(), ())
    trees = _edited(git, root, entries)
    parents = [] if parent is None else [parent]
    commit = new_commit(trees[-1].id, parents, request.author, request.message)
    if not _publish(git, request, head, [*blobs, *trees, commit]):
        return None
    return CommitResult(commit.id.decode(), tuple(path.decode() for path in entries), created_from)


def _publish(git: BareRepo, request: CommitRequest, head: ObjectID | None, objects: list[Blob | Tree | Commit]) -> bool:
    request.guard()
    git.write(objects)
    request.guard()  # many files take a while, and the branch is what others see
    is_first = not git.branches()
    is_there = git.swap(request.branch, head, objects[-1].id)
    if is_there and is_first:
        git.set_default_branch(request.branch)
    return is_there


def _start(git: BareRepo, request: CommitRequest) -> tuple[ObjectID | None, str | None]:
    """Where a missing branch starts, and the branch that it is made from."""
    if not git.branches():
        return None, None
    base = git.head(request.base_branch) if request.base_branch else None
    if base is None:
        missing = request.base_branch or request.branch
        why = "" if missing == request.branch else f", so {request.branch} cannot be made from it"
        raise NotFoundError(
            f"{git.name} has no branch {missing}{why}.",
            hint=f"Its branches are: {', '.join(list(git.branches())[:10])}.",
        )
    return base, request.base_branch


def _check_expected(git: BareRepo, root: ObjectID | None, change: FileChange, branch: str) -> None:
    if change.expected_sha is None:
        return
    now = git.entry(root, change.path)
    is_now = "gone" if now is None else f"blob {short(now[1])}"
    seen = git.seen_tree(change.expected_sha)
    unchanged = now is not None and change.expected_sha == now[1].decode()
    if not unchanged and (seen is None or git.entry(seen, change.path) != now):
        raise ConflictError(
            f"{change.path} on {branch} of {git.name} is not as {short(change.expected_sha)} says: it is {is_now}.",
            hint="Look at the file as it is now, and start again with its current SHA.",
        )


def _edited(git: BareRepo, root: ObjectID | None, entries: dict[bytes, Entry | None]) -> list[Tree]:
    try:
        return git.edited(root, entries)
    except PathInTheWayError as error:
        blocked = str(error)
        if git.entry(root, blocked) is None:
            message = f"{blocked} cannot be a file and a folder at once."
            raise ValidationError(message, fields={"files": [message]}) from None
        raise ConflictError(
            f"{blocked} of {git.name} is a {_kind(git.entry(root, blocked))}: nothing was written.",
            hint="Choose another path, or move what is there.",
        ) from None


def _kind(entry: Entry | None) -> str:
    return "folder" if entry is not None and stat.S_ISDIR(entry[0]) else "file"
