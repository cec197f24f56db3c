"""Trying a template on the real state: what it would write is told, and nothing is written."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from sqlalchemy import func, select

from portal_actions_plugin.cli import actions
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.dry_run.course import dry_run
from portal_actions_plugin.runner.dry_run.forge import RecordingForge
from portal_actions_plugin.runner.dry_run.made import MadeForge
from portal_actions_plugin.runner.dry_run.notes import DryRun, Writes
from portal_actions_plugin.runner.dry_run.recording import READS
from portal_actions_plugin.scm.base import Operation
from portal_actions_plugin.scm.provider import ScmProvider
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading
from tests.support.http_server import Server, serving
from tests.support.portal import PEOPLE
from tests.support.run_helpers import ADA, change_action, register, run_one_off, work_off

REPO = {"provider": "local", "owner": "acme"}
PARAMETERS = {
    "properties": {
        "name": {"type": "string", "default": "orders"},
        "cleanup": {"type": "boolean", "default": False},
        "token": {"type": "string", "ui:field": "Secret"},
    }
}


@pytest.fixture
def portal(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app()
    with app.app_context():
        yield app


def put(folder: Path, *steps: dict[str, Any], **spec: Any) -> None:
    document = {
        "apiVersion": "portal-actions/v1",
        "kind": "Template",
        "metadata": {"name": "tried"},
        "spec": {"owner": "team:a", "type": "service", "parameters": PARAMETERS, "steps": list(steps), **spec},
    }
    (folder / "tried").mkdir(exist_ok=True)
    (folder / "tried" / "template.yaml").write_text(yaml.safe_dump(document))


def tried(inputs: dict[str, Any] | None = None, name: str = "ada") -> DryRun:
    return dry_run(PEOPLE[name], extension().templates.get("tried"), inputs or {})


def told(found: DryRun) -> list[tuple[str, str, list[str]]]:
    return [
        (step.id, str(step.state), [f"{one.kind} {one.what} {one.target}" for one in step.writes])
        for step in found.steps
    ]


def rows() -> list[int]:
    with reading() as db:
        return [
            db.rows(select(func.count().label("n")).select_from(table))[0]["n"]
            for table in (tables.action_runs, tables.template_runs, tables.audit, tables.log_lines)
        ]


CREATE = {
    "id": "make",
    "name": "Make",
    "action": "scm.createRepo@v1",
    "input": {**REPO, "repo": "${{ parameters.name }}"},
}
PUSH = {
    "id": "push",
    "name": "Push",
    "action": "scm.pushSkeleton@v1",
    "input": {"repo": "${{ steps.make.output.repo }}", "branch": "main", "message": "Add it", "skeleton": "./skeleton"},
}
PROPOSE = {
    "id": "propose",
    "name": "Propose",
    "action": "scm.openPrOrMr@v1",
    "input": {
        "repo": "${{ steps.make.output.repo }}",
        "headBranch": "next",
        "title": "Add ${{ parameters.name }}",
        "files": [
            {"path": "a.txt", "content": "changed"},
            {"path": "b.txt", "content": "${{ steps.push.output.commitSha }}"},
        ],
    },
}


def test_steps_see_what_those_before_them_would_have_made_and_nothing_is_made(
    portal: Flask, template_folder: Path, tmp_path: Path
) -> None:
    put(template_folder, CREATE, PUSH, PROPOSE)
    (template_folder / "tried" / "skeleton").mkdir()
    (template_folder / "tried" / "skeleton" / "a.txt").write_text("as it was")
    before = rows()
    found = tried()
    assert (told(found), found.lacks, found.is_fine) == (
        [
            ("make", "runs", ["create repository acme/orders on local"]),
            ("push", "runs", ["create branch main of acme/orders on local"]),
            (
                "propose",
                "runs",
                [
                    "create branch next of acme/orders on local",
                    "create pull request next into main of acme/orders on local",
                ],
            ),
        ],
        (),
        True,
    )
    assert found.steps[2].input["title"] == "Add orders"
    assert found.steps[2].writes[0].details == {"message": "Add orders", "created": ["b.txt"], "updated": ["a.txt"]}
    assert (rows(), list((tmp_path / "git" / "acme").iterdir())) == (before, [])


def test_what_is_there_is_read_and_a_step_that_it_refuses_is_told_with_what_cleans_up(
    portal: Flask, template_folder: Path
) -> None:
    run_one_off("scm.createRepo@v1", {**REPO, "repo": "orders", "initWithReadme": True})
    work_off()
    write = {"id": "write", "name": "Write", "action": "scm.createOrUpdateFile@v1"}
    same = {"repo": {**REPO, "repo": "orders"}, "branch": "main", "path": "README.md", "message": "m", "content": "new"}
    after = {
        "id": "after",
        "name": "After",
        "action": "debug.log@v1",
        "input": {"message": "it failed"},
        "if": "${{ failure() }}",
    }
    left = {"id": "left", "name": "Left", "action": "debug.log@v1", "input": {"message": "never"}}
    put(template_folder, {**write, "input": same}, CREATE, left, after)
    found = tried()
    assert told(found) == [
        ("write", "runs", ["change commit main of acme/orders on local"]),
        ("make", "refused", []),
        ("left", "not reached", []),
        ("after", "runs", []),
    ]
    assert found.steps[0].writes[0].details["updated"] == ["README.md"]
    assert "exists" in found.steps[1].error
    assert not found.is_fine


def test_a_step_with_each_is_tried_item_by_item(portal: Flask, template_folder: Path) -> None:
    make = {
        **CREATE,
        "each": ["orders", "bills", "none"],
        "if": "${{ each.value != 'none' }}",
        "input": {**REPO, "repo": "${{ each.value }}"},
    }
    after = {
        "id": "after",
        "name": "After",
        "action": "debug.log@v1",
        "input": {"message": "${{ steps.make.output.repoUrl | join(' ') }}"},
    }
    put(template_folder, make, after)
    found = tried()
    assert [(step.item, str(step.state), [one.target for one in step.writes]) for step in found.steps] == [
        ("0", "runs", ["acme/orders on local"]),
        ("1", "runs", ["acme/bills on local"]),
        ("2", "skipped", []),
        ("", "runs", []),
    ]
    assert found.steps[3].input["message"].count("/acme/") == 2
    put(template_folder, {**make, "each": ["orders", "no name", "bills"]}, after)
    found = tried()
    states = [("0", "runs"), ("1", "refused"), ("2", "not reached"), ("", "not reached")]
    assert [(step.item, str(step.state)) for step in found.steps] == states
    assert "'no name' cannot be used" in found.steps[1].says[0]


def test_items_that_clean_up_are_tried_though_a_step_of_their_id_has_failed(
    portal: Flask, template_folder: Path
) -> None:
    """Templates of Backstage may have several steps of one id."""
    refused = {**CREATE, "id": "one", "input": {**REPO, "repo": "no name"}}
    say = {"id": "one", "name": "Say", "action": "debug:log", "input": {"message": "${{ each.value }}"}}
    put(template_folder, refused, {**say, "each": ["a", "b"], "if": "${{ always() }}"})
    file = template_folder / "tried" / "template.yaml"
    file.write_text(file.read_text().replace("portal-actions/v1", "scaffolder.backstage.io/v1beta3"))
    found = tried()
    assert [(step.item, str(step.state)) for step in found.steps] == [("", "refused"), ("0", "runs"), ("1", "runs")]


def test_an_action_of_which_nobody_knows_what_it_writes_is_not_called(portal: Flask, template_folder: Path) -> None:
    called: list[object] = []
    register(unknown=lambda _ctx, **given: called.append(given))
    unknown = {"id": "unknown", "name": "Unknown", "action": "test.unknown@v1", "input": {"value": "x"}}
    skipped = {**unknown, "id": "skipped", "if": "${{ parameters.cleanup }}"}
    absent = {**unknown, "id": "absent"}
    put(template_folder, unknown, skipped, absent)
    found = tried()
    assert [(id_, state) for id_, state, _ in told(found)] == [
        ("unknown", "not tried"), ("skipped", "skipped"), ("absent", "not tried"),
    ]  # fmt: skip
    assert "of another package" in found.steps[0].error
    assert called == []


def test_an_action_of_another_package_is_not_called_because_it_needs_a_forge(
    portal: Flask, template_folder: Path
) -> None:
    called: list[object] = []
    register(charge=lambda _ctx, **given: called.append(given))  # by a connection of its own, for all that we know
    change_action("test.charge@v1", operations=(Operation.CREATE_REPO,))
    put(template_folder, {"id": "charge", "name": "Charge", "action": "test.charge@v1", "input": {"value": "x"}})
    assert [(id_, state) for id_, state, _ in told(tried())] == [("charge", "not tried")]
    assert called == []


def test_calls_that_read_are_made_and_those_that_write_are_not(
    make_app: Callable[..., Flask], template_folder: Path
) -> None:
    with serving(Server()) as server:
        server.routes["/thing"] = lambda handler: handler.reply(200, "{}")
        app = make_app(
            PORTAL_ACTIONS_HTTP_ALLOWED_HOSTS=f"127.0.0.1:{server.port}",
            PORTAL_ACTIONS_HTTP_ALLOWED_NETWORKS="127.0.0.0/8",
        )
        url = f"http://127.0.0.1:{server.port}/thing"
        steps = [
            {"id": method.lower(), "name": method, "action": "http.request@v1", "input": {"method": method, "url": url}}
            for method in ("GET", "POST")
        ]
        entity = {"kind": "Component", "namespace": "default", "name": "orders"}
        put(
            template_folder,
            *steps,
            {"id": "c", "name": "C", "action": "catalog.registerEntity@v1", "input": {"entity": entity}},
        )
        with app.app_context():
            found = tried()
    assert [step.writes and (step.writes[0].kind, step.writes[0].what, step.writes[0].target) for step in found.steps[:2]] == [
        (), ("call", "POST", url),
    ]  # fmt: skip
    assert [one.method for one in server.seen] == ["GET"]


def test_permissions_and_secrets(portal: Flask, template_folder: Path) -> None:
    say = {"id": "say", "name": "Say", "action": "debug.log@v1", "input": {"message": "${{ secrets.token }}"}}
    put(template_folder, say, permissions=["payments:write"], parameters={**PARAMETERS, "required": ["token"]})
    found = tried({"token": "s3cr3t-value"}, name="vera")
    assert found.lacks == (
        "user:vera@example.com lacks the permission template:run for tried",
        "user:vera@example.com lacks the permission payments:write for tried",
    )
    assert "s3cr3t-value" not in repr(found)


def test_the_command_tells_people_and_programs_and_exits_for_a_pipeline(
    portal: Flask, template_folder: Path, tmp_path: Path
) -> None:
    links = [{"title": "Repository", "url": "${{ steps.make.output.repoUrl }}"}]
    put(template_folder, CREATE, output={"links": links})
    file = tmp_path / "inputs.yaml"
    file.write_text("name: bills\n")
    run = portal.test_cli_runner().invoke
    shown = run(actions, ["template", "dry-run", "tried", "--inputs", str(file), "--as", ADA.id])
    assert shown.exit_code == 0, shown.output
    assert "→ create repository acme/bills on local (visibility: private)" in shown.output
    assert "output       Repository: " in shown.output
    program = run(actions, ["template", "dry-run", "tried", "--inputs", '{"name": "x"}', "--format", "json"])
    assert json.loads(program.output)["steps"][0]["writes"][0]["target"] == "acme/x on local"
    assert run(actions, ["template", "dry-run", "tried", "--inputs", '{"name": 1}']).exit_code == 2
    unread = run(actions, ["template", "dry-run", "tried", "--inputs", "token: s3cr3t"])
    assert (unread.exit_code, "s3cr3t" in unread.output) == (2, False)
    assert run(actions, ["template", "dry-run", "absent"]).exit_code == 2
    refused = run(actions, ["template", "dry-run", "tried", "--role", "viewer"])
    assert (refused.exit_code, "lacks the permission template:run" in refused.output) == (1, True)


def test_files_of_a_template_and_of_a_forge_are_read(portal: Flask, template_folder: Path) -> None:
    (template_folder / "tried" / "skeleton").mkdir(parents=True)
    (template_folder / "tried" / "skeleton" / "a.txt").write_text("${{ values.name }}")
    given = {"url": "./skeleton", "values": {"name": "${{ parameters.name }}"}}
    fetch = {"id": "fetch", "name": "Fetch", "action": "fetch:template", "input": given}
    look = {"id": "look", "name": "Look", "action": "fs:read", "input": {"path": "a.txt"}}
    say = {"id": "say", "name": "Say", "action": "debug:log", "input": {"message": "${{ steps.look.output.content }}"}}
    put(template_folder, fetch, look, say)
    found = tried()
    assert [(str(step.state), step.writes) for step in found.steps] == [("runs", ())] * 3
    assert found.steps[2].input == {"message": "orders"}


def test_what_would_be_published_can_be_registered(portal: Flask, template_folder: Path) -> None:
    class Catalog:
        def register_entity(self, *_given: object) -> str:
            raise AssertionError("a dry run registers nothing")

    object.__setattr__(extension().hooks, "catalog", Catalog())
    entity = {"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": {"name": "orders"}, "spec": {}}
    write = {"id": "write", "name": "Write", "action": "catalog:write", "input": {"entity": entity}}
    publish = {
        "id": "publish",
        "name": "Publish",
        "action": "publish:github",
        "input": {"repoUrl": "local?owner=acme&repo=orders"},
    }
    register_it = {
        "id": "register",
        "name": "Register",
        "action": "catalog:register",
        "input": {"repoContentsUrl": "${{ steps.publish.output.repoContentsUrl }}"},
    }
    put(template_folder, write, publish, register_it)
    before = rows()
    found = tried()
    assert [str(step.state) for step in found.steps] == ["runs"] * 3, found
    assert [one.target for one in found.steps[2].writes] == ["component:default/orders"]
    assert rows() == before


def test_it_has_every_method_of_a_forge_with_its_arguments() -> None:
    for name, method in inspect.getmembers(ScmProvider, inspect.isfunction):
        if name.startswith("_") or name in READS:
            continue
        arguments = dict.fromkeys(inspect.signature(method).parameters)
        inspect.signature(getattr(RecordingForge, name)).bind(**arguments)


def test_a_folder_that_a_forge_gives_by_its_api_is_no_write() -> None:
    class Forge:
        operations: frozenset[Any] = frozenset()
        pull_word = "pull request"

        def files_by_api(self, *_given: object) -> tuple[str, ...]:
            return ("a file",)

    writes = Writes()
    forge: Any = RecordingForge(Forge(), "ghe", writes, MadeForge())  # type: ignore[arg-type]
    assert forge.files_by_api("ref", "main", None) == ("a file",)
    assert writes.take() == ()
