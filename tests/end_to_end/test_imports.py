"""What a process imports, and when: a web process late, a job process never."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from tests.support.http_server import Server, says, serving
from tests.support.people import Person
from tests.support.waiting import wait_until
from tests.support.workers import Workers

LATE = {
    "alembic",
    "cryptography",
    "dulwich",
    "jsonschema",
    "jsonschema_rs",
    "portal_actions_plugin.scm.remote",
    "prometheus_client",
    "psycopg",
    "redis",
    "referencing",
    "rq",
    "sqlalchemy.orm",
    "urllib3",
}
"""What a portal does without until somebody needs it; most of it is larger than all of the plugin."""

_START = """
import json, sys
from flask import Flask
from portal_actions_plugin import PortalActions
app = Flask("portal", instance_path=sys.argv[1])
app.config.update(SECRET_KEY="x", PORTAL_ACTIONS_DATABASE_URL=sys.argv[2])
PortalActions(app)
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("database_url", ["sqlite:///{}/portal.db", "postgresql://nobody@localhost:1/nothing"])
def test_a_portal_starts_without_what_it_may_never_need(tmp_path: Path, database_url: str) -> None:
    command = [sys.executable, "-c", _START, str(tmp_path), database_url.format(tmp_path)]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    assert not LATE & set(json.loads(ran.stdout))


TEMPLATE = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: everything}
spec:
  owner: team:platform
  type: service
  parameters:
    required: [name, url, token]
    properties:
      name: {type: string, pattern: "^[a-z]+$"}
      url: {type: string}
      token: {type: string, ui:field: Secret}
  steps:
    - id: repo
      action: scm.createRepo@v1
      input: {provider: local, owner: acme, repo: "${{ parameters.name }}", initWithReadme: true}
    - id: push
      action: scm.pushSkeleton@v1
      input: {repo: "${{ steps.repo.output.repo }}", branch: add, skeleton: skeleton, values: {name: shop}, message: Add}
    - id: change
      action: scm.createOrUpdateFile@v1
      input: {repo: "${{ steps.repo.output.repo }}", branch: add, path: a.txt, content: "a", message: Change}
    - id: open
      action: scm.openPrOrMr@v1
      input: {repo: "${{ steps.repo.output.repo }}", baseBranch: main, headBranch: add, title: Add}
    - id: ask
      action: http.request@v1
      input:
        method: GET
        url: ${{ parameters.url }}
        secretHeaders: {Authorization: "Bearer ${{ secrets.token }}"}
    - id: tell
      action: debug.log@v1
      input: {message: "done"}
"""


def test_a_job_process_imports_nothing_for_the_actions_that_come_along(
    make_app: Callable[..., Flask],
    database_url: str,
    start_workers: Callable[..., Workers],
    template_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (template_folder / "everything.yaml").write_text(TEMPLATE)
    (template_folder / "skeleton").mkdir()
    (template_folder / "skeleton/README.md").write_text("${{ values.name }}")
    imported = tmp_path / "imported"
    imported.touch()
    monkeypatch.setenv("TEST_PORTAL_IMPORTED", str(imported))
    with serving(Server()) as server:
        server.routes["/"] = says(body={"here": True})
        config = {
            "PORTAL_ACTIONS_SECRET_KEYS": Fernet.generate_key().decode(),
            "PORTAL_ACTIONS_HTTP_ALLOWED_HOSTS": f"127.0.0.1:{server.port}",
            "PORTAL_ACTIONS_HTTP_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        start_workers(**config)
        app = make_app(PORTAL_ACTIONS_DATABASE_URL=database_url, **config)
        ada = Person(app.test_client(), "ada")
        inputs = {"name": "shop", "url": f"http://127.0.0.1:{server.port}/", "token": "secret-4711"}
        started = ada.post("/api/v1/templates/everything/runs", {"inputs": inputs})
        assert started.status_code == 202, started.json
        path = started.headers["Location"]
        wait_until(lambda: ada.get(path).json["status"] not in ("queued", "running"))
    run = ada.get(path).json
    assert run["status"] == "success", [step.get("error") for step in run["steps"]]
    assert imported.read_text().split() == []
