"""Limits, headers and the forms of requests in the double of GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from tests.support.forges.client import Client
from tests.support.forges.github import GitHubDouble
from tests.support.forges.rate_limit import Rate


@pytest.fixture
def ada(hub: GitHubDouble) -> Iterator[Client]:
    with urllib3.PoolManager() as http:
        yield Client(http, hub.api_url, hub.classic_token("ada", "repo", "workflow").token)


def test_above_the_limit_it_answers_in_githubs_words(ada: Client, hub: GitHubDouble) -> None:
    hub.limiter.rate = Rate(1, 3600)
    ada.ok("GET", "/user")
    answer = ada("GET", "/user")
    assert (answer.status, "secondary rate limit" in answer.json()["message"]) == (429, True)
    assert int(answer.headers["Retry-After"]) > 3000
    assert ada("GET", "/rate_limit").status == 200


def test_the_hours_limit_is_a_persons(ada: Client, hub: GitHubDouble) -> None:
    hub.primary_limit = 2
    other = ada.by(hub.classic_token("ada", "repo").token)
    assert [one("GET", "/user").headers["X-RateLimit-Remaining"] for one in (ada, other)] == ["1", "0"]
    refused = ada("GET", "/user")
    assert (refused.status, refused.json()["message"][:23]) == (403, "API rate limit exceeded")
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert "Retry-After" not in refused.headers
    assert ada.ok("GET", "/rate_limit")["resources"]["core"]["remaining"] == 0


def test_requests_have_to_be_well_formed(ada: Client) -> None:
    headers = {"Authorization": f"Bearer {ada.token}", "User-Agent": "tests"}

    def send(method: str, path: str, **options: Any) -> Any:
        return ada.http.request(method, ada.url + path, **{"headers": headers} | options)

    assert send("GET", "/user", headers={"Authorization": headers["Authorization"], "User-Agent": ""}).status == 403
    assert send("POST", "/user/repos", body=b"{").json()["message"] == "Problems parsing JSON"
    assert send("POST", "/user/repos", body=b"[]").json()["message"] == "Body should be a JSON object"
    assert send("POST", "/user/repos", body=b"{}").json()["message"] == 'Invalid request.\n\n"name" wasn\'t supplied.'
    assert send("GET", "/user/").status == 404
    assert send("GET", "/user", headers=headers | {"X-GitHub-Api-Version": "2021-01-01"}).status == 400


def test_a_head_is_answered_like_a_get_without_its_body(ada: Client) -> None:
    answer = ada("HEAD", "/user")
    assert (answer.status, answer.data, int(answer.headers["Content-Length"]) > 0) == (200, b"", True)


def test_the_limit_of_two_tokens_is_two_limits(ada: Client, hub: GitHubDouble) -> None:
    hub.limiter.rate = Rate(1, 3600)
    other = ada.by(hub.classic_token("ada", "repo").token)
    assert [one("GET", "/user").status for one in (ada, other, ada, other)] == [200, 200, 429, 429]


def test_every_answer_has_an_id(ada: Client) -> None:
    ids = {ada("GET", path).headers["X-GitHub-Request-Id"] for path in ("/user", "/nonsense", "/repos/no/no")}
    assert len(ids) == 3


def test_an_enterprise_server_answers_below_its_prefix() -> None:
    with GitHubDouble(enterprise="3.17.4") as hub, urllib3.PoolManager() as http:
        hub.add_user("ada")
        ada = Client(http, hub.api_url, hub.classic_token("ada", "repo").token)
        assert ada.url.endswith("/api/v3")
        repo = ada.ok("POST", "/user/repos", {"name": "mine", "auto_init": True})
        assert repo["url"] == f"{hub.url}/api/v3/repos/ada/mine"
        assert repo["clone_url"] == f"{hub.url}/ada/mine.git"
        answer = ada("GET", "/meta")
        assert (answer.headers["X-GitHub-Enterprise-Version"], answer.json()["installed_version"]) == (
            "3.17.4",
            "3.17.4",
        )
        assert Client(http, hub.url)("GET", "/user").status == 404
        assert hub.log.count("POST", "/user/repos") == 1
        assert ada("GET", "/rate_limit").json()["message"] == "Rate limiting is not enabled."
        assert "X-RateLimit-Limit" not in answer.headers
