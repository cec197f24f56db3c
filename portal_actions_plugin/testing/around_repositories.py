"""What has to hold of every forge that has them: webhooks, protection, topics, people, variables, issues, runs of a CI."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace

import pytest

from portal_actions_plugin.errors import ConfigurationError, NotFoundError
from portal_actions_plugin.scm.base import Issue, Operation, Protection, PullDetails, RepoRef, Variable, WebhookSpec
from portal_actions_plugin.testing.commits import put
from portal_actions_plugin.testing.contract import Contract, needs
from portal_actions_plugin.testing.forge_under_test import Attempt, AttemptLostError, ForgeUnderTest

Call = Callable[[ForgeUnderTest, Attempt, RepoRef], object]


def hook(forge: ForgeUnderTest) -> WebhookSpec:
    """A webhook with one event and a secret."""
    return WebhookSpec("https://portal.example/hook", forge.webhook_events[:1], "the-secret-of-the-hook")


def issue(attempt: Attempt, ref: RepoRef) -> Issue:
    """Open an issue as the run of an attempt."""
    return attempt.scm.create_issue(
        ref, title="It is broken", body="See there", labels=["bug"], assignees=[], claim=attempt.claim
    )


def dispatch(forge: ForgeUnderTest, attempt: Attempt, ref: RepoRef) -> object:
    """Start a run of the CI as the run of an attempt."""
    return attempt.scm.dispatch_workflow(
        ref, workflow=forge.workflow or "ci.yml", branch=ref.default_branch, inputs={}, claim=attempt.claim
    )


CALLS: dict[Operation, Call] = {
    Operation.ENSURE_WEBHOOK: lambda forge, attempt, ref: attempt.scm.ensure_webhook(ref, hook(forge)),
    Operation.PROTECT_BRANCH: lambda _, attempt, ref: attempt.scm.protect_branch(ref, ref.default_branch, Protection()),
    Operation.SET_TOPICS: lambda _, attempt, ref: attempt.scm.set_topics(ref, ["python"]),
    Operation.ADD_COLLABORATORS: lambda forge, attempt, ref: attempt.scm.add_collaborators(ref, forge.collaborators),
    Operation.SET_VARIABLE: lambda _, attempt, ref: attempt.scm.set_variable(ref, Variable("REGION", "north", False)),  # noqa: FBT003
    Operation.SET_SECRET: lambda _, attempt, ref: attempt.scm.set_variable(ref, Variable("TOKEN", "hush-hush-12")),
    Operation.CREATE_ISSUE: lambda _, attempt, ref: issue(attempt, ref),
    Operation.LABEL_ISSUE: lambda _, attempt, ref: attempt.scm.label_issue(ref, 1, ["bug"]),
    Operation.DISPATCH_WORKFLOW: dispatch,
    Operation.CLOSE_PULL: lambda _, attempt, ref: attempt.scm.close_pull(ref, 1, expected_head=None),
    Operation.MERGE_PULL: lambda _, attempt, ref: attempt.scm.merge_pull(ref, 1, expected_head=None, method="merge"),
    Operation.DETAIL_PULL: lambda _, attempt, ref: attempt.scm.detail_pull(ref, 1, PullDetails(labels=("bug",))),
    Operation.CONFIGURE_REPO: lambda _, attempt, ref: attempt.scm.configure_repo(ref, {"description": "Sells"}),
    Operation.ENSURE_GROUP: lambda _, attempt, ref: attempt.scm.ensure_group(ref.provider, [ref.owner]),
}
"""A call of each operation that a forge need not have."""

WRITES = [
    Operation.ENSURE_WEBHOOK,
    Operation.PROTECT_BRANCH,
    Operation.SET_TOPICS,
    Operation.ADD_COLLABORATORS,
    Operation.SET_VARIABLE,
    Operation.SET_SECRET,
    Operation.CREATE_ISSUE,
]
"""Those that a new repository is enough for."""


class AroundRepositoriesContract(Contract):
    """What is there already is left as it is, and what is missing is added."""

    def test_what_it_cannot_do_is_refused_by_name(self, forge: ForgeUnderTest, attempt: Attempt, ref: RepoRef) -> None:
        missing = set(CALLS) - attempt.scm.operations
        if not missing:
            pytest.skip("this forge can do everything")
        for operation in missing:
            with pytest.raises(ConfigurationError) as caught:
                CALLS[operation](forge, attempt, ref)
            assert operation.value in caught.value.message

    @pytest.mark.parametrize("operation", WRITES)
    def test_a_lost_attempt_writes_nothing(
        self, forge: ForgeUnderTest, attempt: Attempt, ref: RepoRef, operation: Operation
    ) -> None:
        needs(attempt, operation)
        if operation is Operation.ADD_COLLABORATORS and not forge.collaborators:
            pytest.skip("nobody can be added")
        with pytest.raises(AttemptLostError):
            CALLS[operation](forge, forge.attempt(lost_at=1), ref)

    def test_a_webhook_is_found_by_its_address(self, forge: ForgeUnderTest, attempt: Attempt, ref: RepoRef) -> None:
        needs(attempt, Operation.ENSURE_WEBHOOK)
        made = attempt.scm.ensure_webhook(ref, hook(forge))
        assert made.outcome == "created"
        assert made.id
        again = forge.attempt(attempt).scm.ensure_webhook(ref, hook(forge))
        assert (again.id, again.outcome) == (made.id, "unchanged")
        more = attempt.scm.ensure_webhook(ref, replace(hook(forge), events=forge.webhook_events))
        assert (more.id, more.outcome) == (made.id, "updated")
        other = attempt.scm.ensure_webhook(ref, replace(hook(forge), callback_url="https://other.example/hook"))
        assert other.outcome == "created"
        assert other.id != made.id

    def test_a_webhook_with_another_secret_is_updated(
        self, forge: ForgeUnderTest, attempt: Attempt, ref: RepoRef
    ) -> None:
        needs(attempt, Operation.ENSURE_WEBHOOK)
        made = attempt.scm.ensure_webhook(ref, hook(forge))
        changed = forge.attempt(attempt).scm.ensure_webhook(ref, replace(hook(forge), secret="another-secret"))  # noqa: S106
        assert (changed.id, changed.outcome) == (made.id, "updated")

    def test_a_protected_branch_is_protected_once(self, attempt: Attempt, ref: RepoRef) -> None:
        needs(attempt, Operation.PROTECT_BRANCH)
        first = attempt.scm.protect_branch(ref, ref.default_branch, Protection(1))
        again = attempt.scm.protect_branch(ref, ref.default_branch, Protection(1))
        assert (first.changed, again.changed) == (True, False)
        assert all(first.cannot)

    def test_topics_that_are_there_stay(self, attempt: Attempt, ref: RepoRef) -> None:
        needs(attempt, Operation.SET_TOPICS)
        assert set(attempt.scm.set_topics(ref, ["python", "shop"])) == {"python", "shop"}
        assert attempt.scm.set_topics(ref, ["shop", "web"]) == ("web",)
        assert attempt.scm.set_topics(ref, ["python"]) == ()

    def test_somebody_is_added_once(self, forge: ForgeUnderTest, attempt: Attempt, ref: RepoRef) -> None:
        needs(attempt, Operation.ADD_COLLABORATORS)
        if not forge.collaborators:
            pytest.skip("nobody can be added")
        names = tuple(one.name for one in forge.collaborators)
        assert attempt.scm.add_collaborators(ref, forge.collaborators) == names
        assert attempt.scm.add_collaborators(ref, forge.collaborators) == ()

    @pytest.mark.parametrize("operation", [Operation.SET_VARIABLE, Operation.SET_SECRET])
    def test_a_variable_may_be_set_again_and_is_in_no_line(
        self, forge: ForgeUnderTest, attempt: Attempt, ref: RepoRef, operation: Operation
    ) -> None:
        needs(attempt, operation)
        CALLS[operation](forge, attempt, ref)
        CALLS[operation](forge, attempt, ref)
        said = "\n".join([*attempt.lines, *attempt.warnings, repr(attempt.memory.kept)])
        assert "hush-hush-12" not in said

    def test_an_issue_is_opened_once_for_each_run(self, forge: ForgeUnderTest, attempt: Attempt, ref: RepoRef) -> None:
        needs(attempt, Operation.CREATE_ISSUE)
        made = issue(attempt, ref)
        assert made.fresh
        assert made.url
        again = issue(forge.attempt(attempt), ref)
        assert (again.number, again.fresh) == (made.number, False)
        assert issue(forge.attempt(), ref).number != made.number

    def test_labels_that_are_there_stay(self, attempt: Attempt, ref: RepoRef) -> None:
        needs(attempt, Operation.LABEL_ISSUE)
        needs(attempt, Operation.CREATE_ISSUE)
        number = issue(attempt, ref).number
        assert attempt.scm.label_issue(ref, number, ["bug", "urgent"]) == ("urgent",)
        assert attempt.scm.label_issue(ref, number, ["urgent"]) == ()
        with pytest.raises(NotFoundError):
            attempt.scm.label_issue(ref, 4711, ["bug"])

    def test_a_run_of_the_ci_is_started_once_for_each_run(
        self, forge: ForgeUnderTest, attempt: Attempt, ref: RepoRef
    ) -> None:
        needs(attempt, Operation.DISPATCH_WORKFLOW)
        if not forge.workflow:
            pytest.skip("there is no workflow")
        put(attempt, ref, *forge.workflow_files)
        asked = {"workflow": forge.workflow, "branch": ref.default_branch, "inputs": {}}
        made = attempt.scm.dispatch_workflow(ref, **asked, claim=attempt.claim)  # type: ignore[arg-type]
        again = forge.attempt(attempt).scm.dispatch_workflow(ref, **asked, claim=attempt.claim)  # type: ignore[arg-type]
        assert made.id
        assert made.url
        assert again == made
        other = forge.attempt().scm.dispatch_workflow(ref, **asked, claim=uuid.uuid4().hex)  # type: ignore[arg-type]
        assert other.id != made.id
