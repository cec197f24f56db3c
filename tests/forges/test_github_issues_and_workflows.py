"""Issues and runs of workflows by the provider ``github``: known again, never started twice, on a double of GitHub."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portal_actions_plugin.errors import AuthError, ConflictError, NotFoundError, RemoteError, ValidationError
from portal_actions_plugin.scm.base import Issue, WorkflowRun
from tests.support.forges.faults import Close, Reset, Respond
from tests.support.forges.github_opened import KeptNotes, OpenedGitHub, ref

ISSUES = "/repos/acme/shop/issues"
DISPATCHES = "/repos/acme/shop/actions/workflows/ci.yml/dispatches"
WORKFLOW = "on:\n  workflow_dispatch:\n    inputs:\n      env: {required: true}\n"


@pytest.fixture
def shop(github: OpenedGitHub) -> OpenedGitHub:
    github.double.add_repository("acme/shop", {".github/workflows/ci.yml": WORKFLOW})
    return github


@pytest.fixture
def newest(github_com: OpenedGitHub) -> OpenedGitHub:
    github_com.double.add_repository("acme/shop", {".github/workflows/ci.yml": WORKFLOW})
    return github_com


class TestIssues:
    def opened(self, shop: OpenedGitHub, **changes) -> Issue:
        options = {"title": "Fix it", "body": "Now", "labels": ["bug"], "assignees": ["mona"], "claim": "c1"}
        return shop.provider().create_issue(ref(), **(options | changes))

    def test_an_issue_is_opened_once_for_a_claim(self, shop: OpenedGitHub) -> None:
        made = self.opened(shop)
        assert made == Issue(1, f"{shop.double.url}/acme/shop/issues/1", "Fix it", ("bug",))
        assert made.fresh
        again = self.opened(shop)
        assert again == made
        assert not again.fresh
        assert self.opened(shop, title="Another").number == 2
        assert self.opened(replace(shop, notes=KeptNotes()), claim="c2").number == 3
        (issue, *_) = shop.double.repository("acme/shop").issues
        assert issue.body.startswith("Now\n\n<!-- portal-actions: ")
        assert "c1" not in issue.body
        assert issue.assignees == ["mona"]

    @pytest.mark.parametrize("fault", [Reset(), Close(), Respond(502, "<html>Unicorn!</html>")])
    def test_a_lost_answer_opens_no_second_one(self, shop: OpenedGitHub, fault) -> None:
        shop.double.faults.order("POST", ISSUES, fault, after=True)
        assert self.opened(shop).number == 1
        assert len(shop.double.repository("acme/shop").issues) == 1

    def test_an_attempt_that_died_after_it_leaves_no_second_one(self, shop: OpenedGitHub, quick_look_ups) -> None:
        shop.double.faults.order("POST", ISSUES, Reset(), after=True)
        shop.double.faults.order("GET", ISSUES, Reset(), times=2)
        with pytest.raises(RemoteError):
            self.opened(shop)
        shop.double.faults.clear()
        assert self.opened(shop).number == 1
        assert shop.double.log.count("POST", ISSUES) == 1

    def test_labels_and_assignees_that_github_drops_are_named(self, shop: OpenedGitHub) -> None:
        shop.double.add_user("ada")
        shop.double.repository("acme/shop").collaborators["ada"] = "read"
        self.opened(shop.as_token(shop.double.classic_token("ada", "repo").token))
        assert len(shop.warned) == 2
        assert "left out labels of #1 in acme/shop: bug" in shop.warned[0]
        assert "assignees of #1 in acme/shop: mona" in shop.warned[1]

    def test_switched_off_issues_are_a_conflict(self, shop: OpenedGitHub) -> None:
        shop.double.repository("acme/shop").settings["has_issues"] = False
        with pytest.raises(ConflictError, match="Issues are switched off in acme/shop"):
            self.opened(shop)

    def test_labels_are_added_to_those_that_are_there(self, shop: OpenedGitHub) -> None:
        number = self.opened(shop).number
        assert shop.provider().label_issue(ref(), number, ["Bug", "later"]) == ("later",)
        assert shop.double.repository("acme/shop").issues[0].labels == ["bug", "later"]
        assert shop.provider().label_issue(ref(), number, ["bug", "later"]) == ()
        with pytest.raises(NotFoundError):
            shop.provider().label_issue(ref(), 77, ["bug"])

    def test_a_pull_request_has_labels_too(self, shop: OpenedGitHub) -> None:
        shop.double.commit("acme/shop", "topic", {"b": "1"})
        pull = shop.provider().open_pull(ref(), head="topic", base="main", title="x", body="")
        assert shop.provider().label_issue(ref(), pull.number, ["bug"]) == ("bug",)
        assert shop.double.pulls("acme/shop")[0].labels == ["bug"]


class TestWorkflows:
    def started(self, shop: OpenedGitHub, **changes) -> WorkflowRun:
        options = {"workflow": "ci.yml", "branch": "main", "inputs": {"env": "prod"}, "claim": "c1"}
        return shop.provider().dispatch_workflow(ref(), **(options | changes))

    def test_a_run_is_started_once_and_its_number_comes_with_the_answer(self, newest: OpenedGitHub) -> None:
        made = self.started(newest)
        (run,) = newest.double.repository("acme/shop").runs
        assert made == WorkflowRun(str(run.id), f"{newest.double.url}/acme/shop/actions/runs/{run.id}")
        assert run.inputs == {"env": "prod"}
        assert self.started(newest) == made
        assert newest.double.log.count("POST", DISPATCHES) == 1
        assert self.started(newest, inputs={"env": "test"}) != made

    def test_an_older_server_is_asked_without_what_it_does_not_know_and_the_run_is_found(
        self, shop: OpenedGitHub
    ) -> None:
        made = self.started(shop)
        (run,) = shop.double.repository("acme/shop").runs
        assert made.id == str(run.id)
        assert self.started(shop) == made
        assert len(shop.double.repository("acme/shop").runs) == 1

    @pytest.mark.parametrize("fault", [Reset(), Close(), Respond(502, "<html>Unicorn!</html>")])
    def test_a_lost_answer_starts_no_second_one_and_the_only_run_is_ours(self, newest: OpenedGitHub, fault) -> None:
        self.started(newest, claim="of another run", branch="main", inputs={"env": "other"})
        newest.double.repository("acme/shop").runs[0].created_at = "2026-01-01T00:00:00Z"
        newest.double.faults.order("POST", DISPATCHES, fault, after=True)
        made = self.started(newest)
        assert made.id == str(newest.double.repository("acme/shop").runs[1].id)
        assert len(newest.double.repository("acme/shop").runs) == 2

    def test_a_run_that_cannot_be_told_is_an_error_that_says_where_to_look(
        self, newest: OpenedGitHub, quick_look_ups
    ) -> None:
        def another() -> None:
            runs = newest.double.repository("acme/shop").runs
            if runs and len(runs) < 2:
                runs.append(replace(runs[0], id=runs[0].id + 1))

        newest.double.faults.order("POST", DISPATCHES, Reset(), after=True)
        newest.logged.clear()
        scm = newest.provider(log=lambda _line: another())
        with pytest.raises(RemoteError, match="2 runs were to be seen") as caught:
            scm.dispatch_workflow(ref(), workflow="ci.yml", branch="main", inputs={"env": "prod"}, claim="c1")
        assert f"{newest.double.url}/acme/shop/actions/workflows/ci.yml" in caught.value.hint

    def test_a_request_that_may_have_come_is_never_made_again(self, newest: OpenedGitHub, quick_look_ups) -> None:
        newest.double.faults.order("POST", DISPATCHES, Reset())
        for _ in range(2):
            with pytest.raises(RemoteError, match="no run was to be seen"):
                self.started(newest)
        assert newest.double.log.count("POST", DISPATCHES) == 1

    def test_a_request_that_was_refused_may_be_made_again(self, newest: OpenedGitHub) -> None:
        with pytest.raises(ValidationError, match="No ref found"):
            self.started(newest, branch="topic")
        newest.double.commit("acme/shop", "topic", {"x": "1"})
        assert self.started(newest, branch="topic").id
        assert len(newest.double.repository("acme/shop").runs) == 1

    def test_a_workflow_that_is_not_there_is_not_found(self, newest: OpenedGitHub) -> None:
        with pytest.raises(NotFoundError):
            self.started(newest, workflow="none.yml")
        with pytest.raises(AuthError, match="Resource not accessible"):
            self.started(newest.as_installation("acme", {"actions": "read", "contents": "read"}))
