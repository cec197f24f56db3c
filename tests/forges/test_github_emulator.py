"""The harness around the emulator of GitHub: it runs, it keeps what it is told, and prism sees what is wrong."""

from __future__ import annotations

import time
import uuid

import pytest
import urllib3

from tests.support.forges.client import Client, signed
from tests.support.forges.emulator import EmulatedGitHub


def name() -> str:
    return f"r{uuid.uuid4().hex[:12]}"


@pytest.fixture
def ada(emulated_github: EmulatedGitHub):
    with urllib3.PoolManager() as http:
        yield Client(http, emulated_github.url, emulated_github.token)


def test_a_commit_is_made_by_the_git_database(ada: Client) -> None:
    repo = ada.ok("POST", "/orgs/acme/repos", {"name": name(), "auto_init": True, "private": True})["full_name"]
    head = ada.ok("GET", f"/repos/{repo}/git/ref/heads%2Fmain")["object"]["sha"]
    base = ada.ok("GET", f"/repos/{repo}/git/commits/{head}")["tree"]["sha"]
    tree = [{"path": "docs/a.md", "mode": "100644", "type": "blob", "content": "# A\n"}]
    made = ada.ok("POST", f"/repos/{repo}/git/trees", {"base_tree": base, "tree": tree})["sha"]
    commit = ada.ok("POST", f"/repos/{repo}/git/commits", {"message": "Docs", "tree": made, "parents": [head]})["sha"]
    ada.ok("PATCH", f"/repos/{repo}/git/refs/heads%2Fmain", {"sha": commit})
    paths = [one["path"] for one in ada.ok("GET", f"/repos/{repo}/git/trees/main?recursive=1")["tree"]]
    assert {"README.md", "docs/a.md"} <= set(paths)


def test_an_app_mints_a_token_that_commits(ada: Client, emulated_github: EmulatedGitHub) -> None:
    """It commits: unlike GitHub, the emulator lets no installation make a repository in its organisation (401)."""
    repo = ada.ok("POST", "/orgs/acme/repos", {"name": name(), "auto_init": True})["full_name"]
    now = int(time.time())
    claims = {"iss": emulated_github.app_id, "iat": now - 60, "exp": now + 300}
    bot = ada.by(signed(emulated_github.private_key, claims))
    installation = bot.ok("GET", "/orgs/acme/installation")
    token = bot.ok("POST", f"/app/installations/{installation['id']}/access_tokens", {})["token"]
    ada.by(token).ok("PUT", f"/repos/{repo}/contents/a", {"message": "A", "content": "QQ=="})
    assert ada.ok("GET", f"/repos/{repo}/commits/main")["commit"]["message"] == "A"


@pytest.mark.parametrize(
    ("method", "path", "body", "complaint"),
    [
        ("POST", "/orgs/acme/repos", {"name": 7}, "request.body.name Request body property name must be string"),
        ("GET", "/repos/acme/x/pulls?state=none", None, "request.query.state Request query parameter state"),
        (
            "POST",
            "/repos/acme/x/hooks",
            {"config": {}, "secret": "x"},
            "must NOT have additional properties; found 'secret'",
        ),
        ("GET", "/repos/acme/x/git/ref/heads/main", None, "request Selected route not found"),
    ],
)
def test_a_request_that_is_not_as_described_is_a_violation(
    running_emulator: EmulatedGitHub, method: str, path: str, body: object, complaint: str
) -> None:
    before = len(running_emulator.proxy.violations())
    with urllib3.PoolManager() as http:
        Client(http, running_emulator.url, running_emulator.token)(method, path, body)
    found = running_emulator.proxy.violations()[before:]
    assert [one.request for one in found] == [f"{method.lower()} {path.partition('?')[0]}"]
    assert complaint in str(found[0])
