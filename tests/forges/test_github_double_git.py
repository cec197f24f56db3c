"""Git in the double of GitHub: its database by REST and its protocol are of one repository."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from tests.support.forges.client import Client, branch_off, git, with_token, working_copy
from tests.support.forges.github import GitHubDouble


@pytest.fixture
def ada(hub: GitHubDouble) -> Iterator[Client]:
    with urllib3.PoolManager() as http:
        yield Client(http, hub.api_url, hub.classic_token("ada", "repo", "workflow").token)


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
    base_tree = ada.ok("GET", f"/repos/acme/there/git/commits/{head}")["tree"]["sha"]
    blob = ada.ok(
        "POST", "/repos/acme/there/git/blobs", {"content": base64.b64encode(b"\x00\xff").decode(), "encoding": "base64"}
    )
    tree = ada.ok(
        "POST",
        "/repos/acme/there/git/trees",
        {
            "base_tree": base_tree,
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


def test_the_git_database_refuses_what_is_not_there(ada: Client, hub: GitHubDouble) -> None:
    repo = "/repos/acme/there"
    hub.add_repository("acme/there", {"a": "1"})
    head = hub.branches("acme/there")["main"]
    tree = hub.commits("acme/there")[0].tree
    entry = {"path": "b", "mode": "100644", "type": "blob"}
    for path, body in (
        ("git/trees", {"base_tree": head, "tree": [{**entry, "content": "x"}]}),
        ("git/trees", {"base_tree": tree, "tree": [{**entry, "sha": None}]}),
        ("git/trees", {"tree": [{**entry, "sha": "0" * 40}]}),
        ("git/trees", {"tree": [{**entry, "path": "../b", "content": "x"}]}),
        ("git/trees", {"tree": [{**entry, "mode": "644", "content": "x"}]}),
        ("git/trees", {"tree": [{**entry, "content": "x", "sha": "0" * 40}]}),
        ("git/trees", {"tree": []}),
        ("git/commits", {"message": "x", "tree": "0" * 40}),
        ("git/commits", {"message": "x", "tree": tree, "parents": ["0" * 40]}),
        ("git/blobs", {"content": "***", "encoding": "base64"}),
        ("git/blobs", {"content": "x", "encoding": "rot13"}),
        ("git/refs", {"ref": "heads/b", "sha": head}),
        ("git/refs", {"ref": "refs/heads/b", "sha": "0" * 40}),
        ("git/refs", {"ref": "refs/heads/main/b", "sha": head}),
    ):
        answer = ada("POST", f"{repo}/{path}", body)
        assert answer.status == 422, (path, body, answer.data)
    assert hub.branches("acme/there") == {"main": head}


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
