"""Settings, issues and Actions in the double of GitHub."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3
from nacl.public import PublicKey, SealedBox

from tests.support.forges.client import Client, git, with_token
from tests.support.forges.github import GitHubDouble

PROTECTION = {
    "required_status_checks": None,
    "enforce_admins": True,
    "required_pull_request_reviews": {"required_approving_review_count": 1},
    "restrictions": None,
}
WORKFLOW = ".github/workflows/ci.yml"


@pytest.fixture
def ada(hub: GitHubDouble) -> Iterator[Client]:
    with urllib3.PoolManager() as http:
        yield Client(http, hub.api_url, hub.classic_token("ada", "repo", "workflow", "admin:org").token)


# Protected branches


def test_a_protection_is_replaced_as_a_whole(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {"a": "1"})
    path = "/repos/acme/there/branches/main/protection"
    assert ada("GET", path).json()["message"] == "Branch not protected"
    ada.ok("PUT", path, PROTECTION | {"required_status_checks": {"strict": True, "contexts": ["ci"]}})
    assert ada.ok("GET", path)["required_status_checks"]["contexts"] == ["ci"]
    ada.ok("PUT", path, PROTECTION)
    assert "required_status_checks" not in ada.ok("GET", path)
    assert ada.ok("GET", "/repos/acme/there/branches/main")["protected"] is True
    incomplete = ada("PUT", path, {"enforce_admins": True})
    assert (incomplete.status, incomplete.json()["message"].count("wasn't supplied")) == (422, 3)
    assert ada("PUT", "/repos/acme/there/branches/no/protection", PROTECTION).status == 404


@pytest.mark.parametrize(("visibility", "status"), [("private", 403), ("public", 200)])
def test_a_free_plan_protects_only_what_is_public(ada: Client, hub: GitHubDouble, visibility: str, status: int) -> None:
    hub.add_organization("poor", plan="free", ada="admin")
    hub.add_repository("poor/there", {"a": "1"}, visibility=visibility)
    answer = ada("PUT", "/repos/poor/there/branches/main/protection", PROTECTION)
    assert answer.status == status
    assert status == 200 or answer.json()["message"].startswith("Upgrade to GitHub Team or make this repository public")


def test_a_protected_branch_takes_nothing_but_pull_requests(ada: Client, hub: GitHubDouble, tmp_path: Path) -> None:
    hub.add_repository("acme/there", {"a": "1"})
    ada.ok("PUT", "/repos/acme/there/branches/main/protection", PROTECTION)
    head = hub.commit("acme/there", "more", {"b": "2"})
    words = "Changes must be made through a pull request."
    moved = ada("PATCH", "/repos/acme/there/git/refs/heads/main", {"sha": head})
    written = ada("PUT", "/repos/acme/there/contents/b", {"message": "B", "content": "Mg=="})
    assert [(one.status, words in one.json()["message"]) for one in (moved, written)] == [(422, True), (409, True)]
    ada.ok("POST", "/repos/acme/there/pulls", {"title": "More", "head": "more", "base": "main"})
    merged = ada("PUT", "/repos/acme/there/pulls/1/merge", {})
    assert (merged.status, "approving review" in merged.json()["message"]) == (405, True)
    url = with_token(f"{hub.url}/acme/there.git", ada.token or "")
    assert git(tmp_path, "clone", "-q", url, "copy").returncode == 0
    git(tmp_path / "copy", "commit", "-q", "--allow-empty", "-m", "Directly")
    pushed = git(tmp_path / "copy", "push", "origin", "main")
    assert "GH006: Protected branch update failed for refs/heads/main" in pushed.stderr
    assert "(protected branch hook declined)" in pushed.stderr
    assert hub.files("acme/there") == {"a": b"1"}


def test_an_administrator_is_exempt_unless_admins_are_bound(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {"a": "1"})
    ada.ok("PUT", "/repos/acme/there/branches/main/protection", PROTECTION | {"enforce_admins": False})
    ada.ok("PUT", "/repos/acme/there/collaborators/bob", {"permission": "push"})
    bob = ada.by(hub.classic_token("bob", "repo").token)
    body = {"message": "B", "content": "Mg=="}
    assert bob("PUT", "/repos/acme/there/contents/b", body).status == 409
    assert ada("PUT", "/repos/acme/there/contents/b", body).status == 201


# Topics, people


def test_topics_are_replaced_and_checked(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there")
    path = "/repos/acme/there/topics"
    assert ada.ok("PUT", path, {"names": ["Portal", "python"]}) == {"names": ["portal", "python"]}
    assert ada.ok("PUT", path, {"names": ["go"]}) == {"names": ["go"]}
    for wrong in (["with space"], ["x" * 51], [f"t{number}" for number in range(21)]):
        assert ada("PUT", path, {"names": wrong}).status == 422
    assert hub.repository("acme/there").topics == ["go"]


def test_collaborators_are_invited_unless_they_belong_to_it(ada: Client, hub: GitHubDouble) -> None:
    hub.add_user("eve")
    hub.add_repository("acme/there")
    path = "/repos/acme/there/collaborators"
    assert ada("PUT", f"{path}/eve", {"permission": "pull"}).status == 201
    assert ada("PUT", f"{path}/bob", {"permission": "maintain"}).status == 204
    assert ada("PUT", f"{path}/bob", {"permission": "maintain"}).status == 204
    assert ada("PUT", f"{path}/nobody", {}).status == 404
    assert ada("PUT", f"{path}/bob", {"permission": "king"}).status == 422
    repository = hub.repository("acme/there")
    assert (repository.collaborators, repository.invitations) == ({"bob": "maintain"}, {"eve": "read"})


def test_teams_get_roles_in_their_own_organization(ada: Client, hub: GitHubDouble) -> None:
    hub.state.accounts["acme"].teams["core"] = {"bob"}
    hub.add_repository("acme/there")
    hub.add_repository("ada/own")
    assert ada("PUT", "/orgs/acme/teams/core/repos/acme/there", {"permission": "push"}).status == 204
    assert ada("PUT", "/orgs/acme/teams/core/repos/ada/own", {"permission": "push"}).status == 422
    assert ada("PUT", "/orgs/acme/teams/none/repos/acme/there", {}).status == 404
    assert hub.state.role("bob", hub.repository("acme/there")) == "write"


# Issues


def test_issues_and_pull_requests_share_their_numbers(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {"a": "1"})
    hub.commit("acme/there", "more", {"b": "2"})
    first = ada.ok("POST", "/repos/acme/there/issues", {"title": "A bug", "labels": ["bug"]})
    pull = ada.ok("POST", "/repos/acme/there/pulls", {"title": "More", "head": "more", "base": "main"})
    assert (first["number"], pull["number"]) == (1, 2)
    for _ in range(2):
        labels = ada.ok("POST", "/repos/acme/there/issues/2/labels", {"labels": ["portal", "bug"]})
    assert [one["name"] for one in labels] == ["portal", "bug"]
    assert [one["name"] for one in ada.ok("GET", "/repos/acme/there/pulls/2")["labels"]] == ["portal", "bug"]
    twice = ada("POST", "/repos/acme/there/labels", {"name": "Bug", "color": "ff0000"})
    assert twice.json()["errors"] == [{"resource": "Label", "code": "already_exists", "field": "name"}]
    hub.repository("acme/there").settings["has_issues"] = False
    assert ada("POST", "/repos/acme/there/issues", {"title": "Another"}).status == 410


# Actions


def test_a_variable_is_made_once_and_then_updated(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there")
    path = "/repos/acme/there/actions/variables"
    assert ada("PATCH", f"{path}/REGION", {"value": "us"}).status == 404
    assert ada("POST", path, {"name": "region", "value": "eu"}).status == 201
    assert ada("POST", path, {"name": "REGION", "value": "eu"}).status == 409
    assert ada("PATCH", f"{path}/REGION", {"value": "us"}).status == 204
    assert ada("POST", path, {"name": "GITHUB_X", "value": "eu"}).status == 422
    assert hub.repository("acme/there").variables == {"REGION": "us"}


def test_a_secret_has_to_be_sealed_with_the_repositorys_key(ada: Client, hub: GitHubDouble) -> None:
    for name in ("there", "other"):
        hub.add_repository(f"acme/{name}")
    path = "/repos/acme/there/actions/secrets"
    key = ada.ok("GET", f"{path}/public-key")

    def sealed(with_key: str) -> dict[str, str]:
        box = SealedBox(PublicKey(base64.b64decode(with_key)))
        return {"encrypted_value": base64.b64encode(box.encrypt(b"hush")).decode(), "key_id": key["key_id"]}

    assert [ada("PUT", f"{path}/TOKEN", sealed(key["key"])).status for _ in range(2)] == [201, 204]
    assert hub.repository("acme/there").secrets == {"TOKEN": "hush"}
    other = ada.ok("GET", "/repos/acme/other/actions/secrets/public-key")["key"]
    assert ada("PUT", f"{path}/TOKEN", sealed(other)).status == 422
    assert ada("PUT", f"{path}/TOKEN", sealed(key["key"]) | {"key_id": "1"}).status == 422
    assert hub.log.where_seen("hush") == []


def dispatch(ada: Client, body: dict[str, Any], workflow: str = "ci.yml", **headers: str) -> urllib3.BaseHTTPResponse:
    return ada("POST", f"/repos/acme/there/actions/workflows/{workflow}/dispatches", {"ref": "main"} | body, **headers)


def test_a_dispatch_says_which_run_it_has_made_only_when_it_is_asked(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {WORKFLOW: "on: {workflow_dispatch: {inputs: {who: {required: true}}}}"})
    assert dispatch(ada, {"inputs": {"who": "ada"}}).status == 204
    told = dispatch(ada, {"inputs": {"who": "bob"}, "return_run_details": True})
    newer = dispatch(ada, {"inputs": {"who": "eve"}}, X_GitHub_Api_Version="2026-03-10")
    runs = hub.repository("acme/there").runs
    assert [told.json()["workflow_run_id"], newer.json()["workflow_run_id"]] == [runs[1].id, runs[2].id]
    assert [one.inputs["who"] for one in runs] == ["ada", "bob", "eve"]
    assert dispatch(ada, {"return_run_details": True}, X_GitHub_Api_Version="2026-03-10").status == 422


def test_a_dispatch_needs_a_workflow_that_is_made_for_it(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {WORKFLOW: "on: push", ".github/workflows/by-hand.yml": "on: [workflow_dispatch]"})
    messages = [
        dispatch(ada, {}).json()["message"],
        dispatch(ada, {}, "no.yml").json()["message"],
        dispatch(ada, {"ref": "no"}, "by-hand.yml").json()["message"],
        dispatch(ada, {"inputs": {"x": "1"}}, "by-hand.yml").json()["message"],
    ]
    assert messages == [
        "Workflow does not have 'workflow_dispatch' trigger",
        "Not Found",
        "No ref found for: no",
        'Unexpected inputs provided: ["x"]',
    ]
    assert hub.repository("acme/there").runs == []


def test_an_older_enterprise_server_does_not_know_run_details() -> None:
    with GitHubDouble(enterprise="3.17.4") as hub, urllib3.PoolManager() as http:
        hub.add_user("ada")
        hub.add_organization("acme", ada="admin")
        hub.add_repository("acme/there", {WORKFLOW: "on: workflow_dispatch"})
        ada = Client(http, hub.api_url, hub.classic_token("ada", "repo").token)
        refused = dispatch(ada, {"return_run_details": True})
        assert refused.json()["message"] == 'Invalid request.\n\n"return_run_details" is not a permitted key.'
        assert dispatch(ada, {}).status == 204
        assert len(hub.repository("acme/there").runs) == 1


def test_runs_are_found_by_what_started_them_and_when(ada: Client, hub: GitHubDouble) -> None:
    hub.add_repository("acme/there", {WORKFLOW: "on: workflow_dispatch"})
    dispatch(ada, {})
    hub.clock.skew = timedelta(hours=1)
    later = hub.clock.text()
    dispatch(ada, {})
    path = "/repos/acme/there/actions/workflows/ci.yml/runs"

    def found(query: str) -> list[int]:
        return [one["run_number"] for one in ada.ok("GET", f"{path}?{query}")["workflow_runs"]]

    assert found("event=workflow_dispatch&branch=main&actor=ada") == [2, 1]
    assert found(f"created=%3E%3D{later}") == [2]
    assert found(f"created=%3C{later}") == [1]
    assert found("actor=bob") == found("event=push") == found("branch=other") == []
