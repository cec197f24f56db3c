"""The package of ``docs/examples``, as a third party would build it: installed, found by its entry point, and run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.http_server import Server, says, serving

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "docs" / "examples" / "argocd-actions"
TOKEN = "argo-token-of-the-test"

HOST = """
import json, sys
from flask import Flask
from portal_actions_plugin import PortalActions
from portal_actions_plugin.actions.context import ActionContext, RunInfo
from portal_actions_plugin.errors import PortalActionsError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.http_client.guard import HttpRules
from tests.support.action_helpers import MemoryRecorder

url, instance = sys.argv[1:3]
app = Flask("portal", instance_path=instance)
app.config.update(
    SECRET_KEY="x",
    ARGOCD_INSTANCES={"main": {"url": url, "token": "ARGOCD_TOKEN"}},
    PORTAL_ACTIONS_HTTP_ALLOWED_HOSTS=[url.partition("://")[2]],
    PORTAL_ACTIONS_HTTP_ALLOWED_NETWORKS=["127.0.0.0/8"],
)
PortalActions(app)
data = {"appName": "orders", "argoInstance": "main", "namespace": "shop", "repoUrl": "https://forge.example/acme/orders",
        "path": "deploy", "revision": "main"}
with app.app_context():
    action = extension().registry.get("argocd:create-resources")
    rules = HttpRules.of(extension().config)
    for given in (data, {**data, "argoInstance": "other"}):
        ctx = ActionContext(RunInfo("run-1", action.id, 1, 3, "user:ada", "Ada"), MemoryRecorder(), None, http=rules)
        try:
            print(json.dumps(action.run(ctx, given)))
        except PortalActionsError as error:
            print(error.code, list(error.fields))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package is installed to."""
    target = tmp_path_factory.mktemp("argocd")
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", target / "installed")
    copied = target / "source"
    copied.mkdir()
    for file in PACKAGE.iterdir():
        if file.is_file():
            (copied / file.name).write_bytes(file.read_bytes())
    done = _run("-m", "pip", "install", *options, copied)
    assert done.returncode == 0, done.stdout + done.stderr
    return target / "installed"


def _run(*words: object, path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT])),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ARGOCD_TOKEN": TOKEN,
    }
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_portal_that_installs_it_has_the_action(installed: Path, tmp_path: Path) -> None:
    script = tmp_path / "host.py"
    script.write_text(HOST)
    with serving(Server()) as server:
        server.routes = dict.fromkeys(("/api/v1/projects", "/api/v1/applications"), says(200, "{}"))
        url = f"http://127.0.0.1:{server.port}"
        done = _run(script, url, tmp_path / "instance", path=(installed,))
        assert done.returncode == 0, done.stderr
        first, second = done.stdout.splitlines()
        assert json.loads(first) == {"applicationUrl": f"{url}/applications/orders"}
        assert second == "VALIDATION_ERROR ['argoInstance']"
        assert [(one.method, one.path) for one in server.seen] == [
            ("POST", "/api/v1/projects"),
            ("POST", "/api/v1/applications?upsert=true"),
        ]
        assert {one.headers["authorization"] for one in server.seen} == {f"Bearer {TOKEN}"}
        project, app = (json.loads(one.body) for one in server.seen)
        assert project["project"]["metadata"] == {"name": "orders"}
        assert app["spec"]["source"] == {"repoURL": "https://forge.example/acme/orders", "path": "deploy"}
        assert app["spec"]["destination"]["namespace"] == "shop"
