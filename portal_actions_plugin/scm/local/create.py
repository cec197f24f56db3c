"""Making a local repository: whole or not at all, and marked with who made it."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from dulwich.repo import Repo

from portal_actions_plugin.scm.base import Author, FileChange, Guard
from portal_actions_plugin.scm.local.commits import CommitRequest, first_commit
from portal_actions_plugin.scm.local.git import disk_errors
from portal_actions_plugin.scm.local.paths import is_real_folder
from portal_actions_plugin.scm.local.records import write_json

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_BRANCH = "main"
RECORD = "portal-actions.json"


@dataclass(frozen=True, slots=True)
class RepoRecord:
    """What is kept inside a repository of ours, since git has no place for it.

    Attributes:
        claim: what ``create_repo`` was called with; empty when somebody else has made the repository.
        visibility: one of ``base.VISIBILITIES``.
        description: one line, perhaps empty.
    """

    claim: str = ""
    visibility: str = "private"
    description: str = ""


def read_record(path: Path) -> RepoRecord:
    """The record of a repository; an empty one when somebody else has made it."""
    if not is_real_folder(path):
        return RepoRecord()
    try:
        kept = json.loads((path / RECORD).read_text("utf-8"))
        return RepoRecord(*(str(kept[name]) for name in RepoRecord.__slots__))
    except (OSError, ValueError, TypeError, KeyError):
        return RepoRecord()


def create(path: Path, name: str, record: RepoRecord, *, readme: str | None, author: Author, guard: Guard) -> bool:
    """Build a repository in a hidden folder and rename it.

    A process that dies meanwhile leaves only the hidden folder, which nobody lists and which is in nobody's way.

    Args:
        path: the repository's folder to be; the owner's folder is there.
        name: what errors call it: ``owner/repo``.
        record: what is kept inside it.
        readme: the text of a first README.md; None leaves it empty.
        author: who that commit is by.
        guard: called right before every write; raises when nothing may be written any more.

    Returns:
        False when the name is taken: nothing was written then.

    Raises:
        RemoteError: the disk refuses.
    """
    if os.path.lexists(path):
        return False
    guard()
    building = path.with_name(f".new~{path.stem}~{uuid.uuid4().hex}")
    with disk_errors(name):
        try:
            _build(building, name, record, readme=readme, author=author, guard=guard)
            guard()
            building.rename(path)
        except OSError:
            if os.path.lexists(path):
                return False  # somebody else was faster: a rename never replaces a folder that holds anything
            raise
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return True


def _build(folder: Path, name: str, record: RepoRecord, *, readme: str | None, author: Author, guard: Guard) -> None:
    folder.mkdir()
    with Repo.init_bare(str(folder), default_branch=DEFAULT_BRANCH.encode()) as git:
        git.set_description((record.description or name).encode(errors="replace") + b"\n")
    write_json(folder / RECORD, asdict(record))
    if readme is not None:
        change = FileChange("README.md", readme.encode(errors="replace"))
        first_commit(folder, name, CommitRequest(DEFAULT_BRANCH, None, [change], "Initial commit", author, guard))
