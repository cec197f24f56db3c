"""Copying the files of a repository at its newest commit, by git's own protocol, without its history."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dulwich.index import validate_path, validate_path_element_ntfs
from dulwich.object_store import iter_tree_contents
from dulwich.objects import Blob, Commit, ObjectID, Tag
from dulwich.repo import Repo

from portal_actions_plugin.errors import NotFoundError, RemoteError, ValidationError
from portal_actions_plugin.http_client.connection import Deadline
from portal_actions_plugin.http_client.exchange import MAX_REDIRECTS, redirected
from portal_actions_plugin.http_client.guard import parse_target
from portal_actions_plugin.http_client.messages import Request
from portal_actions_plugin.scm.git_answers import NO_GIT, GitOverRequests, Heard
from portal_actions_plugin.scm.remote.transport import READ_SECONDS, Place, Transport

if TYPE_CHECKING:
    from dulwich.refs import Ref

    from portal_actions_plugin.http_client.messages import Answer

CLONE_SECONDS = 120.0
"""All of it, redirects included."""
MAX_FILES = 50_000
MAX_BYTES = 200_000_000
"""Of all files together."""
_DEPTH = 1
_HINT = "Clone it yourself, and name the folder."


def clone(url: str, ref: str | None, folder: Path) -> None:
    """Copy the files of a repository. Links and submodules are left out, and nothing of git is in the folder.

    Args:
        url: over https or http, without user and password.
        ref: a branch or a tag; None for the default branch.
        folder: an empty one.

    Raises:
        ValidationError: the address cannot be used, or the files are too many.
        NotFoundError: there is no such repository or ref, or it takes a credential to see it.
        RemoteError: no whole answer came, or none of git; it is larger than 32 MB as git packs it.
    """
    if not url.startswith(("https://", "http://")):
        raise ValidationError("A repository is named by its address over https.", hint=_HINT)
    if "@" in url:
        raise ValidationError("The address of a repository holds no user and no password here.", hint=_HINT)
    remote = _Remote(url)
    with tempfile.TemporaryDirectory(prefix="portal-actions-git-") as bare, Repo.init_bare(bare) as repo:
        try:
            result = remote.fetch(b"", repo, _wanted(ref), depth=_DEPTH)
            found = _sha(result.refs, ref)
            if found is None:
                raise NotFoundError(f"{url} has no branch or tag {ref}." if ref else f"{url} is empty.")
            _write(repo, found, folder)
        except NO_GIT as error:
            raise RemoteError(f"{url} gives no answer of git ({type(error).__name__}).", hint=_HINT) from None


def _names(ref: str | None) -> tuple[bytes, ...]:
    return (f"refs/heads/{ref}".encode(), f"refs/tags/{ref}".encode()) if ref else (b"HEAD",)


def _sha(refs: object, ref: str | None) -> ObjectID | None:
    known = dict(refs) if isinstance(refs, dict) else {}
    return next((known[name] for name in _names(ref) if known.get(name)), None)


def _wanted(ref: str | None) -> Callable[..., list[ObjectID]]:
    def wanted(refs: dict[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:  # noqa: ARG001 dulwich's own name
        sha = _sha(refs, ref)
        return [sha] if sha else []

    return wanted


def _write(repo: Repo, sha: ObjectID, folder: Path) -> None:
    found = repo.object_store[sha]
    while isinstance(found, Tag):
        found = repo.object_store[found.object[1]]
    if not isinstance(found, Commit):
        raise NotFoundError("What was named is no commit.")
    files = size = 0
    for path, content in _files(repo, found):
        files, size = files + 1, size + len(content)
        if files > MAX_FILES or size > MAX_BYTES:
            raise ValidationError(
                f"The repository has more than {MAX_FILES:,} files or {MAX_BYTES // 1_000_000} MB.", hint=_HINT
            )
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _files(repo: Repo, commit: Commit) -> Iterator[tuple[str, bytes]]:
    for item in iter_tree_contents(repo.object_store, commit.tree):
        if item.path is None or item.mode is None or item.sha is None or not stat.S_ISREG(item.mode):
            continue
        if not validate_path(item.path, validate_path_element_ntfs):
            continue
        blob = repo.object_store[item.sha]
        try:
            path = item.path.decode()
        except UnicodeDecodeError:
            continue
        if isinstance(blob, Blob):
            yield path, bytes(blob.data)


class _Remote(GitOverRequests):
    """Without a credential, and with redirects that are looked at."""

    def __init__(self, url: str) -> None:
        super().__init__(url.rstrip("/"), quiet=True)
        self._deadline = Deadline(CLONE_SECONDS, wait_seconds=READ_SECONDS)

    def _heard(self, url: str, headers: Mapping[str, str], body: bytes | None) -> Heard:
        answer = self._asked(Request("GET" if body is None else "POST", parse_target(url), headers, {}, body))
        if answer.status in (401, 403, 404):
            raise NotFoundError(
                f"There is no repository at {url.partition('/info/refs')[0]} that everybody may see.", hint=_HINT
            )
        if answer.status >= 400:
            raise RemoteError(f"{answer.request} was answered with {answer.status}.")
        came_from = answer.request.target.url
        return Heard(answer.status, dict(answer.headers), answer.body, came_from if came_from != url else "")

    def _asked(self, request: Request) -> Answer:
        for _ in range(MAX_REDIRECTS + 1):
            target = request.target
            place = Place(f"{target.scheme}://{target.named}")
            answer = Transport(place).exchange(request, self._deadline)
            if not answer.redirects:
                return answer
            request = redirected(answer)
        raise RemoteError(f"{request} redirects again: no more than {MAX_REDIRECTS} redirects are followed.")
