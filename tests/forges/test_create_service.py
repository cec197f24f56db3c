"""The demo's template ``create-service`` from its start to its page: through the API, the runner and a forge, once and again."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import urllib3
from cryptography.fernet import Fernet
from flask import Flask

from portal_actions_plugin.runs.forges import requirements
from portal_actions_plugin.scm.remote import transport
from tests.support.forges import create_service
from tests.support.forges.emulator import EmulatedGitHub
from tests.support.forges.faults import Respond
from tests.support.forges.github import GitHubDouble
from tests.support.forges.gitlab import GitLabDouble
from tests.support.forges.stages import STAGES, Stage
from tests.support.page_html import Element
from tests.support.people import Person, Visitor
from tests.support.run_helpers import work_off

PROVIDER = "forge"
TEMPLATE_RUNS = "/api/v1/templates/create-service/runs"
RETRY = {"secrets": {"webhookSecret": create_service.SECRET}}


@dataclass
class Portal:
    """A portal whose template works on one forge.

    Attributes:
        app: it.
        folder: where its catalog is.
    """

    app: Flask
    folder: Path

    def __post_init__(self) -> None:
        self.api = Person(self.app.test_client(), "ada")

    def start(self, name: str, **inputs: Any) -> str:
        """Start the template; the run's address in the API."""
        answer = self.api.post(TEMPLATE_RUNS, {"inputs": {**create_service.inputs(name), **inputs}})
        assert answer.status_code == 202, answer.text
        return str(answer.headers["Location"])

    def run(self, name: str, **inputs: Any) -> dict[str, Any]:
        """Start the template, and work off all of it."""
        return self.worked_off(self.start(name, **inputs))

    def again(self, run: dict[str, Any], how: str) -> dict[str, Any]:
        """Retry or resume a run, and work off all of that."""
        answer = self.api.post(f"/api/v1/template-runs/{run['id']}/{how}", RETRY)
        assert answer.status_code == 202, answer.text
        return self.worked_off(answer.headers["Location"])

    def worked_off(self, path: str) -> dict[str, Any]:
        work_off()
        run: dict[str, Any] = self.api.get(path).json
        return run

    def page(self, run: dict[str, Any]) -> Element:
        return Visitor(self.app, "ada").see(f"/templates/runs/{run['id']}")

    def break_catalog(self) -> Path:
        """Let the last step fail, when all is done at the forge; whoever removes the file mends it."""
        in_the_way = self.folder / "catalog"
        in_the_way.touch()
        return in_the_way


@pytest.fixture(params=sorted(STAGES))
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with STAGES[request.param](tmp_path / "forge") as made:
        made.somebody_makes("theirs")
        yield made
        transport.close_kept()
        made.verify()


@pytest.fixture
def open_portal(
    make_app: Callable[..., Flask], template_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[dict[str, Any]], Portal]]:
    """Open a portal on an installation's settings, for as long as the test takes."""
    monkeypatch.setattr(requirements, "START_SECONDS", 60.0)
    create_service.write(template_folder, PROVIDER)
    contexts = []

    def open_portal(settings: dict[str, Any]) -> Portal:
        app = make_app(
            PORTAL_ACTIONS_SCM={PROVIDER: settings},
            PORTAL_ACTIONS_SECRET_KEYS=[Fernet.generate_key().decode()],
            PORTAL_ACTIONS_RATE_LIMIT="1000 per minute",
        )
        contexts.append(app.app_context())
        contexts[-1].push()
        return Portal(app, tmp_path)

    yield open_portal
    for context in reversed(contexts):
        context.pop()
    transport.close_kept()


@pytest.fixture
def portal(open_portal: Callable[[dict[str, Any]], Portal], stage: Stage) -> Portal:
    return open_portal(dict(stage.settings))


def succeeded(run: dict[str, Any]) -> dict[str, Any]:
    """Every step succeeded, which the run says as well."""
    assert run["status"] == "success", errors_of(run)
    return run


def errors_of(run: dict[str, Any]) -> list[dict[str, Any]]:
    return [step["error"] for step in run["steps"] if step["error"]]


# First time, second time


WRITES = {
    "github": [
        "POST /orgs/acme/repos",
        "POST /acme/shop.git/git-receive-pack",
        "POST /repos/acme/shop/git/trees",
        "POST /repos/acme/shop/git/commits",
        "POST /repos/acme/shop/git/refs",
        "POST /repos/acme/shop/pulls",
        "PUT /repos/acme/shop/branches/main/protection",
        "POST /repos/acme/shop/hooks",
    ],
    "gitlab": [
        "POST /api/v4/projects",
        "POST /acme/shop.git/git-receive-pack",
        "POST /api/v4/projects/ID/repository/commits",
        "POST /api/v4/projects/ID/merge_requests",
        # GitLab has protected the branch itself at the first push; without a paid plan that is changed by doing it anew.
        "PATCH /api/v4/projects/ID/protected_branches/main",
        "DELETE /api/v4/projects/ID/protected_branches/main",
        "POST /api/v4/projects/ID/protected_branches",
        "POST /api/v4/projects/ID/hooks",
    ],
}
"""All that is written, whatever the number of files: what is more would be something that is there already."""
AT_MOST = {"github": 23, "gitlab": 32}
"""Requests in all: beside the writes, what tells whether something is there already, or yet, and who the portal is."""
AGAIN_AT_MOST = {"github": 13, "gitlab": 17}


def kind(stage: Stage) -> str:
    return stage.settings["kind"]


def writes(stage: Stage) -> list[str]:
    """What was written since the last look, without what differs from project to project."""
    found = [f"{one.method} {one.path}" for one in stage.double.log.writes()]
    return [re.sub(r"(?<=/projects/)[0-9]+", "ID", one) for one in found]


def made_once(stage: Stage, *, commits: int = 1) -> None:
    """One repository with so many commits, one branch with one more, one pull request, and one webhook."""
    double = stage.double
    assert double.repositories() == ["acme/theirs", "acme/shop"]
    assert double.branches("acme/shop").keys() == {"main", create_service.HEAD}
    seen = stage.seen("acme/shop")
    main, head = seen["commits"]["main"], seen["commits"][create_service.HEAD]
    assert (len(main), head[1:]) == (commits, main)
    assert len(seen["pulls"]) == 1
    assert (seen["hooks"], seen["protected"]) == ([create_service.SECRET], ["main"])
    assert double.files("acme/shop")["README.md"].startswith(b"# shop")
    assert {".ci/pipeline.yaml", "CODEOWNERS"} == set(double.files("acme/shop", create_service.HEAD)) - set(
        double.files("acme/shop")
    )


def test_a_service_is_made_with_no_more_writes_than_it_has_parts_and_its_page_leads_to_them(
    portal: Portal, stage: Stage
) -> None:
    run = succeeded(portal.run("shop"))
    made_once(stage)
    assert writes(stage) == WRITES[kind(stage)]
    assert stage.double.log.count() <= AT_MOST[kind(stage)]
    check_page(portal.page(run), run, stage)
    assert create_service.SECRET not in Visitor(portal.app, "ada").get(run["html_url"]).text

    before = stage.seen("acme/shop")
    stage.double.log.clear()
    assert portal.run("shop")["steps"][0]["error"]["code"] == "CONFLICT", "it is another run's"
    assert writes(stage) == []
    assert stage.seen("acme/shop") == before


def check_page(page: Element, run: dict[str, Any], stage: Stage) -> None:
    """Links to all that was made, on the run and on the step that made it."""
    url = f"{stage.double.url}/acme/shop"
    name, path = {"github": ("Pull request #1", "pull/1"), "gitlab": ("Merge request !1", "-/merge_requests/1")}[
        kind(stage)
    ]
    assert page.one(id="run-buttons").links() == {"Repository": url, "Pull request": f"{url}/{path}"}
    assert page.one(id="step-1").link("Repository") == url
    (commit,) = stage.double.commits("acme/shop")
    assert f"commitSha {commit.sha}" in page.one(id="step-2").text
    assert page.one(id="step-3").link(name) == f"{url}/{path}"
    assert "main of acme/shop is protected now" in page.one(id="step-4").text
    assert run["steps"][4]["outputs"]["webhookUrl"] in page.one(id="step-5").links()
    assert "entityId component:default/shop" in page.one(id="step-6").text


def test_what_is_there_is_made_by_no_retry_and_no_resume(portal: Portal, stage: Stage) -> None:
    theirs = stage.seen("acme/theirs")
    stage.double.faults.order("POST", "**/hooks", Respond(403, {"message": "403 Forbidden"}))
    first = portal.run("shop", provider=PROVIDER)  # which lets it begin with a README
    assert statuses(first) == ["success"] * 4 + ["failed", "not_run"]

    stage.double.log.clear()
    in_the_way = portal.break_catalog()
    second = portal.again(first, "resume")
    assert statuses(second) == ["success"] * 5 + ["failed"]
    assert writes(stage) == WRITES[kind(stage)][-1:], "the webhook alone was missing"
    made_once(stage, commits=2)
    made = stage.seen("acme/shop")

    stage.double.log.clear()
    third = portal.again(second, "retry")
    assert statuses(third) == ["success"] * 5 + ["failed"]
    assert writes(stage) == []
    assert stage.double.log.count() <= AGAIN_AT_MOST[kind(stage)]
    assert [step["outputs"].get("changed") for step in third["steps"][3:5]] == [False, False]
    assert [outputs_of(step) for step in third["steps"]] == [outputs_of(step) for step in second["steps"]]

    stage.double.log.clear()
    in_the_way.unlink()
    last = succeeded(portal.again(third, "resume"))
    assert stage.double.log.entries() == [], "a resume takes over what is done"
    assert [link["title"] for link in last["outputs"]["links"]] == ["Repository", "Pull request"]
    assert (stage.seen("acme/shop"), stage.seen("acme/theirs")) == (made, theirs)


def statuses(run: dict[str, Any]) -> list[str]:
    return [step["status"] for step in run["steps"]]


def outputs_of(step: dict[str, Any]) -> dict[str, Any]:
    """What a step has made, without whether this very run made it."""
    return {name: value for name, value in (step["outputs"] or {}).items() if not name.startswith("changed")}


def test_nothing_is_there_twice_at_an_emulator_that_others_wrote(
    open_portal: Callable[[dict[str, Any]], Portal], emulated_github: EmulatedGitHub
) -> None:
    """GitHub's own description of its API judges every request; ``emulated_github`` fails at a violation."""
    emulator, name = emulated_github, f"s{uuid.uuid4().hex[:12]}"
    portal = open_portal({"kind": "github", "url": emulator.url, "api_url": emulator.url, "token": emulator.token})
    in_the_way = portal.break_catalog()
    first = portal.run(name, provider=PROVIDER)
    assert statuses(first) == ["success"] * 5 + ["failed"], errors_of(first)
    made = seen_at(emulator, name)
    assert made.keys() == {"main", create_service.HEAD, "pulls", "hooks", "protected"}
    assert (len(made["main"]), made[create_service.HEAD][1:]) == (2, made["main"])
    assert (len(made["pulls"]), len(made["hooks"]), made["protected"]) == (1, 1, ["main"])

    second = portal.again(first, "retry")
    assert statuses(second) == ["success"] * 5 + ["failed"], errors_of(second)
    assert [outputs_of(step) for step in second["steps"]] == [outputs_of(step) for step in first["steps"]]
    in_the_way.unlink()
    succeeded(portal.again(second, "resume"))
    assert portal.run(name, provider=PROVIDER)["steps"][0]["error"]["code"] == "CONFLICT"
    assert seen_at(emulator, name) == made


def seen_at(emulator: EmulatedGitHub, name: str) -> dict[str, Any]:
    """What may not be there twice: the commits of each branch, pull requests, webhooks; and which branches are protected."""

    def get(path: str) -> Any:
        headers = {"Authorization": f"Bearer {emulator.token}", "User-Agent": "tests"}
        answer = urllib3.request("GET", f"{emulator.url}{path}", headers=headers, timeout=60, retries=False)
        assert answer.status == 200, answer.data
        return answer.json()

    repository = f"/repos/acme/{name}"
    branches = get(f"{repository}/branches")
    commits = {
        one["name"]: [commit["sha"] for commit in get(f"{repository}/commits?sha={quote(one['name'], safe='')}")]
        for one in branches
    }
    return {
        **commits,
        "pulls": [one["number"] for one in get(f"{repository}/pulls?state=all")],
        "hooks": [one["id"] for one in get(f"{repository}/hooks")],
        "protected": [one["name"] for one in branches if one["protected"]],
    }


# What a refusal becomes


def revoke(stage: Stage) -> None:
    token = stage.settings["token"]
    if isinstance(stage.double, GitHubDouble):
        next(one for one in stage.double.state.credentials if one.token == token).revoked = True
    elif isinstance(stage.double, GitLabDouble):
        stage.double.end_token(token, "revoked")


def narrow(stage: Stage) -> None:
    token = stage.settings["token"]
    if isinstance(stage.double, GitHubDouble):
        next(one for one in stage.double.state.credentials if one.token == token).scopes = frozenset({"read:org"})
    elif isinstance(stage.double, GitLabDouble):
        stage.double.state.tokens[token].scopes = ("read_api",)


def take_the_name(stage: Stage) -> None:
    stage.somebody_makes("shop")


@pytest.mark.parametrize(
    ("harm", "code", "forges_words", "hint"),
    [
        (revoke, "AUTH_ERROR", {"github": "Bad credentials", "gitlab": "Token was revoked"}, "Ask your platform team"),
        (
            narrow,
            "AUTH_ERROR",
            {
                "github": "it lacks the scope repo",
                "gitlab": "insufficient_scope; The request requires higher privileges than provided by the access token.; scope api",
            },
            "sk your platform team",
        ),
        (
            take_the_name,
            "CONFLICT",
            {"github": "acme/shop exists already", "gitlab": "acme/shop exists already"},
            "Look at",
        ),
    ],
)
def test_a_refusal_is_told_with_the_forges_words_and_with_who_can_mend_it(
    portal: Portal, stage: Stage, harm: Callable[[Stage], None], code: str, forges_words: dict[str, str], hint: str
) -> None:
    path = portal.start("shop")
    harm(stage)
    there = stage.double.repositories()
    run = portal.worked_off(path)
    assert statuses(run) == ["failed"] + ["not_run"] * 5
    error = run["steps"][0]["error"]
    assert (error["code"], error["retryable"]) == (code, False)
    assert forges_words[kind(stage)] in error["message"]
    assert hint in error["hint"]
    if code == "AUTH_ERROR":
        assert re.search(r"\[(GET|POST) /\S+: 40[134] \(request [0-9A-F:]{8,}\)\]$", error["message"])
    else:
        assert f"{stage.double.url}/acme/shop" in error["hint"]
    page = portal.page(run)
    note = page.one(id="step-1").one(class_="pa-note")
    assert [part.text for part in note.all("p")[:2]] == [error["message"], error["hint"]]
    assert error["retry_verdict"] in page.one(id="run-verdict").text
    assert stage.settings["token"] not in str(run) + page.text
    assert stage.double.repositories() == there
    if harm is take_the_name:
        assert stage.double.log.writes() == []
        assert stage.double.files("acme/shop") == {"README.md": b"Somebody else's"}


def test_a_scope_that_is_known_to_be_missing_is_told_before_there_is_a_run(portal: Portal, stage: Stage) -> None:
    narrow(stage)
    answer = portal.api.post(TEMPLATE_RUNS, {"inputs": create_service.inputs("shop")})
    assert answer.status_code == 422
    assert {"github": "the scope repo", "gitlab": "the scope api"}[kind(stage)] in answer.json["message"]
    assert stage.double.log.writes() == []
    assert portal.api.get("/api/v1/template-runs").json["data"] == []
