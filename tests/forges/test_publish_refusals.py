"""What real forges do to Backstage's publish actions, on the doubles: each refusal names the input and helps, and nothing is
made twice when a step is repeated, wherever it was cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from portal_actions_plugin.actions.backstage.github_work import github_branch_protection, github_issues_create
from portal_actions_plugin.actions.backstage.gitlab_projects import gitlab_repo_push
from portal_actions_plugin.actions.backstage.publish_github import github_repo_push, publish_github
from portal_actions_plugin.actions.backstage.publish_gitlab import publish_gitlab
from portal_actions_plugin.actions.backstage.pull_requests import github_pull_request, gitlab_merge_request
from portal_actions_plugin.actions.forges.pulls import merge_pr
from portal_actions_plugin.actions.registry import Action
from portal_actions_plugin.actions.scm import open_pr_or_mr
from portal_actions_plugin.errors import ActionError, AuthError, ConflictError, RateLimitedError
from portal_actions_plugin.scm.remote import lost_answers
from tests.support.action_helpers import LostError, MemoryRecorder
from tests.support.forges.benches import GitHubBench, GitLabBench
from tests.support.forges.faults import Respond
from tests.support.forges.publishing import Stage, stage_on_double

THERE = {"README.md": b"# theirs\n"}
PULL = {"branchName": "change", "title": "Change it", "description": "Because"}
NOTHING: Mapping[str, Any] = {}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Stage]:
    with stage_on_double(GitHubBench(tmp_path / "github"), tmp_path) as stage:
        yield stage


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Stage]:
    with stage_on_double(GitLabBench(tmp_path / "gitlab"), tmp_path) as stage:
        yield stage


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait long for what never happened."""
    monkeypatch.setattr(lost_answers, "LOOK_UP_SECONDS", 0.5)


def _theirs(stage: Stage) -> None:
    stage.bench.add("orders", THERE)


def _empty(stage: Stage) -> None:
    stage.bench.add("orders", None)


def _renamed(stage: Stage) -> None:
    _theirs(stage)
    state = stage.bench.double.state
    state.rename(state.repository("acme", "orders"), "acme", "sales")


def _archived(stage: Stage) -> None:
    _theirs(stage)
    double = stage.bench.double
    found = double.repository("acme/orders") if stage.bench.name == "github" else double.project("acme/orders")
    found.archived = True


def _guarded(stage: Stage) -> None:
    """Nobody pushes to main but by a merge request."""
    from tests.support.forges.gitlab.state import ProtectedBranch

    _theirs(stage)
    project = stage.bench.double.project("acme/orders")
    project.protected_branches = [ProtectedBranch(1, "main", push_level=0)]


def _ruled(stage: Stage) -> None:
    """Rules of the organisation say what branches are called."""
    _theirs(stage)
    said = "Repository rule violations found\n\nCannot create ref due to creations being restricted."
    stage.bench.faults.order("POST", "/**/git/refs", Respond(422, {"message": said}))


AT_GITHUB = [
    (publish_github, _theirs, NOTHING, "repoUrl", "Look at http"),
    (publish_github, _empty, NOTHING, "repoUrl", "Choose another name"),
    (publish_github, _renamed, NOTHING, "repoUrl", "Choose another name"),
    (publish_github, None, {"repoUrl": "{host}?owner=nobody&repo=orders"}, "repoUrl", "owner's name"),
    (publish_github, None, {"repoUrl": "{host}?owner=grace&repo=orders"}, "", "organisation"),
    (publish_github, None, {"description": "long " * 80}, "description", "Correct the input"),
    (publish_github, None, {"repoVisibility": "internal"}, "repoVisibility", "Correct the input"),
    (publish_github, None, {"repoVariables": {"GITHUB_X": "1"}}, "repoVariables", "Correct the input"),
    (publish_github, None, {"secrets": {"GITHUB_X": "1"}}, "secrets", "Correct the input"),
    (publish_github, None, {"access": "nobody-here"}, "access", "private repository"),
    (publish_github, None, {"access": "acme/nobody-here"}, "access", "private repository"),
    (github_repo_push, _theirs, NOTHING, "defaultBranch", "name another branch"),
    (github_repo_push, None, NOTHING, "repoUrl", "Check the names"),
    (github_pull_request, _archived, PULL, "repoUrl", "unarchive"),
    (github_pull_request, _ruled, {**PULL, "targetPath": "docs"}, "branchName", "bypass the rule"),
    (github_pull_request, _empty, PULL, "targetBranchName", "Push a first commit"),
    (github_issues_create, _archived, {"title": "It is broken"}, "repoUrl", "unarchive"),
    (github_branch_protection, _theirs, {"branch": "nope"}, "branch", "Push a first commit"),
]
AT_GITLAB = [
    (publish_gitlab, _theirs, NOTHING, "repoUrl", "Look at http"),
    (publish_gitlab, None, {"repoUrl": "{host}?owner=nobody&repo=orders"}, "repoUrl", "invite that account"),
    (publish_gitlab, None, {"repoUrl": "{host}?owner=acme/nowhere&repo=orders"}, "repoUrl", "invite that account"),
    (publish_gitlab, None, {"repoUrl": "{host}?owner=grace&repo=orders"}, "repoUrl", "invite that account"),
    (publish_gitlab, None, {"repoUrl": "{host}?owner=acme&repo=orders-"}, "repoUrl", "Correct the input"),
    (publish_gitlab, None, {"settings": {"description": "long " * 500}}, "settings", "Correct the input"),
    (publish_gitlab, None, {"repoVisibility": "public"}, "repoVisibility", "Correct the input"),
    (
        publish_gitlab,
        None,
        {"projectVariables": [{"key": "A", "value": "b", "masked": True}]},
        "projectVariables",
        "hid",
    ),
    (gitlab_merge_request, _archived, PULL, "repoUrl", "unarchive"),
    (gitlab_merge_request, _empty, PULL, "targetBranchName", "Push a first commit"),
    (gitlab_merge_request, None, PULL, "repoUrl", "invite that account"),
    (gitlab_repo_push, _guarded, {"branchName": "main", "commitMessage": "x"}, "branchName", "merge request"),
    (gitlab_repo_push, _archived, {"branchName": "main", "commitMessage": "x"}, "repoUrl", "unarchive"),
]

Prepared = Callable[[Stage], None] | None


def _check_refusal(
    stage: Stage, action: Action, prepare: Prepared, data: Mapping[str, Any], field: str, help_: str
) -> None:
    if prepare is not None:
        prepare(stage)
    given = {
        key: value.format(host=stage.host) if isinstance(value, str) and key == "repoUrl" else value
        for key, value in data.items()
    }
    with pytest.raises(ActionError) as refused:
        stage.run(action, **given)
    assert list(refused.value.fields) == ([field] if field else [])
    assert help_ in refused.value.hint


@pytest.mark.parametrize(("action", "prepare", "data", "field", "help_"), AT_GITHUB)
def test_a_refusal_of_github_names_the_input_and_helps(
    hub: Stage, action: Action, prepare: Prepared, data: Mapping[str, Any], field: str, help_: str
) -> None:
    _check_refusal(hub, action, prepare, data, field, help_)


@pytest.mark.parametrize(("action", "prepare", "data", "field", "help_"), AT_GITLAB)
def test_a_refusal_of_gitlab_names_the_input_and_helps(
    lab: Stage, action: Action, prepare: Prepared, data: Mapping[str, Any], field: str, help_: str
) -> None:
    _check_refusal(lab, action, prepare, data, field, help_)


def test_a_right_that_is_missing_at_github_is_named(hub: Stage) -> None:
    with pytest.raises(AuthError) as refused:
        publish_github.run(hub.context(credential="weak"), {"repoUrl": hub.url()})
    assert "administration" in refused.value.hint


def test_a_right_that_is_missing_at_gitlab_is_named(lab: Stage) -> None:
    with pytest.raises(AuthError) as refused:
        publish_gitlab.run(lab.context(credential="weak"), {"repoUrl": lab.url()})
    assert "scope `api`" in refused.value.hint


def test_what_is_left_out_says_who_can_help(hub: Stage) -> None:
    refusal = Respond(
        403, {"message": "Resource not accessible by integration"}, {"X-Accepted-GitHub-Permissions": "a=b"}
    )
    hub.bench.faults.order("PUT", "/**/topics", refusal)
    ctx = hub.context()
    publish_github.run(ctx, {"repoUrl": hub.url(), "topics": ["one"]})
    assert any("permission a=b" in one for one in ctx.warnings)


def test_a_role_that_an_organisation_has_made_up_is_githubs_to_know(hub: Stage) -> None:
    hub.bench.double.state.account("acme").teams["core"] = set()
    ctx = hub.context()
    wanted = [{"user": "grace", "access": "reviewer"}, {"team": "core", "access": "push"}]
    publish_github.run(ctx, {"repoUrl": hub.url(), "collaborators": wanted})
    assert any("reviewer is not a permission" in one for one in ctx.warnings)
    assert hub.bench.double.repository("acme/orders").teams == {"core": "write"}


SET_UP = {
    "topics": ["one"],
    "collaborators": [{"user": "grace", "access": "push"}],
    "repoVariables": {"REGION": "north"},
    "secrets": {"TOKEN": "hush-hush-12"},
    "customProperties": {"tier": "one"},
    "subscribe": True,
    "hasWiki": False,
}
SET_UP_GITLAB = {
    "topics": ["one"],
    "settings": {"merge_method": "ff"},
    "branches": [{"name": "next", "create": True, "protect": True}],
    "projectVariables": [{"key": "REGION", "value": "north"}],
    "ownerUsername": "grace",
}


def _until_it_is_done(stage: Stage, action: Action, data: Mapping[str, Any]) -> int:
    """Repeat a step that is cut off before its first write, and each time one write later than before; returns how often."""
    recorder = MemoryRecorder()
    for cut in range(1, 60):
        recorder.guards, recorder.lose_at_guard = 0, cut
        try:
            made = stage.run(action, recorder, **data)
        except LostError:
            continue
        recorder.lose_at_guard = None
        assert stage.run(action, recorder, **data) == made
        return cut - 1
    raise AssertionError("it never ends")


class TestOurOwnActions:
    def test_what_the_rules_of_a_branch_forbid_names_an_input_or_none(self, hub: Stage) -> None:
        _ruled(hub)
        repo = {"provider": hub.bench.name, "owner": "acme", "repo": "orders", "defaultBranch": "main"}
        files = [{"path": "a.txt", "content": "a"}]
        with pytest.raises(ConflictError) as refused:
            open_pr_or_mr.run(hub.context(), {"repo": repo, "headBranch": "change", "title": "Change", "files": files})
        assert refused.value.fields.keys() == {"headBranch"}
        hub.bench.push("orders", "other", {"b.txt": b"b"})
        made = open_pr_or_mr.run(hub.context(), {"repo": repo, "headBranch": "other", "title": "Change"})
        said = {"message": 'Required status check "ci" is expected.'}
        hub.bench.faults.order("PUT", "/**/pulls/*/merge", Respond(405, said))
        with pytest.raises(ConflictError) as refused:
            merge_pr.run(hub.context(), {"repo": repo, "number": made["number"]})
        assert refused.value.fields == {}


class TestRepeated:
    def test_publishing_to_github_is_done_once_wherever_it_was_cut_off(self, hub: Stage) -> None:
        hub.bench.double.state.account("acme").properties = {"tier"}
        assert _until_it_is_done(hub, publish_github, SET_UP) > 2
        bench = hub.bench
        assert bench.double.repositories() == ["acme/orders"]
        assert bench.commits("orders") == 1
        assert bench.protected("orders") == ["main"]
        assert (bench.topics("orders"), bench.variables("orders")) == (["one"], ["REGION", "TOKEN"])

    def test_publishing_to_gitlab_is_done_once_wherever_it_was_cut_off(self, lab: Stage) -> None:
        assert _until_it_is_done(lab, publish_gitlab, SET_UP_GITLAB) > 2
        bench = lab.bench
        assert bench.double.repositories() == ["acme/orders"]
        assert (bench.commits("orders", "master"), bench.commits("orders", "next")) == (1, 1)
        assert (bench.topics("orders"), bench.variables("orders")) == (["one"], ["REGION"])

    @pytest.mark.parametrize("folder", ["src", "same"])
    def test_a_pull_request_is_opened_once_wherever_it_was_cut_off(self, hub: Stage, folder: str) -> None:
        _theirs(hub)
        hub.write({"same/README.md": THERE["README.md"]})
        assert _until_it_is_done(hub, github_pull_request, {**PULL, "sourcePath": folder, "reviewers": ["ada"]}) > 1
        assert hub.bench.pulls("orders") == [("change", "main", "open")]
        assert hub.bench.commits("orders", "change") == 2

    @pytest.mark.parametrize(("folder", "commits"), [("src", 2), ("same", 1)])
    def test_a_merge_request_is_opened_once_wherever_it_was_cut_off(
        self, lab: Stage, folder: str, commits: int
    ) -> None:
        _theirs(lab)
        lab.write({"same/README.md": THERE["README.md"]})
        assert _until_it_is_done(lab, gitlab_merge_request, {**PULL, "sourcePath": folder, "labels": "one"}) > 1
        assert lab.bench.pulls("orders") == [("change", "main", "open")]
        assert lab.bench.commits("orders", "change") == commits

    def test_a_merge_request_is_opened_though_its_target_has_moved_since_it_was_cut_off(self, lab: Stage) -> None:
        _theirs(lab)
        lab.write({"same/README.md": THERE["README.md"]})
        recorder, data = MemoryRecorder(), {**PULL, "sourcePath": "same"}
        recorder.lose_at_guard = 2
        with pytest.raises(LostError):
            lab.run(gitlab_merge_request, recorder, **data)
        assert (lab.bench.commits("orders", "change"), lab.bench.pulls("orders")) == (1, [])
        lab.bench.push("orders", "main", {"theirs.txt": b"theirs"})
        recorder.lose_at_guard = None
        lab.run(gitlab_merge_request, recorder, **data)
        assert lab.bench.pulls("orders") == [("change", "main", "open")]

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/orgs/acme/repos"),
            ("PUT", "/repos/acme/orders/topics"),
            ("PUT", "/repos/acme/orders/collaborators/grace"),
            ("POST", "/repos/acme/orders/actions/variables"),
            ("PUT", "/repos/acme/orders/branches/main/protection"),
        ],
    )
    def test_an_answer_that_is_lost_in_the_middle_makes_nothing_twice(self, hub: Stage, method: str, path: str) -> None:
        hub.bench.double.state.account("acme").properties = {"tier"}
        hub.bench.faults.order(method, path, Respond(502, "Bad gateway"), after=True)
        ctx = hub.context()
        publish_github.run(ctx, {"repoUrl": hub.url(), **SET_UP})
        assert ctx.warnings == []
        bench = hub.bench
        assert (bench.commits("orders"), bench.protected("orders")) == (1, ["main"])
        assert (bench.topics("orders"), bench.variables("orders")) == (["one"], ["REGION", "TOKEN"])

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/projects"),
            ("PUT", "/projects/*"),
            ("POST", "/projects/*/members"),
            ("POST", "/projects/*/variables"),
            ("POST", "/projects/*/repository/branches"),
            ("POST", "/projects/*/protected_branches"),
        ],
    )
    def test_an_answer_of_gitlab_that_is_lost_makes_nothing_twice(self, lab: Stage, method: str, path: str) -> None:
        lab.bench.faults.order(method, path, Respond(502, "Bad gateway"), after=True)
        ctx = lab.context()
        made = publish_gitlab.run(ctx, {"repoUrl": lab.url(), **SET_UP_GITLAB})
        assert (ctx.warnings, made["created"]) == ([], True)
        bench = lab.bench
        assert (bench.commits("orders", "master"), bench.commits("orders", "next")) == (1, 1)
        assert "next" in bench.protected("orders")
        assert (bench.topics("orders"), bench.variables("orders")) == (["one"], ["REGION"])

    @pytest.mark.parametrize("path", ["/projects/*", "/projects/*/members"])
    def test_a_limit_of_gitlab_is_waited_for_and_nothing_is_left_out(self, lab: Stage, path: str) -> None:
        lab.bench.faults.order("PUT" if path == "/projects/*" else "POST", path, lab.bench.limited(120))
        recorder = MemoryRecorder()
        with pytest.raises(RateLimitedError):
            lab.run(publish_gitlab, recorder, **SET_UP_GITLAB)
        ctx = lab.context(recorder)
        publish_gitlab.run(ctx, {"repoUrl": lab.url(), **SET_UP_GITLAB})
        assert ctx.warnings == []
        assert (lab.bench.topics("orders"), "grace" in lab.bench.people("orders")) == (["one"], True)

    def test_a_project_that_is_not_shown_yet_is_waited_for(self, lab: Stage) -> None:
        lab.bench.faults.order("GET", "/projects/*", Respond(404, {"message": "404 Project Not Found"}), nth=2, times=1)
        ctx = lab.context()
        publish_gitlab.run(ctx, {"repoUrl": lab.url(), **SET_UP_GITLAB})
        assert ctx.warnings == []
        assert lab.bench.double.project("acme/orders").settings["merge_method"] == "ff"

    @pytest.mark.parametrize("path", ["/**/topics", "/**/collaborators/grace", "/**/protection"])
    def test_a_limit_in_what_can_be_left_out_is_waited_for_and_nothing_is_left_out(self, hub: Stage, path: str) -> None:
        hub.bench.double.state.account("acme").properties = {"tier"}
        hub.bench.faults.order("PUT", path, hub.bench.limited_without_time())
        recorder = MemoryRecorder()
        with pytest.raises(RateLimitedError):
            hub.run(publish_github, recorder, **SET_UP)
        ctx = hub.context(recorder)
        publish_github.run(ctx, {"repoUrl": hub.url(), **SET_UP})
        assert ctx.warnings == []
        assert (hub.bench.topics("orders"), hub.bench.protected("orders")) == (["one"], ["main"])

    def test_a_branch_that_github_does_not_know_yet_is_protected_all_the_same(self, hub: Stage) -> None:
        missing = Respond(404, {"message": "Branch not found"})
        hub.bench.faults.order("GET", "/**/branches/main/protection", missing, times=2)
        ctx = hub.context()
        publish_github.run(ctx, {"repoUrl": hub.url()})
        assert (ctx.warnings, hub.bench.protected("orders")) == ([], ["main"])

    def test_a_repository_that_is_not_shown_yet_is_waited_for(self, hub: Stage) -> None:
        hub.bench.faults.order("GET", "/repos/acme/orders", Respond(404, {"message": "Not Found"}), nth=2, times=1)
        hub.run(publish_github)
        assert hub.bench.commits("orders") == 1
