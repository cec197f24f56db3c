"""The demo's template of Backstage's format, from its start to its page: a shared folder, repeated steps, a cleanup, a forge."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
from cryptography.fernet import Fernet
from flask import Flask

from portal_actions_plugin.runs.forges import requirements
from portal_actions_plugin.scm.remote import transport
from tests.support.forges.emulator import EmulatedGitHub
from tests.support.forges.stages import STAGES, Stage
from tests.support.people import Person, Visitor
from tests.support.run_helpers import work_off
from tests.support.workers import ROOT

TEMPLATE = "component-with-environments"
SOURCE = ROOT / "demo_portal" / "demo_portal" / "software_templates" / TEMPLATE
FILES = {
    "README.md",
    "catalog-info.yaml",
    "docs/raw.md",
    "environments/production.yaml",
    "environments/test.yaml",
    "src/shop/main.py",
}
ALL_DONE = ["success"] * 6


@dataclass(frozen=True)
class Portal:
    """A portal with the template, whose folder has its catalog."""

    app: Flask
    folder: Path

    def run(self, name: str) -> dict[str, Any]:
        """Start the template and work off all of it."""
        api = Person(self.app.test_client(), "ada")
        answer = api.post(f"/api/v1/templates/{TEMPLATE}/runs", {"inputs": {"name": name, "owner": "acme"}})
        return self._worked_off(api, answer)

    def again(self, run: Mapping[str, Any], how: str) -> dict[str, Any]:
        """Retry or resume a run, and work off all of that."""
        api = Person(self.app.test_client(), "ada")
        return self._worked_off(api, api.post(f"/api/v1/template-runs/{run['id']}/{how}", {}))

    @staticmethod
    def _worked_off(api: Person, answer: Any) -> dict[str, Any]:
        assert answer.status_code == 202, answer.text
        work_off()
        found: dict[str, Any] = api.get(answer.headers["Location"]).json
        return found


@pytest.fixture
def open_portal(
    make_app: Callable[..., Flask], template_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[dict[str, Any]], Portal]]:
    """Open a portal in which an installation stands for github.com, for as long as the test takes."""
    monkeypatch.setattr(requirements, "START_SECONDS", 60.0)
    shutil.copytree(SOURCE, template_folder / TEMPLATE)
    contexts = []

    def open_portal(settings: dict[str, Any]) -> Portal:
        kind = settings.get("kind", "local")
        if kind == "gitlab":
            file = template_folder / TEMPLATE / "template.yaml"
            file.write_text(
                file.read_text()
                .replace("publish:github", "publish:gitlab")
                .replace("        protectDefaultBranch: false\n", "")
            )
        app = make_app(
            PORTAL_ACTIONS_SCM={kind: {**settings, "hosts": ["github.com"]}},
            PORTAL_ACTIONS_SECRET_KEYS=[Fernet.generate_key().decode()],
        )
        contexts.append(app.app_context())
        contexts[-1].push()
        return Portal(app, tmp_path)

    yield open_portal
    for context in reversed(contexts):
        context.pop()
    transport.close_kept()


@pytest.fixture(params=sorted(STAGES))
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with STAGES[request.param](tmp_path / "forge") as made:
        yield made
        transport.close_kept()
        made.verify()


def statuses(run: Mapping[str, Any]) -> list[str]:
    return [step["status"] for step in run["steps"]]


def errors_of(run: Mapping[str, Any]) -> list[Any]:
    return [step["error"] for step in run["steps"] if step["error"]]


def test_it_makes_one_repository_with_a_file_for_each_environment_and_none_at_a_second_time(
    open_portal: Callable[[dict[str, Any]], Portal], stage: Stage
) -> None:
    portal = open_portal(dict(stage.settings))
    run = portal.run("shop")
    assert statuses(run) == ALL_DONE, errors_of(run)
    made = stage.double.files("acme/shop")
    assert set(made) == FILES
    assert made["README.md"].startswith(b"# shop\n")
    assert made["environments/test.yaml"] == b"component: shop\nenvironment: test\nreplicas: 2\n"
    assert b"${{ values.name }}" in made["docs/raw.md"], "it is copied as it is"
    assert len(stage.double.commits("acme/shop")) == 1
    page = Visitor(portal.app, "ada").see(f"/templates/runs/{run['id']}")
    assert page.one(id="run-buttons").links()["Repository"].startswith(f"{stage.double.url}/acme/shop/")
    assert "environments/production.yaml" in page.text

    before = stage.seen("acme/shop")
    second = portal.run("shop")
    assert errors_of(second)[0]["code"] == "CONFLICT", "it is another run's"
    assert second["status"] == "failed"
    assert second["steps"][-1]["status"] == "success", "the cleanup ran all the same"
    assert stage.seen("acme/shop") == before


def test_a_resume_after_the_cleanup_goes_on_with_the_folder_as_it_was(
    open_portal: Callable[[dict[str, Any]], Portal], stage: Stage
) -> None:
    portal = open_portal(dict(stage.settings))
    in_the_way = portal.folder / "catalog"
    in_the_way.touch()
    first = portal.run("shop")
    assert statuses(first) == ["success"] * 4 + ["failed", "success"], errors_of(first)
    assert first["status"] == "failed"
    in_the_way.unlink()
    made = stage.seen("acme/shop")
    last = portal.again(first, "resume")
    assert statuses(last) == ALL_DONE, errors_of(last)
    assert stage.seen("acme/shop") == made


def test_it_runs_on_the_local_forge(open_portal: Callable[[dict[str, Any]], Portal]) -> None:
    portal = open_portal({})
    run = portal.run("shop")
    assert statuses(run) == ALL_DONE, errors_of(run)
    assert (portal.folder / "catalog" / "component:default_shop").exists()


def test_it_runs_at_an_emulator_that_others_wrote(
    open_portal: Callable[[dict[str, Any]], Portal], emulated_github: EmulatedGitHub
) -> None:
    emulator, name = emulated_github, f"s{uuid.uuid4().hex[:12]}"
    portal = open_portal({"kind": "github", "url": emulator.url, "api_url": emulator.url, "token": emulator.token})
    run = portal.run(name)
    assert statuses(run) == ALL_DONE, errors_of(run)
    headers = {"Authorization": f"Bearer {emulator.token}", "User-Agent": "tests"}
    tree = urllib3.request(
        "GET", f"{emulator.url}/repos/acme/{name}/git/trees/main?recursive=1", headers=headers, timeout=60
    ).json()
    paths = {one["path"] for one in tree["tree"] if one["type"] == "blob"}
    assert {path.replace("src/shop", f"src/{name}") for path in FILES} <= paths
