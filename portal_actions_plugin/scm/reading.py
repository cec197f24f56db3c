"""Reading a folder or a file of a repository by git's own protocol, without its history."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from dulwich.errors import NotGitRepository
from dulwich.objects import ObjectID
from dulwich.repo import Repo

from portal_actions_plugin.errors import NotFoundError, RemoteError
from portal_actions_plugin.scm.git_answers import NO_GIT
from portal_actions_plugin.scm.git_remote import GitRemote
from portal_actions_plugin.scm.trees import Bounds, Wanted, files_at, wanted

if TYPE_CHECKING:
    from dulwich.refs import Ref

    from portal_actions_plugin.scm.base import RepoFile
    from portal_actions_plugin.scm.remote.git_access import GitAccess

__all__ = ["Bounds", "read_files"]

_HINT = "Check the address: the branch, the folder, and who may see the repository."


def read_files(url: str, where: str, bounds: Bounds, *, access: GitAccess | None = None) -> tuple[RepoFile, ...]:
    """Read the files of a folder, or one file, of a repository.

    Args:
        url: the repository's, over https or http, or ``file`` for one on this machine.
        where: a branch, a tag or a commit with a path below it, such as ``main/skeletons/go``; empty for the top of the
            default branch.
        bounds: how much at most.
        access: the way to a forge that asks for a credential; None for what everybody may see.

    Returns:
        By path.

    Raises:
        NotFoundError: there is no such repository, branch or path, or it takes a credential to see it.
        ValidationError: it is too much.
        RemoteError: no whole answer came, or none of git; it is larger than 32 MB as git packs it.
    """
    name = urlsplit(url).path.strip("/").removesuffix(".git")
    try:
        if url.startswith("file://"):
            return _on_disk(url, where, bounds, name)
        return _at_forge(GitRemote(url, access), where, bounds, name)
    except NO_GIT as error:
        raise RemoteError(f"{url} gives no answer of git ({type(error).__name__}).", hint=_HINT) from None


def _on_disk(url: str, where: str, bounds: Bounds, name: str) -> tuple[RepoFile, ...]:
    try:
        with Repo(unquote(urlsplit(url).path)) as repo:
            return files_at(repo.object_store, _found(repo.get_refs(), where, name), bounds, name)
    except (OSError, NotGitRepository):
        raise NotFoundError(f"There is no git repository {name} that this process may read.", hint=_HINT) from None


def _at_forge(remote: GitRemote, where: str, bounds: Bounds, name: str) -> tuple[RepoFile, ...]:
    chosen: list[Wanted] = []
    with tempfile.TemporaryDirectory(prefix="portal-actions-git-") as bare, Repo.init_bare(bare) as repo:
        remote.fetch(b"", repo, _choosing(where, name, chosen), depth=1)
        return files_at(repo.object_store, chosen[0], bounds, name)


def _choosing(where: str, name: str, chosen: list[Wanted]) -> Callable[..., list[ObjectID]]:
    def choose(refs: dict[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:  # noqa: ARG001 dulwich's own name
        chosen.append(_found(refs, where, name))
        return [chosen[0].commit]

    return choose


def _found(refs: Mapping[Ref, ObjectID], where: str, name: str) -> Wanted:
    found = wanted({bytes(ref): sha for ref, sha in refs.items()}, where)
    if found is None:
        said = f"has no branch, tag or commit that {where[:200]!r} begins with" if where else "is empty"
        raise NotFoundError(f"{name} {said}.", hint=_HINT)
    return found
