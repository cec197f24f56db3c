"""A tree of a project at GitLab, of which only those folders are read that files are written to.

docs.gitlab.com/api/repositories/#list-repository-tree
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from posixpath import commonpath, dirname
from stat import S_IFDIR
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import NotFoundError
from portal_actions_plugin.scm.git_objects import EXECUTABLE, FILE
from portal_actions_plugin.scm.gitlab.client import ProjectApi
from portal_actions_plugin.scm.gitlab.projects import segment
from portal_actions_plugin.scm.remote.commit_plan import Entry
from portal_actions_plugin.scm.remote.fields import text

if TYPE_CHECKING:
    from portal_actions_plugin.scm.remote.fields import JsonObject

_FOLDER = Entry(S_IFDIR, "")
_MAX_FOLDER = 20_000
"""How many entries a folder may have that is written to."""


class GitLabTree:
    """Lists the folders of some paths, 100 entries a request, and none that an earlier answer has shown to be missing.

    Of several folders that lie apart, the first page of the one that holds them is asked for: GitLab names folders before
    files, so that it mostly tells which of them there are.
    """

    def __init__(self, repo: ProjectApi, commit: str, paths: Iterable[str], *, is_careful: bool = False) -> None:
        """Read what is needed to tell what lies at the paths.

        Args:
            repo: the project.
            commit: whose tree it is.
            paths: which will be asked for.
            is_careful: rely on no order of what GitLab lists.
        """
        self._repo = repo
        self._commit = commit
        self._entries: dict[str, Entry] = {}
        self._folders_known: set[str] = set()
        self._missing: set[str] = set()
        self._load({dirname(path) for path in paths}, is_careful=is_careful)

    def entry(self, path: str) -> Entry | None:
        """What lies at a path; None when nothing does."""
        return self._entries.get(path)

    def _load(self, folders: set[str], *, is_careful: bool) -> None:
        topmost = [one for one in folders if not any(above in folders for above in _above(one))]
        if len(topmost) > 1 and not is_careful:
            self._peek(commonpath(topmost))
        for folder in sorted(folders, key=len):
            if not self._is_missing(folder):
                self._list(folder)

    def _is_missing(self, folder: str) -> bool:
        """Whether it is known that there is no such folder."""
        return any(
            one in self._missing
            or (one and dirname(one) in self._folders_known and not (self._entries.get(one) or _NOTHING).is_folder)
            for one in (folder, *_above(folder))
        )

    def _peek(self, folder: str) -> None:
        answer = self._repo.send(
            "GET", "/repository/tree", query={**self._query(folder), "per_page": 100}, accept=(404,)
        )
        if answer.status == 404:
            self._missing.add(folder)
            return
        entries = answer.list()
        self._keep(folder, entries)
        is_whole = 'rel="next"' not in answer.headers.get("link", "")
        if is_whole or (entries and text(entries[-1], "type") != "tree"):
            self._folders_known.add(folder)

    def _list(self, folder: str) -> None:
        pages = self._repo.pages(
            "/repository/tree", query=self._query(folder), what=f"the folder /{folder}", at_most=_MAX_FOLDER
        )
        try:
            self._keep(folder, pages)
        except NotFoundError:
            self._missing.add(folder)
        else:
            self._folders_known.add(folder)

    def _query(self, folder: str) -> dict[str, str]:
        place = {"path": folder} if folder else {}
        return {"ref": self._commit, "pagination": "keyset", **place}

    def _keep(self, folder: str, entries: Iterable[JsonObject]) -> None:
        for one in entries:
            self._entries[text(one, "path")] = Entry(int(text(one, "mode"), 8), text(one, "id"))
        for above in (folder, *_above(folder)):
            if above:
                self._entries.setdefault(above, _FOLDER)


_NOTHING = Entry(0, "")


class FileAtCommit:
    """Single files of a commit, each by a request of its own.

    docs.gitlab.com/api/repository_files/#retrieve-file-metadata-only
    """

    def __init__(self, repo: ProjectApi, commit: str) -> None:
        self._repo = repo
        self._commit = commit

    def entry(self, path: str) -> Entry | None:
        """The file at a path; None when there is none."""
        rest = f"/repository/files/{segment(path)}"
        answer = self._repo.send("HEAD", rest, query={"ref": self._commit}, accept=(404,))
        if answer.status == 404:
            return None
        is_executable = answer.headers.get("x-gitlab-execute-filemode") == "true"
        return Entry(EXECUTABLE if is_executable else FILE, answer.headers.get("x-gitlab-blob-id", ""))


def seen_in(repo: ProjectApi, commit: str) -> FileAtCommit | None:
    """The files of a commit that somebody names; None when the text names no commit of this project."""
    if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", commit):
        return None
    found = repo.find(f"/repository/commits/{commit}", query={"stats": "false"})
    return None if found is None else FileAtCommit(repo, commit)


def _above(folder: str) -> Iterator[str]:
    """The folders that hold a folder, up to the top, which is an empty text."""
    while folder:
        folder = dirname(folder)
        yield folder
