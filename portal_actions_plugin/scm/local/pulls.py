"""Pull requests of a local repository: real branches, real merges, and a JSON record each."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dulwich.objects import ObjectID, Tree

from portal_actions_plugin.errors import ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import Author, Guard, PullRequest
from portal_actions_plugin.scm.git_objects import Entry, PathInTheWayError, new_commit
from portal_actions_plugin.scm.local.git import BareRepo, locked, opened, short
from portal_actions_plugin.scm.local.records import PULLS, broken, next_number, numbers, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

MERGE_TRIES = 5
METHODS = ("merge", "squash")


@dataclass(frozen=True, slots=True)
class _Record:
    """What is kept of a pull request. ``head_sha`` and ``base_sha`` are where both were when it was merged or closed."""

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
    labels: tuple[str, ...] = ()


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
        with self._git() as git:
            return tuple(self._public(git, record) for record in self._records())

    def get(self, number: int) -> PullRequest:
        """A pull request by its number; raises NotFoundError."""
        record = self._record(number)
        with self._git() as git:
            return self._public(git, record)

    def open(self, head: str, base: str, title: str, body: str, *, allow_empty: bool = False) -> PullRequest:
        """Open a pull request, or return the one of the same head and base, as ``ScmProvider.open_pull`` says."""
        with locked(self.path, self.name), self._git() as git:
            head_sha, base_sha = self._head_and_base(git, head, base)
            same = [record for record in self._records() if (record.head, record.base) == (head, base)]
            for record in same:
                if record.state == "open" or (record.state == "merged" and record.head_sha == head_sha.decode()):
                    return self._public(git, record)
            shared = git.merge_base(head_sha, base_sha)
            if shared is None:
                raise _not_proposable("headBranch", f"{head} and {base} of {self.name} share no history.")
            if shared == head_sha and not allow_empty:
                raise _not_proposable("headBranch", f"{head} of {self.name} has no commit that {base} lacks.")
            number = next_number(self.path)
            record = _Record(number, head, base, title, body, "open", self.author.name, _now().isoformat())
            self._write(record)
            return replace(self._public(git, record), fresh=True)

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

    def close(self, number: int, expected_head: str | None) -> PullRequest:
        """Close a pull request as ``ScmProvider.close_pull`` says."""
        with locked(self.path, self.name), self._git() as git:
            record = self._record(number)
            if record.state == "open":
                head, base = git.head(record.head), git.head(record.base)
                self._check_head(record, head, expected_head)
                record = replace(record, state="closed", head_sha=_text(head), base_sha=_text(base))
                self._write(record)
            return self._public(git, record)

    def merge(self, number: int, expected_head: str | None, method: str) -> PullRequest:
        """Merge a pull request as ``ScmProvider.merge_pull`` says, by one of ``METHODS``."""
        if method not in METHODS:
            message = f"The local forge merges by {' or '.join(METHODS)}, and not by {method}."
            raise ValidationError(message, fields={"method": [message]})
        with locked(self.path, self.name):
            record = self._record(number)
            if record.state == "closed":
                raise ConflictError(
                    f"#{number} of {self.name} is closed: it cannot be merged.",
                    hint="Open a new pull request of its branches.",
                )
            for _ in range(MERGE_TRIES):
                with self._git() as git:
                    if record.state == "merged":
                        return self._public(git, record)
                    merged = self._try_merge(git, record, expected_head, method)
                    if merged is not None:
                        self._write(merged)
                        return self._public(git, merged)
        raise ConflictError(f"The branch {record.base} of {self.name} moved each time that #{number} was merged.")

    def label(self, number: int, labels: Sequence[str]) -> tuple[str, ...]:
        """Add labels to a pull request. Only under ``git.locked``.

        Args:
            number: of the pull request.
            labels: each once.

        Returns:
            Those that were missing.

        Raises:
            NotFoundError: there is no such pull request.
        """
        record = self._record(number)
        missing = tuple(label for label in labels if label not in record.labels)
        if missing:
            self._write(replace(record, labels=(*record.labels, *missing)))
        return missing

    def _try_merge(self, git: BareRepo, record: _Record, expected_head: str | None, method: str) -> _Record | None:
        """Merge on top of the base as it is now; None when it has moved meanwhile."""
        head, base = self._head_and_base(git, record.head, record.base)
        self._check_head(record, head, expected_head)
        shared = git.merge_base(head, base)
        trees = self._merged_trees(git, record, (shared, base, head)) if shared != head else []
        is_new = bool(trees) and (method == "merge" or trees[-1].id != git.tree(base))
        result = base
        if is_new:
            title = f"Merge pull request #{record.number} from {record.head}\n\n{record.title}"
            parents = [base, head]
            if method == "squash":
                title, parents = f"{record.title} (#{record.number})\n\n{record.body}", [base]
            commit = new_commit(trees[-1].id, parents, self.author, title)
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
            merged_by=self.author.name,
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

    def _check_head(self, record: _Record, head: ObjectID | None, expected: str | None) -> None:
        if expected is not None and _text(head) != expected:
            now = f"at {short(head)}" if head else "gone"
            raise ConflictError(
                f"{record.head}, the head of #{record.number} of {self.name}, is {now} and not at {short(expected)}: "
                "nothing was done.",
                hint="Look at what has changed there, and start again with its current commit.",
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
        return [self._record(number) for number in numbers(self.path, PULLS)]

    def _record(self, number: int) -> _Record:
        file = self.path / PULLS / f"{number}.json"
        what = f"pull request #{number} of {self.name}"
        kept = read_json(file, what)
        if kept is None:
            raise NotFoundError(f"{self.name} has no pull request #{number}.")
        try:
            record = _Record(**kept)  # type: ignore[arg-type]  # as it was written
        except TypeError as error:
            raise broken(file, what, error) from None
        return replace(record, labels=tuple(record.labels))

    def _write(self, record: _Record) -> None:
        self.guard()
        folder = self.path / PULLS
        folder.mkdir(exist_ok=True)
        kept = {name: getattr(record, name) for name in _Record.__slots__}
        write_json(folder / f"{record.number}.json", kept)

    def _public(self, git: BareRepo, record: _Record) -> PullRequest:
        head_sha = record.head_sha if record.state != "open" else _text(git.head(record.head))
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
            head_sha=head_sha,
        )


def _not_proposable(field: str, message: str) -> ValidationError:
    return ValidationError(message, fields={field: [message]})


def _text(sha: ObjectID | None) -> str | None:
    return sha.decode() if sha else None


def _now() -> datetime:
    return datetime.now(UTC)
