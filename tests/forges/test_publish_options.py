"""Inputs of Backstage's publish actions beyond the first ones, on the doubles: what is asked for is done, or refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal_actions_plugin.actions.backstage.github_work import github_issues_create
from portal_actions_plugin.actions.backstage.gitlab_projects import gitlab_project_variable
from portal_actions_plugin.actions.backstage.publish_github import github_repo_create, publish_github
from portal_actions_plugin.actions.backstage.publish_gitlab import publish_gitlab
from portal_actions_plugin.errors import ActionError, AuthError, ConflictError, ValidationError
from tests.support.action_helpers import MemoryRecorder
from tests.support.forges.benches import GitHubBench, GitLabBench, LocalBench
from tests.support.forges.publishing import Stage, stage_on, stage_on_double


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Stage]:
    with stage_on_double(GitHubBench(tmp_path / "github"), tmp_path) as stage:
        yield stage


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Stage]:
    with stage_on_double(GitLabBench(tmp_path / "gitlab"), tmp_path) as stage:
        yield stage


class TestGitHub:
    def test_what_github_keeps_elsewhere_is_set_as_well(self, hub: Stage) -> None:
        hub.bench.double.state.account("acme").properties = {"tier", "regions"}
        recorder = MemoryRecorder()
        data = {
            "customProperties": {"tier": "one", "regions": ["north", "south"]},
            "oidcCustomization": {"useDefault": False, "includeClaimKeys": ["repo", "context"]},
            "subscribe": True,
            "workflowAccess": "organization",
        }
        for _attempt in range(2):
            hub.run(github_repo_create, recorder, **data)
        made = hub.bench.double.repository("acme/orders")
        assert made.properties == {"tier": "one", "regions": ["north", "south"]}
        assert made.oidc_subject == {"use_default": False, "include_claim_keys": ["repo", "context"]}
        assert made.subscribers == {"ada"}
        assert made.workflow_access == "organization"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("customProperties", {"tier": "one"}),
            ("customProperties", {"tier": 1}),
            ("customProperties", "tier"),
            ("oidcCustomization", {"includeClaimKeys": ["no spaces"]}),
            ("oidcCustomization", True),
            ("workflowAccess", "everybody"),
        ],
    )
    def test_what_cannot_be_set_is_an_error_that_names_the_input(self, hub: Stage, field: str, value: object) -> None:
        with pytest.raises(ValidationError) as refused:
            hub.run(github_repo_create, **{field: value})
        assert list(refused.value.fields) == [field]

    def test_what_only_a_person_may_is_an_error_for_an_app(self, hub: Stage) -> None:
        hub.bench.faults.order("PUT", "/**/subscription", _refusal("Resource not accessible by integration"))
        with pytest.raises(AuthError, match="not accessible by integration"):
            hub.run(publish_github, subscribe=True)

    def test_a_milestone_is_set(self, hub: Stage) -> None:
        hub.bench.add("orders", {"a": b"a"})
        hub.bench.double.repository("acme/orders").milestones[3] = "Soon"
        hub.run(github_issues_create, title="It is broken", milestone="3")
        assert hub.bench.double.repository("acme/orders").issues[0].milestone == 3
        for wrong in (4, "Soon"):
            with pytest.raises(ValidationError) as refused:
                hub.run(github_issues_create, title="Another one", milestone=wrong)
            assert list(refused.value.fields) == ["milestone"]

    def test_the_local_forge_keeps_what_it_cannot_do(self, tmp_path: Path) -> None:
        stage = stage_on(LocalBench(tmp_path), tmp_path)
        ctx = stage.context()
        publish_github.run(ctx, {"repoUrl": stage.url(), "customProperties": {"tier": "one"}, "subscribe": True})
        assert any("custom_properties" in one for one in ctx.warnings)


class TestGitLab:
    def test_a_project_that_is_there_can_be_left_as_it_is(self, lab: Stage) -> None:
        lab.bench.add("orders", {"theirs.txt": b"theirs"})
        with pytest.raises(ConflictError) as refused:
            lab.run(publish_gitlab)
        assert list(refused.value.fields) == ["repoUrl"]
        found = lab.run(publish_gitlab, skipExisting=True, projectVariables=[{"key": "A", "value": "b"}])
        number = lab.bench.double.project("acme/orders").id
        assert (found["created"], found["projectId"]) == (False, number)
        assert found["repoContentsUrl"].endswith("/acme/orders/-/blob/main")
        assert "commitHash" not in found
        assert lab.bench.files("orders") == {"theirs.txt": b"theirs"}
        assert lab.bench.variables("orders") == []

    def test_one_of_this_run_is_not_skipped_when_the_step_is_repeated(self, lab: Stage) -> None:
        recorder = MemoryRecorder()
        made = [lab.run(publish_gitlab, recorder, skipExisting=True) for _attempt in range(2)]
        assert made[0] == made[1]
        assert made[0]["created"] is True
        assert len(made[0]["commitHash"]) == 40

    def test_a_project_can_be_left_empty(self, lab: Stage) -> None:
        made = lab.run(publish_gitlab, sourcePath=False, branches=[{"name": "next", "create": True}])
        assert "commitHash" not in made
        assert lab.bench.double.branches("acme/orders") == {}
        lab.run(publish_gitlab, repoUrl=lab.url("whole"), sourcePath=True)
        assert lab.bench.commits("whole", "master") == 1

    def test_another_owner_is_let_in_and_an_unknown_one_is_a_warning_as_at_home(self, lab: Stage) -> None:
        lab.run(publish_gitlab, ownerUsername="grace")
        project = lab.bench.double.project("acme/orders")
        assert 50 in project.members.values()
        ctx = lab.context()
        publish_gitlab.run(ctx, {"repoUrl": lab.url("others"), "ownerUsername": "nobody-here"})
        assert any("no user nobody-here" in one for one in ctx.warnings)

    def test_a_project_has_the_name_that_settings_give_it(self, lab: Stage) -> None:
        lab.run(publish_gitlab, settings={"name": "The Order Desk", "path": "desk"})
        lab.run(publish_gitlab, repoUrl=lab.url("till"), settings={"name": "The Till"})
        assert lab.bench.double.project("acme/desk").name == "The Order Desk"
        assert lab.bench.double.project("acme/till").name == "The Till"

    def test_a_variable_can_be_hidden_for_good(self, lab: Stage) -> None:
        variable = {"key": "TOKEN", "value": "hush-hush-12", "masked_and_hidden": True}
        lab.run(publish_gitlab, projectVariables=[variable])
        more = {"projectId": "acme/orders", "variableType": "env_var", "value": "hush-hush-13", "maskedAndHidden": True}
        lab.run(gitlab_project_variable, key="OTHER", **more)
        found = lab.bench.double.project("acme/orders").variables
        assert [(one.key, one.masked, one.hidden) for one in found] == [("TOKEN", True, True), ("OTHER", True, True)]

    def test_a_branch_that_cannot_be_protected_is_an_error_as_at_home(self, lab: Stage) -> None:
        lab.bench.faults.order("POST", "/**/protected_branches", _refusal("403 Forbidden"))
        recorder = MemoryRecorder()
        data: dict[str, Any] = {"branches": [{"name": "next", "create": True, "protect": True}]}
        with pytest.raises(ActionError, match="403 Forbidden"):
            lab.run(publish_gitlab, recorder, **data)
        lab.run(publish_gitlab, recorder, **data)
        assert "next" in lab.bench.protected("orders")
        assert lab.bench.commits("orders", "master") == 1


def _refusal(message: str) -> Any:
    from tests.support.forges.faults import Respond

    return Respond(403, {"message": message})
