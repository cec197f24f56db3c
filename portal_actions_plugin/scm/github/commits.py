"""Committing files to a branch with as few requests as GitHub needs: text in one tree, a blob for each binary file."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from portal_actions_plugin.errors import AuthError, NotFoundError
from portal_actions_plugin.scm.base import Author, CommitResult, FileChange
from portal_actions_plugin.scm.github.branches import Head, find_branch, root_of, some_branches
from portal_actions_plugin.scm.github.client import RepoApi, segment
from portal_actions_plugin.scm.github.errors import MovedError
from portal_actions_plugin.scm.github.trees import GitHubTree, tree_of_commit
from portal_actions_plugin.scm.remote.commit_plan import (
    TRIES,
    NoTree,
    PlannedFile,
    missing_branch,
    moved_each_time,
    plan,
)
from portal_actions_plugin.scm.remote.fields import text
from portal_actions_plugin.scm.remote.first_commit import BranchExistsError, FirstCommit, push_first_commit
from portal_actions_plugin.scm.remote.lost_answers import write_again, write_once

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue

T = TypeVar("T")
_INLINE_BYTES = 1_000_000
"""A larger text goes as a blob of its own, as what is no text does."""
_TREE_BYTES = 4_000_000
"""So much text rides in one request; what is more, in the next one."""
_PLAIN = 0o100644
"""The mode of what the API commits file by file."""
_WORKFLOWS = ".github/workflows/"
GIT_USER = "x-access-token"
"""The name beside a token of any kind where git asks for one: "Authenticating as a GitHub App installation"."""


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """What is to be committed, where, and by whom; the fields are those of ``ScmProvider.put_files``."""

    branch: str
    base_branch: str | None
    changes: Sequence[FileChange]
    message: str
    author: Author
    allow_empty: bool = False


def put_files(repo: RepoApi, request: CommitRequest) -> CommitResult:
    """Make one commit of all changes as ``ScmProvider.put_files`` says; none when everything is there already."""
    for _ in range(TRIES):
        try:
            return _commit(repo, request)
        except MovedError:
            repo.api.opening.log(f"{request.branch} of {repo.name} has moved meanwhile: committing on top of that")
    raise moved_each_time(repo.name, request.branch)


def _commit(repo: RepoApi, request: CommitRequest) -> CommitResult:
    head = find_branch(repo, request.branch)
    base = head
    if head is None and request.base_branch not in (None, request.branch):
        base = find_branch(repo, request.base_branch or "")
    if base is None:
        return _first(repo, request)
    root = root_of(repo, base)
    planned = _planned(repo, request, GitHubTree(repo, root, [change.path for change in request.changes]))
    if not planned and not request.allow_empty:
        return CommitResult(base.commit, ())
    with _workflows_named(planned):
        made = _write_commit(repo, request, base.commit, _write_tree(repo, root, planned))
        _publish(repo, request.branch, made, head)
    return CommitResult(made, tuple(file.path for file in planned), None if head else request.base_branch)


def _first(repo: RepoApi, request: CommitRequest) -> CommitResult:
    """Commit to an empty repository by git's own protocol: the API makes no first commit of many files."""
    if branches := some_branches(repo):
        raise missing_branch(repo.name, request.branch, request.base_branch, branches)
    planned = _planned(repo, request, NoTree())
    first = FirstCommit(request.branch, [file.change for file in planned], request.message, request.author)
    url = f"{repo.web_url}.git"
    try:
        sha = push_first_commit(repo.api.github.client, repo.api.credential, url, GIT_USER, first)
    except BranchExistsError as error:
        raise MovedError(error.message) from None
    except NotFoundError:
        if not planned:
            raise
        return _first_without_git(repo, request, planned)
    return CommitResult(sha, tuple(file.path for file in planned))


def _first_without_git(repo: RepoApi, request: CommitRequest, planned: Sequence[PlannedFile]) -> CommitResult:
    """Commit to an empty repository where only the API is to be had, as behind some proxies: one file, then the others."""
    repo.api.opening.log(f"git does not find {repo.name}, which the API does: its first commit goes by the API")
    smallest = min(planned, key=lambda file: (file.path.count("/"), len(file.change.content)))
    body: JsonValue = {
        **_words(repo, request),
        "content": base64.b64encode(smallest.change.content).decode(),
        "branch": request.branch,
    }

    def write() -> str:
        return text(repo.send("PUT", f"/contents/{segment(smallest.path)}", body=body).object(), "commit", "sha")

    def look_up() -> str | None:
        head = find_branch(repo, request.branch)
        return head.commit if head else None

    sha = write_once(write, look_up, log=repo.api.opening.log)
    others = [file.change for file in planned if file is not smallest or file.mode != _PLAIN]
    made = _commit(repo, replace(request, changes=others)) if others else CommitResult(sha, ())
    return CommitResult(made.sha, tuple(file.path for file in planned))


def _planned(repo: RepoApi, request: CommitRequest, tree: GitHubTree | NoTree) -> list[PlannedFile]:
    paths = {change.expected_sha: change.path for change in request.changes if change.expected_sha}
    return plan(
        request.changes,
        tree,
        name=repo.name,
        branch=request.branch,
        seen=lambda sha: tree_of_commit(repo, sha, paths.get(sha, "")),
    )


def _write_tree(repo: RepoApi, root: str, planned: Sequence[PlannedFile]) -> str:
    """Write the tree that files make of another one; both are SHAs."""
    for entries in _batches([_entry(repo, file) for file in planned]) if planned else ():
        body: JsonValue = {"base_tree": root, "tree": entries}
        root = _unseen(repo, "/git/trees", body)
    return root


def _write_commit(repo: RepoApi, request: CommitRequest, parent: str, tree: str) -> str:
    return _unseen(repo, "/git/commits", {**_words(repo, request), "tree": tree, "parents": [parent]})


def _words(repo: RepoApi, request: CommitRequest) -> dict[str, JsonValue]:
    """Message and author. GitHub signs an App's commits that name no author: "About commit signature verification"."""
    author = request.author
    if repo.api.credential.kind != "app":
        return {"message": request.message, "author": {"name": author.name, "email": author.email}}
    return {"message": f"{request.message.rstrip()}\n\nCo-authored-by: {author.name} <{author.email}>"}


def _entry(repo: RepoApi, file: PlannedFile) -> dict[str, JsonValue]:
    if file.is_gone:
        return {"path": file.path, "mode": "100644", "type": "blob", "sha": None}  # "Create a tree": null deletes
    entry: dict[str, JsonValue] = {"path": file.path, "mode": f"{file.mode:06o}", "type": "blob"}
    written = _as_text(file.change.content)
    if written is not None:
        return {**entry, "content": written}
    blob = {"content": base64.b64encode(file.change.content).decode(), "encoding": "base64"}
    return {**entry, "sha": _unseen(repo, "/git/blobs", blob)}


def _as_text(content: bytes) -> str | None:
    """The text of a file that rides in the tree's request; None for one that needs a blob of its own."""
    if len(content) > _INLINE_BYTES or b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _batches(entries: Sequence[dict[str, JsonValue]]) -> Iterator[list[JsonValue]]:
    batch: list[JsonValue] = []
    size = 0
    for entry in entries:
        length = len(str(entry.get("content", "")))
        if batch and size + length > _TREE_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += length
    yield batch


def _unseen(repo: RepoApi, path: str, body: JsonValue) -> str:
    """Write an object that no branch names yet, and return its SHA. A lost answer is asked for again: nobody sees two."""

    def write() -> str:
        return text(repo.send("POST", path, body=body).object(), "sha")

    return write_again(write, log=repo.api.opening.log)


def _publish(repo: RepoApi, branch: str, sha: str, before: Head | None) -> None:
    """Move a branch to a commit that follows where it was, or make it; raises MovedError when it is elsewhere by now."""

    def write() -> bool:
        if before is None:
            repo.send("POST", "/git/refs", body={"ref": f"refs/heads/{branch}", "sha": sha})
        else:
            repo.send("PATCH", f"/git/refs/{segment(f'heads/{branch}')}", body={"sha": sha, "force": False})
        return True

    def look_up() -> bool | None:
        head = find_branch(repo, branch)
        return True if head and head.commit == sha else None

    write_once(write, look_up, log=repo.api.opening.log)


@contextmanager
def _workflows_named(planned: Sequence[PlannedFile]) -> Iterator[None]:
    """Say which scope is missing when GitHub does not find what it was just asked to write workflows to."""
    try:
        yield
    except NotFoundError as error:
        files = [file.path for file in planned if file.path.startswith(_WORKFLOWS)]
        if not files:
            raise
        raise AuthError(
            f"GitHub does not let the portal's credential write {files[0]}: {error.message}",
            hint="Files in .github/workflows need the scope `workflow` of a classic token, or the permission Workflows "
            "(write): ask your platform team to give it to the portal's credential.",
        ) from None
