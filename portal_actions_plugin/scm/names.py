"""What an owner, a repository, a branch and a path may be called.

Each check raises ValidationError for what may not be, with the name of the input's field that it was given in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.scm.base import VISIBILITIES, FileChange

if TYPE_CHECKING:
    from collections.abc import Sequence

_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_REPO = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]{0,99}")
_RESERVED_ENDINGS = (".git", ".atom", ".")
_NOT_IN_A_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]")
_NOT_IN_A_PATH = re.compile(r"[\x00-\x1f\x7f-\x9f\\]")
_OF_GIT_ITSELF = {".git", "git~1"}
_MAX_BRANCH_BYTES = 200
_MAX_PATH_BYTES = 1024
_MAX_SEGMENT_BYTES = 255
_MAX_GROUPS = 20


def check_owner(owner: str, field: str = "owner") -> None:
    """Raise ValidationError unless forges take this as an owner: a user, an organisation or a group."""
    if not _OWNER.fullmatch(owner):
        _wrong(field, owner, "an owner is up to 100 letters, digits, '-', '_' and '.', and starts with no '-' or '.'")
    if owner.lower().endswith(_RESERVED_ENDINGS):
        _wrong(field, owner, "an owner ends with none of '.git', '.atom' and '.'")


def check_owner_path(owner: str, field: str = "owner") -> None:
    """Raise ValidationError unless this is an owner, or groups within groups as GitLab has them: ``group/sub/team``.

    Inputs are checked by this, since they may be for any forge. A forge whose owners have no ``/`` refuses one that has
    by ``check_owner``.
    """
    parts = owner.split("/")
    if len(parts) > _MAX_GROUPS:
        _wrong(field, owner, f"groups lie within each other up to {_MAX_GROUPS} deep")
    for part in parts:
        check_owner(part, field)


def check_repo(repo: str, field: str = "repo") -> None:
    """Raise ValidationError unless forges take this as a repository's name."""
    if not _REPO.fullmatch(repo):
        _wrong(field, repo, "a repository is up to 100 letters, digits, '-', '_' and '.', and starts with no '-'")
    if repo.lower().endswith(_RESERVED_ENDINGS):
        _wrong(field, repo, "a repository ends with none of '.git', '.atom' and '.'")


def check_branch(branch: str, field: str = "branch") -> None:
    """Raise ValidationError unless git takes this as a branch; the rules are those of ``git check-ref-format``."""
    if not branch or _size(branch, field) > _MAX_BRANCH_BYTES:
        _wrong(field, branch, f"a branch has 1 to {_MAX_BRANCH_BYTES} bytes")
    if _NOT_IN_A_BRANCH.search(branch):
        _wrong(field, branch, "a branch has no spaces, control characters, or any of ~ ^ : ? * [ \\")
    if branch.startswith("-") or branch in {"@", "HEAD"}:
        _wrong(field, branch, "a branch does not start with '-' and is neither '@' nor 'HEAD'")
    # git would make refs/heads/refs/heads/x of it, which nobody finds again by that name.
    if branch.startswith("refs/"):
        _wrong(field, branch, "a branch is named without 'refs/heads/' in front, and a tag without 'refs/tags/'")
    if ".." in branch or "@{" in branch or branch.endswith("."):
        _wrong(field, branch, "a branch contains neither '..' nor '@{' and does not end with '.'")
    for part in branch.split("/"):
        if not part or part.startswith(".") or part.endswith(".lock"):
            _wrong(field, branch, "no part of a branch between '/' is empty, starts with '.' or ends with '.lock'")


def check_path(path: str, field: str = "path") -> None:
    """Raise ValidationError unless this is the path of a file inside a repository, relative to its top."""
    if not path or _size(path, field) > _MAX_PATH_BYTES:
        _wrong(field, path, f"a path has 1 to {_MAX_PATH_BYTES} bytes")
    if path.startswith("/"):
        _wrong(field, path, "a path is relative to the top of the repository, so it starts with no '/'")
    if _NOT_IN_A_PATH.search(path):
        _wrong(field, path, "a path has no control characters and no '\\'")
    for segment in path.split("/"):
        _check_segment(segment, path, field)


def check_visibility(visibility: str, field: str = "visibility") -> None:
    """Raise ValidationError unless this is a visibility that forges have."""
    if visibility not in VISIBILITIES:
        _wrong(field, visibility, f"it is one of {', '.join(VISIBILITIES)}")


def check_changes(changes: Sequence[FileChange], field: str = "files") -> None:
    """Raise ValidationError unless there are files to commit, each with a path of its own."""
    if not changes:
        message = "There are no files to commit."
        raise ValidationError(message, fields={field: [message]})
    seen: set[str] = set()
    for change in changes:
        check_path(change.path)
        if change.path in seen:
            _wrong(field, change.path, "it is given twice")
        seen.add(change.path)


def _check_segment(segment: str, path: str, field: str) -> None:
    if not segment:
        _wrong(field, path, "a path has no empty segment: neither '//' nor a '/' at its end")
    if segment in {".", ".."}:
        _wrong(field, path, "a path stays inside the repository, without '.' and '..'")
    if _opened_as(segment) in _OF_GIT_ITSELF:
        _wrong(field, path, "a path leads through no folder '.git'")
    if len(segment.encode()) > _MAX_SEGMENT_BYTES:
        _wrong(field, path, f"no segment of a path has more than {_MAX_SEGMENT_BYTES} bytes")


def _opened_as(segment: str) -> str:
    """What a file system makes of a segment, by the rules of git's own check of paths.

    macOS drops invisible characters. Windows drops dots and spaces at the end, and what follows a ``:`` names a stream of
    what stands before it: ``.git::$INDEX_ALLOCATION`` is the folder itself.
    """
    visible = "".join(char for char in segment if char.isprintable())
    return visible.partition(":")[0].rstrip(". ").casefold()


def _size(value: str, field: str) -> int:
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        _wrong(field, value, "it is not valid Unicode text")


def _wrong(field: str, value: str, rule: str) -> NoReturn:
    shown = value if len(value) <= 120 else value[:120] + "…"
    message = f"{field}: {shown!r} cannot be used: {rule}."
    raise ValidationError(message, fields={field: [message]})
