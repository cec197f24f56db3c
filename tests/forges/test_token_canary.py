"""The token of a forge is found nowhere, though the forge itself repeats it: not in the database, Redis, logs, pages, or ``ps``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.support.canary import CORE, require_absent
from tests.support.canary_places import everything_in_redis, everything_in_the_database, everything_shown
from tests.support.forges.faults import Hang, Reset, Respond
from tests.support.forges.github import GitHubDouble
from tests.support.forges.github.state import Credential
from tests.support.forges.gitlab import OWNER, GitLabDouble
from tests.support.people import Person
from tests.support.waiting import wait_until
from tests.support.workers import Workers

GITHUB_TOKEN, GITLAB_TOKEN = f"for-github-{CORE}-0815", f"for-gitlab-{CORE}-0815"
"""Of no shape that is masked by itself."""


@dataclass
class Forges:
    github: GitHubDouble
    gitlab: GitLabDouble

    def settings(self, folder: Path) -> dict[str, Any]:
        for name, token in (("github", GITHUB_TOKEN), ("gitlab", GITLAB_TOKEN)):
            (folder / f"{name}.token").write_text(token)
        github = {"url": self.github.url, "api_url": self.github.api_url}
        return {
            "github": {**github, "token": {"file": str(folder / "github.token")}},
            "gitlab": {"url": self.gitlab.url, "token": {"file": str(folder / "gitlab.token")}},
        }


@pytest.fixture
def forges(tmp_path: Path) -> Iterator[Forges]:
    with GitHubDouble(tmp_path / "github") as github, GitLabDouble(tmp_path / "gitlab") as gitlab:
        github.add_user("ada")
        github.add_organization("acme", ada="admin")
        scopes = frozenset({"repo", "workflow", "admin:org"})
        github.state.credentials.append(Credential("ada's token", GITHUB_TOKEN, "classic", "ada", scopes))
        ada = gitlab.add_user("ada")
        gitlab.add_group("acme", {"ada": OWNER})
        gitlab.add_token(ada, "api", value=GITLAB_TOKEN)
        yield Forges(github, gitlab)


@pytest.fixture
def config(forges: Forges, tmp_path: Path) -> dict[str, Any]:
    return {
        "PORTAL_ACTIONS_SCM": json.dumps(forges.settings(tmp_path)),
        "PORTAL_ACTIONS_RATE_LIMIT": "100 per minute",
        "PORTAL_ACTIONS_RETRY_SECONDS": 0.1,
        "PORTAL_ACTIONS_SWEEP_SECONDS": 0.3,
    }


@pytest.fixture
def app(make_app: Callable[..., Flask], database_url: str, config: dict[str, Any]) -> Iterator[Flask]:
    read = {**config, "PORTAL_ACTIONS_SCM": json.loads(config["PORTAL_ACTIONS_SCM"])}
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, **read)
    with app.app_context():
        yield app


def test_the_token_of_a_forge_is_found_nowhere(
    app: Flask,
    database_url: str,
    redis_url: str,
    person: Callable[[str], Person],
    ada: Person,
    start_workers: Callable[..., Workers],
    forges: Forges,
    config: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_PORTAL_CANARY", "1")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    workers = start_workers(1, **config)

    def run(action: str, **data: Any) -> str:
        answer = ada.post(f"/api/v1/actions/{action}/runs", {"input": data})
        assert answer.status_code == 202, answer.json
        return str(answer.headers["Location"])

    def ended(address: str) -> str:
        def state() -> str | None:
            now = str(ada.get(address).json["status"])
            return now if now in ("success", "failed") else None

        return str(wait_until(state))

    for name, double, token in (("github", forges.github, GITHUB_TOKEN), ("gitlab", forges.gitlab, GITLAB_TOKEN)):
        repo = {"provider": name, "owner": "acme", "repo": "shop"}
        files = [{"path": "README.md", "content": "# shop\n"}]
        repeating = Respond(403, {"message": f"{token} may not do that", "error": token}, {"X-Request-Id": token})
        pushes = "/acme/**"

        assert ended(run("scm.createRepo@v1", provider=name, owner="acme", repo="shop")) == "success"
        double.faults.order("POST", pushes, Respond(403, f"remote: {token} is wrong", {"Content-Type": "text/plain"}))
        assert ended(run("scm.pushSkeleton@v1", repo=repo, files=files)) == "failed"
        double.faults.order("POST", pushes, Reset(), after=True)
        assert ended(run("scm.pushSkeleton@v1", repo=repo, files=files)) == "success"

        double.faults.order("GET", "**", repeating)
        assert ended(run("scm.createOrUpdateFile@v1", repo=repo, path="a.txt", content="1")) == "failed"
        double.faults.order("POST", "**", repeating)
        assert ended(run("scm.createOrUpdateFile@v1", repo=repo, path="a.txt", content="2")) == "failed"
        double.faults.order("POST", "**", Respond(502, f"<html>{token}</html>", {"Content-Type": "text/html"}))
        assert ended(run("scm.createOrUpdateFile@v1", repo=repo, path="a.txt", content="3")) == "success"
        double.faults.order("GET", "**", Respond(200, f"<html>{token}</html>", {"Content-Type": "text/html"}), times=9)
        assert ended(run("scm.createOrUpdateFile@v1", repo=repo, path="a.txt", content="4")) == "failed"
        double.faults.clear()

        hanging = double.faults.order("POST", "**", Hang())
        waiting = run("scm.createOrUpdateFile@v1", repo=repo, path="a.txt", content="5")
        hanging.wait()
        for process, words in command_lines():
            require_absent(f"{name}: the command line of process {process}", words)
        require_absent(f"{name}, running: the database", everything_in_the_database(app, database_url))
        require_absent(f"{name}, running: Redis", everything_in_redis(redis_url))
        hanging.release()
        assert ended(waiting) == "success"
        assert {entry.credential for entry in double.log.entries()} == {"ada's token" if name == "github" else "ada"}
        assert double.log.where_seen(token) == []

    workers.stop()
    require_absent("the database", everything_in_the_database(app, database_url))
    require_absent("Redis", everything_in_redis(redis_url))
    for where, text in everything_shown(app, person):
        require_absent(where, text)
    structured = (tmp_path / "structured.log").read_text()
    assert "git< " in structured, "the debug log of git's protocol was on"
    for where, text in {"standard output": (tmp_path / "workers.log").read_text(), "the log": structured}.items():
        require_absent(where, text)
    for file in (*tmp_path.rglob("config"), *tmp_path.rglob(".gitconfig"), *tmp_path.rglob(".git-credentials")):
        require_absent(str(file), file.read_bytes())


def command_lines() -> Iterator[tuple[str, bytes]]:
    """What ``ps`` shows of every process."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            yield folder.name, (folder / "cmdline").read_bytes()
        except OSError:
            continue
