"""A forge in this process's memory. It has repositories, commits, pull requests and topics, and nothing else."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from portal_actions_plugin.errors import ConfigurationError, ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import CommitResult, Operation, PullRequest, Reach, RepoRef, Repository
from portal_actions_plugin.scm.names import (
    check_branch,
    check_changes,
    check_owner,
    check_path,
    check_repo,
    check_visibility,
)
from portal_actions_plugin.scm.optional import OptionalOperations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from portal_actions_plugin.scm.base import FileChange
    from portal_actions_plugin.scm.opening import Opening

OPERATIONS = frozenset(
    {Operation.CREATE_REPO, Operation.READ, Operation.COMMIT, Operation.OPEN_PULL, Operation.SET_TOPICS}
)


@dataclass(frozen=True)
class File:
    """A file of a commit."""

    content: bytes
    executable: bool

    @property
    def sha(self) -> str:
        return hashlib.sha1(b"blob" + self.content).hexdigest()


@dataclass(frozen=True)
class Commit:
    """A commit, and what all files are after it."""

    parent: Commit | None
    files: Mapping[str, File]
    message: str

    @property
    def sha(self) -> str:
        parts = [self.parent.sha if self.parent else "", self.message]
        parts += [f"{path} {file.sha} {file.executable}" for path, file in sorted(self.files.items())]
        return hashlib.sha1("\0".join(parts).encode()).hexdigest()

    def leads_to(self, other: Commit) -> bool:
        """Whether ``other`` is this commit or came after it."""
        return self.sha == other.sha or (other.parent is not None and self.leads_to(other.parent))


@dataclass
class Kept:
    """A repository."""

    public: Repository
    claim: str
    branches: dict[str, Commit] = field(default_factory=dict)
    pulls: list[PullRequest] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)


@dataclass
class Forge:
    """All repositories of an installation. Whoever writes holds the lock."""

    owners: frozenset[str]
    repositories: dict[tuple[str, str], Kept] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


FORGES: dict[str, Forge] = {}


def open_pocket(opening: Opening) -> PocketProvider:
    """What the entry point names: it gets an ``Opening``, and gives a provider for one run."""
    owners = opening.installation.settings.get("owners")
    if not isinstance(owners, list | tuple) or not owners:
        name = opening.installation.name
        raise ConfigurationError(f"PORTAL_ACTIONS_SCM[{name!r}]['owners'] lists who has repositories there.")
    forge = FORGES.setdefault(opening.installation.name, Forge(frozenset(map(str, owners))))
    return PocketProvider(opening, forge)


class PocketProvider(OptionalOperations):
    """What one run may do. What it does not write is refused by ``OptionalOperations``."""

    operations = OPERATIONS

    def __init__(self, opening: Opening, forge: Forge) -> None:
        self._opening = opening
        self._forge = forge
        self._url = f"https://{opening.installation.name}.example"

    def reach(self, owner: str | None) -> Reach:
        return Reach(who="", forge="a forge in memory", owners=tuple(sorted(self._forge.owners)))

    def create_repo(
        self, owner: str, repo: str, *, visibility: str, description: str, init_with_readme: bool, claim: str
    ) -> Repository:
        check_owner(owner)
        check_repo(repo)
        check_visibility(visibility)
        if owner not in self._forge.owners:
            raise NotFoundError(f"There is no owner {owner} in {self._url}.")
        with self._forge.lock:
            kept = self._forge.repositories.get((owner, repo))
            if kept is not None:
                if kept.claim != claim:
                    raise ConflictError(f"The repository {owner}/{repo} exists already.")
                return kept.public
            url = f"{self._url}/{owner}/{repo}"
            ref = RepoRef(self._opening.installation.name, owner, repo, "main")
            kept = Kept(Repository(ref, url, f"{url}.git", description, visibility), claim)
            if init_with_readme:
                readme = File(f"# {repo}\n\n{description}".rstrip().encode() + b"\n", False)
                kept.branches["main"] = Commit(None, {"README.md": readme}, "Initial commit")
            self._opening.guard()  # right before the write: the attempt may be another process's by now
            self._forge.repositories[owner, repo] = kept
        return replace(kept.public, fresh=True)

    def get_repo(self, owner: str, repo: str) -> Repository:
        return self._kept(owner, repo).public

    def branch_head(self, ref: RepoRef, branch: str) -> str | None:
        head = self._kept(ref.owner, ref.repo).branches.get(branch)
        return head.sha if head else None

    def read_file(self, ref: RepoRef, branch: str, path: str) -> tuple[bytes, str] | None:
        check_path(path)
        head = self._kept(ref.owner, ref.repo).branches.get(branch)
        file = head.files.get(path) if head else None
        return (file.content, file.sha) if file else None

    def put_files(
        self,
        ref: RepoRef,
        branch: str,
        changes: Sequence[FileChange],
        message: str,
        *,
        base_branch: str | None = None,
    ) -> CommitResult:
        check_branch(branch)
        check_changes(changes)
        kept = self._kept(ref.owner, ref.repo)
        with self._forge.lock:
            head, created_from = kept.branches.get(branch), None
            if head is None and kept.branches:
                head, created_from = kept.branches.get(base_branch or ""), base_branch
                if head is None:
                    raise NotFoundError(f"{ref.full_name} has no branch {base_branch or branch}.")
            changed = self._changed(head, changes)
            if not changed and head is not None:
                return CommitResult(head.sha, ())
            commit = Commit(head, {**(head.files if head else {}), **changed}, message)
            self._opening.guard()
            kept.branches[branch] = commit
        return CommitResult(commit.sha, tuple(changed), created_from)

    def _changed(self, head: Commit | None, changes: Sequence[FileChange]) -> dict[str, File]:
        changed = {}
        for change in changes:
            before = head.files.get(change.path) if head else None
            executable = before.executable if before and change.executable is None else bool(change.executable)
            after = File(change.content, executable)
            if after != before:
                self._check_expected(head, before, change)
                changed[change.path] = after
        return changed

    def _check_expected(self, head: Commit | None, before: File | None, change: FileChange) -> None:
        """Raise ConflictError unless the file is the expected blob, or is as it was in the expected commit."""
        expected, seen = change.expected_sha, head
        while seen is not None and seen.sha != expected:
            seen = seen.parent
        as_blob = before is not None and before.sha == expected
        as_commit = seen is not None and seen.files.get(change.path) == before
        if expected is not None and not as_blob and not as_commit:
            raise ConflictError(f"{change.path} is not as {expected[:7]} says.")

    def open_pull(self, ref: RepoRef, *, head: str, base: str, title: str, body: str) -> PullRequest:
        kept = self._kept(ref.owner, ref.repo)
        with self._forge.lock:
            if base not in kept.branches:
                raise NotFoundError(f"{ref.full_name} has no branch {base} to merge into.")
            if head not in kept.branches or kept.branches[head].leads_to(kept.branches[base]):
                message = f"{ref.full_name} has no branch {head} with commits that {base} lacks."
                raise ValidationError(message, fields={"headBranch": [message]})
            for pull in kept.pulls:
                if (pull.head, pull.base) == (head, base):
                    return self._now(kept, pull)
            number = len(kept.pulls) + 1
            url = f"{kept.public.web_url}/pulls/{number}"
            author, now = self._opening.author.name, datetime.now(UTC)
            pull = PullRequest(number, url, head, base, title, body, "open", author, now)
            self._opening.guard()
            kept.pulls.append(pull)
        return replace(self._now(kept, pull), fresh=True)

    def get_pull(self, ref: RepoRef, number: int) -> PullRequest:
        kept = self._kept(ref.owner, ref.repo)
        for pull in kept.pulls:
            if pull.number == number:
                return self._now(kept, pull)
        raise NotFoundError(f"{ref.full_name} has no pull request #{number}.")

    def file_url(self, ref: RepoRef, branch: str, path: str) -> str:
        return f"{self._url}/{ref.full_name}/files/{quote(branch)}/{quote(path)}"

    def set_topics(self, ref: RepoRef, topics: Sequence[str]) -> tuple[str, ...]:
        kept = self._kept(ref.owner, ref.repo)
        with self._forge.lock:
            missing = tuple(topic for topic in topics if topic not in kept.topics)
            self._opening.guard()
            kept.topics += missing
        return missing

    def _now(self, kept: Kept, pull: PullRequest) -> PullRequest:
        return replace(pull, head_sha=kept.branches[pull.head].sha)

    def _kept(self, owner: str, repo: str) -> Kept:
        check_repo(repo)
        try:
            return self._forge.repositories[owner, repo]
        except KeyError:
            raise NotFoundError(f"There is no repository {owner}/{repo} in {self._url}.") from None
