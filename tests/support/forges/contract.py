"""The rows of the contract's table: each action, what it works on, and what is there once it has been done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from portal_actions_plugin.actions.forges.bootstrap import ci_bootstrap, docs_bootstrap, k8s_bootstrap
from portal_actions_plugin.actions.forges.ci import dispatch_workflow, set_variable
from portal_actions_plugin.actions.forges.issues import create_issue, label_issue
from portal_actions_plugin.actions.forges.pulls import close_pr, merge_pr
from portal_actions_plugin.actions.forges.repo_settings import (
    add_collaborators,
    ensure_webhook,
    protect_branch,
    set_topics,
)
from portal_actions_plugin.actions.registry import Action
from portal_actions_plugin.actions.scm import create_or_update_file, create_repo, open_pr_or_mr, push_skeleton
from tests.support.action_helpers import MemoryRecorder
from tests.support.forges.benches import OWNER_NAME, Files, context_on

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
        never_repeats: whether it is not done again when it cannot be told whether it has happened.
    """

    name: str
    action: Action
    prepare: Callable[[Any, str], None]
    data: Callable[[Any, str], Data]
    state: Callable[[Any, str], object]
    done: object
    conflict: Callable[[Any, str, Data], Data] | None
    missing: Callable[[Data], Data]
    never_repeats: bool = False

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


def _file_at(path: str, bench: Any, repo: str, data: Data) -> Data:
    bench.push(repo, "main", {path: b"a file where a folder has to be"})
    return data


file_in_the_way = partial(_file_at, "docs")


def with_pull(bench: Any, repo: str) -> None:
    bench.add(repo, README)
    bench.push(repo, "change", {"change.txt": b"new\n"})
    data = {"repo": ref(bench, repo), "headBranch": "change", "title": "Change it"}
    open_pr_or_mr.run(context_on(bench, MemoryRecorder()), data)


def with_release(bench: Any, repo: str) -> None:
    bench.add(repo, README)
    bench.push(repo, "release", {"VERSION": b"1\n"})


def with_issue(bench: Any, repo: str) -> None:
    bench.add(repo, README)
    data = {"repo": ref(bench, repo), "title": "Known before", "labels": ["bug"]}
    create_issue.run(context_on(bench, MemoryRecorder()), data)


def with_ci(bench: Any, repo: str) -> None:
    workflow = b"on: {workflow_dispatch: {}}\njobs: {it: {runs-on: ubuntu-latest, steps: [{run: make}]}}\n"
    bench.add(repo, {".github/workflows/ci.yml": workflow, ".gitlab-ci.yml": b"it: {script: make}\n"})


def another_head(bench: Any, repo: str, data: Data) -> Data:
    """The pull request proposes another commit than the requester has seen."""
    return {**data, "expectedHead": "0123456789abcdef0123456789abcdef01234567"}


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
    Row(
        "close a pull request",
        close_pr,
        with_pull,
        lambda bench, repo: {"repo": ref(bench, repo), "number": 1},
        lambda bench, repo: bench.pulls(repo),
        [("change", "main", "closed")],
        another_head,
        no_such_repo,
    ),
    Row(
        "merge a pull request",
        merge_pr,
        with_pull,
        lambda bench, repo: {"repo": ref(bench, repo), "number": 1},
        lambda bench, repo: (bench.pulls(repo), bench.files(repo).get("change.txt")),
        ([("change", "main", "merged")], b"new\n"),
        another_head,
        no_such_repo,
    ),
    Row(
        "set up a webhook",
        ensure_webhook,
        with_files,
        lambda bench, repo: {
            "repo": ref(bench, repo),
            "callbackUrl": "https://hooks.example.org/a",
            "events": {"gitlab": ["push_events"]}.get(bench.name, ["push"]),
            "secret": "s3cret-of-the-webhook",
        },
        lambda bench, repo: bench.hooks(repo),
        ["https://hooks.example.org/a"],
        None,
        no_such_repo,
    ),
    Row(
        "protect a branch",
        protect_branch,
        with_release,
        lambda bench, repo: {"repo": ref(bench, repo), "branch": "release", "requiredReviews": 0},
        lambda bench, repo: "release" in bench.protected(repo),
        True,
        None,
        no_such_repo,
    ),
    Row(
        "set topics",
        set_topics,
        with_files,
        lambda bench, repo: {"repo": ref(bench, repo), "topics": ["python", "cli"]},
        lambda bench, repo: bench.topics(repo),
        ["cli", "python"],
        None,
        no_such_repo,
    ),
    Row(
        "add a collaborator",
        add_collaborators,
        with_files,
        lambda bench, repo: {"repo": ref(bench, repo), "collaborators": [{"name": "grace", "role": "write"}]},
        lambda bench, repo: "grace" in bench.people(repo),
        True,
        None,
        no_such_repo,
    ),
    Row(
        "set a secret of the CI",
        set_variable,
        with_files,
        lambda bench, repo: {"repo": ref(bench, repo), "name": "DEPLOY_TOKEN", "value": "a-secret-long-enough"},
        lambda bench, repo: bench.variables(repo),
        ["DEPLOY_TOKEN"],
        None,
        no_such_repo,
    ),
    Row(
        "open an issue",
        create_issue,
        with_files,
        lambda bench, repo: {"repo": ref(bench, repo), "title": "It is broken", "labels": ["bug"]},
        lambda bench, repo: bench.issues(repo),
        [("It is broken", ["bug"])],
        None,
        no_such_repo,
    ),
    Row(
        "label an issue",
        label_issue,
        with_issue,
        lambda bench, repo: {"repo": ref(bench, repo), "number": 1, "labels": ["bug", "urgent"]},
        lambda bench, repo: bench.issues(repo),
        [("Known before", ["bug", "urgent"])],
        None,
        no_such_repo,
    ),
    Row(
        "start a run of the CI",
        dispatch_workflow,
        with_ci,
        lambda bench, repo: {"repo": ref(bench, repo), "workflow": "ci.yml"},
        lambda bench, repo: bench.runs(repo),
        1,
        None,
        no_such_repo,
        never_repeats=True,
    ),
    Row(
        "begin a documentation",
        docs_bootstrap,
        with_files,
        lambda bench, repo: {"repo": ref(bench, repo)},
        _many,
        (2, ["docs/index.md", "mkdocs.yml"]),
        file_in_the_way,
        no_such_repo,
    ),
    Row(
        "set up a pipeline",
        ci_bootstrap,
        with_files,
        lambda bench, repo: {"repo": ref(bench, repo), "type": "github-actions", "language": "go"},
        _many,
        (2, [".github/workflows/ci.yml"]),
        partial(_file_at, ".github"),
        no_such_repo,
    ),
    Row(
        "prepare an empty repository for Kubernetes",
        k8s_bootstrap,
        empty,
        lambda bench, repo: {"repo": ref(bench, repo), "image": "acme/shop:1"},
        _many,
        (1, ["k8s/deployment.yaml", "k8s/kustomization.yaml", "k8s/service.yaml"]),
        partial(_file_at, "k8s"),
        no_such_repo,
    ),
]
