"""Pull requests of a local repository: real branches, real merges, and a JSON record each."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dulwich.objects import ObjectID, Tree

from portal_actions_plugin.errors import ConflictError, NotFoundError, RemoteError, ValidationError
from portal_actions_plugin.scm.base import Author, Guard, PullRequest
from portal_actions_plugin.scm.local.git import BareRepo, locked, new_commit, opened
from portal_actions_plugin.scm.local.trees import Entry, PathInTheWayError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

FOLDER = "portal-actions.pulls"
MERGE_TRIES = 5


@dataclass(frozen=True, slots=True)
class _Record:
    """What is kept of a pull request. ``head_sha`` and ``base_sha`` are where both were at the merge."""

    number: int
    head: str
    base: str
    title: str
    body: str
    state: str
    opened_by: str
    opened_at: str
    merged_by: str | None = None
    merged_at: str | None = None
    merge_sha: str | None = None
    head_sha: str | None = None
    base_sha: str | None = None


@dataclass(frozen=True, slots=True)
class LocalPulls:
    """The pull requests of one repository. They lie inside its folder, so they go where it goes.

    Attributes:
        path: the repository's folder.
        name: what errors call it: ``owner/repo``.
        url_of: gives the page of a pull request by its number.
        guard: called right before every write; raises when nothing may be written any more.
        author: who opens and merges.
    """

    path: Path
    name: str
    url_of: Callable[[int], str]
    guard: Guard
    author: Author

    def newest_first(self) -> tuple[PullRequest, ...]:
        """All pull requests of the repository, newest first."""
        return tuple(self._public(record) for record in self._records())

    def get(self, number: int) -> PullRequest:
        """A pull request by its number; raises NotFoundError."""
        return self._public(self._record(number))

    def open(self, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request, or return the one of the same head and base, as ``ScmProvider.open_pull`` says."""
        with locked(self.path, self.name), self._git() as git:
            head_sha, base_sha = self._head_and_base(git, head, base)
            same = [record for record in self._records() if (record.head, record.base) == (head, base)]
            for record in same:
                if record.state == "open" or record.head_sha == head_sha.decode():
                    return self._public(record)
            shared = git.merge_base(head_sha, base_sha)
            if shared is None:
                raise _not_proposable("headBranch", f"{head} and {base} of {self.name} share no history.")
            if shared == head_sha:
                raise _not_proposable("headBranch", f"{head} of {self.name} has no commit that {base} lacks.")
            numbers = [record.number for record in self._records()]
            record = _Record(
                max(numbers, default=0) + 1, head, base, title, body, "open", self.author.name, _now().isoformat()
            )
            self._write(record)
            return replace(self._public(record), fresh=True)

    def diff(self, number: int) -> str:
        """What a pull request changes, as a unified diff from the commit that head and base share."""
        record = self._record(number)
        with self._git() as git:
            if record.head_sha and record.base_sha:
                head, base = ObjectID(record.head_sha.encode()), ObjectID(record.base_sha.encode())
            else:
                head, base = self._head_and_base(git, record.head, record.base)
            out = io.BytesIO()
            git.diff_to(out, git.tree(git.merge_base(head, base)), git.tree(head))
        return out.getvalue().decode(errors="replace")

    def merge(self, number: int, merged_by: Author) -> PullRequest:
        """Merge a pull request with a commit of two parents; a merged one is returned as it is.

        Raises:
            ConflictError: both branches changed the same file in different ways, or the base would not stand still.
        """
        with locked(self.path, self.name):
            record = self._record(number)
            if record.state == "merged":
                return self._public(record)
            for _ in range(MERGE_TRIES):
                with self._git() as git:
                    merged = self._try_merge(git, record, merged_by)
                if merged is not None:
                    self._write(merged)
                    return self._public(merged)
        raise ConflictError(f"The branch {record.base} of {self.name} moved each time that #{number} was merged.")

    def _try_merge(self, git: BareRepo, record: _Record, merged_by: Author) -> _Record | None:
        head, base = self._head_and_base(git, record.head, record.base)
        shared = git.merge_base(head, base)
        result = base
        if shared != head:
            trees = self._merged_trees(git, record, (shared, base, head))
            title = f"Merge pull request #{record.number} from {record.head}\n\n{record.title}"
            commit = new_commit(trees[-1].id, [base, head], merged_by, title)
            self.guard()
            git.write([*trees, commit])
            self.guard()
            if not git.swap(record.base, base, commit.id):
                return None
            result = commit.id
        # A merge that died before its record was written left a base that has the head: then only this is missing.
        return replace(
            record,
            state="merged",
            merged_by=merged_by.name,
            merged_at=_now().isoformat(),
            merge_sha=result.decode(),
            head_sha=head.decode(),
            base_sha=base.decode(),
        )

    def _merged_trees(
        self, git: BareRepo, record: _Record, commits: tuple[ObjectID | None, ObjectID, ObjectID]
    ) -> list[Tree]:
        """Merge by whole files: git's line by line merge is more than this forge needs."""
        shared, base, head = (git.tree(sha) for sha in commits)
        theirs, ours = git.changes(shared, head), git.changes(shared, base)
        clashes = sorted(path for path in theirs if path in ours and ours[path] != theirs[path])
        if clashes:
            raise self._clash(record, ", ".join(path.decode(errors="replace") for path in clashes[:10]))
        new: dict[bytes, Entry | None] = {path: entry for path, entry in theirs.items() if path not in ours}
        try:
            return git.edited(base, new)
        except PathInTheWayError as error:
            raise self._clash(record, str(error)) from None

    def _clash(self, record: _Record, paths: str) -> ConflictError:
        return ConflictError(
            f"#{record.number} of {self.name} cannot be merged: {record.head} and {record.base} both changed {paths}.",
            hint=f"Merge {record.base} into {record.head} with git, resolve the conflict there, and push.",
        )

    def _head_and_base(self, git: BareRepo, head: str, base: str) -> tuple[ObjectID, ObjectID]:
        head_sha, base_sha = git.head(head), git.head(base)
        if base_sha is None:
            raise NotFoundError(
                f"{self.name} has no branch {base} to merge into.",
                hint=f"Its branches are: {', '.join(list(git.branches())[:10]) or 'none, it is empty'}.",
            )
        if head_sha is None:
            raise _not_proposable(
                "headBranch", f"{self.name} has no branch {head}: push it first, or give the files to commit to it."
            )
        return head_sha, base_sha

    def _git(self) -> AbstractContextManager[BareRepo]:
        return opened(self.path, self.name)

    def _records(self) -> list[_Record]:
        numbers = [int(file.stem) for file in (self.path / FOLDER).glob("*.json") if file.stem.isdigit()]
        return [self._record(number) for number in sorted(numbers, reverse=True)]

    def _record(self, number: int) -> _Record:
        file = self.path / FOLDER / f"{number}.json"
        try:
            return _Record(**json.loads(file.read_text("utf-8")))
        except FileNotFoundError:
            raise NotFoundError(f"{self.name} has no pull request #{number}.") from None
        except (ValueError, TypeError) as error:
            raise RemoteError(
                f"The record of pull request #{number} of {self.name} is broken ({file}): {error}."
            ) from None

    def _write(self, record: _Record) -> None:
        self.guard()
        folder = self.path / FOLDER
        folder.mkdir(exist_ok=True)
        kept = {name: getattr(record, name) for name in _Record.__slots__}
        write_json(folder / f"{record.number}.json", kept)

    def _public(self, record: _Record) -> PullRequest:
        return PullRequest(
            number=record.number,
            url=self.url_of(record.number),
            head=record.head,
            base=record.base,
            title=record.title,
            body=record.body,
            state=record.state,
            opened_by=record.opened_by,
            opened_at=datetime.fromisoformat(record.opened_at),
            merged_by=record.merged_by,
            merged_at=datetime.fromisoformat(record.merged_at) if record.merged_at else None,
            merge_sha=record.merge_sha,
        )


def write_json(file: Path, value: Mapping[str, object]) -> None:
    """Write a mapping as JSON: the whole file or none of it, also when the power goes. Only one writer at a time."""
    temporary = file.with_name(f".{file.name}.tmp")
    with temporary.open("w", encoding="utf-8") as out:
        json.dump(value, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(file)


def _not_proposable(field: str, message: str) -> ValidationError:
    return ValidationError(message, fields={field: [message]})


def _now() -> datetime:
    return datetime.now(UTC)
