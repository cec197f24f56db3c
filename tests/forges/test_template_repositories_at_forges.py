"""Templates from repositories at GitLab and for a GitHub App, and what becomes of repositories themselves."""

from __future__ import annotations

import fcntl
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal_actions_plugin.extension import extension
from portal_actions_plugin.scm.github.access import app as github_app
from portal_actions_plugin.scm.github.operations import OPERATIONS
from portal_actions_plugin.scm.github.permissions import permissions_for
from portal_actions_plugin.scm.remote import transport
from portal_actions_plugin.software_templates.sources.checkouts import CheckoutState
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from portal_actions_plugin.upkeep import template_changes, template_pushes, template_refresh, template_repositories
from tests.support.forges.github import GitHubDouble
from tests.support.forges.gitlab import OWNER, GitLabDouble
from tests.support.people import Person
from tests.support.waiting import wait_until

OpenPortal = Callable[..., Flask]


def template(name: str, message: str = "hello") -> str:
    return (
        "apiVersion: portal-actions/v1\nkind: Template\n"
        f"metadata: {{name: {name}}}\n"
        "spec:\n  owner: team:a\n  type: service\n"
        f"  steps: [{{id: say, name: Say, action: debug.log@v1, input: {{message: {message}}}}}]\n"
    )


@pytest.fixture
def open_portal(make_app: Callable[..., Flask]) -> Iterator[OpenPortal]:
    """Opens a portal with repositories at a forge, for as long as the test takes."""
    contexts = []

    def opened(forge: dict[str, Any], *repositories: str, **settings: Any) -> Flask:
        app = make_app(
            PORTAL_ACTIONS_TEMPLATE_REPOSITORIES=list(repositories),
            PORTAL_ACTIONS_TEMPLATE_PATH=(),
            PORTAL_ACTIONS_SCM={"forge": forge},
            **settings,
        )
        contexts.append(app.app_context())
        contexts[-1].push()
        return app

    yield opened
    for context in reversed(contexts):
        context.pop()
    transport.close_kept()
    github_app.forget_all()


def names() -> list[str]:
    return [one.name for one in extension().templates.list().templates]


def refreshed() -> CheckoutState:
    """The state of the first repository, after all were asked."""
    template_repositories.refresh()
    template_changes.record()
    return template_repositories.sources()[0].state


def told_of(folder: Path) -> str:
    """All that a machine and the database keep of repositories."""
    with reading() as db:
        audited = json.dumps([list(row.values()) for row in map(dict, db.rows(select(tables.audit)))], default=str)
    files = b"\0".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    return audited + files.decode(errors="replace")


def test_a_private_project_at_gitlab_is_read_by_the_address_of_its_page(
    open_portal: OpenPortal, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with GitLabDouble(tmp_path / "gitlab") as lab:
        ada = lab.add_user("ada")
        lab.add_group("platform", {"ada": OWNER})
        project = lab.add_project("platform/templates", ada, {"services/one.yaml": template("one").encode()})
        token = lab.add_token(ada, "read_repository")
        page = f"{lab.url}/platform/templates"
        open_portal({"kind": "gitlab", "url": lab.url, "token": token}, f"{page}#main:services")
        first = refreshed()
        assert (names(), first.error) == (["one"], "")
        source = extension().templates.get("one").source
        assert source is not None
        assert (source.repository, source.url) == (page, f"{page}/-/commit/{first.commit}")
        lab.push(project, "main", {"services/two.yaml": template("two").encode()})
        assert (refreshed().error, names()) == ("", ["one", "two"])
        lab.move(project, "platform/moved")
        lab.push(project, "main", {"services/one.yaml": b"kind: none"})
        assert (refreshed().error, names()) == ("", ["two"])
        lab.end_token(token, "expired")
        lab.push(project, "main", {"services/three.yaml": template("three").encode()})
        last = refreshed()
        assert (names(), "may not read" in last.error) == (["two"], True)
        assert lab.log.where_seen(token) == []
        assert token not in told_of(extension().checkouts.base) + caplog.text
        assert not list(extension().checkouts.base.rglob(".git"))
        lab.verify()


def test_a_github_app_reads_with_tokens_that_may_do_nothing_else(open_portal: OpenPortal, hub: GitHubDouble) -> None:
    hub.add_repository("acme/templates", {"one.yaml": template("one")})
    made, key = hub.add_app("portal", "acme", permissions_for(OPERATIONS))
    hub.install(made, "acme")
    forge = {"kind": "github", "url": hub.url, "api_url": hub.api_url, "app_id": made.client_id, "private_key": key}
    open_portal(forge, f"{hub.url}/acme/templates")
    assert (refreshed().error, names()) == ("", ["one"])
    (asked,) = hub.log.entries("POST", "/app/installations/*/access_tokens")
    assert json.loads(asked.request.body) == {
        "permissions": {"contents": "read", "metadata": "read"},
        "repositories": ["templates"],
    }
    tokens = [one for one in hub.state.credentials if one.kind == "installation"]
    for one in tokens:
        one.revoked = True
    hub.commit("acme/templates", "main", {"two.yaml": template("two")})
    assert "may not read" in refreshed().error, "it was ended before its time"
    assert (refreshed().error, names()) == ("", ["one", "two"])
    hub.rename("acme/templates", "acme/moved")
    hub.commit("acme/moved", "main", {"three.yaml": template("three")})
    assert (refreshed().error, names()) == ("", ["one", "three", "two"])
    tokens = [one for one in hub.state.credentials if one.kind == "installation"]
    kept = told_of(extension().checkouts.base)
    assert [one.token for one in tokens if one.token in kept or hub.log.where_seen(one.token)] == []


def test_an_empty_repository_and_a_default_branch_of_another_name(open_portal: OpenPortal, hub: GitHubDouble) -> None:
    repository = hub.add_repository("acme/templates", visibility="public")
    address = f"{hub.url}/acme/templates"
    open_portal({"kind": "github", "url": hub.url, "api_url": hub.api_url}, address, f"{address}#main")
    assert refreshed().error == f"{address}.git is empty: it has no branch."
    hub.commit("acme/templates", "main", {"one.yaml": template("one")})
    refreshed()
    first, second = template_repositories.sources()
    assert (first.state.error, second.state.error, first.state.commit) == ("", "", second.state.commit)
    hub.commit("acme/templates", "trunk", {"one.yaml": template("one", "renamed")})
    repository.git.set_default_branch("trunk")
    repository.git.delete_ref("refs/heads/main")
    moved = refreshed()
    assert (moved.error, moved.commit == first.state.commit) == ("", False)
    stayed = template_repositories.sources()[1].state
    assert (stayed.commit, stayed.error) == (
        first.state.commit,
        f"{address}.git has no branch or tag main: its branches are trunk.",
    )


def test_a_push_is_not_lost_while_somebody_else_is_at_the_first_clone(
    open_portal: OpenPortal, hub: GitHubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOOK_SECONDS", "BETWEEN_SECONDS"):
        monkeypatch.setattr(template_refresh, name, 0.0)
    hub.add_repository("acme/templates", {"one.yaml": template("one")}, visibility="public")
    app = open_portal(
        {"kind": "github", "url": hub.url, "api_url": hub.api_url},
        f"{hub.url}/acme/templates",
        PORTAL_ACTIONS_TEMPLATE_WEBHOOK_SECRET="a secret",
    )
    folder = extension().checkouts.all[0].folder
    folder.mkdir(parents=True)
    headers = {"X-Gitlab-Token": "a secret", "X-Gitlab-Event": "Push Hook"}
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert app.test_client().post("/api/v1/template-sources/webhook", headers=headers).status_code == 202
        wait_until(lambda: template_pushes.count() == 1)
        # It had asked for the ref before the push, and finds nothing.
        wait_until(lambda: app.extensions["portal_actions"].kept["template_refresh"].pushes is not None)
        extension().checkouts.all[0].write(CheckoutState(tried_at=time.time()))
    vera = Person(app.test_client(), "vera")
    wait_until(lambda: [one["name"] for one in vera.get("/api/v1/templates").json["data"]] == ["one"])
