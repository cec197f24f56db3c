"""The rows of the contract's table: each action, what it works on, and what is there once it has been done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from portal_actions_plugin.actions.registry import Action
from portal_actions_plugin.actions.scm import create_or_update_file, create_repo, open_pr_or_mr, push_skeleton
from tests.support.forges.benches import OWNER_NAME, Files

README: Files = {"README.md": b"# shop\n", "src/app.py": b"print(1)\n"}
MANY = [
    {"path": "Dockerfile", "content": "FROM scratch\n"},
    {"path": "bin/run", "content": "#!/bin/sh\n"},
    {"path": "docs/logo.png", "contentBase64": "iVBORw0KGgoAAP8="},
]
Data = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """An action of the contract.

    Attributes:
        name: of the row.
        action: it.
        prepare: puts in place what it works on; gets the forge and a repository's name that is free.
        data: its input, for that repository.
        state: what is there of what the action makes, comparable.
        done: what that is once the action was done.
        conflict: puts something in the way and returns the input that meets it; None when nothing can be in its way.
        missing: turns the input into one for what is not there.
    """

    name: str
    action: Action
    prepare: Callable[[Any, str], None]
    data: Callable[[Any, str], Data]
    state: Callable[[Any, str], object]
    done: object
    conflict: Callable[[Any, str, Data], Data] | None
    missing: Callable[[Data], Data]

    def __str__(self) -> str:
        return self.name


def ref(bench: Any, repo: str) -> Mapping[str, str]:
    return {"provider": bench.name, "owner": OWNER_NAME, "repo": repo, "defaultBranch": "main"}


def no_such_repo(data: Data) -> Data:
    return {**data, "repo": {**data["repo"], "repo": "nowhere"}}


def no_such_owner(data: Data) -> Data:
    return {**data, "owner": "nobody-at-all"}


def nothing(_bench: Any, _repo: str) -> None:
    """The action makes all that there is."""


def empty(bench: Any, repo: str) -> None:
    bench.add(repo, None)


def with_files(bench: Any, repo: str) -> None:
    bench.add(repo, README)


def taken(bench: Any, repo: str, data: Data) -> Data:
    if not bench.exists(repo):
        bench.add(repo, README)
    return data


def another_file(bench: Any, repo: str, data: Data) -> Data:
    """The file is another one than the requester has seen."""
    return {**data, "expectedSha": "0123456789abcdef0123456789abcdef01234567"}


def folder_in_the_way(bench: Any, repo: str, data: Data) -> Data:
    return {**data, "files": [*data["files"], {"path": "src", "content": "a file where a folder is"}]}


def file_in_the_way(bench: Any, repo: str, data: Data) -> Data:
    bench.push(repo, "main", {"docs": b"a file where a folder has to be"})
    return data


def _repo_state(bench: Any, repo: str) -> object:
    return (bench.exists(repo), bench.commits(repo) if bench.exists(repo) else 0)


def _many(bench: Any, repo: str) -> object:
    return (bench.commits(repo), sorted(set(bench.files(repo)) - set(README)) if bench.commits(repo) else [])


ROWS = [
    Row(
        "create an empty repository",
        create_repo,
        nothing,
        lambda bench, repo: {"provider": bench.name, "owner": OWNER_NAME, "repo": repo, "description": "A shop"},
        _repo_state,
        (True, 0),
        taken,
        no_such_owner,
    ),
    Row(
        "create a repository with a README",
        create_repo,
        nothing,
        lambda bench, repo: {"provider": bench.name, "owner": OWNER_NAME, "repo": repo, "initWithReadme": True},
        _repo_state,
        (True, 1),
        taken,
        no_such_owner,
    ),
    Row(
        "update a file",
        create_or_update_file,
        with_files,
        lambda bench, repo: {"repo": ref(bench, repo), "path": "src/app.py", "content": "print(2)\n"},
        lambda bench, repo: (bench.commits(repo), bench.files(repo).get("src/app.py")),
        (2, b"print(2)\n"),
        another_file,
        no_such_repo,
    ),
    Row(
        "push a skeleton into an empty repository",
        push_skeleton,
        empty,
        lambda bench, repo: {"repo": ref(bench, repo), "files": MANY},
        _many,
        (1, ["Dockerfile", "bin/run", "docs/logo.png"]),
        file_in_the_way,
        no_such_repo,
    ),
    Row(
        "push a skeleton onto a branch",
        push_skeleton,
        with_files,
        lambda bench, repo: {"repo": ref(bench, repo), "files": MANY},
        _many,
        (2, ["Dockerfile", "bin/run", "docs/logo.png"]),
        folder_in_the_way,
        no_such_repo,
    ),
    Row(
        "open a pull request with files",
        open_pr_or_mr,
        with_files,
        lambda bench, repo: {"repo": ref(bench, repo), "headBranch": "add-ci", "title": "Add CI", "files": MANY},
        lambda bench, repo: (bench.pulls(repo), bench.commits(repo, "add-ci"), bench.commits(repo)),
        ([("add-ci", "main", "open")], 2, 1),
        folder_in_the_way,
        no_such_repo,
    ),
]
