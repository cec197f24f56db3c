"""Branches and files of a repository, as they are."""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from portal_actions_plugin.errors import NotFoundError, RemoteError
from portal_actions_plugin.scm.github.client import RepoApi, segment
from portal_actions_plugin.scm.github.errors import says
from portal_actions_plugin.scm.remote.fields import maybe_text, text
from portal_actions_plugin.scm.remote.lost_answers import write_once

_MAX_PARTS = 6


class Head(NamedTuple):
    """Where a branch is: the SHA of its commit, and of that commit's tree where the answer named it."""

    commit: str
    tree: str | None


def find_branch(repo: RepoApi, branch: str) -> Head | None:
    """Where a branch is; None when there is no such branch. Raises NotFoundError when there is no such repository."""
    answer = repo.send("GET", f"/branches/{segment(branch)}", accept=(404, 409))
    if answer.status >= 400:
        if not says(answer, "branch not found|is empty"):
            require_repo(repo)
        return None
    found = answer.object()
    if text(found, "name") != branch:
        return None  # it has another name now, and GitHub leads there: "Get a branch" answers 301
    return Head(text(found, "commit", "sha"), maybe_text(found, "commit", "commit", "tree", "sha"))


def tree_and_path(repo: RepoApi, where: str) -> tuple[str, str] | None:
    """The SHA of the tree that a branch, a tag or a commit is of, and the path below it, which are written as one text.

    Args:
        repo: the repository.
        where: such as ``feature/new/skeletons/go``; empty for the top of the default branch.

    Returns:
        None when it begins with none of them. A branch's name has at most ``_MAX_PARTS`` parts.
    """
    parts = (where or text(repo.send("GET", "").object(), "default_branch")).split("/")
    names = ["/".join(parts[:length]) for length in range(1, min(len(parts), _MAX_PARTS) + 1)]
    for length, name in enumerate(names, 1):
        if (head := find_branch(repo, name)) is not None:
            return root_of(repo, head), "/".join(parts[length:])
    for length, name in enumerate(names, 1):
        answer = repo.send("GET", f"/commits/{segment(name)}", accept=(404, 409, 422))
        if answer.status < 400:
            return text(answer.object(), "commit", "tree", "sha"), "/".join(parts[length:])
    return None


def ensure_branch(repo: RepoApi, branch: str, start: str) -> None:
    """Make a branch where another one is now; one that is there is left."""
    if find_branch(repo, branch) is not None:
        return
    head = find_branch(repo, start)
    if head is None:
        raise NotFoundError(f"{repo.name} has no branch {start}, so {branch} cannot be made from it.")
    body = {"ref": f"refs/heads/{branch}", "sha": head.commit}
    write_once(
        lambda: bool(repo.send("POST", "/git/refs", body=body)),
        lambda: find_branch(repo, branch) is not None or None,
        log=repo.api.opening.log,
    )


def root_of(repo: RepoApi, head: Head) -> str:
    """The SHA of the tree that a branch is at: GitHub names it with the branch, and what only resembles GitHub may not."""
    return head.tree or text(repo.send("GET", f"/git/commits/{head.commit}").object(), "tree", "sha")


def some_branches(repo: RepoApi) -> list[str]:
    """The names of up to ten branches; none in an empty repository."""
    return [text(one, "name") for one in repo.send("GET", "/branches", query={"per_page": 10}).list()]


def require_repo(repo: RepoApi) -> None:
    """Raise NotFoundError when there is no such repository: GitHub says the same of what is missing in one that is."""
    repo.send("GET", "")


def read_file(repo: RepoApi, branch: str, path: str) -> tuple[bytes, str] | None:
    """The content and the blob's SHA of a file; None when the branch or the file does not exist."""
    answer = repo.send("GET", f"/contents/{segment(path)}", query={"ref": branch}, accept=(404,))
    if answer.status == 404:
        if not says(answer, "no commit found|is empty"):
            require_repo(repo)
        return None
    found = answer.json()
    if maybe_text(found, "type") != "file":
        return None
    sha = text(found, "sha")
    if maybe_text(found, "encoding") != "base64":
        # From 1 MB on the content comes from the blob: "Get repository content".
        found = repo.send("GET", f"/git/blobs/{sha}").object()
    try:
        return base64.b64decode(maybe_text(found, "content") or ""), sha
    except binascii.Error:
        raise RemoteError(f"GitHub gave {path} of {repo.name} in an unknown encoding.") from None
