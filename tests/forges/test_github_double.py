"""The double of GitHub is as strict as GitHub's documentation says it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from tests.support.forges.client import Client, branch_off
from tests.support.forges.github import GitHubDouble


@pytest.fixture
def ada(hub: GitHubDouble) -> Iterator[Client]:
    with urllib3.PoolManager() as http:
        yield Client(http, hub.api_url, hub.classic_token("ada", "repo", "workflow").token)


def errors(answer: urllib3.BaseHTTPResponse) -> list[Any]:
    assert answer.status == 422, answer.data
    return answer.json()["errors"]


# Repositories


def test_a_repository_is_made_empty_or_with_a_readme(ada: Client, hub: GitHubDouble) -> None:
    empty = ada.ok("POST", "/orgs/acme/repos", {"name": "empty", "private": True})
    assert (empty["full_name"], empty["private"], empty["default_branch"]) == ("acme/empty", True, "main")
    assert hub.branches("acme/empty") == {}
    ada.ok("POST", "/user/repos", {"name": "mine", "auto_init": True, "description": "Words"})
    assert hub.files("ada/mine") == {"README.md": b"# mine\nWords\n"}
    assert hub.repositories() == ["acme/empty", "ada/mine"]


def test_a_name_is_normalized_and_the_answer_says_so(ada: Client) -> None:
    assert ada.ok("POST", "/orgs/acme/repos", {"name": "my new repo"})["full_name"] == "acme/my-new-repo"
    assert ada.ok("GET", "/repos/ACME/My-New-Repo")["name"] == "my-new-repo"


def test_a_name_that_exists_is_refused_whatever_its_case(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there")
    answer = ada("POST", "/orgs/acme/repos", {"name": "There"})
    error = {
        "resource": "Repository",
        "code": "custom",
        "field": "name",
        "message": "name already exists on this account",
    }
    assert errors(answer) == [error]
    assert answer.json()["message"] == "Repository creation failed."


def test_a_renamed_repository_redirects_by_its_id(ada: Client, hub: GitHubDouble) -> None:
    repository = hub.add_repository("acme/old", {"a": "1"})
    hub.rename("acme/old", "acme/new")
    read, written = ada("GET", "/repos/acme/old"), ada("POST", "/repos/acme/old/git/blobs", {"content": "x"})
    assert (read.status, written.status) == (301, 307)
    assert read.headers["Location"] == f"{hub.api_url}/repositories/{repository.id}"
    assert ada.ok("GET", read.headers["Location"])["full_name"] == "acme/new"
    assert ada("POST", written.headers["Location"], {"content": "x"}).status == 201
    ada.ok("POST", "/orgs/acme/repos", {"name": "old"})
    assert ada.ok("GET", "/repos/acme/old")["full_name"] == "acme/old"


def test_a_list_is_paged_by_links_that_name_the_repository_by_its_id(ada: Client, hub: GitHubDouble) -> None:
    repository = hub.add_repository("acme/many", {"a": "1"})
    for number in range(5):
        hub.commit("acme/many", f"b{number}", {"a": str(number)})
    first = ada("GET", "/repos/acme/many/branches?per_page=4")
    url = f"{hub.api_url}/repositories/{repository.id}/branches?per_page=4"
    assert first.headers["Link"] == f'<{url}&page=2>; rel="next", <{url}&page=2>; rel="last"'
    second = ada("GET", f"{url}&page=2")
    assert second.headers["Link"] == f'<{url}&page=1>; rel="prev", <{url}&page=1>; rel="first"'
    assert len(first.json()) == 4
    assert len(second.json()) == 2
    assert "Link" not in ada("GET", "/repos/acme/many/branches").headers


# Pull requests


def test_a_pull_request_is_opened_once(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {"a": "1"})
    sha = branch_off(ada, "acme/there", "more", {"b": "2"})
    body = {"title": "More", "head": "more", "base": "main", "body": "Words"}
    pull = ada.ok("POST", "/repos/acme/there/pulls", body)
    assert (pull["number"], pull["state"], pull["head"]["sha"]) == (1, "open", sha)
    assert errors(ada("POST", "/repos/acme/there/pulls", {**body, "head": "acme:more"})) == [
        {"resource": "PullRequest", "code": "custom", "message": "A pull request already exists for acme:more."}
    ]
    assert len(hub.pulls("acme/there")) == 1


def test_a_pull_request_needs_branches_and_something_new(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {"a": "1"})
    hub.state.repository("acme", "there")
    ada.ok("POST", "/repos/acme/there/git/refs", {"ref": "refs/heads/same", "sha": hub.branches("acme/there")["main"]})
    body = {"title": "More", "head": "same", "base": "main"}
    assert errors(ada("POST", "/repos/acme/there/pulls", body)) == [
        {"resource": "PullRequest", "code": "custom", "message": "No commits between main and same"}
    ]
    for wrong in ({"head": "no"}, {"base": "no"}, {"head": "bob:same"}):
        field = next(iter(wrong))
        assert errors(ada("POST", "/repos/acme/there/pulls", body | wrong)) == [
            {"resource": "PullRequest", "code": "invalid", "field": field}
        ]


def test_a_head_without_an_owner_filters_nothing(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {"a": "1"})
    for name in ("one", "two"):
        branch_off(ada, "acme/there", name, {name: "2"})
        ada.ok("POST", "/repos/acme/there/pulls", {"title": name, "head": name, "base": "main"})
    ada.ok("PATCH", "/repos/acme/there/pulls/1", {"state": "closed"})

    def listed(query: str) -> list[str]:
        return [one["title"] for one in ada.ok("GET", f"/repos/acme/there/pulls?{query}")]

    assert listed("head=one&state=all") == ["two", "one"]
    assert listed("head=acme:one&state=all") == ["one"]
    assert listed("head=acme:one") == []
    assert listed("base=other&state=all") == []
    assert listed("state=closed") == ["one"]


def test_a_pull_request_is_merged_only_at_the_head_that_was_seen(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {"a": "1"})
    old = branch_off(ada, "acme/there", "more", {"b": "2"})
    ada.ok("POST", "/repos/acme/there/pulls", {"title": "More", "head": "more", "base": "main"})
    new = hub.commit("acme/there", "more", {"b": "3"})
    stale = ada("PUT", "/repos/acme/there/pulls/1/merge", {"sha": old})
    assert (stale.status, stale.json()["message"]) == (409, "Head branch was modified. Review and try the merge again.")
    merged = ada.ok("PUT", "/repos/acme/there/pulls/1/merge", {"sha": new})
    assert merged["sha"] == hub.branches("acme/there")["main"]
    pull = ada.ok("GET", "/repos/acme/there/pulls/1")
    assert (pull["state"], pull["merged"], pull["merge_commit_sha"]) == ("closed", True, merged["sha"])
    assert ada("PUT", "/repos/acme/there/pulls/1/merge", {}).status == 405
    assert hub.files("acme/there") == {"a": b"1", "b": b"3"}


def test_a_pull_request_in_conflict_is_not_merged(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {"a": "1"})
    branch_off(ada, "acme/there", "more", {"a": "2"})
    ada.ok("POST", "/repos/acme/there/pulls", {"title": "More", "head": "more", "base": "main"})
    hub.commit("acme/there", "main", {"a": "3"})
    mergeable = [ada.ok("GET", "/repos/acme/there/pulls/1")["mergeable"] for _ in range(2)]
    assert mergeable == [None, False]
    answer = ada("PUT", "/repos/acme/there/pulls/1/merge", {})
    assert (answer.status, answer.json()["message"]) == (405, "Pull Request is not mergeable")


# Webhooks


def test_a_webhook_is_made_once(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there")
    config = {"url": "https://portal.example.org/hook", "content_type": "json", "secret": "hush"}
    hook = ada.ok("POST", "/repos/acme/there/hooks", {"config": config, "events": ["push"]})
    assert hook["config"]["secret"] == "********"
    assert errors(ada("POST", "/repos/acme/there/hooks", {"config": config, "events": ["push", "issues"]})) == [
        {"resource": "Hook", "code": "custom", "message": "Hook already exists on this repository"}
    ]
    assert ada("POST", "/repos/acme/there/hooks", {"config": config, "events": ["issues"]}).status == 201
    assert (
        ada("POST", "/repos/acme/there/hooks", {"config": config, "secret": "x"})
        .json()["message"]
        .endswith('"secret" is not a permitted key.')
    )


def test_a_webhooks_secret_goes_with_an_update_that_does_not_send_it(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there")
    config = {"url": "https://portal.example.org/hook", "secret": "hush"}
    hook = ada.ok("POST", "/repos/acme/there/hooks", {"config": config})
    ada.ok("PATCH", f"/repos/acme/there/hooks/{hook['id']}", {"config": config, "events": ["issues"]})
    assert hub.hooks("acme/there")[0].secret == "hush"
    ada.ok("PATCH", f"/repos/acme/there/hooks/{hook['id']}", {"events": ["push"]})
    assert hub.hooks("acme/there")[0].secret is None
