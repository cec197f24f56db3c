"""The provider ``github`` as a GitHub App: everything by an installation's tokens, each narrowed to its step, on a double."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from portal_actions_plugin.errors import AuthError
from portal_actions_plugin.scm.base import Collaborator, FileChange, Operation, Protection, Variable, WebhookSpec
from portal_actions_plugin.scm.github.access import app
from portal_actions_plugin.scm.github.operations import OPERATIONS
from portal_actions_plugin.scm.github.permissions import permissions_for
from portal_actions_plugin.scm.github.provider import GitHubProvider, open_github
from portal_actions_plugin.settings.installations import Installation
from tests.support.forges.github_opened import OpenedGitHub, ref

WORKFLOW = b"on:\n  workflow_dispatch:\n"


@pytest.fixture
def portal(github_com: OpenedGitHub) -> Iterator[dict[str, str]]:
    """The settings of a portal whose App has every permission that the page for administrators names."""
    made, key = github_com.double.add_app("portal", "acme", permissions_for(OPERATIONS))
    github_com.double.install(made, "acme")
    yield {
        "url": github_com.double.url,
        "api_url": github_com.double.api_url,
        "app_id": made.client_id,
        "private_key": key,
    }
    app.forget_all()


def as_app(github: OpenedGitHub, portal: dict[str, str], *operations: Operation) -> GitHubProvider:
    """The provider as a step opens it that asks for these operations."""
    opening = replace(
        github.opening(), installation=Installation("ghe", "github", portal), operations=frozenset(operations)
    )
    return open_github(opening)


def test_every_operation_works_with_the_permissions_that_it_names(
    github_com: OpenedGitHub, portal: dict[str, str]
) -> None:
    def step(*operations: Operation) -> GitHubProvider:
        return as_app(github_com, portal, *operations)

    github_com.double.add_user("ada")
    github_com.double.state.accounts["acme"].teams["core"] = {"mona"}
    created = step(Operation.CREATE_REPO).create_repo(
        "acme", "shop", visibility="private", description="", init_with_readme=False, claim="c1"
    )
    assert created.fresh
    shop = created.ref
    first = [FileChange("README.md", b"# Shop\n"), FileChange(".github/workflows/ci.yml", WORKFLOW)]
    assert step(Operation.COMMIT).put_files(shop, "main", first, "Add the skeleton").changed
    more = [FileChange("more.md", b"more\n")]
    topic = step(Operation.COMMIT, Operation.OPEN_PULL)
    assert topic.put_files(shop, "topic", more, "More", base_branch="main").changed
    pull = topic.open_pull(shop, head="topic", base="main", title="More", body="")
    assert step(Operation.ENSURE_WEBHOOK).ensure_webhook(shop, WebhookSpec("https://a.test/", ("push",), "s")).id
    assert step(Operation.SET_TOPICS).set_topics(shop, ["go"]) == ("go",)
    people = [Collaborator("ada", "read"), Collaborator("core", "write", is_team=True)]
    assert step(Operation.ADD_COLLABORATORS).add_collaborators(shop, people) == ("ada", "core")
    step(Operation.SET_VARIABLE).set_variable(shop, Variable("REGION", "eu", is_secret=False))
    step(Operation.SET_SECRET).set_variable(shop, Variable("TOKEN", "hush"))
    issue = step(Operation.CREATE_ISSUE).create_issue(
        shop, title="x", body="", labels=["bug"], assignees=[], claim="c1"
    )
    assert step(Operation.LABEL_ISSUE).label_issue(shop, issue.number, ["later"]) == ("later",)
    assert step(Operation.DISPATCH_WORKFLOW).dispatch_workflow(
        shop, workflow="ci.yml", branch="main", inputs={}, claim="c1"
    )
    assert step(Operation.MERGE_PULL).merge_pull(shop, pull.number, expected_head=None, method="merge").merge_sha
    assert step(Operation.CLOSE_PULL).close_pull(shop, pull.number, expected_head=None).state == "merged"
    assert step(Operation.PROTECT_BRANCH).protect_branch(shop, "main", Protection()).changed


def test_a_commit_of_an_app_names_no_author_so_that_github_signs_it_and_says_who_asked_for_it(
    github_com: OpenedGitHub, portal: dict[str, str]
) -> None:
    github_com.double.add_repository("acme/shop", {"a": "1\n"})
    as_app(github_com, portal).put_files(ref(), "main", [FileChange("a", b"2\n")], "Change a")
    (commit, _) = github_com.double.commits("acme/shop")
    assert commit.author.name == "portal[bot]"
    assert commit.message.rstrip() == "Change a\n\nCo-authored-by: Grace <grace@example.org>"


def test_a_run_of_a_workflow_is_found_by_the_apps_bot(github_com: OpenedGitHub, portal: dict[str, str]) -> None:
    github_com.double.enterprise = "3.17.0"  # does not say which run it has started
    github_com.double.add_repository("acme/shop", {".github/workflows/ci.yml": WORKFLOW})
    scm = as_app(github_com, portal, Operation.DISPATCH_WORKFLOW)
    made = scm.dispatch_workflow(ref(), workflow="ci.yml", branch="main", inputs={}, claim="c1")
    assert [(str(run.id), run.actor) for run in github_com.double.repository("acme/shop").runs] == [
        (made.id, "portal[bot]")
    ]


def test_an_app_creates_nothing_in_a_personal_account_and_reach_knows_it(
    github_com: OpenedGitHub, portal: dict[str, str]
) -> None:
    installed = github_com.double.state.apps[0]
    github_com.double.install(installed, "mona")
    scm = as_app(github_com, portal, Operation.CREATE_REPO)
    with pytest.raises(AuthError, match="cannot create a repository in a personal account"):
        scm.create_repo("mona", "shop", visibility="private", description="", init_with_readme=False, claim="c1")
    assert Operation.CREATE_REPO in scm.reach("mona").missing
    assert scm.reach("acme").missing == {}
    assert github_com.double.repositories() == []
