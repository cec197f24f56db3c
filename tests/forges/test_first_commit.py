"""The first commit of an empty repository, pushed to a real git behind a forge that refuses, loses and hides as forges do."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from portal_actions_plugin.errors import AuthError, NotFoundError, RateLimitedError, RemoteError, ValidationError
from portal_actions_plugin.scm.base import Author, FileChange
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.remote import lost_answers, transport
from portal_actions_plugin.scm.remote.client import ForgeClient, LostAnswerError, Place
from portal_actions_plugin.scm.remote.first_commit import BranchExistsError, FirstCommit, push_first_commit
from tests.support.forges import git_http
from tests.support.forges.faults import Close, Hang, Reset, Respond, html_page, redirect
from tests.support.forges.git_store import GitRepository, GitStore, Person
from tests.support.forges.messages import Answer, Request
from tests.support.forges.scripted import ADA, TOKEN, ScriptedForge, client_of
from tests.support.forges.server import ForgeServer

WORK = FirstCommit(
    "main",
    [
        FileChange("README.md", "# Grüße\n".encode()),
        FileChange("bin/run", b"#!/bin/sh\n", executable=True),
        FileChange("data/deep/down/all.bin", bytes(range(256))),
    ],
    "Begin",
    Author("Ada Lovelace", "ada@example.org"),
)
BASIC = "eC1hY2Nlc3MtdG9rZW46dDBrZW4tb2YtYWRh"  # x-access-token:t0ken-of-ada


class GitForge(ScriptedForge):
    """Has one repository, for those who have the token, and may refuse what is pushed."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.repository = GitStore(folder).create("1", "main")
        self.refusal: git_http.Refusal | None = None

    def answer(self, request: Request) -> Answer:
        rest = request.path.removeprefix("/acme/shop.git/")
        if rest == request.path or git_http.service_of(request, rest) is None:
            return Answer(404, b"Not Found", (("X-Request-Id", "git-1"),))
        if request.headers.get("authorization") != f"Basic {BASIC}":
            return Answer(401, b"Invalid username or token.", (("Content-Type", "text/plain"),))
        self.done.append(f"{request.method} {rest}")
        if rest == "git-receive-pack" and self.refusal:
            return git_http.refuse(request, self.refusal)
        return git_http.answer(self.repository, request, rest, "ada")


@pytest.fixture
def scripted(tmp_path: Path) -> GitForge:
    return GitForge(tmp_path / "repositories")


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "READ_SECONDS", 2.0)
    monkeypatch.setattr(lost_answers, "LOOK_UP_SECONDS", 1.0)
    monkeypatch.setattr(lost_answers, "FIRST_PAUSE_SECONDS", 0.05)


@pytest.fixture
def repository(scripted: GitForge) -> GitRepository:
    return scripted.repository


@pytest.fixture
def url(forge_server: ForgeServer) -> str:
    return f"{forge_server.url}/acme/shop.git"


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def git_client(client: ForgeClient, told: list[str]) -> ForgeClient:
    return replace(client, opening=replace(client.opening, redact=told.append))


def push(client: ForgeClient, url: str, work: FirstCommit = WORK) -> str:
    return push_first_commit(client, ADA, url, "x-access-token", work)


def test_all_files_arrive_with_two_requests(
    git_client: ForgeClient, url: str, repository: GitRepository, scripted: GitForge
) -> None:
    sha = push(git_client, url)
    assert repository.branches() == {"main": sha}
    assert repository.files("main") == {change.path: change.content for change in WORK.changes}
    modes = {entry.path: entry.mode for entry in repository.entries(sha, recursive=True) if entry.kind == "blob"}
    assert modes == {"README.md": "100644", "bin/run": "100755", "data/deep/down/all.bin": "100644"}
    commit = repository.commit(sha)
    assert (commit.parents, commit.author.name, commit.message.strip()) == ((), "Ada Lovelace", "Begin")
    assert scripted.done == ["GET info/refs", "POST git-receive-pack"]


def test_thousands_of_files_take_two_requests_as_well(
    git_client: ForgeClient, url: str, repository: GitRepository, scripted: GitForge
) -> None:
    changes = [FileChange(f"src/{number % 40}/{number}.txt", b"%d\n" % number) for number in range(3000)]
    push(git_client, url, replace(WORK, changes=changes))
    assert len(repository.files("main")) == 3000
    assert len(scripted.done) == 2


def test_a_branch_that_is_there_is_left_alone(git_client: ForgeClient, url: str, repository: GitRepository) -> None:
    first = push(git_client, url)
    with pytest.raises(BranchExistsError, match="acme/shop has got a branch main meanwhile"):
        push(git_client, url, replace(WORK, message="Another"))
    assert repository.branches() == {"main": first}


def test_who_is_faster_between_the_two_requests_wins(client: ForgeClient, url: str, repository: GitRepository) -> None:
    tree = repository.write_tree([])

    def somebody_else_pushes() -> None:
        eve = Person("Eve", "eve@example.org", datetime(2026, 1, 2, tzinfo=UTC))
        repository.set_ref("refs/heads/main", repository.write_commit(tree, [], "Mine", author=eve))

    slow = replace(client, opening=replace(client.opening, guard=somebody_else_pushes))
    with pytest.raises(BranchExistsError):
        push(slow, url)
    head = repository.head("main")
    assert head
    assert repository.commit(head).message.strip() == "Mine"


def test_the_guard_is_asked_before_the_push_and_not_before_looking(
    client: ForgeClient, url: str, repository: GitRepository, scripted: GitForge
) -> None:
    class GuardedError(Exception):
        pass

    def refuse() -> None:
        raise GuardedError

    guarded = replace(client, opening=replace(client.opening, guard=refuse))
    with pytest.raises(GuardedError):
        push(guarded, url)
    assert (repository.branches(), scripted.done) == ({}, ["GET info/refs"])


# -- what forges refuse -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        # https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-rulesets
        (
            git_http.Refusal(
                "push declined due to repository rule violations",
                "error: GH013: Repository rule violations found for refs/heads/main.\n\n- Changes must be made through "
                "a pull request.",
            ),
            r"rule violations: GH013: Repository rule violations found for refs/heads/main\. Changes must be made thr",
        ),
        # https://docs.gitlab.com/user/project/repository/push_rules/
        (
            git_http.Refusal("pre-receive hook declined", "GitLab: Commit message does not follow the pattern 'JIRA'"),
            "pre-receive hook declined: Commit message does not follow the pattern 'JIRA'",
        ),
        (git_http.Refusal("hook declined"), "acme/shop: hook declined$"),
    ],
)
def test_a_rule_of_the_forge_is_told_in_its_own_words(
    git_client: ForgeClient, url: str, scripted: GitForge, refusal: git_http.Refusal, words: str
) -> None:
    scripted.refusal = refusal
    with pytest.raises(AuthError, match=words) as caught:
        push(git_client, url)
    assert "initWithReadme: true" in caught.value.hint


@pytest.mark.parametrize("reason", ["reference already exists", "failed to update ref", "fetch first"])
def test_a_lost_race_is_no_refusal(git_client: ForgeClient, url: str, scripted: GitForge, reason: str) -> None:
    scripted.refusal = git_http.Refusal(reason)
    with pytest.raises(BranchExistsError):
        push(git_client, url)


def test_a_wrong_token_is_an_auth_error(forge_server: ForgeServer, opening: Opening, url: str) -> None:
    other = replace(ADA, token="another")
    client = client_of(Place(forge_server.url), opening)
    with pytest.raises(AuthError, match=r"Invalid username or token\. \[GET /acme/shop.git/info/refs: 401\]"):
        push_first_commit(client, other, url, "x-access-token", WORK)


def test_a_hidden_repository_is_not_found(git_client: ForgeClient, forge_server: ForgeServer) -> None:
    with pytest.raises(NotFoundError, match=r"Not Found .*404 \(request git-1\)") as caught:
        push(git_client, f"{forge_server.url}/acme/other.git")
    assert "hidden" in caught.value.hint


def test_a_missing_scope_is_an_auth_error_with_the_forges_words(
    git_client: ForgeClient, forge_server: ForgeServer, url: str
) -> None:
    text = "remote: Write access to repository not granted."
    forge_server.faults.order("POST", "/acme/**", Respond(403, text, {"Content-Type": "text/plain"}))
    with pytest.raises(AuthError, match="refuses the push: Write access to repository not granted"):
        push(git_client, url)


def test_a_limit_counts_for_git_as_well(git_client: ForgeClient, forge_server: ForgeServer, url: str) -> None:
    forge_server.faults.order("GET", "/acme/**", Respond(429, "slowly", {"Retry-After": "90"}))
    with pytest.raises(RateLimitedError) as caught:
        push(git_client, url)
    assert caught.value.retry_after == 90.0


@pytest.mark.parametrize("fault", [html_page(), Respond(200, "# service=x", {"Content-Type": "text/plain"})])
def test_what_is_no_git_is_named(git_client: ForgeClient, forge_server: ForgeServer, url: str, fault: Respond) -> None:
    forge_server.faults.order("GET", "/acme/**", fault)
    with pytest.raises(RemoteError, match="no answer of git: is a proxy in between"):
        push(git_client, url)


@pytest.mark.parametrize("body", [b"", b"0000", b"zzzz", b"001e# service=git-receive-pack\n0000", b"0009oops\n"])
def test_a_broken_answer_of_git_is_named(
    git_client: ForgeClient, forge_server: ForgeServer, url: str, body: bytes
) -> None:
    kind = {"Content-Type": "application/x-git-receive-pack-result"}
    forge_server.faults.order("POST", "/acme/**", Respond(200, body, kind), times=9)
    with pytest.raises(RemoteError, match="git"):
        push(git_client, url)


def test_a_file_within_a_file_is_an_error_of_the_input(git_client: ForgeClient, url: str) -> None:
    changes = [FileChange("a", b"1"), FileChange("a/b", b"2")]
    with pytest.raises(ValidationError, match="a cannot be a file and a folder at once"):
        push(git_client, url, replace(WORK, changes=changes))


def test_another_origin_is_not_followed(git_client: ForgeClient, forge_server: ForgeServer, url: str) -> None:
    with ForgeServer(ScriptedForge()) as sink:
        forge_server.faults.order("GET", "/acme/**", redirect(f"{sink.url}/acme/shop.git/info/refs"))
        with pytest.raises(RemoteError, match=f"leads to {sink.url}"):
            push(git_client, url)
        assert sink.log.entries() == []


# -- lost answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Reset(), Close(), Respond(502, "bad gateway"), Hang()])
def test_a_push_whose_answer_is_lost_is_looked_up(
    git_client: ForgeClient, forge_server: ForgeServer, url: str, repository: GitRepository, fault: object
) -> None:
    forge_server.faults.order("POST", "/acme/**", fault, after=True)
    sha = push(git_client, url)
    assert repository.branches() == {"main": sha}


def test_a_push_that_has_not_happened_is_not_repeated(
    git_client: ForgeClient, forge_server: ForgeServer, url: str, repository: GitRepository
) -> None:
    forge_server.faults.order("POST", "/acme/**", Reset())
    with pytest.raises(LostAnswerError):
        push(git_client, url)
    assert repository.branches() == {}
    assert forge_server.log.count("POST") == 1


# -- the token --------------------------------------------------------------------------------------------------------


def test_the_token_is_in_no_log_and_no_error_and_its_other_form_is_masked(
    git_client: ForgeClient,
    forge_server: ForgeServer,
    url: str,
    scripted: GitForge,
    told: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    scripted.refusal = git_http.Refusal("hook declined", f"your token is {TOKEN}")
    with pytest.raises(AuthError) as caught:
        push(git_client, url)
    assert TOKEN not in f"{caught.value} {caught.value.hint} {caplog.text}"
    assert BASIC not in f"{caught.value} {caught.value.hint} {caplog.text}"
    assert told == [BASIC]
    assert forge_server.log.where_seen(TOKEN) == forge_server.log.where_seen(BASIC) == []
