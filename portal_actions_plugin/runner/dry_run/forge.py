"""A forge whose writes are kept in place of being made: reads see the real state, with those writes laid over it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConflictError, NotFoundError, PortalActionsError, ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.dry_run.notes import Kind, Writes
from portal_actions_plugin.scm.base import (
    CommitResult,
    FileChange,
    Issue,
    PullRequest,
    RepoRef,
    Repository,
    Webhook,
    WorkflowRun,
)
from portal_actions_plugin.scm.branch_rules import Protected

if TYPE_CHECKING:
    from portal_actions_plugin.scm.base import Operation, WebhookSpec
    from portal_actions_plugin.scm.provider import ScmProvider

_READS = ("reach", "file_url", "find_repo", "git_access", "files_by_api")
"""Those of the real forge, as it has them."""

_NUMBER = 1
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

Made = dict[tuple[str, str], "MadeRepo"]
"""The repositories that would be made, by owner and name in small letters."""


class MadeRepo:
    """What would be different about a repository: its own existence, branches and files."""

    def __init__(self, repository: Repository | None = None) -> None:
        self.repository = repository
        self.files: dict[tuple[str, str], bytes | None] = {}
        self.heads: dict[str, str] = {}
        self.starts: dict[str, str] = {}


class RecordingForge:
    """An ``ScmProvider`` that writes nothing.

    Methods of others that it does not know are taken for writes without an answer.
    """

    def __init__(self, real: ScmProvider, provider: str, writes: Writes, made: Made) -> None:
        """Take the real one, which has to refuse every write by itself; its name, and what is kept of all steps."""
        self._real = real
        self._provider = provider
        self._writes = writes
        self._made = made
        self.operations: frozenset[Operation] = real.operations
        self.pull_word = real.pull_word
        # Attributes of the object itself: whoever asks what it can do does not call for them.
        vars(self).update({name: getattr(real, name) for name in _READS if hasattr(real, name)})

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name.startswith("_") or not hasattr(self._real, name):
            raise AttributeError(name)

        def write(*given: object, **_named: object) -> object:
            target = next((self._on(one) for one in given if isinstance(one, RepoRef)), self._provider)
            self._writes.note(Kind.CHANGE, name.replace("_", " "), target)
            return ()

        return write

    def _on(self, ref: RepoRef) -> str:
        return f"{ref.full_name} on {self._provider}"

    def _of(self, owner: str, repo: str) -> MadeRepo:
        return self._made.setdefault((owner.lower(), repo.lower()), MadeRepo())

    # -- repositories

    def create_repo(
        self,
        owner: str,
        repo: str,
        *,
        visibility: str,
        description: str,
        init_with_readme: bool,
        claim: str,  # noqa: ARG002 the protocol's arguments
    ) -> Repository:
        try:
            found = self.get_repo(owner, repo)
        except NotFoundError:
            pass
        else:
            raise ConflictError(f"{owner}/{repo} exists on {self._provider} already: {found.web_url}")
        ref = RepoRef(self._provider, owner, repo, "main")
        url = self._page(ref)
        made = Repository(ref, url, f"{url}.git", description, visibility, fresh=True)
        changes = self._of(owner, repo)
        changes.repository = made
        if init_with_readme:
            changes.heads["main"] = _sha(owner, repo, "main")
        self._writes.note(Kind.CREATE, "repository", self._on(ref), visibility=visibility)
        return made

    def _page(self, ref: RepoRef) -> str:
        """Where a repository's page would be."""
        with suppress(PortalActionsError):
            url, _, rest = self._real.file_url(ref, ref.default_branch, "x").partition("/blob/")
            if rest:
                return url.removesuffix("/-")
        known = extension().config.forge_addresses.page_of(ref.provider, ref.owner, ref.repo)
        return known or f"https://{self._provider}.example/{ref.full_name}"

    def get_repo(self, owner: str, repo: str) -> Repository:
        return self._of(owner, repo).repository or self._real.get_repo(owner, repo)

    # -- files

    def branch_head(self, ref: RepoRef, branch: str) -> str | None:
        changes = self._of(ref.owner, ref.repo)
        if branch in changes.heads:
            return changes.heads[branch]
        return None if changes.repository else self._real.branch_head(ref, branch)

    def ensure_branch(self, ref: RepoRef, branch: str, start: str) -> None:
        if self.branch_head(ref, branch) is None:
            self._of(ref.owner, ref.repo).heads[branch] = start
            self._writes.note(Kind.CREATE, "branch", f"{branch} of {self._on(ref)}")

    def read_file(self, ref: RepoRef, branch: str, path: str) -> tuple[bytes, str] | None:
        changes = self._of(ref.owner, ref.repo)
        if (branch, path) in changes.files:
            content = changes.files[branch, path]
            return None if content is None else (content, hashlib.sha256(content).hexdigest()[:40])
        if branch in changes.starts:
            return self.read_file(ref, changes.starts[branch], path)
        return None if changes.repository else self._real.read_file(ref, branch, path)

    def put_files(
        self,
        ref: RepoRef,
        branch: str,
        changes: Sequence[FileChange],
        message: str,
        *,
        base_branch: str | None = None,
    ) -> CommitResult:
        head, kept = self.branch_head(ref, branch), self._of(ref.owner, ref.repo)
        seen = branch if head else base_branch or branch
        is_empty = kept.repository is not None and not kept.heads
        if head is None and not is_empty and (base_branch is None or self.branch_head(ref, base_branch) is None):
            raise NotFoundError(f"{self._on(ref)} has no branch {base_branch or branch}.")
        found = {change.path: self.read_file(ref, seen, change.path) for change in changes}
        changed = [one for one in changes if _differs(one, found[one.path])]
        for one in changed:
            there = found[one.path]
            if one.expected_sha and not (there and there[1] == one.expected_sha):
                raise ConflictError(f"{one.path} of {self._on(ref)} is not as expectedSha says.")
            kept.files[branch, one.path] = None if one.is_gone else one.content
        if not changed:
            return CommitResult(head or self.branch_head(ref, seen) or "", ())
        if head is None and seen != branch:
            kept.starts[branch] = seen
        sha = kept.heads[branch] = _sha(self._on(ref), branch, *(one.path for one in changed))
        words = {
            "created": [one.path for one in changed if found[one.path] is None],
            "updated": [one.path for one in changed if found[one.path] is not None and not one.is_gone],
            "deleted": [one.path for one in changed if one.is_gone],
        }
        files = {word: list(paths) for word, paths in words.items() if paths}
        self._writes.note(
            Kind.CREATE if head is None else Kind.CHANGE,
            "branch" if head is None else "commit",
            f"{branch} of {self._on(ref)}",
            message=message.partition("\n")[0],
            **files,
        )
        made_from = base_branch if head is None and not is_empty else None
        return CommitResult(sha, tuple(one.path for one in changed), made_from)

    # -- pull requests

    def open_pull(self, ref: RepoRef, *, head: str, base: str, title: str, body: str) -> PullRequest:
        for branch, error in ((base, NotFoundError), (head, ValidationError)):
            if self.branch_head(ref, branch) is None:
                raise error(f"{self._on(ref)} has no branch {branch}.")
        self._writes.note(Kind.CREATE, self.pull_word, f"{head} into {base} of {self._on(ref)}", title=title)
        url = f"{self.get_repo(ref.owner, ref.repo).web_url}/pull/{_NUMBER}"
        return PullRequest(_NUMBER, url, head, base, title, body, "open", "", _EPOCH, fresh=True)

    def get_pull(self, ref: RepoRef, number: int) -> PullRequest:
        return self._real.get_pull(ref, number)

    def close_pull(self, ref: RepoRef, number: int, *, expected_head: str | None) -> PullRequest:  # noqa: ARG002
        return self._change_pull(ref, number, "close")

    def merge_pull(self, ref: RepoRef, number: int, *, expected_head: str | None, method: str) -> PullRequest:  # noqa: ARG002
        return self._change_pull(ref, number, method)

    def _change_pull(self, ref: RepoRef, number: int, how: str) -> PullRequest:
        found = self._real.get_pull(ref, number)
        self._writes.note(Kind.CHANGE, self.pull_word, f"{number} of {self._on(ref)}", how=how)
        return found

    # -- what else there is

    def ensure_webhook(self, ref: RepoRef, spec: WebhookSpec) -> Webhook:
        self._writes.note(Kind.CHANGE, "webhook", self._on(ref), url=spec.callback_url)
        return Webhook("0", spec.callback_url, "created")

    def protect_branch(self, ref: RepoRef, branch: str, protection: object) -> Protected:  # noqa: ARG002
        self._writes.note(Kind.CHANGE, "protection", f"{branch} of {self._on(ref)}")
        return Protected(changed=True)

    def create_issue(self, ref: RepoRef, *, title: str, labels: Sequence[str], **_named: object) -> Issue:
        self._writes.note(Kind.CREATE, "issue", self._on(ref), title=title)
        return Issue(_NUMBER, f"{self.get_repo(ref.owner, ref.repo).web_url}/issues/{_NUMBER}", title, tuple(labels))

    def dispatch_workflow(self, ref: RepoRef, *, workflow: str, branch: str, **_named: object) -> WorkflowRun:
        self._writes.note(Kind.CALL, "run of the CI", f"{workflow} at {branch} of {self._on(ref)}")
        return WorkflowRun("0", self.get_repo(ref.owner, ref.repo).web_url)

    def ensure_group(self, provider: str, path: Sequence[str]) -> int:
        self._writes.note(Kind.CREATE, "group, where it is missing", f"{'/'.join(path)} on {provider}")
        return 0


def _differs(change: FileChange, there: tuple[bytes, str] | None) -> bool:
    if change.is_gone:
        return there is not None
    return there is None or there[0] != change.content


def _sha(*of: str) -> str:
    """A commit's hash that there is not, and that is the same each time."""
    return hashlib.sha256("\0".join(of).encode()).hexdigest()[:40]
