"""Every answer of the double has the form that GitHub's own OpenAPI description gives it; prism is the judge."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from time import time

import pytest
import urllib3
from nacl.public import PublicKey, SealedBox

from tests.support.forges import emulator
from tests.support.forges.client import Client, signed
from tests.support.forges.emulator import Proxy, Violation
from tests.support.forges.github import GitHubDouble
from tests.support.forges.github.endpoints import ROUTES

WORKFLOW = "on: {workflow_dispatch: {inputs: {who: {required: true}}}}"
UNDESCRIBED = {
    ("GET", "/repos/{owner}/{repo}/contents"),
    ("GET", "/repos/{owner}/{repo}/contents/"),
}
"""The top folder: GitHub answers there, and its description knows it as the path that is empty."""


def violations(proxy: Proxy) -> list[str]:
    """What either side has done wrong since prism began, as far as GitHub itself does not do so."""
    judged = [*proxy.violations("request"), *proxy.violations("response")]
    return [str(one) for one in judged if not is_the_descriptions_fault(one)]


def is_the_descriptions_fault(violation: Violation) -> bool:
    """Whether GitHub answers so, but its description says otherwise.

    It knows no path for the top folder, and wants the account of each listed installation to be a person and an
    enterprise at once (allOf, where a single installation has anyOf).
    """
    if violation.request == "get /repos/acme/there/contents":
        return "Selected route not found" in violation.what
    return violation.request == "get /app/installations" and ".account " in violation.what


@pytest.fixture(scope="module")
def hub() -> Iterator[GitHubDouble]:
    with GitHubDouble() as double:
        for login in ("ada", "bob", "eve"):
            double.add_user(login)
        double.add_organization("acme", ada="admin", bob="member").teams["core"] = {"bob"}
        double.state.accounts["acme"].properties = {"tier"}
        yield double


@pytest.fixture(scope="module")
def proxy(hub: GitHubDouble, node_packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with emulator.prism(hub.api_url, tmp_path_factory.mktemp("prism")) as running:
        yield running


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def call_all_of_repositories(ada: Client) -> None:
    ada.ok("POST", "/user/repos", {"name": "mine", "auto_init": True})
    ada.ok("POST", "/orgs/acme/repos", {"name": "there", "private": True, "auto_init": True, "description": "Words"})
    ada.ok("GET", "/repos/acme/there")
    ada.ok("GET", "/orgs/acme/repos")
    ada.ok("GET", "/users/ada/repos")
    ada.ok("PATCH", "/repos/acme/there", {"description": "Other words"})
    ada.ok("PUT", "/repos/acme/there/topics", {"names": ["Portal", "python"]})
    ada.ok("GET", "/repos/acme/there/topics")
    for path in ("/user", "/user/orgs", "/users/ada", "/users/acme", "/orgs/acme", "/rate_limit", "/meta"):
        ada.ok("GET", path)
    ada.ok("PUT", "/repos/acme/there/collaborators/bob", {"permission": "push"})
    ada.ok("PUT", "/repos/acme/there/collaborators/eve", {"permission": "pull"})
    ada.ok("GET", "/repos/acme/there/collaborators/bob")
    ada.ok("GET", "/repos/acme/there/collaborators")
    ada.ok("GET", "/repos/acme/there/invitations")
    ada.ok("GET", "/orgs/acme/teams/core")
    ada.ok("PUT", "/orgs/acme/teams/core/repos/acme/there", {"permission": "push"})
    ada.ok("GET", "/repos/acme/there/teams")
    ada.ok("DELETE", "/repos/ada/mine")
    tier = {"properties": [{"property_name": "tier", "value": "one"}]}
    subject = {"use_default": False, "include_claim_keys": ["repo"]}
    assert ada("PATCH", "/repos/acme/there/properties/values", tier).status == 204
    ada.ok("PUT", "/repos/acme/there/actions/oidc/customization/sub", subject)
    ada.ok("PUT", "/repos/acme/there/subscription", {"subscribed": True, "ignored": False})
    assert ada("PUT", "/repos/acme/there/actions/permissions/access", {"access_level": "organization"}).status == 204


def call_all_of_git(ada: Client) -> None:
    repo = "/repos/acme/there"
    ada.ok("GET", f"{repo}/contents")
    ada.ok("GET", f"{repo}/readme")
    ada.ok("PUT", f"{repo}/contents/docs%2Fa.md", {"message": "Docs", "content": base64_of("# A\n")})
    ada.ok("GET", f"{repo}/contents/docs%2Fa.md")
    ada.ok("GET", f"{repo}/contents/docs")
    head = ada.ok("GET", f"{repo}/git/ref/heads%2Fmain")["object"]["sha"]
    ada.ok("GET", f"{repo}/git/matching-refs/heads%2F")
    tree = ada.ok("GET", f"{repo}/git/trees/{head}?recursive=1")["tree"]
    ada.ok("GET", f"{repo}/git/trees/main")
    ada.ok("GET", f"{repo}/git/blobs/{next(one['sha'] for one in tree if one['type'] == 'blob')}")
    blob = ada.ok("POST", f"{repo}/git/blobs", {"content": "AP8=", "encoding": "base64"})["sha"]
    entries = [
        {"path": "bin", "mode": "100644", "type": "blob", "sha": blob},
        {"path": ".github/workflows/ci.yml", "mode": "100644", "type": "blob", "content": WORKFLOW},
    ]
    base = ada.ok("GET", f"{repo}/git/commits/{head}")["tree"]["sha"]
    made = ada.ok("POST", f"{repo}/git/trees", {"base_tree": base, "tree": entries})["sha"]
    commit = ada.ok("POST", f"{repo}/git/commits", {"message": "More", "tree": made, "parents": [head]})["sha"]
    ada.ok("GET", f"{repo}/git/commits/{commit}")
    ada.ok("PATCH", f"{repo}/git/refs/heads%2Fmain", {"sha": commit})
    ada.ok("POST", f"{repo}/git/refs", {"ref": "refs/heads/gone", "sha": commit})
    ada.ok("DELETE", f"{repo}/git/refs/heads%2Fgone")
    ada.ok("GET", f"{repo}/branches?per_page=1")
    ada.ok("GET", f"{repo}/branches/main")
    ada.ok("GET", f"{repo}/commits")
    ada.ok("GET", f"{repo}/commits/main")
    ada.ok("GET", f"{repo}/compare/{head}...{commit}")
    protection = {
        "required_status_checks": {"strict": True, "contexts": ["ci"]},
        "enforce_admins": False,
        "required_pull_request_reviews": {"required_approving_review_count": 1, "require_code_owner_reviews": True},
        "restrictions": {"users": [], "teams": []},
    }
    ada.ok("PUT", f"{repo}/branches/main/protection", protection)
    ada.ok("GET", f"{repo}/branches/main/protection")
    ada.ok("DELETE", f"{repo}/branches/main/protection")


def call_all_of_pulls_and_issues(ada: Client, hub: GitHubDouble) -> None:
    repo = "/repos/acme/there"
    head = ada.ok("GET", f"{repo}/git/ref/heads%2Fmain")["object"]["sha"]
    ada.ok("POST", f"{repo}/git/refs", {"ref": "refs/heads/more", "sha": head})
    file = {"message": "More", "content": base64_of("more"), "branch": "more"}
    ada.ok("PUT", f"{repo}/contents/more", file)
    ada.ok("POST", f"{repo}/pulls", {"title": "More", "head": "more", "base": "main", "body": "Words"})
    ada.ok("GET", f"{repo}/pulls?head=acme:more&state=all")
    ada.ok("GET", f"{repo}/pulls/1")
    ada.ok("PATCH", f"{repo}/pulls/1", {"title": "Even more"})
    ada.ok("POST", f"{repo}/labels", {"name": "red", "color": "ff0000", "description": "Red"})
    ada.ok("POST", f"{repo}/issues/1/labels", {"labels": ["red"]})
    ada.ok("POST", f"{repo}/issues/1/assignees", {"assignees": ["ada"]})
    ada.ok("POST", f"{repo}/pulls/1/requested_reviewers", {"reviewers": ["ada"]})
    ada.ok("GET", f"{repo}/pulls")
    ada.ok("PUT", f"{repo}/pulls/1/merge", {"merge_method": "squash"})
    hub.repository("acme/there").milestones[3] = "Soon"
    bug = {"title": "A bug", "labels": ["bug"], "assignees": ["ada"], "milestone": 3}
    assert ada.ok("POST", f"{repo}/issues", bug)["milestone"]["title"] == "Soon"
    ada.ok("GET", f"{repo}/issues")
    ada.ok("GET", f"{repo}/issues/2")
    ada.ok("GET", f"{repo}/issues/2/labels")
    ada.ok("GET", f"{repo}/labels")
    ada.ok("GET", f"{repo}/labels/red")
    config = {"url": "https://portal.example.org/hook", "content_type": "json", "secret": "hush", "insecure_ssl": "0"}
    hook = ada.ok("POST", f"{repo}/hooks", {"config": config, "events": ["push"], "active": True})["id"]
    ada.ok("GET", f"{repo}/hooks")
    ada.ok("GET", f"{repo}/hooks/{hook}")
    ada.ok("PATCH", f"{repo}/hooks/{hook}", {"config": config, "events": ["push", "issues"]})
    ada.ok("DELETE", f"{repo}/hooks/{hook}")


def call_all_of_actions(ada: Client) -> None:
    repo = "/repos/acme/there/actions"
    ada.ok("POST", f"{repo}/variables", {"name": "REGION", "value": "eu"})
    ada.ok("PATCH", f"{repo}/variables/REGION", {"name": "REGION", "value": "us"})
    ada.ok("GET", f"{repo}/variables/REGION")
    ada.ok("GET", f"{repo}/variables")
    key = ada.ok("GET", f"{repo}/secrets/public-key")
    sealed = SealedBox(PublicKey(base64.b64decode(key["key"]))).encrypt(b"hush")
    body = {"encrypted_value": base64.b64encode(sealed).decode(), "key_id": key["key_id"]}
    assert [ada("PUT", f"{repo}/secrets/TOKEN", body).status for _ in range(2)] == [201, 204]
    ada.ok("GET", f"{repo}/secrets")
    ada.ok("GET", f"{repo}/workflows/ci.yml")
    dispatch = {"ref": "main", "inputs": {"who": "ada"}}
    assert ada("POST", f"{repo}/workflows/ci.yml/dispatches", dispatch).status == 204
    ada.ok("POST", f"{repo}/workflows/ci.yml/dispatches", {**dispatch, "return_run_details": True})
    run = ada.ok("GET", f"{repo}/workflows/ci.yml/runs?event=workflow_dispatch")["workflow_runs"][0]["id"]
    ada.ok("GET", f"{repo}/runs")
    ada.ok("GET", f"{repo}/runs/{run}")


def call_all_of_apps(ada: Client, hub: GitHubDouble) -> None:
    app, key = hub.add_app("portal", "acme", {"contents": "write", "administration": "write"})
    installation = hub.install(app, "acme")
    hub.install(app, "ada")
    now = int(time())
    bot = ada.by(signed(key, {"iss": app.id, "iat": now - 60, "exp": now + 300}))
    for path in (
        "/app",
        "/app/installations",
        f"/app/installations/{installation.id}",
        "/orgs/acme/installation",
        "/users/ada/installation",
        "/repos/acme/there/installation",
    ):
        bot.ok("GET", path)
    body = {"repositories": ["there"], "permissions": {"contents": "read"}}
    token = bot.ok("POST", f"/app/installations/{installation.id}/access_tokens", body)["token"]
    ada.by(token).ok("GET", "/installation/repositories")


def test_every_answer_is_as_githubs_own_description_says(hub: GitHubDouble, proxy: Proxy) -> None:
    with urllib3.PoolManager() as http:
        token = hub.classic_token("ada", "repo", "workflow", "delete_repo", "admin:org").token
        ada = Client(http, proxy.url, token)
        call_all_of_repositories(ada)
        call_all_of_git(ada)
        call_all_of_pulls_and_issues(ada, hub)
        call_all_of_actions(ada)
        call_all_of_apps(ada, hub)
    assert hub.repository("acme/there").secrets == {"TOKEN": "hush"}
    called = {(one.method, one.path) for one in hub.log.entries()}
    assert violations(proxy) == []
    missed = {(one.method, one.template) for one in ROUTES} - {
        (route.method, route.template) for method, path in called if (route := (ROUTES.find(method, path) or [None])[0])
    }
    assert missed <= UNDESCRIBED


def test_errors_are_as_githubs_own_description_says(hub: GitHubDouble, proxy: Proxy) -> None:
    hub.add_repository("acme/errors", {"a": "1"})
    hub.add_repository("acme/empty")
    hub.commit("acme/errors", "more", {"b": "2"})
    with urllib3.PoolManager() as http:
        ada = Client(http, proxy.url, hub.classic_token("ada", "repo").token)
        pull = {"title": "More", "head": "more", "base": "main"}
        ada.ok("POST", "/repos/acme/errors/pulls", pull)
        hook = {"config": {"url": "https://portal.example.org/hook"}}
        ada.ok("POST", "/repos/acme/errors/hooks", hook)
        expected = [
            (404, "GET", "/repos/acme/no", None),
            (409, "GET", "/repos/acme/empty/git/trees/main", None),
            (409, "POST", "/repos/acme/empty/git/blobs", {"content": "x"}),
            (422, "POST", "/orgs/acme/repos", {"name": "errors"}),
            (422, "POST", "/repos/acme/errors/pulls", pull),
            (422, "POST", "/repos/acme/errors/pulls", {**pull, "head": "no"}),
            (422, "POST", "/repos/acme/errors/hooks", hook),
            (422, "PATCH", "/repos/acme/errors/git/refs/heads%2Fno", {"sha": "0" * 40}),
            (409, "PUT", "/repos/acme/errors/pulls/1/merge", {"sha": "0" * 40}),
            (
                404,
                "PUT",
                "/repos/acme/errors/contents/.github%2Fworkflows%2Fci.yml",
                {"message": "x", "content": "eA=="},
            ),
        ]
        for status, method, path, body in expected:
            assert ada(method, path, body).status == status, (method, path)
        assert ada.by("ghp_unknown")("GET", "/user").status == 401
    assert violations(proxy) == []
