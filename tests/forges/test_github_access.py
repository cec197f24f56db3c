"""Who may do what in the double of GitHub: tokens, scopes, permissions, roles, apps."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.support.forges.client import Client, git, signed, with_token, working_copy
from tests.support.forges.github import GitHubDouble

WORKFLOW = {"message": "CI", "content": base64.b64encode(b"on: push").decode()}


@pytest.fixture
def ada(hub: GitHubDouble) -> Iterator[Client]:
    with urllib3.PoolManager() as http:
        yield Client(http, hub.api_url, hub.classic_token("ada", "repo", "workflow").token)


# Tokens


def test_an_unknown_token_is_401_also_for_what_is_public(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/open", visibility="public")
    stranger = Client(ada.http, ada.url, "ghp_unknown")
    for path in ("/repos/acme/open", "/user", "/rate_limit"):
        answer = stranger("GET", path)
        assert (answer.status, answer.json()["message"]) == (401, "Bad credentials")
    assert Client(ada.http, ada.url)("GET", "/repos/acme/open").status == 200
    assert (
        Client(ada.http, ada.url)("POST", "/user/repos", {"name": "x"}).json()["message"] == "Requires authentication"
    )


def test_a_private_repository_is_not_there_for_others(ada: Client, hub: GitHubDouble) -> None:
    hub.add_user("eve")
    hub.add_repository("acme/private", {"a": "1"})
    hub.add_repository("bob/private")
    eve = ada.by(hub.classic_token("eve", "repo").token)
    for path in ("/repos/acme/private", "/repos/acme/private/contents/a", "/repos/bob/private/pulls"):
        assert eve("GET", path).status == 404
        assert Client(ada.http, ada.url)("GET", path).status == 404
    assert ada("GET", "/repos/bob/private").status == 404


def test_a_classic_token_without_the_scope_is_told_which_it_needs(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/open", {"a": "1"}, visibility="public")
    poor = ada.by(hub.classic_token("ada", "read:user").token)
    answer = poor("POST", "/orgs/acme/repos", {"name": "x"})
    assert (answer.status, answer.headers["X-OAuth-Scopes"], answer.headers["X-Accepted-OAuth-Scopes"]) == (
        404,
        "read:user",
        "repo",
    )
    assert poor("GET", "/repos/acme/open/hooks").status == 404
    assert poor("GET", "/repos/acme/open").status == 200
    public = ada.by(hub.classic_token("ada", "public_repo").token)
    assert public("POST", "/orgs/acme/repos", {"name": "open2"}).status == 201
    assert public("POST", "/orgs/acme/repos", {"name": "closed", "private": True}).status == 404
    assert public("POST", "/repos/acme/open/git/blobs", {"content": "x"}).status == 201


def test_workflow_files_need_a_scope_of_their_own(ada: Client, hub: GitHubDouble, tmp_path: Path) -> None:
    hub.add_repository("acme/there", {"a": "1"})
    token = hub.classic_token("ada", "repo")
    poor = ada.by(token.token)
    body = {"message": "CI", "content": base64.b64encode(b"on: push").decode()}
    assert poor("PUT", "/repos/acme/there/contents/.github/workflows/ci.yml", body).status == 404
    tree = {"tree": [{"path": ".github/workflows/ci.yml", "mode": "100644", "type": "blob", "content": "on: push"}]}
    assert poor("POST", "/repos/acme/there/git/trees", tree).status == 404
    hub.add_repository("acme/new")
    work = working_copy(tmp_path / "work", {".github/workflows/ci.yml": "on: push"})
    pushed = git(work, "push", with_token(f"{hub.url}/acme/new.git", token.token), "main")
    expected = "refusing to allow a Personal Access Token to create or update workflow `.github/workflows/ci.yml` without `workflow` scope"
    assert expected in pushed.stderr
    assert hub.branches("acme/new") == {}
    assert ada("PUT", "/repos/acme/there/contents/.github/workflows/ci.yml", body).status == 201


def test_a_fine_grained_token_reaches_what_it_was_given(ada: Client, hub: GitHubDouble) -> None:
    for name in ("one", "two"):
        hub.add_repository(f"acme/{name}", {"a": "1"})
    hub.add_repository("ada/own", {"a": "1"})
    one = ada.by(hub.fine_grained_token("ada", "acme", {"contents": "read"}, repositories=["one"]).token)
    answer = one("POST", "/repos/acme/one/git/blobs", {"content": "x"})
    assert (answer.status, answer.json()["message"]) == (403, "Resource not accessible by personal access token")
    assert answer.headers["X-Accepted-GitHub-Permissions"] == "contents=write"
    assert one("GET", "/repos/acme/one/contents/a").status == 200
    assert [one("GET", path).status for path in ("/repos/acme/two", "/repos/ada/own")] == [404, 404]
    assert one("POST", "/orgs/acme/repos", {"name": "x"}).status == 403


def test_a_token_ends_with_its_time(ada: Client, hub: GitHubDouble) -> None:
    soon = ada.by(hub.fine_grained_token("ada", "acme", {}, lifetime=timedelta(minutes=5)).token)
    assert soon("GET", "/user").headers["GitHub-Authentication-Token-Expiration"].endswith(" UTC")
    hub.clock.skew = timedelta(minutes=6)
    assert soon("GET", "/user").status == 401


def test_a_reader_does_not_write_and_a_writer_does_not_administer(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {"a": "1"})
    bob = ada.by(hub.classic_token("bob", "repo").token)
    assert bob.ok("GET", "/repos/acme/there")["permissions"]["push"] is False
    assert bob("POST", "/repos/acme/there/git/blobs", {"content": "x"}).status == 404
    assert bob("GET", "/repos/acme/there/hooks").json()["message"] == "Must have admin rights to Repository."
    ada.ok("PUT", "/repos/acme/there/collaborators/bob", {"permission": "push"})
    assert bob("POST", "/repos/acme/there/git/blobs", {"content": "x"}).status == 201
    assert bob("PUT", "/repos/acme/there/topics", {"names": []}).status == 403


def test_who_is_no_member_makes_nothing_in_an_organization(ada: Client, hub: GitHubDouble) -> None:
    hub.add_user("eve")
    eve = ada.by(hub.classic_token("eve", "repo").token)
    assert eve("POST", "/orgs/acme/repos", {"name": "x"}).status == 403
    assert eve("POST", "/orgs/nobody/repos", {"name": "x"}).status == 404
    bob = ada.by(hub.classic_token("bob", "repo").token)
    assert bob("POST", "/orgs/acme/repos", {"name": "x"}).status == 201
    hub.state.accounts["acme"].members_create = False
    assert bob("POST", "/orgs/acme/repos", {"name": "y"}).status == 403


def test_single_sign_on_asks_for_an_authorisation_and_says_where(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there")
    token = hub.classic_token("ada", "repo")
    token.not_authorized_for.add("acme")
    answer = ada.by(token.token)("GET", "/repos/acme/there")
    assert answer.status == 403
    assert answer.headers["X-GitHub-SSO"].startswith("required; url=https://github.com/orgs/acme/sso?")
    assert ada.by(token.token)("GET", "/user").status == 200


def test_an_organization_can_forbid_everything(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there")
    hub.state.accounts["acme"].forbids = "The `acme` organization has an IP allow list enabled."
    for method, path in (("GET", "/repos/acme/there"), ("POST", "/orgs/acme/repos")):
        answer = ada(method, path, {"name": "x"} if method == "POST" else None)
        assert (answer.status, "IP allow list" in answer.json()["message"]) == (403, True)


def test_what_is_archived_is_read_only(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {"a": "1"})
    ada.ok("PATCH", "/repos/acme/there", {"archived": True})
    answer = ada("POST", "/repos/acme/there/git/blobs", {"content": "x"})
    assert (answer.status, answer.json()["message"]) == (403, "Repository was archived so is read-only.")
    assert ada("GET", "/repos/acme/there/contents/a").status == 200
    ada.ok("PATCH", "/repos/acme/there", {"archived": False})
    assert ada("POST", "/repos/acme/there/git/blobs", {"content": "x"}).status == 201


# Git


@pytest.mark.parametrize(
    ("who", "complaint"),
    [
        ("nobody", "could not read Username"),
        ("ghp_unknown", "Authentication failed"),
        ("eve", "Repository not found"),
        ("bob", "Permission to acme/new.git denied to bob"),
        ("fine-grained", "Write access to repository not granted"),
    ],
)
def test_git_is_refused_like_rest(hub: GitHubDouble, tmp_path: Path, who: str, complaint: str) -> None:
    hub.add_user("eve")
    hub.add_repository("acme/new")
    tokens = {
        "bob": hub.classic_token("bob", "repo").token,
        "eve": hub.classic_token("eve", "repo").token,
        "fine-grained": hub.fine_grained_token("ada", "acme", {"contents": "read"}).token,
    }
    work = working_copy(tmp_path / "work", {"a": "1"})
    url = f"{hub.url}/acme/new.git"
    address = url if who == "nobody" else with_token(url, tokens.get(who, who))
    pushed = git(work, "-c", "core.askPass=true", "-c", "credential.helper=", "push", address, "main")
    assert pushed.returncode != 0
    assert complaint in pushed.stderr or (who == "nobody" and "Authentication failed" in pushed.stderr), pushed.stderr
    assert hub.branches("acme/new") == {}


def test_a_rule_refuses_pushes_and_writes_in_githubs_words(ada: Client, hub: GitHubDouble, tmp_path: Path) -> None:
    reason, words = "push declined due to repository rule violations", "Changes must be made through a pull request."
    hub.add_repository("acme/new").push_refusal = (reason, f"error: GH013: {reason}.\n- {words}")
    work = working_copy(tmp_path / "work", {"a": "1"})
    pushed = git(work, "push", with_token(f"{hub.url}/acme/new.git", ada.token or ""), "main")
    assert f"remote: error: GH013: {reason}." in pushed.stderr
    assert f"({reason})" in pushed.stderr
    written = ada("PUT", "/repos/acme/new/contents/a", {"message": "A", "content": "QQ=="})
    assert written.status == 409
    assert written.json()["message"].startswith("Repository rule violations found\n\n")
    assert words in written.json()["message"]
    assert hub.branches("acme/new") == {}


# Apps


def claims(app_id: object, hub: GitHubDouble, start: int = -60, end: int = 300) -> dict[str, Any]:
    now = int(hub.clock.now().timestamp())
    return {"iss": app_id, "iat": now + start, "exp": now + end}


@pytest.mark.parametrize(
    ("start", "end", "algorithm", "complaint"),
    [
        (3000, 3300, "RS256", "'Issued at' claim ('iat')"),
        (-60, 3000, "RS256", "too far in the future"),
        (-600, -1, "RS256", "'Expiration time' claim ('exp')"),
        (-60, 300, "HS256", "could not be decoded"),
    ],
)
def test_an_apps_web_token_is_checked(
    ada: Client, hub: GitHubDouble, start: int, end: int, algorithm: str, complaint: str
) -> None:
    app, key = hub.add_app("portal", "acme", {"contents": "write"})
    token = signed(key, claims(app.id, hub, start, end), algorithm=algorithm)
    answer = ada.by(token)("GET", "/app")
    assert (answer.status, complaint in answer.json()["message"]) == (401, True), answer.data


def test_an_apps_web_token_is_the_apps_own(ada: Client, hub: GitHubDouble) -> None:
    app, key = hub.add_app("portal", "acme", {})
    _, other_key = hub.add_app("other", "acme", {})
    assert ada.by(signed(key, claims(app.client_id, hub))).ok("GET", "/app")["slug"] == "portal"
    assert ada.by(signed(other_key, claims(app.id, hub)))("GET", "/app").status == 401
    assert ada.by(signed(key, claims(99, hub)))("GET", "/app").json()["message"] == "Integration not found"
    assert ada("GET", "/app").json()["message"] == "A JSON web token could not be decoded"
    assert ada.by(signed(key, claims(app.id, hub)))("GET", "/repos/acme/x").status == 401


def test_the_clock_of_an_apps_web_token_is_the_forges(ada: Client, hub: GitHubDouble) -> None:
    app, key = hub.add_app("portal", "acme", {})
    token = signed(key, claims(app.id, hub))
    hub.clock.skew = timedelta(minutes=-2)
    assert ada.by(token)("GET", "/app").status == 401
    assert ada.by(signed(key, claims(app.id, hub)))("GET", "/app").status == 200


def minted(ada: Client, hub: GitHubDouble, key: str, app_id: int, installation: int, body: dict[str, Any]) -> Any:
    bot = ada.by(signed(key, claims(app_id, hub)))
    return bot("POST", f"/app/installations/{installation}/access_tokens", body)


def test_an_installations_token_is_narrowed(ada: Client, hub: GitHubDouble) -> None:
    for name in ("one", "two"):
        hub.add_repository(f"acme/{name}", {"a": "1"})
    app, key = hub.add_app("portal", "acme", {"contents": "write"})
    installation = hub.install(app, "acme")
    answer = minted(
        ada, hub, key, app.id, installation.id, {"repositories": ["one"], "permissions": {"contents": "read"}}
    )
    assert answer.json()["permissions"] == {"metadata": "read", "contents": "read"}
    bot = ada.by(answer.json()["token"])
    assert [one["name"] for one in bot.ok("GET", "/installation/repositories")["repositories"]] == ["one"]
    assert bot("GET", "/repos/acme/two").status == 404
    refused = bot("POST", "/repos/acme/one/git/blobs", {"content": "x"})
    assert (refused.status, refused.json()["message"]) == (403, "Resource not accessible by integration")
    for wrong in (
        {"repositories": ["no"]},
        {"permissions": {"issues": "write"}},
        {"permissions": {"contents": "admin"}},
    ):
        assert minted(ada, hub, key, app.id, installation.id, wrong).status == 422
    installation.suspended = True
    assert minted(ada, hub, key, app.id, installation.id, {}).status == 403


def test_an_installations_token_reaches_what_was_there_when_it_was_minted(ada: Client, hub: GitHubDouble) -> None:
    app, key = hub.add_app("portal", "acme", {"contents": "write", "administration": "write"})
    installation = hub.install(app, "acme")
    before = ada.by(minted(ada, hub, key, app.id, installation.id, {}).json()["token"])
    made = before.ok("POST", "/orgs/acme/repos", {"name": "made", "private": True, "auto_init": True})
    assert made["full_name"] == "acme/made"
    assert before("GET", "/repos/acme/made").status == 404
    after = ada.by(minted(ada, hub, key, app.id, installation.id, {}).json()["token"])
    assert after("GET", "/repos/acme/made").status == 200
    hub.clock.skew = timedelta(minutes=61)
    assert after("GET", "/repos/acme/made").json()["message"] == "Bad credentials"


def test_an_installation_makes_nothing_in_a_personal_account(ada: Client, hub: GitHubDouble) -> None:
    app, key = hub.add_app("portal", "acme", {"administration": "write"})
    bot = ada.by(minted(ada, hub, key, app.id, hub.install(app, "ada").id, {}).json()["token"])
    for method, path in (("POST", "/user/repos"), ("GET", "/user"), ("POST", "/orgs/acme/repos")):
        answer = bot(method, path, {"name": "x"} if method == "POST" else None)
        assert (answer.status, answer.json()["message"]) == (403, "Resource not accessible by integration")
