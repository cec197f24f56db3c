"""What Backstage's actions do in repositories that are there, on the local forge and on both doubles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal_actions_plugin.actions.backstage.github_work import (
    github_actions_dispatch,
    github_branch_protection,
    github_issues_create,
    github_issues_label,
    github_webhook,
)
from portal_actions_plugin.actions.backstage.gitlab_projects import (
    gitlab_group,
    gitlab_project_variable,
    gitlab_repo_push,
)
from portal_actions_plugin.actions.backstage.publish_gitlab import publish_gitlab
from portal_actions_plugin.actions.backstage.pull_requests import github_pull_request, gitlab_merge_request
from portal_actions_plugin.errors import ConfigurationError, ConflictError, NotFoundError, ValidationError
from tests.support.action_helpers import MemoryRecorder
from tests.support.forges.benches import GitHubBench, GitLabBench, LocalBench
from tests.support.forges.publishing import Stage, stage_on, stage_on_double

THERE = {"README.md": b"# theirs\n", "old.txt": b"old\n"}
PULL = {"branchName": "change", "title": "Change it", "description": "Because"}


def _ready(stage: Stage) -> Stage:
    stage.bench.add("orders", THERE)
    return stage


@pytest.fixture
def local(tmp_path: Path) -> Stage:
    return _ready(stage_on(LocalBench(tmp_path), tmp_path))


@pytest.fixture
def github(tmp_path: Path) -> Iterator[Stage]:
    with stage_on_double(GitHubBench(tmp_path / "github"), tmp_path) as stage:
        yield _ready(stage)


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[Stage]:
    with stage_on_double(GitLabBench(tmp_path / "gitlab"), tmp_path) as stage:
        yield _ready(stage)


@pytest.fixture(params=["local", "github"])
def as_github(request: pytest.FixtureRequest) -> Stage:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["local", "gitlab"])
def as_gitlab(request: pytest.FixtureRequest) -> Stage:
    return request.getfixturevalue(request.param)


class TestPullRequest:
    def test_the_workspace_is_proposed_and_what_is_to_go_goes(self, as_github: Stage) -> None:
        recorder = MemoryRecorder()
        data = {**PULL, "filesToDelete": ["old.txt"], "sourcePath": "src", "targetPath": "."}
        made = as_github.run(github_pull_request, recorder, **data)
        assert made["targetBranchName"] == "main"
        assert made["pullRequestNumber"] == 1
        assert made["remoteUrl"]
        assert as_github.bench.files("orders", "change") == {"README.md": b"# theirs\n", "app.py": b"print(1)\n"}
        assert as_github.bench.pulls("orders") == [("change", "main", "open")]
        assert as_github.bench.files("orders") == THERE
        assert as_github.run(github_pull_request, recorder, **data) == made
        assert as_github.bench.commits("orders", "change") == 2

    def test_files_go_below_the_target_path(self, as_github: Stage) -> None:
        as_github.run(github_pull_request, **PULL, sourcePath="./src", targetPath="/deploy/app/")
        assert as_github.bench.files("orders", "change")["deploy/app/app.py"] == b"print(1)\n"

    def test_a_branch_that_is_there_is_written_to_only_when_that_is_asked_for(self, as_github: Stage) -> None:
        as_github.bench.push("orders", "change", {"theirs.txt": b"theirs"})
        with pytest.raises(ConflictError, match="has a branch change already") as refused:
            as_github.run(github_pull_request, **PULL)
        assert "branchName" in refused.value.fields
        assert as_github.bench.commits("orders", "change") == 2
        as_github.run(github_pull_request, **PULL, update=True)
        assert as_github.bench.commits("orders", "change") == 3

    def test_nothing_to_propose_is_proposed_as_at_home_unless_that_is_not_wanted(self, as_github: Stage) -> None:
        as_github.write({"same/README.md": THERE["README.md"]})
        assert as_github.run(github_pull_request, **PULL, sourcePath="same", createWhenEmpty=False) == {}
        assert as_github.bench.pulls("orders") == []
        assert as_github.bench.commits("orders", "change") == 0
        recorder = MemoryRecorder()
        for _attempt in range(2):
            made = as_github.run(github_pull_request, recorder, **PULL, sourcePath="same")
            assert made["pullRequestNumber"] == 1
        assert as_github.bench.pulls("orders") == [("change", "main", "open")]
        assert as_github.bench.files("orders", "change") == THERE
        assert as_github.bench.commits("orders", "change") == 2

    @pytest.mark.parametrize(
        ("data", "error"),
        [({"branchName": "main"}, ValidationError), ({"targetBranchName": "nope"}, NotFoundError)],
    )
    def test_branches_that_cannot_be_are_named(
        self, local: Stage, data: dict[str, str], error: type[Exception]
    ) -> None:
        with pytest.raises(error) as refused:
            local.run(github_pull_request, **{**PULL, **data})
        assert set(refused.value.fields) <= {"branchName", "targetBranchName"}  # type: ignore[attr-defined]

    def test_people_are_asked_and_those_whom_github_refuses_are_a_warning(self, github: Stage) -> None:
        ctx = github.context()
        data = {"repoUrl": github.url(), **PULL, "draft": True, "reviewers": ["ada"], "assignees": ["grace"]}
        github_pull_request.run(ctx, data)
        pull = github.bench.double.pulls("acme/orders")[0]
        assert (pull.draft, pull.reviewers, pull.assignees, ctx.warnings) == (True, ["ada"], ["grace"], [])
        github_pull_request.run(ctx, {**data, "update": True, "reviewers": ["nobody-here"]})
        assert any("nobody-here" in one for one in ctx.warnings)


class TestMergeRequest:
    def test_the_workspace_is_proposed(self, as_gitlab: Stage) -> None:
        recorder = MemoryRecorder()
        made = as_gitlab.run(gitlab_merge_request, recorder, branchName="change", title="Change it", sourcePath="src")
        assert (made["targetBranchName"], made["projectid"], made["projectPath"]) == (
            "main",
            "acme/orders",
            "acme/orders",
        )
        assert as_gitlab.bench.pulls("orders") == [("change", "main", "open")]
        assert as_gitlab.bench.files("orders", "change") == {**THERE, "app.py": b"print(1)\n"}
        again = as_gitlab.run(gitlab_merge_request, recorder, branchName="change", title="Change it", sourcePath="src")
        assert again == made

    def test_files_are_updated_and_taken_away(self, as_gitlab: Stage) -> None:
        as_gitlab.write({"gone/old.txt": b"whatever it holds", "new/old.txt": b"newer\n"})
        as_gitlab.run(gitlab_merge_request, branchName="less", title="Less", sourcePath="gone", commitAction="delete")
        assert as_gitlab.bench.files("orders", "less") == {"README.md": b"# theirs\n"}
        as_gitlab.run(gitlab_merge_request, branchName="more", title="More", sourcePath="new", commitAction="update")
        assert as_gitlab.bench.files("orders", "more")["old.txt"] == b"newer\n"

    def test_a_branch_is_proposed_as_it_is_with_skip(self, as_gitlab: Stage) -> None:
        as_gitlab.bench.push("orders", "change", {"theirs.txt": b"theirs"})
        with pytest.raises(ConflictError):
            as_gitlab.run(gitlab_merge_request, branchName="change", title="Change it")
        as_gitlab.run(gitlab_merge_request, branchName="change", title="Change it", commitAction="skip")
        assert as_gitlab.bench.commits("orders", "change") == 2
        assert as_gitlab.bench.pulls("orders") == [("change", "main", "open")]

    def test_what_lies_at_the_target_path_is_taken_as_at_home(self, local: Stage) -> None:
        local.run(gitlab_merge_request, branchName="change", title="Change it", targetPath="src")
        assert local.bench.files("orders", "change") == {**THERE, "src/app.py": b"print(1)\n"}

    @pytest.mark.parametrize("more", [{"sourcePath": "same"}, {"commitAction": "skip"}])
    def test_nothing_to_propose_is_proposed_as_at_home(self, as_gitlab: Stage, more: dict[str, str]) -> None:
        as_gitlab.write({"same/README.md": THERE["README.md"]})
        recorder = MemoryRecorder()
        data = {"branchName": "change", "title": "Change it", **more}
        made = as_gitlab.run(gitlab_merge_request, recorder, **data)
        assert as_gitlab.run(gitlab_merge_request, recorder, **data) == made
        assert made["mergeRequestUrl"]
        assert as_gitlab.bench.pulls("orders") == [("change", "main", "open")]
        assert as_gitlab.bench.commits("orders", "change") == 1

    def test_people_and_labels_are_set(self, gitlab: Stage) -> None:
        ctx = gitlab.context()
        data = {"repoUrl": gitlab.url(), "branchName": "change", "title": "Change it"}
        gitlab_merge_request.run(
            ctx,
            {
                **data,
                "assignee": "ada",
                "reviewers": ["grace", "nobody"],
                "labels": "one, two",
                "removeSourceBranch": True,
            },
        )
        made = gitlab.bench.double.project("acme/orders").merge_requests[0]
        assert [user.username for user in made.assignees] == ["ada"]
        assert [user.username for user in made.reviewers] == ["grace"]
        assert (made.labels, made.remove_source_branch) == ({"one", "two"}, True)
        assert any("no user nobody" in one for one in ctx.warnings)


class TestGitLab:
    def test_the_workspace_is_committed_to_a_branch(self, as_gitlab: Stage) -> None:
        made = as_gitlab.run(
            gitlab_repo_push, branchName="next", commitMessage="Add it", sourcePath="src", targetPath="app"
        )
        assert as_gitlab.bench.files("orders", "next") == {**THERE, "app/app.py": b"print(1)\n"}
        assert made["projectPath"] == "acme/orders"
        assert len(made["commitHash"]) == 40
        assert as_gitlab.bench.commits("orders", "next") == 2

    def test_nothing_to_commit_is_a_warning_as_at_home_unless_an_empty_commit_is_asked_for(
        self, as_gitlab: Stage
    ) -> None:
        (as_gitlab.workspace / "empty").mkdir()
        data = {"repoUrl": as_gitlab.url(), "commitMessage": "Nothing", "sourcePath": "empty"}
        ctx = as_gitlab.context()
        assert "commitHash" not in gitlab_repo_push.run(ctx, {**data, "branchName": "next"})
        assert any("no files in empty" in one for one in ctx.warnings)
        assert as_gitlab.bench.commits("orders", "next") == 1
        for branch in ("main", "later"):
            recorder = MemoryRecorder()
            more = {**data, "branchName": branch, "allowEmpty": True}
            hashes = {as_gitlab.run(gitlab_repo_push, recorder, **more)["commitHash"] for _attempt in range(2)}
            assert len(hashes) == 1
        assert as_gitlab.bench.commits("orders", "main") == 2
        assert as_gitlab.bench.files("orders", "later") == THERE

    def test_a_variable_is_set_in_the_project_that_a_number_names(self, gitlab: Stage) -> None:
        number = gitlab.run(publish_gitlab, repoUrl=gitlab.url("billing"))["projectId"]
        for project in (number, "acme/billing"):
            gitlab.run(
                gitlab_project_variable,
                projectId=project,
                key="REGION",
                value="north$1",
                variableType="file",
                environmentScope="prod",
            )
        variables = gitlab.bench.double.project("acme/billing").variables
        assert [(one.key, one.value, one.environment_scope, one.raw) for one in variables] == [
            ("REGION", "north$1", "prod", False)
        ]

    def test_groups_are_made_as_far_as_they_are_missing(self, gitlab: Stage) -> None:
        made = gitlab.run(gitlab_group, repoUrl=gitlab.host, path=["acme", "teams", {"name": "Shop", "slug": "shop"}])
        found = gitlab.bench.double.state.namespace("acme/teams/shop")
        assert made == {"groupId": found.id}
        assert (found.name, found.path) == ("Shop", "shop")
        assert gitlab.run(gitlab_group, repoUrl=gitlab.url(), path=["acme/teams", "shop"]) == made

    @pytest.mark.parametrize("path", [["acme", ""], ["acme", {"name": "Shop"}], ["acme", 7], ["acme//shop"], ["a b"]])
    def test_what_is_no_group_is_named(self, gitlab: Stage, path: list[Any]) -> None:
        with pytest.raises(ValidationError) as refused:
            gitlab.run(gitlab_group, path=path)
        assert list(refused.value.fields) == ["path"]

    def test_a_forge_without_groups_says_so(self, local: Stage) -> None:
        with pytest.raises(ConfigurationError, match="cannot create groups"):
            local.run(gitlab_group, repoUrl="local", path=["acme"])


class TestGitHub:
    def test_a_webhook_is_set_up_as_at_home(self, github: Stage) -> None:
        data = {"webhookUrl": "https://ci.example/hook", "webhookSecret": "hush-hush-12"}
        github.run(github_webhook, **data)
        github.run(github_webhook, **data, events=["push", "pull_request"], contentType="json", active=False)
        hooks = github.bench.double.repository("acme/orders").hooks
        assert len(hooks) == 1
        assert set(hooks[0].events) == {"push", "pull_request"}
        assert (hooks[0].config["content_type"], hooks[0].active) == ("json", False)

    def test_a_webhook_that_is_refused_is_a_warning_as_at_home(self, github: Stage) -> None:
        ctx = github.context(credential="weak")
        github_webhook.run(ctx, {"repoUrl": github.url(), "webhookUrl": "https://ci.example/hook"})
        assert len(ctx.warnings) == 1
        assert github.bench.hooks("orders") == []

    def test_a_branch_is_protected(self, as_github: Stage) -> None:
        as_github.run(github_branch_protection, requiredApprovingReviewCount=2)
        as_github.run(github_branch_protection, requiredApprovingReviewCount=2)
        assert as_github.bench.protected("orders") == ["main"]

    def test_an_issue_is_opened_once_and_labelled(self, as_github: Stage) -> None:
        recorder = MemoryRecorder()
        data = {"title": "It is broken", "body": "See there", "labels": ["bug"]}
        made = as_github.run(github_issues_create, recorder, **data)
        assert as_github.run(github_issues_create, recorder, **data) == made
        as_github.run(github_issues_label, number=made["issueNumber"], labels=["urgent"])
        assert as_github.bench.issues("orders") == [("It is broken", ["bug", "urgent"])]
        assert made["issueUrl"]

    def test_labels_of_what_is_not_there_are_a_warning_as_at_home(self, github: Stage) -> None:
        ctx = github.context()
        github_issues_label.run(ctx, {"repoUrl": github.url(), "number": 99, "labels": ["bug"]})
        assert len(ctx.warnings) == 1

    def test_a_workflow_is_started_once(self, github: Stage) -> None:
        workflow = b"on: {workflow_dispatch: {}}\njobs: {it: {runs-on: ubuntu-latest, steps: [{run: make}]}}\n"
        github.bench.push("orders", "main", {".github/workflows/ci.yml": workflow})
        recorder = MemoryRecorder()
        data: dict[str, Any] = {"workflowId": "ci.yml", "branchOrTagName": "main", "workflowInputs": {}}
        made = github.run(github_actions_dispatch, recorder, **data)
        assert github.run(github_actions_dispatch, recorder, **data) == made
        assert github.bench.runs("orders") == 1
        assert made["runUrl"]

    def test_which_run_of_a_workflow_it_is_has_the_names_of_home_too(self, github: Stage) -> None:
        workflow = b"on: {workflow_dispatch: {}}\njobs: {it: {runs-on: ubuntu-latest, steps: [{run: make}]}}\n"
        github.bench.push("orders", "main", {".github/workflows/ci.yml": workflow})
        data = {"workflowId": "ci.yml", "branchOrTagName": "main", "returnWorkflowRunDetails": True}
        made = github.run(github_actions_dispatch, **data)
        assert (made["workflowRunId"], made["workflowRunHtmlUrl"]) == (int(made["runId"]), made["runUrl"])
        assert made["workflowRunUrl"].endswith(f"/repos/acme/orders/actions/runs/{made['runId']}")

    @pytest.mark.parametrize("inputs", [{"who": {"a": 1}}, {f"i{n}": "x" for n in range(99)}])
    def test_inputs_that_no_workflow_takes_are_named(self, github: Stage, inputs: dict[str, Any]) -> None:
        data = {"workflowId": "ci.yml", "branchOrTagName": "main", "workflowInputs": inputs}
        with pytest.raises(ValidationError) as refused:
            github.run(github_actions_dispatch, **data)
        assert list(refused.value.fields) == ["workflowInputs"]

    def test_an_input_that_nobody_knows_is_left_out_as_at_home(self, github: Stage) -> None:
        made = github.run(github_issues_create, title="It is broken", severity="high")
        assert made["issueNumber"] == 1
