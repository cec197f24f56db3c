"""Committing files: one request makes a commit of all of them, and what somebody else has changed meanwhile is not lost.

docs.gitlab.com/api/commits/#create-a-commit. What that page leaves open follows Commits::CreateService, Files::BaseService
and Files::MultiService of gitlab-org/gitlab (app/services/commits/, app/services/files/).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from stat import S_ISLNK, S_ISREG
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConflictError, NotFoundError
from portal_actions_plugin.scm.base import CommitResult
from portal_actions_plugin.scm.gitlab.client import GitLab, ProjectApi
from portal_actions_plugin.scm.gitlab.errors import LostRaceError
from portal_actions_plugin.scm.gitlab.projects import segment
from portal_actions_plugin.scm.gitlab.trees import GitLabTree, seen_in
from portal_actions_plugin.scm.names import check_branch, check_changes, check_path
from portal_actions_plugin.scm.remote.commit_plan import (
    TRIES,
    NoTree,
    PlannedFile,
    missing_branch,
    moved_each_time,
    plan,
)
from portal_actions_plugin.scm.remote.fields import maybe_text, text, texts
from portal_actions_plugin.scm.remote.first_commit import BranchExistsError, FirstCommit, push_first_commit
from portal_actions_plugin.scm.remote.lost_answers import write_once

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.base import FileChange, RepoRef

GIT_USER = "oauth2"
"""Beside a token of OAuth git has to give this name, beside any other token any: docs.gitlab.com/api/oauth2/"""


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """What is to be committed, and where.

    Attributes:
        branch: where to.
        base_branch: what a missing branch is made from; None makes none.
        changes: the files to write, each path once.
        message: the commit's.
        allow_empty: whether a commit is made that changes nothing; GitLab before 18.7 makes none such.
    """

    branch: str
    base_branch: str | None
    changes: Sequence[FileChange]
    message: str
    allow_empty: bool = False


def put_files(gitlab: GitLab, ref: RepoRef, request: CommitRequest) -> CommitResult:
    """Make one commit of all changes, as ``ScmProvider.put_files`` says; none when everything is there already."""
    check_branch(request.branch)
    if request.base_branch is not None:
        check_branch(request.base_branch, "baseBranch")
    if request.changes or not request.allow_empty:
        check_changes(request.changes)
    refused_at: list[str | None] = []
    for turn in range(TRIES):
        repo = gitlab.project(ref, again=turn > 0)
        try:
            if repo.project.is_empty:
                return _first_commit(repo, request)
            return _Commit(repo, _without_links(repo, request), refused_at).run()
        except (LostRaceError, BranchExistsError) as error:
            gitlab.opening.log(f"somebody else was faster, so it is looked at again: {error.message}")
    raise moved_each_time(repo.name, request.branch)


def _without_links(repo: ProjectApi, request: CommitRequest) -> CommitRequest:
    """The same with links as files that hold what they point to: this API makes no link. Only git's protocol does."""
    links = [change.path for change in request.changes if change.is_link]
    if not links:
        return request
    repo.opening.warn(
        f"GitLab's API makes no symbolic links: {', '.join(links[:5])} of {repo.name} became files with the place that "
        "they point to."
    )
    changes = [
        replace(change, is_link=False, executable=False) if change.is_link else change for change in request.changes
    ]
    return replace(request, changes=changes)


def _first_commit(repo: ProjectApi, request: CommitRequest) -> CommitResult:
    """Push by git's own protocol, which makes the branch the default one, and never moves a branch that is there."""
    plan(request.changes, NoTree(), name=repo.name, branch=request.branch, seen=lambda _sha: None)
    repo.check_writable()
    work = FirstCommit(request.branch, request.changes, request.message, repo.opening.author)
    sha = push_first_commit(repo.api.client(repo.name), repo.api.credential, repo.git_url, GIT_USER, work)
    return CommitResult(sha, tuple(change.path for change in request.changes))


@dataclass(frozen=True, slots=True)
class _Commit:
    """A commit on top of a branch as it is now.

    Attributes:
        repo: the project.
        request: what is asked for.
        refused_at: where the branch was when GitLab said that somebody else had changed it; None when it was missing.
    """

    repo: ProjectApi
    request: CommitRequest
    refused_at: list[str | None]

    def run(self) -> CommitResult:
        head = self.repo.head(self.request.branch)
        try:
            return self._on(head)
        except LostRaceError:
            self.refused_at.append(head)
            raise

    def _on(self, head: str | None) -> CommitResult:
        start = head if head is not None else self._base()
        planned = self._planned(start)
        if not planned and not self.request.allow_empty:
            return CommitResult(start, ())
        body: dict[str, JsonValue] = {
            "branch": self.request.branch,
            "commit_message": self.request.message,
            "author_name": self.repo.opening.author.name,
            "author_email": self.repo.opening.author.email,
            "stats": False,
            "actions": [one for file in planned for one in _actions(file, seen_in=self._seen_in(file, head))],
        }
        if head is None:
            body["start_sha"] = start
        if not planned:
            body["allow_empty"] = True
        sha = write_once(lambda: self._write(body), lambda: self._look_up(start), log=self.repo.opening.log)
        return CommitResult(sha, tuple(file.path for file in planned), None if head else self.request.base_branch)

    def _seen_in(self, file: PlannedFile, head: str | None) -> str | None:
        """The commit by which GitLab knows that a file has not changed since.

        It compares the last commit of the file there and now, so that the head does for all. Older versions ask for that
        commit itself, and refuse another one although the branch stands still. A new branch starts where it was seen, and
        GitLab would compare with the default branch then.
        """
        if head is None or file.before is None or head not in self.refused_at:
            return head
        rest = f"/repository/files/{segment(file.path)}"
        return self.repo.send("HEAD", rest, query={"ref": head}).headers.get("x-gitlab-last-commit-id") or head

    def _write(self, body: JsonValue) -> str:
        return text(self.repo.write("POST", "/repository/commits", body=body).object(), "id")

    def _look_up(self, start: str) -> str | None:
        """The branch's commit, if it stands on ours, says what ours says, and has all that ours has."""
        found = self.repo.branch(self.request.branch)
        if found is None or texts(found, "commit", "parent_ids") != (start,):
            return None
        if (maybe_text(found, "commit", "message") or "").strip() != self.request.message.strip():
            return None
        sha = text(found, "commit", "id")
        return None if self._planned(sha) else sha

    def _planned(self, commit: str) -> list[PlannedFile]:
        paths = [change.path for change in self.request.changes]
        tree = GitLabTree(self.repo, commit, paths, is_careful=bool(self.refused_at))
        return plan(
            self.request.changes,
            tree,
            name=self.repo.name,
            branch=self.request.branch,
            seen=lambda sha: seen_in(self.repo, sha),
        )

    def _base(self) -> str:
        """The commit that a missing branch is made from."""
        base = self.request.base_branch
        head = self.repo.head(base) if base else None
        if head is None:
            known = self.repo.send("GET", "/repository/branches", query={"per_page": 10}).list()
            names = [text(one, "name") for one in known]
            raise missing_branch(self.repo.name, self.request.branch, base, names)
        return head


def _actions(file: PlannedFile, *, seen_in: str | None) -> Iterator[dict[str, JsonValue]]:
    """What GitLab has to do for a file. ``execute_filemode`` counts in an action ``chmod`` alone."""
    place: dict[str, JsonValue] = {"file_path": file.path}
    seen: dict[str, JsonValue] = {**place, "last_commit_id": seen_in} if seen_in else place
    before = file.before
    if file.is_gone:
        yield {"action": "delete", **seen}
        return
    if before is not None and not S_ISREG(before.mode):
        if not S_ISLNK(before.mode):
            raise ConflictError(
                f"{file.path} is a submodule: nothing was written.",
                hint="Choose another path, or remove the submodule.",
            )
        yield {"action": "delete", **seen}  # updated, a link would stay one, with the content as its target
        before = None
    if before is None:
        yield {"action": "create", **place, **_content(file.change.content)}
    elif before.sha != file.sha:
        yield {"action": "update", **seen, **_content(file.change.content)}
    if file.executable != (before is not None and before.mode & 0o111 != 0):
        once = seen if before is not None and before.sha == file.sha else place
        yield {"action": "chmod", **once, "execute_filemode": file.executable}


def _content(content: bytes) -> dict[str, JsonValue]:
    """Text as it is; anything else, and the character that no JSON text of GitLab's may hold, as base64."""
    if b"\0" not in content:
        try:
            return {"content": content.decode(), "encoding": "text"}
        except UnicodeDecodeError:
            pass
    return {"content": base64.b64encode(content).decode(), "encoding": "base64"}


def ensure_branch(repo: ProjectApi, branch: str, start: str) -> None:
    """Make a branch where another one is now; one that is there is left: docs.gitlab.com/api/branches/"""
    if repo.head(branch) is not None:
        return
    head = repo.head(start)
    if head is None:
        raise NotFoundError(f"{repo.name} has no branch {start}, so {branch} cannot be made from it.")
    body: JsonValue = {"branch": branch, "ref": head}
    write_once(
        lambda: bool(repo.write("POST", "/repository/branches", body=body)),
        lambda: repo.head(branch) is not None or None,
        log=repo.opening.log,
    )


def read_file(repo: ProjectApi, branch: str, path: str) -> tuple[bytes, str] | None:
    """The content and the blob's SHA; None when the branch or the file does not exist.

    docs.gitlab.com/api/repository_files/#retrieve-a-file-from-a-repository
    """
    check_branch(branch)
    check_path(path)
    answer = repo.find(f"/repository/files/{segment(path)}", query={"ref": branch})
    if answer is None:
        return None
    found = answer.object()
    return base64.b64decode(text(found, "content")), text(found, "blob_id")
