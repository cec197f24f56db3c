"""A template tried on forges over real sockets: what it reads is asked of them, and nothing is written to any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet
from flask import Flask

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.dry_run.course import dry_run
from portal_actions_plugin.runner.dry_run.notes import DryRun, TriedStep
from portal_actions_plugin.scm.base import Author, FileChange, RepoRef, WebhookSpec
from portal_actions_plugin.scm.github.access import app as github_app
from portal_actions_plugin.scm.github.operations import OPERATIONS
from portal_actions_plugin.scm.github.permissions import permissions_for
from portal_actions_plugin.scm.github.provider import open_github
from portal_actions_plugin.scm.gitlab.provider import open_gitlab
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.provider import ScmProvider
from portal_actions_plugin.scm.remote import transport
from portal_actions_plugin.settings.installations import Installation
from tests.support.forges.github import GitHubDouble
from tests.support.forges.request_log import RequestLog
from tests.support.forges.stages import STAGES, Stage
from tests.support.portal import PEOPLE

Step = dict[str, Any]
AT = RepoRef("forge", "acme", "taken", "main")


@pytest.fixture(params=sorted(STAGES))
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with STAGES[request.param](tmp_path / "forge") as made:
        yield made
        transport.close_kept()
        made.verify()


@pytest.fixture
def tried(make_app: Callable[..., Flask], template_folder: Path) -> Iterator[Callable[..., DryRun]]:
    """Tries a template of some steps as ada, at a forge that is called ``forge`` and is at forge.test."""
    contexts = []

    def tried(settings: dict[str, Any], *steps: Step, inputs: dict[str, Any] | None = None, **spec: Any) -> DryRun:
        parameters = {"properties": {"token": {"type": "string", "ui:field": "Secret"}}}
        document = {
            "apiVersion": "portal-actions/v1",
            "kind": "Template",
            "metadata": {"name": "tried"},
            "spec": {"owner": "team:a", "type": "service", "parameters": parameters, "steps": list(steps), **spec},
        }
        (template_folder / "tried.yaml").write_text(yaml.safe_dump(document))
        if not contexts:
            app = make_app(
                PORTAL_ACTIONS_SCM={"forge": {**settings, "hosts": ["forge.test"]}},
                PORTAL_ACTIONS_SECRET_KEYS=[Fernet.generate_key().decode()],
            )
            contexts.append(app.app_context())
            contexts[0].push()
        return dry_run(PEOPLE["ada"], extension().templates.get("tried"), inputs or {})

    yield tried
    if contexts:
        contexts[0].pop()


@contextmanager
def opened(stage: Stage) -> Iterator[ScmProvider]:
    """The forge itself, for what is there before."""
    kind = stage.settings["kind"]
    opening = Opening(Installation("forge", kind, dict(stage.settings)), Author("Ada", "ada@example.org"))
    yield {"github": open_github, "gitlab": open_gitlab}[kind](opening)
    transport.close_kept()


def step(action: str, name: str = "only", /, **given: Any) -> Step:
    return {"id": name, "name": name, "action": action, "input": given}


def repo(name: str = "shop") -> dict[str, str]:
    return {"provider": "forge", "owner": "acme", "repo": name}


def told(steps: Sequence[TriedStep]) -> list[tuple[str, list[str]]]:
    return [(str(one.state), [f"{write.kind} {write.what} {write.target}" for write in one.writes]) for one in steps]


def written(log: RequestLog) -> list[str]:
    """What may have changed something: to read by git is a POST, too, and so is to ask for an App's token."""
    reads = ("/git-upload-pack", "/access_tokens")
    return [str(one) for one in log.writes() if not one.path.endswith(reads)]


def test_what_is_there_is_asked_of_the_forge_and_what_would_be_made_is_told(
    stage: Stage, tried: Callable[..., DryRun]
) -> None:
    stage.somebody_makes("taken")
    found = tried(
        dict(stage.settings),
        step("scm.createRepo@v1", "make", **repo()),
        step("scm.createOrUpdateFile@v1", "first", repo="${{ steps.make.output.repo }}", path="a.txt", content="x"),
        step("scm.createRepo@v1", "again", **repo("SHOP")),
    )
    assert told(found.steps) == [
        ("runs", ["create repository acme/shop on forge"]),
        ("runs", ["create branch main of acme/shop on forge"]),
        ("refused", []),
    ]
    assert "by an earlier step" in found.steps[2].error
    for given, error in ((repo("taken"), "acme/taken exists already"), ({**repo(), "owner": "nobody"}, "nobody")):
        (refused,) = tried(dict(stage.settings), step("scm.createRepo@v1", **given)).steps
        assert (refused.state, error in refused.error) == ("refused", True), refused
    assert stage.double.log.count("GET") > 0
    assert written(stage.double.log) == []
    assert list(stage.double.repositories()) == ["acme/taken"]


def test_every_write_on_what_is_there_is_begun_by_the_forge_and_never_made(
    stage: Stage, tried: Callable[..., DryRun]
) -> None:
    stage.somebody_makes("taken")
    at = repo("taken")
    pull = {"headBranch": "next", "title": "Next", "files": [{"path": "README.md", "content": "changed"}]}
    found = tried(
        dict(stage.settings),
        step("scm.openPrOrMr@v1", "open", repo=at, **pull),
        step("scm.openPrOrMr@v1", "same", repo=at, **{**pull, "files": []}),
        step("scm.mergePr@v1", "merge", repo=at, number="${{ steps.open.output.number }}"),
        step("scm.createOrUpdateFile@v1", "there", repo=at, path="README.md", content="changed"),
        step("scm.ensureWebhook@v1", "hook", repo=at, callbackUrl="https://ci.test/", events=["push"], secret="s3cr3t"),
        step("scm.protectBranch@v1", "protect", repo=at, requiredReviews=1),
        step("scm.setTopics@v1", "topics", repo=at, topics=["go"]),
        step("scm.setVariable@v1", "variable", repo=at, name="REGION", value="eu", secret=False),
        step("scm.setVariable@v1", "secret", repo=at, name="TOKEN", value="hidden-value"),
        step("scm.createIssue@v1", "issue", repo=at, title="Look", labels=[]),
        step("scm.labelIssue@v1", "label", repo=at, number="${{ steps.issue.output.number }}", labels=["bug"]),
    )
    word = "merge request" if stage.settings["kind"] == "gitlab" else "pull request"
    taken = "acme/taken on forge"
    numbers = [one.partition(" ")[0] for one in (found.steps[2].writes[0].target, found.steps[10].writes[0].target)]
    assert told(found.steps) == [
        ("runs", [f"create branch next of {taken}", f"create {word} next into main of {taken}"]),
        ("runs", []),
        ("runs", [f"change {word} {numbers[0]} of {taken}"]),
        ("runs", []),
        ("runs", [f"change webhook {taken}"]),
        ("runs", [f"change protection main of {taken}"]),
        ("runs", [f"change topics {taken}"]),
        ("runs", [f"change variable of the CI REGION of {taken}"]),
        ("runs", [f"change secret of the CI TOKEN of {taken}"]),
        ("runs", [f"create issue {taken}"]),
        ("runs", [f"change labels {numbers[1]} of {taken}"]),
    ], [one.error for one in found.steps]
    assert "hidden-value" not in repr(found)
    assert "s3cr3t" not in repr(found)
    assert written(stage.double.log) == []


def test_a_write_that_finds_nothing_to_do_is_none(stage: Stage, tried: Callable[..., DryRun]) -> None:
    stage.somebody_makes("taken")
    with opened(stage) as forge:
        forge.put_files(AT, "next", [FileChange("a.txt", b"new")], "m", base_branch="main")
        pull = forge.open_pull(AT, head="next", base="main", title="Theirs", body="")
        forge.set_topics(AT, ["go"])
        forge.ensure_webhook(AT, WebhookSpec("https://ci.test/", ("push",)))
    stage.double.log.clear()
    at = repo("taken")
    found = tried(
        dict(stage.settings),
        step("scm.openPrOrMr@v1", "open", repo=at, headBranch="next", title="Ours"),
        step("scm.setTopics@v1", "topics", repo=at, topics=["go"]),
        step("scm.ensureWebhook@v1", "hook", repo=at, callbackUrl="https://ci.test/", events=["push"]),
        step("scm.closePr@v1", "close", repo=at, number="${{ steps.open.output.number }}"),
        step("debug.log@v1", "say", message="${{ steps.open.output.prUrl }} ${{ steps.close.output.state }}"),
    )
    word = "merge request" if stage.settings["kind"] == "gitlab" else "pull request"
    assert told(found.steps)[:4] == [("runs", [])] * 3 + [
        ("runs", [f"change {word} {pull.number} of acme/taken on forge"])
    ]
    assert found.steps[4].input == {"message": f"{pull.url} closed"}
    assert written(stage.double.log) == []


def test_groups_and_projects_within_them(tried: Callable[..., DryRun], tmp_path: Path) -> None:
    with STAGES["gitlab"](tmp_path / "forge") as stage:
        there = step("gitlab:group:ensureExists", "there", repoUrl="forge.test", path=["acme"])
        made = step("gitlab:group:ensureExists", "made", repoUrl="forge.test", path=["acme", "tools"])
        inner = step("scm.createRepo@v1", "inner", **{**repo(), "owner": "acme/tools"})
        found = tried(dict(stage.settings), there, made, inner)
        assert told(found.steps) == [
            ("runs", []),
            ("runs", ["create group acme/tools on forge"]),
            ("runs", ["create repository acme/tools/shop on forge"]),
        ]
        assert found.lacks == ()
        assert written(stage.double.log) == []
    transport.close_kept()


def test_as_a_github_app_tokens_are_asked_for_and_private_skeletons_are_read(
    hub: GitHubDouble, tried: Callable[..., DryRun]
) -> None:
    hub.add_repository("acme/skeletons", {"go/main.go": "package ${{ values.name }}\n"})
    made, key = hub.add_app("portal", "acme", permissions_for(OPERATIONS))
    hub.install(made, "acme")
    settings = {"kind": "github", "url": hub.url, "api_url": hub.api_url, "app_id": made.client_id, "private_key": key}
    found = tried(
        settings,
        step("fetch:template", "fetch", url=f"{hub.url}/acme/skeletons/tree/main/go", values={"name": "shop"}),
        step("fs:read", "look", path="main.go"),
        step("publish:github", "publish", repoUrl="forge.test?owner=acme&repo=shop", defaultBranch="main"),
        step(
            "publish:github:pull-request",
            "propose",
            repoUrl="forge.test?owner=acme&repo=skeletons",
            branchName="next",
            title="Next",
            description="It is",
            draft=True,
            reviewers=["bob"],
        ),
        step("debug.log@v1", "say", message="${{ steps.look.output.content }}"),
        step("fetch:plain", "gone", url=f"{hub.url}/acme/absent"),
    )
    github_app.forget_all()
    assert told(found.steps) == [
        ("runs", []),
        ("runs", []),
        (
            "runs",
            [
                "create repository acme/shop on forge",
                "create branch main of acme/shop on forge",
                "change protection main of acme/shop on forge",
            ],
        ),
        (
            "runs",
            [
                "create branch next of acme/skeletons on forge",
                "create pull request next into main of acme/skeletons on forge",
                "change pull request 1000001 of acme/skeletons on forge",
            ],
        ),
        ("runs", []),
        ("refused", []),
    ], [one.error for one in found.steps]
    assert found.steps[4].input == {"message": "package shop\n"}
    assert "may not read" in found.steps[5].error
    assert hub.log.count("POST", "/app/installations/*/access_tokens") > 0
    assert hub.log.count("POST", "/acme/skeletons*/git-upload-pack") > 0
    assert written(hub.log) == []
    assert hub.repositories() == ["acme/skeletons"]
    transport.close_kept()
