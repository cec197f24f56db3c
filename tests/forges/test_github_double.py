"""The double of GitHub is as strict as GitHub's documentation says it is."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.support.forges.client import Client, git, with_token, working_copy
from tests.support.forges.github import GitHubDouble


@pytest.fixture
def ada(hub: GitHubDouble) -> Iterator[Client]:
    with urllib3.PoolManager() as http:
        yield Client(http, hub.api_url, hub.classic_token("ada", "repo", "workflow").token)


def branch_off(ada: Client, repo: str, name: str, files: dict[str, str], base: str = "main") -> str:
    """A branch with one commit by the Git database, as a client makes it; returns the commit."""
    head = ada.ok("GET", f"/repos/{repo}/git/ref/heads/{base}")["object"]["sha"]
    tree = [{"path": path, "mode": "100644", "type": "blob", "content": text} for path, text in files.items()]
    tree_sha = ada.ok("POST", f"/repos/{repo}/git/trees", {"base_tree": head, "tree": tree})["sha"]
    commit = ada.ok("POST", f"/repos/{repo}/git/commits", {"message": "More", "tree": tree_sha, "parents": [head]})
    ada.ok("POST", f"/repos/{repo}/git/refs", {"ref": f"refs/heads/{name}", "sha": commit["sha"]})
    return commit["sha"]


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


# Git's database and git's protocol


def test_an_empty_repository_has_no_git_database(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/empty")
    requests = [
        ("GET", "git/ref/heads/main", None),
        ("GET", "git/trees/main", None),
        ("GET", "commits", None),
        ("POST", "git/blobs", {"content": "x"}),
        ("POST", "git/trees", {"tree": [{"path": "a", "mode": "100644", "type": "blob", "content": "x"}]}),
        ("POST", "git/refs", {"ref": "refs/heads/main", "sha": "0" * 40}),
    ]
    for method, path, body in requests:
        answer = ada(method, f"/repos/acme/empty/{path}", body)
        assert (answer.status, answer.json()["message"]) == (409, "Git Repository is empty."), path
    assert ada("GET", "/repos/acme/empty/branches/main").status == 404
    assert ada("GET", "/repos/acme/empty/contents/a").json()["message"] == "This repository is empty."
    assert ada.ok("GET", "/repos/acme/empty/branches") == []


def test_what_is_pushed_by_git_is_read_by_rest(ada: Client, hub: GitHubDouble, tmp_path: Path) -> None:
    hub.add_repository("acme/new")
    work = working_copy(tmp_path / "work", {"a.txt": "1", "deep/er/b.txt": "2"}, "trunk")
    pushed = git(work, "push", with_token(f"{hub.url}/acme/new.git", ada.token or ""), "trunk")
    assert pushed.returncode == 0, pushed.stderr
    assert ada.ok("GET", "/repos/acme/new")["default_branch"] == "trunk"
    tree = ada.ok("GET", "/repos/acme/new/git/trees/trunk?recursive=1")
    assert [one["path"] for one in tree["tree"]] == ["a.txt", "deep", "deep/er", "deep/er/b.txt"]
    assert tree["truncated"] is False
    content = ada.ok("GET", "/repos/acme/new/contents/deep/er/b.txt")
    assert base64.b64decode(content["content"]) == b"2"
    assert hub.log.count("POST", "/acme/new.git/git-receive-pack") == 1


def test_git_is_led_to_a_renamed_repository(ada: Client, hub: GitHubDouble, tmp_path: Path) -> None:
    hub.add_repository("acme/old", {"a": "1"})
    hub.rename("acme/old", "acme/new")
    cloned = git(tmp_path, "clone", with_token(f"{hub.url}/acme/old.git", ada.token or ""), "copy")
    assert cloned.returncode == 0, cloned.stderr
    assert [(one.method, one.path, one.status) for one in hub.log.entries("GET") if one.status != 401] == [
        ("GET", "/acme/old.git/info/refs", 301),
        ("GET", "/acme/new.git/info/refs", 200),
    ]


def test_five_thousand_files_are_no_trouble(ada: Client, hub: GitHubDouble) -> None:
    files = {f"f{number // 100}/{number}.txt": f"{number}\n" for number in range(5000)}
    hub.add_repository("acme/large", files)
    tree = ada.ok("GET", "/repos/acme/large/git/trees/main?recursive=1")
    assert sum(one["type"] == "blob" for one in tree["tree"]) == 5000
    branch_off(ada, "acme/large", "more", {f"g/{number}": "x" for number in range(300)})
    assert len(hub.files("acme/large", "more")) == 5300


def test_what_is_written_by_rest_is_cloned_by_git(ada: Client, hub: GitHubDouble, tmp_path: Path) -> None:
    hub.add_repository("acme/there", {"a.txt": "1", "run.sh": "#!/bin/sh\n", "old.txt": "x"})
    head = ada.ok("GET", "/repos/acme/there/git/ref/heads/main")["object"]["sha"]
    blob = ada.ok(
        "POST", "/repos/acme/there/git/blobs", {"content": base64.b64encode(b"\x00\xff").decode(), "encoding": "base64"}
    )
    tree = ada.ok(
        "POST",
        "/repos/acme/there/git/trees",
        {
            "base_tree": head,
            "tree": [
                {"path": "b/c.txt", "mode": "100644", "type": "blob", "content": "grüße\n"},
                {"path": "bin", "mode": "100644", "type": "blob", "sha": blob["sha"]},
                {"path": "run.sh", "mode": "100755", "type": "blob", "content": "#!/bin/sh\n"},
                {"path": "old.txt", "mode": "100644", "type": "blob", "sha": None},
            ],
        },
    )
    commit = ada.ok(
        "POST", "/repos/acme/there/git/commits", {"message": "More", "tree": tree["sha"], "parents": [head]}
    )
    ada.ok("PATCH", "/repos/acme/there/git/refs/heads/main", {"sha": commit["sha"]})
    assert hub.files("acme/there") == {
        "a.txt": b"1",
        "run.sh": b"#!/bin/sh\n",
        "b/c.txt": "grüße\n".encode(),
        "bin": b"\x00\xff",
    }
    cloned = git(tmp_path, "clone", "-q", with_token(f"{hub.url}/acme/there.git", ada.token or ""), "copy")
    assert cloned.returncode == 0, cloned.stderr
    assert (tmp_path / "copy" / "run.sh").stat().st_mode & 0o100
    assert git(tmp_path / "copy", "rev-parse", "HEAD").stdout.strip() == commit["sha"]


def test_a_ref_is_only_moved_forward(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {"a": "1"})
    first = hub.branches("acme/there")["main"]
    second = hub.commit("acme/there", "main", {"a": "2"})
    back = ada("PATCH", "/repos/acme/there/git/refs/heads/main", {"sha": first})
    assert (back.status, back.json()["message"]) == (422, "Update is not a fast forward")
    assert hub.branches("acme/there")["main"] == second
    assert (
        ada("PATCH", "/repos/acme/there/git/refs/heads/no", {"sha": first}).json()["message"]
        == "Reference does not exist"
    )
    again = ada("POST", "/repos/acme/there/git/refs", {"ref": "refs/heads/main", "sha": first})
    assert (again.status, again.json()["message"]) == (422, "Reference already exists")
    assert ada("PATCH", "/repos/acme/there/git/refs/heads/main", {"sha": first, "force": True}).status == 200


def test_a_large_tree_is_truncated(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/large", {f"f{number:02}": "" for number in range(20)})
    hub.state.tree_limit = 7
    tree = ada.ok("GET", "/repos/acme/large/git/trees/main?recursive=0")
    assert (len(tree["tree"]), tree["truncated"]) == (7, True)
    tree = ada.ok("GET", "/repos/acme/large/git/trees/main")
    assert (len(tree["tree"]), tree["truncated"]) == (20, False)


def test_a_file_is_replaced_only_by_who_knows_what_it_is(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {"a": "1"})
    body = {"message": "Two", "content": base64.b64encode(b"2").decode()}
    assert (
        ada("PUT", "/repos/acme/there/contents/a", body).json()["message"]
        == 'Invalid request.\n\n"sha" wasn\'t supplied.'
    )
    wrong = ada("PUT", "/repos/acme/there/contents/a", {**body, "sha": "0" * 40})
    assert (wrong.status, wrong.json()["message"]) == (409, f"a does not match {'0' * 40}")
    sha = ada.ok("GET", "/repos/acme/there/contents/a")["sha"]
    assert ada("PUT", "/repos/acme/there/contents/a", {**body, "sha": sha}).status == 200
    assert ada("PUT", "/repos/acme/there/contents/b", body).status == 201
    assert hub.files("acme/there") == {"a": b"2", "b": b"2"}
    hub.add_repository("acme/empty")
    assert ada("PUT", "/repos/acme/empty/contents/first", body).status == 201
    assert hub.files("acme/empty") == {"first": b"2"}


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
    assert ada.ok("GET", "/repos/acme/there/pulls/1")["mergeable"] is False
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
