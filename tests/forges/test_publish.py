"""Backstage's publish actions on the local forge and on both doubles: what is made, once, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal_actions_plugin.actions.backstage.publish_github import github_repo_create, github_repo_push, publish_github
from portal_actions_plugin.actions.backstage.publish_gitlab import publish_gitlab
from portal_actions_plugin.errors import ConflictError, NotFoundError, ValidationError
from tests.support.action_helpers import MemoryRecorder, git
from tests.support.forges.benches import GitHubBench, GitLabBench, LocalBench
from tests.support.forges.publishing import Stage, stage_on, stage_on_double


@pytest.fixture
def local(tmp_path: Path) -> Stage:
    return stage_on(LocalBench(tmp_path), tmp_path)


@pytest.fixture
def github(tmp_path: Path) -> Iterator[Stage]:
    with stage_on_double(GitHubBench(tmp_path / "github"), tmp_path) as stage:
        yield stage


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[Stage]:
    with stage_on_double(GitLabBench(tmp_path / "gitlab"), tmp_path) as stage:
        yield stage


@pytest.fixture(params=["local", "github"])
def as_github(request: pytest.FixtureRequest) -> Stage:
    """Where actions for GitHub work."""
    return request.getfixturevalue(request.param)


def test_the_workspace_becomes_a_repository(as_github: Stage) -> None:
    made = as_github.run(publish_github, description="Takes orders", defaultBranch="main")
    assert as_github.bench.files("orders", "main") == {"README.md": b"# orders\n", "src/app.py": b"print(1)\n"}
    assert as_github.bench.commits("orders", "main") == 1
    assert as_github.bench.protected("orders") == ["main"]
    assert made["remoteUrl"].endswith("/acme/orders.git")
    assert made["repoContentsUrl"].endswith("/acme/orders/blob/main")
    assert len(made["commitHash"]) == 40
    found = as_github.context().scm(as_github.bench.name).get_repo("acme", "orders")
    assert (found.description, found.visibility, found.ref.default_branch) == ("Takes orders", "private", "main")


def test_without_a_word_the_branch_is_main_as_at_home(as_github: Stage) -> None:
    made = as_github.run(publish_github)
    assert made["repoContentsUrl"].endswith("/blob/main")
    assert as_github.context().scm(as_github.bench.name).get_repo("acme", "orders").ref.default_branch == "main"


def test_published_twice_is_published_once(as_github: Stage) -> None:
    recorder = MemoryRecorder()
    first = as_github.run(publish_github, recorder)
    assert as_github.run(publish_github, recorder) == first
    assert as_github.bench.commits("orders", "main") == 1


def test_nothing_is_written_into_a_repository_of_somebody_else(as_github: Stage) -> None:
    as_github.bench.add("orders", {"theirs.txt": b"theirs"})
    with pytest.raises(ConflictError, match="this run has not made it"):
        as_github.run(publish_github)
    assert as_github.bench.files("orders") == {"theirs.txt": b"theirs"}
    empty = as_github.url("empty")
    as_github.bench.add("empty", None)
    with pytest.raises(ConflictError):
        as_github.run(publish_github, repoUrl=empty)


def test_what_was_set_up_at_home_is_set_up(as_github: Stage) -> None:
    as_github.run(
        publish_github,
        topics=["Python", "orders", "python"],
        collaborators=[{"user": "user:default/grace", "access": "push"}],
        repoVariables={"REGION": "north"},
        secrets={"DEPLOY_TOKEN": "hush-hush-12"},
        protectDefaultBranch=False,
        deleteBranchOnMerge=True,
        hasWiki=False,
        homepage="https://orders.example",
        allowedHosts=["github.com"],
    )
    bench = as_github.bench
    assert bench.topics("orders") == ["orders", "python"]
    assert "grace" in bench.people("orders")
    assert bench.variables("orders") == ["REGION", "DEPLOY_TOKEN"]
    assert bench.protected("orders") == []


def test_people_who_are_not_there_are_a_warning_as_at_home(github: Stage) -> None:
    ctx = github.context()
    wanted = {"repoUrl": github.url(), "collaborators": [{"team": "nobody", "access": "admin"}], "access": "grace"}
    publish_github.run(ctx, wanted)
    assert any("nobody" in one for one in ctx.warnings)
    assert "grace" in github.bench.people("orders")


def test_the_rules_of_the_branch_are_those_of_home(github: Stage) -> None:
    github.run(
        publish_github,
        requiredApprovingReviewCount=2,
        requireCodeOwnerReviews=True,
        requiredStatusCheckContexts=["build"],
        requiredConversationResolution=True,
        dismissStaleReviews=True,
    )
    provider = github.context().scm("github")
    rules = (
        provider._github.repo(provider.get_repo("acme", "orders").ref).send("GET", "/branches/main/protection").object()
    )
    assert rules["enforce_admins"]["enabled"]
    assert rules["required_conversation_resolution"]["enabled"]
    assert rules["required_status_checks"]["strict"]
    assert rules["required_status_checks"]["contexts"] == ["build"]
    reviews = rules["required_pull_request_reviews"]
    assert (reviews["required_approving_review_count"], reviews["dismiss_stale_reviews"]) == (2, True)


def test_links_and_what_can_be_executed_stay_what_they_are(as_github: Stage, tmp_path: Path) -> None:
    script = as_github.workspace / "gradlew"
    script.write_bytes(b"#!/bin/sh\n")
    script.chmod(0o755)
    (as_github.workspace / "latest").symlink_to("README.md")
    (as_github.workspace / "logo.png").write_bytes(bytes(range(256)))
    made = as_github.run(publish_github)
    remote = made["remoteUrl"]
    if as_github.bench.is_remote:
        token = as_github.installation.settings["token"]
        remote = remote.replace("://", f"://x-access-token:{token}@")
    git("clone", "-q", remote, tmp_path / "clone")
    clone = tmp_path / "clone"
    assert os.access(clone / "gradlew", os.X_OK)
    assert (clone / "latest").readlink() == Path("README.md")
    assert (clone / "logo.png").read_bytes() == bytes(range(256))
    assert git("rev-parse", "--abbrev-ref", "HEAD", cwd=clone).strip() == "main"


def test_what_gitignore_names_stays_behind(as_github: Stage) -> None:
    as_github.write({".gitignore": b"*.log\nbuild/\n", "a.log": b"x", "build/out": b"x", "src/.gitignore": b"!b.log\n"})
    as_github.write({"src/b.log": b"kept"})
    as_github.run(publish_github)
    assert set(as_github.bench.files("orders", "main")) == {
        ".gitignore",
        "README.md",
        "src/.gitignore",
        "src/app.py",
        "src/b.log",
    }


def test_a_part_of_the_workspace_can_be_published(as_github: Stage) -> None:
    as_github.run(publish_github, sourcePath="./src")
    assert as_github.bench.files("orders", "main") == {"app.py": b"print(1)\n"}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"repoUrl": "{host}?repo=orders"}, "repoUrl"),
        ({"repoUrl": "nowhere.example?owner=acme&repo=orders"}, "repoUrl"),
        ({"repoUrl": "https://{host}?owner=acme&repo=orders"}, "repoUrl"),
        ({"repoUrl": "{host}?owner=acme&repo=-wrong"}, "repoUrl"),
        ({"sourcePath": "../outside"}, "sourcePath"),
        ({"sourcePath": "nothing-there"}, "sourcePath"),
        ({"defaultBranch": "a branch"}, "defaultBranch"),
        ({"repoVisibility": "secret"}, "repoVisibility"),
        ({"collaborators": [{"user": "grace"}]}, "collaborators"),
        ({"requiredApprovingReviewCount": 7}, "requiredApprovingReviewCount"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(local: Stage, data: dict[str, Any], field: str) -> None:
    given = {key: value.format(host=local.host) if key == "repoUrl" else value for key, value in data.items()}
    with pytest.raises(ValidationError) as refused:
        local.run(publish_github, **given)
    assert field in refused.value.fields
    assert not local.bench.exists("orders")


def test_an_empty_workspace_is_not_published(local: Stage) -> None:
    (local.workspace / "empty").mkdir()
    with pytest.raises(ValidationError, match="There are no files in empty"):
        local.run(publish_github, sourcePath="empty")
    assert not local.bench.exists("orders")


def test_a_forge_of_another_kind_is_named_with_the_field(gitlab: Stage) -> None:
    with pytest.raises(ValidationError, match="a forge of the kind gitlab") as refused:
        gitlab.run(publish_github)
    assert "repoUrl" in refused.value.fields


def test_an_owner_who_is_not_there_is_told(as_github: Stage) -> None:
    with pytest.raises(NotFoundError):
        as_github.run(publish_github, repoUrl=as_github.url(owner="nobody-at-all"))


def test_a_repository_can_be_made_first_and_pushed_to_later(as_github: Stage) -> None:
    made = as_github.run(github_repo_create, description="Takes orders")
    pushed = as_github.run(github_repo_push, defaultBranch="main")
    assert made["remoteUrl"] == pushed["remoteUrl"]
    assert as_github.bench.files("orders", "main")["README.md"] == b"# orders\n"


def test_a_branch_that_is_there_is_not_pushed_to(as_github: Stage) -> None:
    as_github.bench.add("orders", {"theirs.txt": b"theirs"})
    recorder = MemoryRecorder()
    for _attempt in range(2):
        with pytest.raises(ConflictError, match="has a branch main already"):
            as_github.run(github_repo_push, recorder, defaultBranch="main")
    assert as_github.bench.files("orders") == {"theirs.txt": b"theirs"}


@pytest.fixture(params=["local", "gitlab"])
def as_gitlab(request: pytest.FixtureRequest) -> Stage:
    """Where actions for GitLab work."""
    return request.getfixturevalue(request.param)


def test_the_workspace_becomes_a_project(as_gitlab: Stage) -> None:
    recorder = MemoryRecorder()
    made = as_gitlab.run(publish_gitlab, recorder, defaultBranch="main", settings={"description": "Takes orders"})
    assert (
        as_gitlab.run(publish_gitlab, recorder, defaultBranch="main", settings={"description": "Takes orders"}) == made
    )
    assert as_gitlab.bench.files("orders", "main") == {"README.md": b"# orders\n", "src/app.py": b"print(1)\n"}
    assert as_gitlab.bench.commits("orders", "main") == 1
    assert made["remoteUrl"].endswith("/acme/orders")
    assert made["repoContentsUrl"].endswith("/acme/orders/-/blob/main" if as_gitlab.bench.is_remote else "/blob/main")
    assert isinstance(made["projectId"], int) is as_gitlab.bench.is_remote
    found = as_gitlab.context().scm(as_gitlab.bench.name).get_repo("acme", "orders")
    assert (found.description, found.ref.default_branch) == ("Takes orders", "main")


def test_a_project_is_set_up_as_at_home(gitlab: Stage) -> None:
    gitlab.run(
        publish_gitlab,
        topics=["left-out"],
        settings={"topics": ["orders"], "visibility": "private", "merge_method": "ff", "path": "order-desk"},
        branches=[{"name": "next", "create": True, "protect": True}],
        projectVariables=[
            {"key": "REGION", "value": "north", "environment_scope": "prod"},
            {"key": "TOKEN", "value": "hush-hush-12", "masked": True},
        ],
    )
    bench = gitlab.bench
    project = bench.double.project("acme/order-desk")
    assert bench.topics("order-desk") == ["orders"]
    assert (project.visibility, project.name) == ("private", "orders")
    assert bench.commits("order-desk", "next") == 1
    assert "next" in bench.protected("order-desk")
    assert [(one.key, one.environment_scope, one.masked) for one in project.variables] == [
        ("REGION", "prod", False),
        ("TOKEN", "*", True),
    ]


def test_a_project_of_somebody_else_is_left(as_gitlab: Stage) -> None:
    as_gitlab.bench.add("orders", {"theirs.txt": b"theirs"})
    with pytest.raises(ConflictError):
        as_gitlab.run(publish_gitlab)
    assert as_gitlab.bench.files("orders") == {"theirs.txt": b"theirs"}


def test_a_workspace_of_three_thousand_files_is_one_commit(as_github: Stage) -> None:
    as_github.write({f"folder-{n % 60}/file-{n}.txt": b"%d\n" % n for n in range(3_000)})
    if as_github.bench.is_remote:
        as_github.bench.log.clear()
    as_github.run(publish_github, protectDefaultBranch=False)
    assert as_github.bench.commits("orders", "main") == 1
    if not as_github.bench.is_remote:
        bare = as_github.bench._root / "acme" / "orders.git"
        assert len(git("ls-tree", "-r", "--name-only", "main", cwd=bare).splitlines()) == 3_002
        return
    assert len(as_github.bench.files("orders", "main")) == 3_002
    assert len(as_github.bench.log.entries()) < 20
