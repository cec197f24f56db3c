"""A template of Backstage that fetches, publishes, proposes and registers, made by a worker on the local forge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.dry_run.course import dry_run
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.workspaces import folders
from tests.support.action_helpers import git
from tests.support.portal import PEOPLE
from tests.support.run_helpers import work_off

TEMPLATE = """\
apiVersion: scaffolder.backstage.io/v1beta3
kind: Template
metadata: {name: published}
spec:
  owner: team:platform
  type: service
  parameters:
    required: [repoUrl]
    properties:
      repoUrl: {type: string, ui:field: RepoUrlPicker, ui:options: {allowedHosts: [github.com]}}
      token: {type: string, ui:field: Secret}
  steps:
    - id: fetch
      name: Fetch
      action: fetch:template
      input: {url: ./skeleton, values: {name: "${{ (parameters.repoUrl | parseRepoUrl).repo }}"}}
    - id: publish
      name: Publish
      action: publish:github
      input:
        allowedHosts: [github.com]
        repoUrl: ${{ parameters.repoUrl }}
        description: Orders of ${{ parameters.nothing }}
        defaultBranch: main
        gitAuthorName: Shop
        gitAuthorEmail: shop@example.com
        collaborators: ${{ parameters.nobody }}
        protectDefaultBranch: false
        repoVariables: {REGION: north}
        secrets: {DEPLOY_TOKEN: "${{ parameters.token }}"}
    - id: register
      name: Register
      action: catalog:register
      input:
        repoContentsUrl: ${{ steps.publish.output.repoContentsUrl }}
        catalogInfoPath: /catalog-info.yaml
  output:
    links:
      - {title: Repository, url: "${{ steps.publish.output.remoteUrl }}"}
      - {title: Open in catalog, icon: catalog, entityRef: "${{ steps.register.output.entityRef }}"}
"""


class KeptCatalog:
    def __init__(self) -> None:
        self.entities: list[Mapping[str, Any]] = []

    def register_entity(self, entity: Mapping[str, Any], _source: str | None) -> str:
        self.entities.append(entity)
        return f"{entity['kind']}:{entity['namespace']}/{entity['name']}"


def test_a_template_publishes_and_registers_twice(
    make_app: Callable[..., Flask], template_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_root", (tmp_path / "temporary").resolve)
    skeleton = template_folder / "published" / "skeleton"
    skeleton.mkdir(parents=True)
    (template_folder / "published" / "template.yaml").write_text(TEMPLATE)
    (skeleton / "catalog-info.yaml").write_text(
        "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: '${{ values.name }}'}\nspec: {owner: shop}\n"
    )
    (skeleton / "run.sh").write_text("#!/bin/sh\n")
    (skeleton / "run.sh").chmod(0o755)
    root = tmp_path / "forge"
    (root / "acme").mkdir(parents=True)
    catalog = KeptCatalog()
    app = make_app(
        PORTAL_ACTIONS_LOCAL_SCM_ROOT=root,
        PORTAL_ACTIONS_LOCAL_SCM_URL="https://portal.example/forge",
        PORTAL_ACTIONS_SECRET_KEYS=[Fernet.generate_key().decode()],
        PORTAL_ACTIONS_SCM={"local": {"hosts": ["github.com"]}},
    )
    with app.app_context():
        extension().hook_table.register("catalog", catalog, replaces=True, how="")
        inputs = {"repoUrl": "github.com?owner=acme&repo=orders"}
        tried = dry_run(PEOPLE["ada"], extension().templates.get("published"), inputs)
        assert [(str(step.state), [one.target for one in step.writes], step.error) for step in tried.steps] == [
            ("runs", [], ""),
            # The repository, its variable, and its first commit.
            ("runs", ["acme/orders on local", "REGION of acme/orders on local", "main of acme/orders on local"], ""),
            ("runs", ["component:default/orders"], ""),
        ]
        assert (catalog.entities, list((root / "acme").iterdir())) == ([], [])
        for name in ("orders", "billing"):
            inputs = {"repoUrl": f"github.com?owner=acme&repo={name}", "token": "hush-hush-12"}
            started = service.start_template_run(PEOPLE["ada"], "published", inputs)
            work_off()
            run = queries.template_run(started.run.id)
            assert run.status == "success", [step.run and step.run.error for step in run.steps]
            published = run.steps[1].run
            assert published is not None
            assert "hush-hush-12" not in repr(published.input)
            assert published.outputs["repoContentsUrl"] == f"https://portal.example/forge/acme/{name}/blob/main"
        again = service.start_template_run(PEOPLE["ada"], "published", {"repoUrl": "github.com?owner=acme&repo=orders"})
        work_off()
        assert queries.template_run(again.run.id).status == "failed"
    assert [entity["name"] for entity in catalog.entities] == ["orders", "billing"]
    bare = root / "acme" / "orders.git"
    assert git("log", "--format=%an <%ae> %s", "main", cwd=bare).splitlines() == [
        "Shop <shop@example.com> initial commit"
    ]
    assert git("ls-tree", "main", "run.sh", cwd=bare).startswith("100755")
