"""A template of Backstage that fetches, renames, merges and reads files, made by a worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.workspaces import folders
from tests.support.portal import PEOPLE
from tests.support.run_helpers import work_off

TEMPLATE = """\
apiVersion: scaffolder.backstage.io/v1beta3
kind: Template
metadata: {name: files}
spec:
  owner: team:platform
  type: service
  parameters:
    required: [name]
    properties:
      name: {type: string}
      ci: {type: string, default: gitlab}
  steps:
    - id: fetch
      action: fetch:template
      input: {url: ./skeleton, targetPath: out, values: {name: "${{ parameters.name }}"}}
    - id: ci
      action: fetch:template
      input: {url: "../shared/ci/${{ parameters.ci }}", targetPath: ./out, values: {}}
    - id: one
      action: fetch:plain:file
      input: {url: ../shared/LICENSE, targetPath: out/LICENSE}
    - id: rename
      action: fs:rename
      input: {files: [{from: out/src/http, to: "out/src/${{ parameters.name }}"}]}
    - id: merge
      action: roadiehq:utils:merge
      input: {path: out/package.yaml, content: {name: "${{ parameters.name }}"}}
    - id: list
      action: fs:readdir
      input: {paths: [out], recursive: true}
    - id: read
      action: fs:read
      input: {path: "${{ steps['merge'].output.path }}"}
  output:
    text:
      - {title: Files, content: "${{ steps['list'].output.files | length }} files: ${{ steps.read.output.content }}"}
"""


@pytest.fixture
def templates(template_folder: Path) -> Path:
    files = {
        "files/template.yaml": TEMPLATE,
        "files/skeleton/src/http/main.txt": "hello ${{ values.name }}\nref ${{ github.ref }}\n",
        "files/skeleton/package.yaml": "version: 1\n",
        "shared/ci/gitlab/.gitlab-ci.yml": "gitlab: yes\n",
        "shared/ci/github/.github/ci.yml": "github: yes\n",
        "shared/LICENSE": "free",
    }
    for name, text in files.items():
        (template_folder / name).parent.mkdir(parents=True, exist_ok=True)
        (template_folder / name).write_text(text)
    return template_folder


def test_the_steps_of_a_template_work_on_one_folder(
    make_app: Callable[..., Flask], templates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_root", (tmp_path / "temporary").resolve)
    with make_app().app_context():
        template = extension().templates.get("files")
        assert set(template.skeleton_files) == {
            "../shared/LICENSE",
            "../shared/ci/github/.github/ci.yml",
            "../shared/ci/gitlab/.gitlab-ci.yml",
            "skeleton/package.yaml",
            "skeleton/src/http/main.txt",
        }
        started = service.start_template_run(PEOPLE["ada"], "files", {"name": "orders"})
        work_off()
        run = queries.template_run(started.run.id)
        assert run.status == "success", [step.run and step.run.error for step in run.steps]
        by_id = {step.step_id: step.run for step in run.steps}
        assert [one["path"] for one in by_id["list"].outputs["files"]] == [
            "out/.gitlab-ci.yml",
            "out/LICENSE",
            "out/package.yaml",
            "out/src/orders/main.txt",
        ]
        assert run.outputs["text"][0]["content"] == "4 files: version: 1\nname: orders\n"
        assert by_id["fetch"].warnings[0].startswith("./skeleton/src/http/main.txt, line 2: 'github' is unknown")


def test_what_lies_outside_of_the_template_folder_is_no_skeleton(
    make_app: Callable[..., Flask], templates: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir(exist_ok=True)
    (tmp_path / "outside" / "secret").write_text("secret")
    (templates / "shared" / "link").symlink_to(tmp_path / "outside")
    ways = [f"../../{'../' * 3}etc", "/etc", "../shared/link", "../../outside", "..\\\\x"]
    for number, url in enumerate(ways):
        text = TEMPLATE.replace("name: files", f"name: files-{number}").replace("../shared/LICENSE", url)
        (templates / "files" / "template.yaml").write_text(text)
        with make_app().app_context():
            listing = extension().templates.list()
            assert [one.name for one in listing.templates if one.name.startswith("files")] == []
            assert any(one.key == "spec.steps[2].input.url" for one in listing.problems), url
