"""Copying the files of a repository at its newest commit, by git's own protocol, without its history."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from dulwich.errors import NotGitRepository
from dulwich.objects import ObjectID
from dulwich.repo import Repo

from portal_actions_plugin.errors import NotFoundError, RemoteError, ValidationError
from portal_actions_plugin.http_client.messages import Request
from portal_actions_plugin.scm.git_answers import NO_GIT
from portal_actions_plugin.scm.git_remote import GitRemote
from portal_actions_plugin.scm.remote.transport import Place
from portal_actions_plugin.scm.trees import commit_of, contents

if TYPE_CHECKING:
    from dulwich.objects import Commit
    from dulwich.refs import Ref

    from portal_actions_plugin.scm.remote.git_access import GitAccess

MAX_FILES = 50_000
MAX_BYTES = 200_000_000
"""Of all files together."""
_DEPTH = 1
_HEADS = b"refs/heads/"
_MAX_SHOWN = 5
_HINT = "Clone it yourself, and name the folder."


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a ref named: a commit, or a tag with a hash of its own that leads to one."""

    named: str
    commit: str


def clone(url: str, ref: str | None, folder: Path) -> None:
    """Copy the files of a repository that everybody may see: ``fetch`` without a credential, over http or https.

    Raises:
        ValidationError, NotFoundError, RemoteError: as ``fetch``.
    """
    if not url.startswith(("https://", "http://")):
        raise ValidationError("A repository is named by its address over https.", hint=_HINT)
    fetch(url, ref, folder)


def fetch(
    url: str, ref: str | None, folder: Path, *, access: GitAccess | None = None, known: str = ""
) -> Fetched | None:
    """Copy the files of a repository. Links and submodules are left out, and nothing of git is in the folder.

    Args:
        url: over https or http, without user and password; or ``file`` for a repository on this machine.
        ref: a branch or a tag; None for the default branch.
        folder: an empty one.
        access: the way to a forge that asks for a credential; None for what everybody may see.
        known: what the ref named before, whose files are there already.

    Returns:
        What was copied; None when the ref names what is known.

    Raises:
        ValidationError: the address cannot be used, or the files are too many.
        NotFoundError: there is no such repository or ref, or it takes a credential to see it.
        RemoteError: no whole answer came, or none of git; it is larger than 32 MB as git packs it.
    """
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise ValidationError("The address of a repository holds no user and no password here.", hint=_HINT)
    try:
        if url.startswith("file://"):
            return _copied(url, ref, folder, known)
        return _fetched(_Remote(url, access), url, ref, folder, known)
    except NO_GIT as error:
        raise RemoteError(f"{url} gives no answer of git ({type(error).__name__}).", hint=_HINT) from None


def _fetched(remote: GitRemote, url: str, ref: str | None, folder: Path, known: str) -> Fetched | None:
    with tempfile.TemporaryDirectory(prefix="portal-actions-git-") as bare, Repo.init_bare(bare) as repo:
        result = remote.fetch(b"", repo, _wanted(ref, known), depth=_DEPTH)
        return _written(repo, _found(url, dict(result.refs), ref), folder, known)


def _copied(url: str, ref: str | None, folder: Path, known: str) -> Fetched | None:
    path = unquote(urlsplit(url).path)
    try:
        with Repo(path) as repo:
            return _written(repo, _found(url, dict(repo.get_refs()), ref), folder, known)
    except (OSError, NotGitRepository):
        raise NotFoundError(f"There is no git repository at {url} that this process may read.", hint=_HINT) from None


def _found(url: str, refs: object, ref: str | None) -> ObjectID:
    found = _sha(refs, ref)
    if found is None:
        raise NotFoundError(_missing(url, refs if isinstance(refs, dict) else {}, ref))
    return found


def _missing(url: str, refs: Mapping[bytes, object], ref: str | None) -> str:
    """Why nothing is found; the branches that are there help whose default branch has another name by now."""
    there = sorted(name.removeprefix(_HEADS).decode(errors="replace") for name in refs if name.startswith(_HEADS))
    if not there:
        return f"{url} is empty: it has no branch."
    shown = ", ".join(there[:_MAX_SHOWN]) + (f" and {len(there) - _MAX_SHOWN} more" if len(there) > _MAX_SHOWN else "")
    return f"{url} has no {f'branch or tag {ref}' if ref else 'default branch'}: its branches are {shown}."


def _written(repo: Repo, found: ObjectID, folder: Path, known: str) -> Fetched | None:
    if found.decode() == known:
        return None
    commit = _commit(repo, found)
    _write(repo, commit, folder)
    return Fetched(found.decode(), commit.id.decode())


def _names(ref: str | None) -> tuple[bytes, ...]:
    return (f"refs/heads/{ref}".encode(), f"refs/tags/{ref}".encode()) if ref else (b"HEAD",)


def _sha(refs: object, ref: str | None) -> ObjectID | None:
    known = dict(refs) if isinstance(refs, dict) else {}
    return next((known[name] for name in _names(ref) if known.get(name)), None)


def _wanted(ref: str | None, known: str) -> Callable[..., list[ObjectID]]:
    def wanted(refs: dict[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:  # noqa: ARG001 dulwich's own name
        sha = _sha(refs, ref)
        return [sha] if sha and sha.decode() != known else []

    return wanted


def _commit(repo: Repo, sha: ObjectID) -> Commit:
    found = commit_of(repo.object_store, sha)
    if found is None:
        raise NotFoundError("What was named is no commit.")
    return found


def _write(repo: Repo, commit: Commit, folder: Path) -> None:
    files = size = 0
    for path, mode, content in contents(repo.object_store, ObjectID(commit.tree), (stat.S_IFREG,)):
        files, size = files + 1, size + len(content)
        if files > MAX_FILES or size > MAX_BYTES:
            raise ValidationError(
                f"The repository has more than {MAX_FILES:,} files or {MAX_BYTES // 1_000_000} MB.", hint=_HINT
            )
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        if mode & stat.S_IXUSR:
            file.chmod(file.stat().st_mode | 0o111)


class _Remote(GitRemote):
    """Follows redirects, as git does: who runs the portal has named the address, and may name any."""

    def elsewhere(self, request: Request) -> Place:
        return Place(f"{request.target.scheme}://{request.target.named}")
