"""A forge whose writes are kept in place of being made: reads see the real state, with those writes laid over it."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.errors import ConflictError, NotFoundError, PortalActionsError, ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.dry_run.made import ended_pull, made_up_sha
from portal_actions_plugin.runner.dry_run.notes import Kind
from portal_actions_plugin.runner.dry_run.settings import RecordingSettings
from portal_actions_plugin.scm.base import CommitResult, FileChange, PullRequest, RepoRef, Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from portal_actions_plugin.scm.base import PullDetails


class RecordingForge(RecordingSettings):
    """An ``ScmProvider`` that writes nothing."""

    # -- repositories

    def create_repo(
        self, owner: str, repo: str, *, visibility: str, description: str, init_with_readme: bool, claim: str
    ) -> Repository:
        changes = self._made.repo(owner, repo)
        if changes.repository:
            raise ConflictError(f"{owner}/{repo} is made by an earlier step already: {changes.repository.web_url}")
        if owner.lower() not in self._made.groups:
            self._require_new(owner, repo, visibility, description, claim, init_with_readme=init_with_readme)
        ref = RepoRef(self._provider, owner, repo, "main")
        url = self._page(ref)
        made = Repository(ref, url, f"{url}.git", description, visibility, fresh=True)
        changes.repository = made
        if init_with_readme:
            changes.heads["main"] = made_up_sha(owner, repo, "main")
            changes.files["main", "README.md"] = f"# {repo}\n\n{description}".rstrip().encode() + b"\n"
        self._writes.note(Kind.CREATE, "repository", self._on(ref), visibility=visibility)
        return made

    def _require_new(
        self, owner: str, repo: str, visibility: str, description: str, claim: str, *, init_with_readme: bool
    ) -> None:
        if self._asks_its_guard:
            ask = self._real.create_repo
            given = {"visibility": visibility, "description": description, "claim": claim}
            there = self._begun(lambda: ask(owner, repo, init_with_readme=init_with_readme, **given))
            found = there.value if there else None
        else:
            found = None
            with suppress(NotFoundError):
                found = self._real.get_repo(owner, repo)
        if found:
            raise ConflictError(f"{owner}/{repo} exists on {self._provider} already: {found.web_url}")

    def _page(self, ref: RepoRef) -> str:
        """Where a repository's page would be."""
        with suppress(PortalActionsError):
            url, _, rest = self._real.file_url(ref, ref.default_branch, "x").partition("/blob/")
            if rest:
                return url.removesuffix("/-")
        known = extension().config.forge_addresses.page_of(ref.provider, ref.owner, ref.repo)
        return known or f"https://{self._provider}.example/{ref.full_name}"

    # -- files

    def branch_head(self, ref: RepoRef, branch: str) -> str | None:
        changes = self._of(ref)
        if branch in changes.heads:
            return changes.heads[branch]
        return None if changes.repository else self._real.branch_head(ref, branch)

    def ensure_branch(self, ref: RepoRef, branch: str, start: str) -> None:
        begun_at = self.branch_head(ref, start)
        if begun_at is None:
            raise NotFoundError(f"{self._on(ref)} has no branch {start}, so {branch} cannot be made from it.")
        if self.branch_head(ref, branch) is None:
            changes = self._of(ref)
            changes.heads[branch], changes.starts[branch] = begun_at, start
            self._writes.note(Kind.CREATE, "branch", f"{branch} of {self._on(ref)}")

    def read_file(self, ref: RepoRef, branch: str, path: str) -> tuple[bytes, str] | None:
        changes = self._of(ref)
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
        allow_empty: bool = False,
    ) -> CommitResult:
        head, kept = self.branch_head(ref, branch), self._of(ref)
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
        if not changed and not allow_empty:
            return CommitResult(head or self.branch_head(ref, seen) or "", ())
        if head is None and seen != branch:
            kept.starts[branch] = seen
        sha = kept.heads[branch] = made_up_sha(self._on(ref), branch, *(one.path for one in changed))
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

    def open_pull(
        self,
        ref: RepoRef,
        *,
        head: str,
        base: str,
        title: str,
        body: str,
        draft: bool = False,
        allow_empty: bool = False,
    ) -> PullRequest:
        for branch, error in ((base, NotFoundError), (head, ValidationError)):
            if self.branch_head(ref, branch) is None:
                raise error(f"{self._on(ref)} has no branch {branch}.")
        more = {"draft": True} if draft else {}
        asked = {**more, "allow_empty": True} if allow_empty else more
        found = self._begun_in(
            ref, lambda: self._real.open_pull(ref, head=head, base=base, title=title, body=body, **asked), head, base
        )
        if found:
            return found.value
        page = self._page_in(ref, "merge_requests/" if self.pull_word == "merge request" else "pull/")
        made = self._of(ref).open_pull(page, head=head, base=base, title=title, body=body)
        if made.fresh:
            self._writes.note(
                Kind.CREATE, self.pull_word, f"{head} into {base} of {self._on(ref)}", title=title, **more
            )
        return made

    def get_pull(self, ref: RepoRef, number: int) -> PullRequest:
        return self._of(ref).pulls.get(number) or self._real.get_pull(ref, number)

    def close_pull(self, ref: RepoRef, number: int, *, expected_head: str | None) -> PullRequest:
        ask = self._real.close_pull
        return self._ended(ref, number, "close", lambda: ask(ref, number, expected_head=expected_head))

    def merge_pull(self, ref: RepoRef, number: int, *, expected_head: str | None, method: str) -> PullRequest:
        ask = self._real.merge_pull
        return self._ended(ref, number, method, lambda: ask(ref, number, expected_head=expected_head, method=method))

    def _ended(self, ref: RepoRef, number: int, how: str, ask: Callable[[], PullRequest]) -> PullRequest:
        changes = self._of(ref)
        is_made = number in changes.pulls
        if not is_made and (there := self._begun_in(ref, ask)):
            return there.value
        found = self.get_pull(ref, number)
        if found.state != "open":
            return found
        self._writes.note(Kind.CHANGE, self.pull_word, f"{number} of {self._on(ref)}", how=how)
        ended = ended_pull(found, "closed" if how == "close" else "merged")
        if is_made:
            changes.end_pull(ended)
        return ended

    def detail_pull(self, ref: RepoRef, number: int, details: PullDetails) -> tuple[str, ...]:
        is_made = number in self._of(ref).pulls
        if not is_made and (found := self._begun_in(ref, lambda: self._real.detail_pull(ref, number, details))):
            return found.value
        people = (*details.reviewers, *details.team_reviewers, *details.assignees)
        said = {"people": list(people), "labels": list(details.labels)}
        self._writes.note(
            Kind.CHANGE,
            self.pull_word,
            f"{number} of {self._on(ref)}",
            **{key: one for key, one in said.items() if one},
        )
        return ()

    def ensure_group(self, provider: str, path: Sequence[str], **more: Any) -> int:
        name = "/".join(path)
        if name.lower() not in self._made.groups:
            ask = self._real.ensure_group
            if found := self._begun(lambda: ask(provider, path, **more)):
                return found.value
            self._made.groups |= {"/".join(path[: depth + 1]).lower() for depth in range(len(path))}
            self._writes.note(Kind.CREATE, "group", f"{name} on {provider}")
        return 0


def _differs(change: FileChange, there: tuple[bytes, str] | None) -> bool:
    if change.is_gone:
        return there is not None
    return there is None or there[0] != change.content
