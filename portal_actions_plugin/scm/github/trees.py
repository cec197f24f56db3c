"""A tree of a repository at GitHub, of which only those folders are read that somebody asks for."""

from __future__ import annotations

import base64
import re
import stat
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import NotFoundError, ValidationError
from portal_actions_plugin.scm.base import RepoFile
from portal_actions_plugin.scm.github.client import RepoApi
from portal_actions_plugin.scm.remote.commit_plan import Entry
from portal_actions_plugin.scm.remote.fields import flag, maybe_text, number, objects, text

if TYPE_CHECKING:
    from portal_actions_plugin.scm.remote.fields import JsonObject
    from portal_actions_plugin.scm.trees import Bounds

MAX_BLOBS = 500
"""Files that are read one by one."""
_FEW_FOLDERS = 2
"""So many are listed one by one; more are asked for at once, with all that lies below."""


class GitHubTree:
    """Lists folders as far as they are needed.

    Many folders are listed by one request for all that lies below the folder that holds them. GitHub cuts such a list
    off ("truncated": "Get a tree") where it is too long; then the folder is listed alone, and each of its folders that is
    needed in the same way.
    """

    def __init__(self, repo: RepoApi, root_sha: str, paths: Iterable[str]) -> None:
        """Begin with nothing read.

        Args:
            repo: the repository.
            root_sha: of the tree.
            paths: which will be asked for.
        """
        self._repo = repo
        self._root_sha = root_sha
        self._wanted = {folder for path in paths for folder in _folders_above(path)}
        self._entries: dict[str, Entry] = {}
        self._listed: set[str] = set()
        self._known_below: set[str] = set()

    def entry(self, path: str) -> Entry | None:
        """What lies at a path; None when nothing does. Raises what GitHub says."""
        if path in self._entries:
            return self._entries[path]
        for folder in _folders_above(path):
            if folder:
                there = self._entries.get(folder)
                if there is None or not there.is_folder:
                    return None
            if folder not in self._listed:
                self._list(folder)
            if folder in self._known_below:
                break
        return self._entries.get(path)

    def _list(self, folder: str) -> None:
        self._listed.add(folder)
        sha = self._entries[folder].sha if folder else self._root_sha
        below = [one for one in self._wanted if _is_within(one, folder)]
        if len(below) > _FEW_FOLDERS:
            whole = self._ask(sha, {"recursive": "1"})
            self._keep(folder, whole)
            if not flag(whole, "truncated"):
                self._known_below.add(folder)
                return
        self._keep(folder, self._ask(sha, {}))

    def _ask(self, sha: str, query: dict[str, str]) -> JsonObject:
        return self._repo.send("GET", f"/git/trees/{sha}", query=query).object()

    def _keep(self, folder: str, tree: JsonObject) -> None:
        for one in objects(tree, "tree"):
            path = text(one, "path")
            self._entries[f"{folder}/{path}" if folder else path] = Entry(int(text(one, "mode"), 8), text(one, "sha"))


def tree_of_commit(repo: RepoApi, sha: str, path: str) -> GitHubTree | None:
    """The tree of a commit that somebody names; None when the text names no commit of this repository."""
    if not re.fullmatch("[0-9a-f]{40}", sha):
        return None
    answer = repo.send("GET", f"/git/commits/{sha}", accept=(404, 409, 422))
    root = maybe_text(answer.object(), "tree", "sha") if answer.status < 400 else None
    return GitHubTree(repo, root, [path]) if root else None


def files_below(repo: RepoApi, root_sha: str, path: str, bounds: Bounds) -> tuple[RepoFile, ...]:
    """Read the files and links of a folder, or one file, each by a request of its own.

    Args:
        repo: the repository.
        root_sha: of the tree.
        path: of the folder or the file; empty for the top.
        bounds: how much at most.

    Raises:
        NotFoundError: nothing is there.
        ValidationError: it is too much, or more than GitHub lists at once.
    """
    sha, mode = root_sha, stat.S_IFDIR
    for part in filter(None, path.split("/")):
        inside = repo.send("GET", f"/git/trees/{sha}").object() if stat.S_ISDIR(mode) else {}
        found = next((one for one in objects(inside, "tree") if text(one, "path") == part), None) if inside else None
        if found is None:
            raise NotFoundError(f"{repo.name} has no {path} there.", hint="Check the address.")
        sha, mode = text(found, "sha"), int(text(found, "mode"), 8)
    if not stat.S_ISDIR(mode):
        return (_file(repo, path.rpartition("/")[2], mode, sha),)
    whole = repo.send("GET", f"/git/trees/{sha}", query={"recursive": "1"}).object()
    blobs = [one for one in objects(whole, "tree") if text(one, "type") == "blob"]
    size = sum(number(one, "size") for one in blobs)
    if flag(whole, "truncated") or len(blobs) > min(bounds.files, MAX_BLOBS) or size > bounds.size:
        raise ValidationError(
            f"{path or 'The repository'} of {repo.name} has more than {min(bounds.files, MAX_BLOBS):,} files or "
            f"{bounds.size // 1_000_000} MB.",
            hint="Fetch a folder in it.",
        )
    return tuple(_file(repo, text(one, "path"), int(text(one, "mode"), 8), text(one, "sha")) for one in blobs)


def _file(repo: RepoApi, path: str, mode: int, sha: str) -> RepoFile:
    blob = repo.send("GET", f"/git/blobs/{sha}").object()
    content = base64.b64decode(maybe_text(blob, "content") or "")
    return RepoFile(path, content, bool(mode & stat.S_IXUSR) and stat.S_ISREG(mode), stat.S_ISLNK(mode))


def _folders_above(path: str) -> Iterator[str]:
    """The root, as an empty text, and every folder on the way to a path."""
    yield ""
    parts = path.split("/")
    for depth in range(1, len(parts)):
        yield "/".join(parts[:depth])


def _is_within(folder: str, above: str) -> bool:
    return not above or folder == above or folder.startswith(f"{above}/")
