"""Templates from git repositories: fetched from a double of GitHub over real sockets, listed, and started."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal_actions_plugin.cli import actions
from portal_actions_plugin.doctor.examination import examine
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner import template_watch
from portal_actions_plugin.runner.liveness.watchdog import Watchdog
from portal_actions_plugin.runner.process.connections import Connections
from portal_actions_plugin.runner.template_watch import TemplateWatch
from portal_actions_plugin.runs import audit
from portal_actions_plugin.scm.base import RepoRef
from portal_actions_plugin.scm.remote import transport
from portal_actions_plugin.software_templates.loader import FolderTemplateSource
from portal_actions_plugin.software_templates.sources.checkouts import CheckoutState, moment
from portal_actions_plugin.software_templates.spec import Template
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from portal_actions_plugin.upkeep import template_changes, template_pushes, template_refresh, template_repositories
from tests.support.forges.git_store import Entry
from tests.support.forges.git_store import Person as PersonOfGit
from tests.support.forges.github import GitHubDouble
from tests.support.people import Person
from tests.support.run_helpers import run_one_off, work_off
from tests.support.waiting import wait_until


def template(name: str, message: str = "hello", action: str = "debug.log@v1", parameters: str = "[]") -> str:
    return (
        "apiVersion: portal-actions/v1\nkind: Template\n"
        f"metadata: {{name: {name}}}\n"
        f"spec:\n  owner: team:a\n  type: service\n  parameters: {parameters}\n"
        f"  steps: [{{id: say, name: Say, action: {action}, input: {{message: {message}}}}}]\n"
    )


HOOK = "/api/v1/template-sources/webhook"
SECRET = "a secret of the webhook"
MONA = PersonOfGit("Mona", "mona@example.org", datetime(2026, 1, 2, tzinfo=UTC))
LOCATION = "apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {name: all}\nspec: {targets: [../others/further.yaml]}\n"


@pytest.fixture
def repository(hub: GitHubDouble) -> Iterator[str]:
    files = {
        "services/one/template.yaml": template("one"),
        "services/two.yaml": template("two"),
        "README.md": "no template",
    }
    hub.add_repository("acme/templates", files, visibility="public")
    yield f"{hub.url}/acme/templates"
    transport.close_kept()


@pytest.fixture
def portal(make_app: Callable[..., Flask], repository: str) -> Iterator[Flask]:
    app = make_app(
        PORTAL_ACTIONS_TEMPLATE_REPOSITORIES=[f"{repository}#main:services"], PORTAL_ACTIONS_TEMPLATE_PATH=()
    )
    with app.app_context():
        yield app


def columns_of(run_id: str) -> Any:
    with reading() as db:
        return db.row(select(tables.template_runs).where(tables.template_runs.c.id == run_id))


def columns_of_audit() -> list[Any]:
    with reading() as db:
        return [row["details"] for row in db.rows(select(tables.audit.c.details).order_by(tables.audit.c.id))]


def file_of(repo: str, path: str) -> str:
    from portal_actions_plugin.runs.forges.opening import opening_of

    local = extension().provider_kinds.open(opening_of(extension().config.scm["local"]))
    found = local.read_file(RepoRef("local", "acme", repo, "main"), "main", path)
    assert found is not None
    return found[0].decode()


def turn_until(watch: TemplateWatch, is_true: Callable[[], bool]) -> None:
    def turned() -> bool:
        extension().database.close_connections()
        watch.turn()
        return is_true()

    wait_until(turned)


def put(hub: GitHubDouble, files: dict[str, str], repository: str = "acme/templates") -> str:
    """Let a repository have exactly these files, by a commit without a parent: a forced push."""
    git = hub.repository(repository).git
    blobs = git.write_blobs([text.encode() for text in files.values()])
    tree = git.write_tree([Entry(path, "100644", "blob", blob) for path, blob in zip(files, blobs, strict=True)])
    commit = git.write_commit(tree, [], "Everything anew", author=MONA)
    git.set_ref("refs/heads/main", commit)
    return commit


def names() -> list[str]:
    return [one.name for one in extension().templates.list().templates]


def state() -> CheckoutState:
    return template_repositories.sources()[0].state


def audited() -> list[tuple[str, str, str]]:
    with reading() as db:
        rows = db.rows(select(tables.audit).where(tables.audit.c.actor == audit.PORTAL).order_by(tables.audit.c.id))
    return [(row["event"], row["target"], row["outcome"]) for row in rows]


def test_templates_of_a_repository_are_there_once_it_was_fetched_and_say_their_commit(
    portal: Flask, hub: GitHubDouble, repository: str
) -> None:
    assert names() == []
    (told,) = extension().templates.list().problems
    assert "was not fetched yet" in told.message
    template_repositories.refresh()
    assert (names(), extension().templates.list().problems) == (["one", "two"], ())
    source = extension().templates.get("one").source
    assert source is not None
    assert (source.repository, source.ref, source.commit, source.path) == (
        repository,
        "main",
        state().commit,
        "services",
    )
    assert source.url == f"{repository}/commit/{source.commit}"
    assert Template.from_snapshot(json.loads(json.dumps(extension().templates.get("one").snapshot()))).source == source
    pushed = put(hub, {"services/one/template.yaml": template("one"), "services/three.yaml": template("three")})
    assert names() == ["one", "two"]
    template_repositories.refresh()
    assert (names(), state().commit) == (["one", "three"], pushed)


def test_nothing_is_copied_while_the_ref_is_where_it_was_and_one_that_was_just_asked_is_left_alone(
    portal: Flask, hub: GitHubDouble
) -> None:
    template_repositories.refresh()
    asked = hub.log.count("POST", "/acme/templates/git-upload-pack")
    assert len(template_repositories.refresh()) == 1
    # The first time, the refs and a pack; then the refs alone.
    assert (asked, hub.log.count("POST", "/acme/templates/git-upload-pack")) == (2, 3)
    assert template_repositories.refresh(older_than=3600) == []
    assert not template_repositories.is_due(3600)


def test_placeholders_and_locations_reach_all_of_the_repository_and_nothing_else(
    portal: Flask, hub: GitHubDouble, tmp_path: Path
) -> None:
    (tmp_path / "secret.yaml").write_text("properties: {leaked: {type: string}}")
    away = "../" * 12 + str(tmp_path).lstrip("/") + "/secret.yaml"
    put(
        hub,
        {
            "services/in.yaml": template("inside", parameters="{$yaml: ../common/name.yaml}"),
            "services/top.yaml": template("top", parameters="{$yaml: /common/name.yaml}"),
            "services/out.yaml": template("outside", parameters=f"{{$yaml: {away}}}"),
            "services/all.yaml": LOCATION,
            "common/name.yaml": "properties: {name: {type: string}}\n",
            "others/further.yaml": template("further"),
        },
    )
    template_repositories.refresh()
    listing = extension().templates.list()
    assert [one.name for one in listing.templates] == ["further", "inside", "top"]
    (problem,) = listing.problems
    assert (problem.template, "leads out of the template folder" in problem.message) == ("outside", True)
    assert problem.file.endswith("/acme/templates@main/services/out.yaml")
    assert str(tmp_path) not in problem.file


def test_the_last_good_version_is_used_while_the_remote_is_away_and_everybody_is_told_since_when(
    portal: Flask, hub: GitHubDouble
) -> None:
    margaret, vera = (Person(portal.test_client(), name) for name in ("margaret", "vera"))
    template_repositories.refresh()
    before = state()
    hub.repository("acme/templates").visibility = "private"
    hub.commit("acme/templates", "main", {"services/one/template.yaml": template("one", "changed")})
    template_repositories.refresh()
    assert (state().commit, names()) == (before.commit, ["one", "two"])
    assert "that everybody may see" in state().error
    since = state().failing_since
    template_repositories.refresh()
    assert state().failing_since == since
    (told,) = margaret.get("/api/v1/templates").json["warnings"]
    assert (
        f"cannot be fetched since {moment(since)}, so its templates are those of commit {before.commit[:8]}"
        in told["message"]
    )
    assert vera.get("/api/v1/templates").json["warnings"] == []
    page = margaret.get("/templates/findings").text
    assert moment(since) in page
    assert f'title="{before.commit}"' in page
    (found,) = (one for one in examine() if one.part == "template sources")
    assert (found.level, moment(since) in found.message) == ("warning", True)
    told_json = portal.test_cli_runner().invoke(actions, ["template", "sources", "--format", "json"])
    assert (told_json.exit_code, json.loads(told_json.output)[0]["commit"]) == (1, before.commit)
    hub.repository("acme/templates").visibility = "public"
    refreshed = portal.test_cli_runner().invoke(actions, ["template", "sources", "--refresh"])
    assert (refreshed.exit_code, state().error) == (0, "")
    assert f"commit {state().commit}" in refreshed.output
    assert state().commit != before.commit
    assert margaret.get("/api/v1/templates").json["warnings"] == []


def test_a_template_that_a_commit_breaks_stays_as_it_was_and_the_others_go_on(portal: Flask, hub: GitHubDouble) -> None:
    template_repositories.refresh()
    good = extension().templates.get("one")
    broken = {
        "services/one/template.yaml": template("one", action="no.such@v1"),
        "services/two.yaml": template("two", "new"),
    }
    second = put(hub, broken)
    template_repositories.refresh()
    listing = extension().templates.list()
    assert extension().templates.get("one") == good
    assert extension().templates.get("two").source.commit == second  # type: ignore[union-attr]
    assert listing.problems == ()
    first, own = listing.warnings
    assert f"commit {second[:8]} has problems with this template" in first.message
    assert f"as commit {good.source.commit[:8]} has it" in first.message  # type: ignore[union-attr]
    assert "no.such@v1" in own.message
    # A third commit that is as bad leaves the first one there, also for a process that begins only now.
    put(hub, {**broken, "README.md": "another"})
    template_repositories.refresh()
    again = FolderTemplateSource((), extension().registry, checkouts=extension().checkouts)
    assert again.get("one") == good
    put(hub, {"services/two.yaml": template("two")})
    template_repositories.refresh()
    assert names() == ["two"]


def test_a_run_ends_as_it_began_while_its_template_changes_moves_and_goes(portal: Flask, hub: GitHubDouble) -> None:
    steps = (
        "[{id: say, name: Say, action: debug.log@v1, input: {message: %s}},"
        " {id: push, name: Push, action: scm.pushSkeleton@v1, input: {repo: {provider: local, owner: acme, repo: made}, "
        "branch: main, message: m, skeleton: ./skeleton}}]"
    )
    whole = template("one").partition("steps:")[0] + "steps: " + steps
    git = {"services/one/skeleton/a.txt": "as it was\n", "services/one/template.yaml": whole % "before"}
    put(hub, git)
    template_repositories.refresh()
    ada = Person(portal.test_client(), "ada")
    run_one_off("scm.createRepo@v1", {"provider": "local", "owner": "acme", "repo": "made", "initWithReadme": True})
    began = ada.post("/api/v1/templates/one/runs", {"inputs": {}}).json["id"]
    kept = columns_of(began)["definition"]["source"]["commit"]
    assert kept == state().commit
    put(hub, {"services/one/template.yaml": whole % "after", "services/one/skeleton/a.txt": "changed\n"})
    template_repositories.refresh()
    put(hub, {"services/README.md": "all is gone"})
    template_repositories.refresh()
    assert names() == []
    work_off()
    run = ada.get(f"/api/v1/template-runs/{began}").json
    assert (run["status"], run["steps"][0]["input"]) == ("success", {"message": "before"})
    assert (file_of("made", "a.txt"), run["source"]["commit"]) == ("as it was\n", kept)


def test_two_sources_with_one_name_are_refused_and_named(
    make_app: Callable[..., Flask], hub: GitHubDouble, repository: str, template_folder: Path
) -> None:
    (template_folder / "mine.yaml").write_text(template("two"))
    app = make_app(PORTAL_ACTIONS_TEMPLATE_REPOSITORIES=f"{repository}#:services")
    ada, margaret = Person(app.test_client(), "ada"), Person(app.test_client(), "margaret")
    with app.app_context():
        template_repositories.refresh()
        refused = ada.post("/api/v1/templates/two/runs", {"inputs": {}})
        assert refused.status_code == 422
        files = {"mine.yaml", f"{repository.removeprefix('http://')}/services/two.yaml"}
        assert all(file in refused.json["message"] for file in files)
        told = margaret.get("/api/v1/templates").json
        assert {one["file"] for one in told["problems"]} == files
        assert {one["name"] for one in told["data"]} == {"one", "two-steps"}
        assert sum("'two'" in one.message for one in examine() if one.part == "templates") == 2


def test_a_private_repository_is_read_with_the_forges_credential_which_nobody_is_told(
    make_app: Callable[..., Flask], hub: GitHubDouble, tmp_path: Path
) -> None:
    hub.add_repository("acme/private", {"one.yaml": template("one")})
    credential = hub.classic_token("ada", "repo")
    token = credential.token
    forge = {"hub": {"kind": "github", "url": hub.url, "api_url": hub.api_url, "token": token}}
    app = make_app(
        PORTAL_ACTIONS_TEMPLATE_REPOSITORIES=json.dumps([{"address": f"{hub.url}/acme/private"}]),
        PORTAL_ACTIONS_SCM=forge,
    )
    with app.app_context():
        template_repositories.refresh()
        assert "one" in names()
        assert hub.log.where_seen(token) == []
        credential.revoked = True
        template_repositories.refresh()
        assert "may not read" in state().error
        assert "one" in names()
    kept = b"".join(file.read_bytes() for file in (tmp_path / "portal_actions_templates").rglob("*") if file.is_file())
    assert token.encode() not in kept


def test_a_repository_on_this_machine_is_read_from_its_folder(
    make_app: Callable[..., Flask], hub: GitHubDouble, repository: str
) -> None:
    folder = hub.repository("acme/templates").git.path
    app = make_app(PORTAL_ACTIONS_TEMPLATE_REPOSITORIES=[{"address": f"file://{folder}", "path": "services"}])
    with app.app_context():
        template_repositories.refresh()
        assert extension().templates.get("one").source.url == ""  # type: ignore[union-attr]
        put(hub, {"services/four.yaml": template("four")})
        template_repositories.refresh()
        assert "four" in names()


def test_the_files_of_commits_that_nobody_needs_are_removed_and_those_of_runs_stay_for_a_day(
    portal: Flask, hub: GitHubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    template_repositories.refresh()
    first = state().commit
    put(hub, {"services/one.yaml": template("one", action="no.such@v1"), "services/two.yaml": template("two")})
    template_repositories.refresh()
    second = state().commit
    folder = extension().checkouts.all[0].folder
    (folder / "coming-from-a-process-that-was-killed").mkdir()
    monkeypatch.setattr(template_repositories, "KEPT_SECONDS", 0.0)
    put(hub, {"services/one.yaml": template("one", action="no.such@v2"), "services/two.yaml": template("two")})
    template_repositories.refresh()
    # The first one still has the only good version of a template, and the second one the last good one of another.
    assert {one.name for one in folder.iterdir() if one.is_dir()} == {first, second, state().commit}
    put(hub, {"services/two.yaml": template("two")})
    template_repositories.refresh()
    third = state().left.keys() - {first, second}
    put(hub, {"services/two.yaml": template("two", "again")})
    template_repositories.refresh()
    assert {one.name for one in folder.iterdir() if one.is_dir()} & {first, second, *third} == set()


def test_each_change_of_a_definition_leaves_one_row_however_many_look(app: Flask, template_folder: Path) -> None:
    file = template_folder / "new.yaml"
    template_changes.record()
    assert audited() == [("template.add", "two-steps", "accepted")]
    file.write_text(template("new"))
    template_changes.record()
    file.write_text(template("new", "changed"))
    assert (template_changes.record(), template_changes.record()) == (1, 0)
    remembered = extension().checkouts.base / "definitions.json"
    remembered.unlink()  # another machine, which sees all of it for the first time
    assert template_changes.record() == 0
    file.write_text(template("new", action="no.such@v1"))
    template_changes.record()
    file.write_text(template("new", "changed"))
    template_changes.record()
    file.unlink()
    template_changes.record()
    assert audited()[1:] == [
        ("template.add", "new", "accepted"),
        ("template.change", "new", "accepted"),
        ("template.refuse", "new", "failed"),
        ("template.change", "new", "accepted"),
        ("template.remove", "new", "accepted"),
    ]


def test_machines_at_different_commits_do_not_contradict_each_other(portal: Flask, hub: GitHubDouble) -> None:
    template_repositories.refresh()
    template_changes.record()
    behind = (extension().checkouts.base / "definitions.json").read_text()
    put(hub, {"services/one/template.yaml": template("one", "new"), "services/two.yaml": template("two")})
    template_repositories.refresh()
    assert template_changes.record() == 1
    ahead = state()
    # A machine that is still at the commit before, and looks again and again.
    (extension().checkouts.base / "definitions.json").write_text(behind)
    first = next(iter(ahead.left))
    extension().checkouts.all[0].write(replace(ahead, commit=first, named=first))
    assert template_changes.record() == 0
    template_repositories.refresh()
    assert template_changes.record() == 0
    assert [event for event, _, _ in audited()] == ["template.add", "template.add", "template.change"]
    assert columns_of_audit()[-1]["commit"] == ahead.commit


def test_a_webhook_with_the_secret_has_the_repositories_fetched(
    make_app: Callable[..., Flask], hub: GitHubDouble, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_refresh, "BETWEEN_SECONDS", 0.0)
    app = make_app(
        PORTAL_ACTIONS_TEMPLATE_REPOSITORIES=[f"{repository}#main:services"],
        PORTAL_ACTIONS_TEMPLATE_WEBHOOK_SECRET=SECRET,
    )
    body = json.dumps({"ref": "refs/heads/main", "repository": {"full_name": "acme/Templates"}}).encode()
    other = json.dumps({"ref": "refs/heads/main", "project": {"path_with_namespace": "acme/shop"}}).encode()

    def send(event: str, body: bytes = body, **proof: str) -> int:
        headers = {name.replace("_", "-"): value for name, value in proof.items()}
        forge = "X-GitHub-Event" if event == "push" else "X-Gitlab-Event"
        answer = app.test_client().post(
            HOOK, data=body, headers={forge: event, **headers}, content_type="application/json"
        )
        return answer.status_code

    def signed(body: bytes) -> str:
        return "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()

    with app.app_context():
        for wrong in (
            {},
            {"X_Hub_Signature_256": "sha256=00"},
            {"X_Hub_Signature_256": SECRET},
            {"X_Gitlab_Token": "x"},
        ):
            assert send("push", **wrong) == 403
        assert send("push", b"{}", X_Hub_Signature_256=signed(body)) == 403
        assert send("Issue Hook", X_Gitlab_Token=SECRET) == 204
        assert send("push", other, X_Hub_Signature_256=signed(other)) == 204
        assert send("Push Hook", other, X_Gitlab_Token=SECRET) == 204
        assert (state().tried_at, template_pushes.count()) == (0, 0)
        assert send("push", X_Hub_Signature_256=signed(body)) == 202
        wait_until(lambda: "one" in names())
        wait_until(lambda: template_pushes.count() == 1)
        # The same call once more, and one that does not say of which repository it is.
        pushed = put(hub, {"services/one.yaml": template("one", "changed")})
        assert send("Push Hook", b"no JSON", X_Gitlab_Token=SECRET) == 202
        wait_until(lambda: state().commit == pushed)


def test_without_a_secret_there_is_no_webhook(portal: Flask) -> None:
    assert portal.test_client().post(HOOK, headers={"X-Gitlab-Token": ""}).status_code == 404


def test_a_web_process_fetches_by_itself_when_no_supervisor_of_its_machine_does(portal: Flask) -> None:
    vera = Person(portal.test_client(), "vera")
    assert vera.get("/api/v1/templates").json["data"] == []
    wait_until(lambda: names() == ["one", "two"])
    # The next request asks nobody again.
    tried = state().tried_at
    assert len(vera.get("/api/v1/templates").json["data"]) == 2
    assert state().tried_at == tried


def test_a_supervisor_fetches_at_once_and_after_a_push(
    portal: Flask, hub: GitHubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_watch, "BETWEEN_PUSHES_SECONDS", 0.0)
    with Watchdog("a loop", 60) as watchdog:
        watch = TemplateWatch(portal, Connections(), watchdog)
        watch.listen()
        turn_until(watch, lambda: names() == ["one", "two"])
        put(hub, {"services/five.yaml": template("five")})
        template_pushes.add()
        watch.listen()
        turn_until(watch, lambda: names() == ["five"])
        turn_until(watch, lambda: [one for one in audited() if one[0] == "template.remove"])
        watch.end()
    assert names() == ["five"]
