"""The actions on what a repository has besides its files, over the local forge."""

from __future__ import annotations

import json
from typing import ClassVar

import pytest

from portal_actions_plugin.actions.forges.ci import dispatch_workflow, set_variable
from portal_actions_plugin.actions.forges.issues import create_issue, label_issue
from portal_actions_plugin.actions.forges.pulls import close_pr, merge_pr
from portal_actions_plugin.actions.forges.repo_settings import (
    add_collaborators,
    ensure_webhook,
    protect_branch,
    set_topics,
)
from portal_actions_plugin.actions.scm import create_repo, open_pr_or_mr, push_skeleton
from portal_actions_plugin.actions.scorecards import evaluate
from portal_actions_plugin.errors import ConfigurationError, ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.run_types import Link
from portal_actions_plugin.scm.base import Operation, WorkflowRun
from portal_actions_plugin.scm.local.provider import LocalProvider
from tests.support.action_helpers import ADA, MemoryRecorder, git_in, make_context, snapshot

REPO = {"provider": "local", "owner": "acme", "repo": "shop"}


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "forge"
    (folder / "acme").mkdir(parents=True)
    return folder


@pytest.fixture
def ctx(root):
    return make_context(root=root)


@pytest.fixture(autouse=True)
def bare(root):
    create_repo.run(make_context(root=root), {**REPO, "initWithReadme": True})
    return git_in(root / "acme/shop.git")


@pytest.fixture
def pull(root):
    """The outputs of an open pull request."""
    files = [{"path": "docs/index.md", "content": "# Docs\n"}]
    data = {"repo": REPO, "headBranch": "fix", "title": "Add docs", "files": files}
    return open_pr_or_mr.run(make_context(root=root), data)


def kept(root, name):
    return json.loads((root / f"acme/shop.git/portal-actions.settings/{name}.json").read_text())


def wrong_fields(action, data):
    with pytest.raises(ValidationError) as caught:
        action.load_input(data)
    return caught.value.fields


class TestPullRequests:
    def test_it_is_merged_if_its_head_is_as_it_was_seen(self, ctx, pull, bare):
        outputs = merge_pr.run(ctx, {"repo": REPO, "number": 1, "expectedHead": pull["headSha"]})
        assert outputs == {"prUrl": pull["prUrl"], "mergeSha": bare("rev-parse", "main").strip()}
        assert bare("show", "main:docs/index.md") == "# Docs\n"
        merged = f"pull request #1 of acme/shop is merged into main by commit {outputs['mergeSha'][:7]}"
        assert ctx.recorder.text == merged
        assert ctx.links == [Link("Pull request #1", pull["prUrl"])]

    @pytest.mark.parametrize("action", [merge_pr, close_pr])
    def test_a_head_that_somebody_has_pushed_to_since_is_a_conflict(self, ctx, pull, root, action):
        files = [{"path": "more.md", "content": "unseen"}]
        push_skeleton.run(make_context(root=root), {"repo": REPO, "branch": "fix", "files": files})
        before = snapshot(root)
        with pytest.raises(ConflictError, match="nothing was done"):
            action.run(ctx, {"repo": REPO, "number": 1, "expectedHead": pull["headSha"]})
        assert snapshot(root) == before

    @pytest.mark.usefixtures("pull")
    def test_merged_twice_it_is_merged_once(self, ctx, root):
        first = merge_pr.run(ctx, {"repo": REPO, "number": 1})
        before = snapshot(root)
        assert merge_pr.run(ctx, {"repo": REPO, "number": 1}) == first
        assert snapshot(root) == before

    @pytest.mark.usefixtures("pull")
    def test_it_is_closed_once_and_not_merged_after(self, ctx, bare):
        data = {"repo": REPO, "number": 1}
        assert close_pr.run(ctx, data)["state"] == "closed"
        assert close_pr.run(ctx, data)["state"] == "closed"
        assert "pull request #1 of acme/shop is closed" in ctx.recorder.text
        with pytest.raises(ConflictError, match="is closed"):
            merge_pr.run(ctx, data)
        assert bare("log", "--format=%s", "main").strip() == "Initial commit"

    @pytest.mark.usefixtures("pull")
    def test_closing_a_merged_one_says_that_it_was_not_closed(self, ctx):
        merge_pr.run(ctx, {"repo": REPO, "number": 1, "method": "squash"})
        assert close_pr.run(ctx, {"repo": REPO, "number": 1})["state"] == "merged"
        assert ctx.warnings == ["pull request #1 of acme/shop is merged already, so it was not closed."]

    def test_one_that_is_not_there_is_not_found(self, ctx):
        with pytest.raises(NotFoundError, match="no pull request #9"):
            merge_pr.run(ctx, {"repo": REPO, "number": 9})

    def test_wrong_fields_are_named(self):
        data = {"repo": REPO, "number": 0, "expectedHead": "main", "method": "force"}
        assert set(wrong_fields(merge_pr, data)) == {"number", "expectedHead", "method"}

    def test_a_forge_with_merge_requests_is_spoken_of_in_its_own_words(self, root, pull):
        class Merging(LocalProvider):
            pull_word = "merge request"

        ctx = make_context(root=root)
        ctx.make_scm = lambda _name, asking: Merging(root, "https://forge.example", asking.recorder.ensure_ours, ADA)
        close_pr.run(ctx, {"repo": REPO, "number": 1})
        assert ctx.recorder.text == "merge request !1 of acme/shop is closed"
        assert ctx.links == [Link("Merge request !1", pull["prUrl"])]


HOOK = {"repo": REPO, "callbackUrl": "https://portal.example/hook?a=1", "events": ["push"], "secret": "hush-hush"}


class TestWebhooks:
    def test_it_is_created_then_found_then_updated(self, ctx):
        made = ensure_webhook.run(ctx, HOOK)
        assert made == {"webhookId": "1", "webhookUrl": "https://forge.example/acme/shop/webhooks/1", "changed": True}
        assert ensure_webhook.run(ctx, HOOK) == {**made, "changed": False}
        assert ensure_webhook.run(ctx, {**HOOK, "events": ["push", "release"]}) == made
        assert [line for level, line in ctx.recorder.lines if level == "info"] == [
            "the webhook of acme/shop that calls https://portal.example/hook?a=1 is created: push",
            "the webhook of acme/shop that calls https://portal.example/hook?a=1 is there already: push",
            "the webhook of acme/shop that calls https://portal.example/hook?a=1 is updated: push, release",
        ]

    def test_that_nobody_calls_it_is_a_warning(self, ctx):
        ensure_webhook.run(ctx, HOOK)
        assert ctx.warnings == ["The local forge keeps the webhook of acme/shop as a record: it calls nobody."]

    def test_its_secret_is_a_secret_input_and_optional(self, ctx):
        assert ensure_webhook.secret_names() == {"secret", "token"}
        assert not ensure_webhook.needs_a_secret()
        assert ensure_webhook.run(ctx, {**HOOK, "secret": None})["changed"] is True

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://a.example",
            "https://",
            "portal",
            "https://ada:pw@a.example",
            "https://a.example/#x",
            "http://a b",
            "//x",
        ],
    )
    def test_an_address_that_cannot_be_called_is_refused(self, url):
        assert set(wrong_fields(ensure_webhook, {**HOOK, "callbackUrl": url})) == {"callbackUrl"}

    def test_events_are_named_once_each(self):
        assert set(wrong_fields(ensure_webhook, {**HOOK, "events": []})) == {"events"}
        assert set(wrong_fields(ensure_webhook, {**HOOK, "events": ["push", "Push"]})) == {"events"}


class TestSettings:
    def test_the_default_branch_is_protected_and_what_is_missing_is_a_warning(self, ctx, root):
        data = {"repo": REPO, "requiredReviews": 2, "requiredChecks": ["test"], "codeOwners": True}
        assert protect_branch.run(ctx, data) == {"branch": "main", "changed": True}
        assert protect_branch.run(ctx, data) == {"branch": "main", "changed": False}
        assert kept(root, "protection") == {
            "main": {"requiredReviews": 2, "requiredChecks": ["test"], "codeOwners": True}
        }
        assert "main of acme/shop: the local forge keeps the protection of main as a record" in ctx.warnings[0]

    def test_another_branch_is_protected_with_one_review_by_default(self, ctx, root):
        assert protect_branch.run(ctx, {"repo": REPO, "branch": "release/1"})["branch"] == "release/1"
        assert kept(root, "protection")["release/1"]["requiredReviews"] == 1

    def test_topics_that_it_has_stay(self, ctx, root):
        assert set_topics.run(ctx, {"repo": REPO, "topics": ["python", "shop"]}) == {"added": ["python", "shop"]}
        assert set_topics.run(ctx, {"repo": REPO, "topics": ["shop", "web"]}) == {"added": ["web"]}
        assert list(kept(root, "topics")) == ["python", "shop", "web"]
        assert ctx.warnings == []

    def test_collaborators_get_their_role_and_the_others_stay(self, ctx, root):
        people = [{"name": "grace", "role": "read"}, {"name": "buyers", "team": True}]
        assert add_collaborators.run(ctx, {"repo": REPO, "collaborators": people}) == {"changed": ["grace", "buyers"]}
        again = [{"name": "grace", "role": "admin"}]
        assert add_collaborators.run(ctx, {"repo": REPO, "collaborators": again}) == {"changed": ["grace"]}
        assert kept(root, "collaborators") == {
            "grace": {"role": "admin", "isTeam": False},
            "buyers": {"role": "write", "isTeam": True},
        }
        assert "the team buyers may now work in acme/shop: write" in ctx.recorder.text

    def test_wrong_fields_are_named(self):
        assert set(wrong_fields(set_topics, {"repo": REPO, "topics": ["Not Small"]})) == {"topics"}
        assert set(wrong_fields(protect_branch, {"repo": REPO, "requiredReviews": 7})) == {"requiredReviews"}
        people = [{"name": "grace", "role": "owner"}]
        assert set(wrong_fields(add_collaborators, {"repo": REPO, "collaborators": people})) == {"collaborators"}
        twice = [{"name": "grace"}, {"name": "Grace", "role": "read"}]
        assert set(wrong_fields(add_collaborators, {"repo": REPO, "collaborators": twice})) == {"collaborators"}


class TestIssues:
    ISSUE: ClassVar = {"repo": REPO, "title": "Rotate the key", "labels": ["security"], "assignees": ["grace"]}

    def test_a_run_and_those_that_retry_it_open_one(self, ctx, root):
        first = create_issue.run(ctx, self.ISSUE)
        assert first == {"issueUrl": "https://forge.example/acme/shop/issues/1", "number": 1}
        retry = make_context(MemoryRecorder(checkpoints=dict(ctx.recorder.checkpoints)), root=root)
        assert create_issue.run(retry, self.ISSUE) == first
        assert "a run it retries, opened issue #1" in retry.recorder.text
        assert create_issue.run(make_context(root=root), self.ISSUE)["number"] == 2

    def test_another_title_is_another_issue(self, ctx):
        create_issue.run(ctx, self.ISSUE)
        assert create_issue.run(ctx, {**self.ISSUE, "title": "Another"})["number"] == 2

    def test_labels_that_it_has_stay(self, ctx):
        create_issue.run(ctx, self.ISSUE)
        data = {"repo": REPO, "number": 1, "labels": ["security", "now"]}
        assert label_issue.run(ctx, data) == {"added": ["now"]}
        assert label_issue.run(ctx, data) == {"added": []}

    def test_a_pull_request_is_labelled_too(self, ctx, pull):
        assert label_issue.run(ctx, {"repo": REPO, "number": pull["number"], "labels": ["docs"]}) == {"added": ["docs"]}

    def test_wrong_fields_are_named(self):
        data = {"repo": REPO, "title": "", "labels": ["a,b"], "assignees": [""]}
        assert set(wrong_fields(create_issue, data)) == {"title", "labels", "assignees"}
        assert set(wrong_fields(label_issue, {"repo": REPO, "number": "1", "labels": []})) == {"number", "labels"}


class Dispatching(LocalProvider):
    """A local forge with a CI that answers."""

    operations = frozenset(Operation)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked = []

    def dispatch_workflow(self, ref, **asked):
        self.asked.append(asked)
        return WorkflowRun("77", f"https://forge.example/{ref.full_name}/runs/77")


class TestCi:
    @pytest.mark.parametrize("spelled", [True, "true", None])
    def test_a_variable_is_a_secret_unless_it_says_otherwise(self, spelled):
        data = {"secret": spelled} if spelled else {}
        assert set_variable.operations_for({"repo": REPO, "name": "A", **data}) == {Operation.SET_SECRET}
        assert set_variable.operations_for({"repo": REPO, "name": "A", "secret": False}) == {Operation.SET_VARIABLE}

    def test_its_value_is_a_secret_input_and_in_no_line(self, ctx, root):
        assert set_variable.needs_a_secret()
        assert set_variable.secret_names() == {"value", "token"}
        data = {"repo": REPO, "name": "DEPLOY_TOKEN", "value": "hush-hush"}
        assert set_variable.run(ctx, data) == {"name": "DEPLOY_TOKEN"}
        assert "the secret DEPLOY_TOKEN of acme/shop is set" in ctx.recorder.text
        assert "hush" not in ctx.recorder.text
        assert kept(root, "variables") == {"DEPLOY_TOKEN": {"isSecret": True, "isProtected": False}}

    def test_a_name_that_no_shell_takes_is_refused(self):
        assert set(wrong_fields(set_variable, {"repo": REPO, "name": "a-b", "value": "x"})) == {"name"}

    def test_a_forge_without_a_ci_refuses_by_name_and_nothing_is_kept(self, ctx):
        with pytest.raises(ConfigurationError, match=r"forge local cannot start runs of its CI.*dispatchWorkflow"):
            dispatch_workflow.run(ctx, {"repo": REPO, "workflow": "ci.yml"})
        assert ctx.recorder.checkpoints == {}

    def test_a_run_and_those_that_retry_it_ask_with_one_claim(self, root):
        forge = Dispatching(root, None, lambda: None, ADA)
        ctx = make_context(root=root)
        ctx.make_scm = lambda _name, _asking: forge
        data = {"repo": REPO, "workflow": "ci.yml", "inputs": {"count": 3, "dry": True, "to": "north"}}
        outputs = dispatch_workflow.run(ctx, data)
        assert outputs == {"runId": "77", "runUrl": "https://forge.example/acme/shop/runs/77"}
        dispatch_workflow.run(ctx, data)
        dispatch_workflow.run(ctx, {**data, "branch": "next"})
        first, second, other = forge.asked
        assert first == second
        assert (first["branch"], first["inputs"]) == ("main", {"count": "3", "dry": "true", "to": "north"})
        assert other["claim"] != first["claim"]

    def test_too_many_inputs_and_odd_ones_are_refused(self):
        many = {f"i{number}": "x" for number in range(26)}
        assert set(wrong_fields(dispatch_workflow, {"repo": REPO, "inputs": many})) == {"inputs"}
        assert set(wrong_fields(dispatch_workflow, {"repo": REPO, "inputs": {"a": []}})) == {"inputs"}


class Scorecards:
    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def evaluate(self, *question):
        self.asked.append(question)
        return self.answer


class TestScorecards:
    DATA: ClassVar = {"entityId": "component:default/shop", "scorecardId": "production"}

    def test_the_host_evaluates(self, root):
        cards = Scorecards({"level": "gold", "results": [{"rule": "readme", "passes": True}], "more": 1})
        ctx = make_context(root=root, host_scorecards=cards)
        outputs = evaluate.run(ctx, {**self.DATA, "force": True})
        assert outputs == {"level": "gold", "results": [{"rule": "readme", "passes": True}]}
        assert cards.asked == [("component:default/shop", "production", True)]
        assert ctx.recorder.text == "component:default/shop has reached gold of production"

    def test_a_host_without_scorecards_is_told_which_hook_is_missing(self, ctx):
        with pytest.raises(ConfigurationError) as caught:
            evaluate.run(ctx, self.DATA)
        assert "@plugin.scorecards" in caught.value.hint

    def test_an_answer_without_a_level_is_the_hosts_mistake(self, root):
        with pytest.raises(ConfigurationError, match="without level and results for production"):
            evaluate.run(make_context(root=root, host_scorecards=Scorecards({})), self.DATA)
