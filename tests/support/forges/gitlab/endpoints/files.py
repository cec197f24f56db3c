"""Files of a repository: docs.gitlab.com/api/repository_files/"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tests.support.forges.git_store import GitRepository
from tests.support.forges.gitlab import code_entities
from tests.support.forges.gitlab.routing import Call, endpoint, not_found
from tests.support.forges.messages import Answer, json_answer


@dataclass(frozen=True)
class Found:
    about: dict[str, Any]
    content: bytes

    @property
    def headers(self) -> list[tuple[str, str]]:
        """docs.gitlab.com/api/repository_files/#retrieve-file-metadata-only"""
        return [
            (f"X-Gitlab-{'-'.join(part.capitalize() for part in name.split('_'))}", _header(value))
            for name, value in self.about.items()
            if name != "content"
        ]


def _header(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def last_commit(repository: GitRepository, commit: str, path: str) -> str:
    """The last commit, up to one, that changed a path; empty when none did."""
    return repository.git("--literal-pathspecs", "log", "-1", "--format=%H", commit, "--", path).decode().strip()


def _find(call: Call, id: str, file_path: str, ref: str | None) -> Found:  # noqa: A002 the documentation's word
    project, path = call.project(id), unquote(file_path)
    repository, ref = project.repository, ref or project.default_branch
    commit = repository.resolve(ref)
    if commit is None:
        raise not_found("Commit")
    entry = repository.entry(commit, path)
    if entry is None or entry.kind != "blob":
        raise not_found("File")
    content = repository.read_blob(entry.sha)
    return Found(code_entities.file(path, ref, entry, content, commit, last_commit(repository, commit, path)), content)


# docs.gitlab.com/api/repository_files/#retrieve-a-file-from-a-repository
@endpoint("GET", "/projects/:id/repository/files/:file_path", "read_repository")
def file(call: Call, id: str, file_path: str) -> Answer:  # noqa: A002 the documentation's word
    call.check("ref")
    found = _find(call, id, file_path, call.params["ref"])
    return json_answer(200, found.about, *found.headers)


# docs.gitlab.com/api/repository_files/#retrieve-file-metadata-only: all in headers. HEAD of a moved project is 405.
@endpoint("HEAD", "/projects/:id/repository/files/:file_path", "read_repository")
def metadata(call: Call, id: str, file_path: str) -> Answer:  # noqa: A002 the documentation's word
    call.check("ref")
    return Answer(200, b"", tuple(_find(call, id, file_path, call.params["ref"]).headers))


# docs.gitlab.com/api/repository_files/#retrieve-a-raw-file-from-a-repository: without a ref it is HEAD's
@endpoint("GET", "/projects/:id/repository/files/:file_path/raw", "read_repository")
def raw(call: Call, id: str, file_path: str) -> Answer:  # noqa: A002 the documentation's word
    call.check(optional="ref lfs:bool")
    found = _find(call, id, file_path, call.params.get("ref"))
    kind = ("Content-Type", "text/plain; charset=utf-8")
    return Answer(200, found.content, (kind, *found.headers))


def decoded(text: str, encoding: str) -> bytes:
    """The bytes of a ``content``: docs.gitlab.com/api/commits/#create-a-commit"""
    return base64.b64decode(text) if encoding == "base64" else text.encode()
