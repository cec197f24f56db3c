"""What has to hold once a recipe is followed. ``test_recipes.py`` runs each of these in a copy with the recipe's patch."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import inspect

import portal_actions_plugin
from portal_actions_plugin import PortalActions
from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.storage import migrations
from portal_actions_plugin.storage.sessions import Database
from tests.support.people import Person
from tests.support.portal import load_identity
from tests.support.run_helpers import work_off

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.fixture(autouse=True)
def of_the_copy() -> None:
    assert Path(portal_actions_plugin.__file__).is_relative_to(ROOT)


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def ada(app: Flask) -> Person:
    return Person(app.test_client(), "ada")


def run(ada: Person, action: str = "debug.log@v1", **data: Any) -> Any:
    answer = ada.post(f"/api/v1/actions/{action}/runs", {"input": data or {"message": "hello"}})
    assert answer.status_code == 202, answer.json
    return answer.json


def check_setting(make_app: Callable[..., Flask]) -> None:
    app = make_app(PORTAL_ACTIONS_PAGE_ROWS=2)
    ada = Person(app.test_client(), "ada")
    for _ in range(3):
        run(ada)
    assert ada.get("/actions").text.count('<tr role="row" id="run-') == 2
    with pytest.raises(ConfigurationError, match="PORTAL_ACTIONS_PAGE_ROWS is 'many': it takes"):
        make_app(PORTAL_ACTIONS_PAGE_ROWS="many")
    assert "## `PORTAL_ACTIONS_PAGE_ROWS`" in runpy.run_path(str(ROOT / "docs/conf.py"))["settings_reference"]()


def check_error_code(sqlite_url: str, redis_url: str, tmp_path: Path) -> None:
    from portal_actions_plugin.errors import GoneError, error_class

    class Source:
        def list(self) -> Any:
            raise GoneError("The templates are gone.")

        def get(self, name: str) -> Any:
            raise GoneError(f"{name} is gone.")

    app = Flask("portal", instance_path=str(tmp_path))
    app.config.update(
        SECRET_KEY="for tests only", PORTAL_ACTIONS_DATABASE_URL=sqlite_url, PORTAL_ACTIONS_REDIS_URL=redis_url
    )
    plugin = PortalActions()
    plugin.identity_loader(load_identity)
    plugin.template_source(Source())
    plugin.init_app(app)
    answer = Person(app.test_client(), "ada").get("/api/v1/templates/old")
    assert (answer.status_code, answer.json["error_code"], answer.json["message"]) == (410, "GONE", "old is gone.")
    assert error_class("GONE") is GoneError
    assert "\n| `GONE` | 410 |" in runpy.run_path(str(ROOT / "docs/conf.py"))["error_reference"]()
    app.extensions["portal_actions"].database.close_connections()


def check_api_field(ada: Person) -> None:
    started = run(ada)
    assert started["queue"] == "default"
    assert ada.get(f"/api/v1/action-runs/{started['id']}").json["queue"] == "default"
    (listed,) = ada.get("/api/v1/action-runs").json["data"]
    assert listed["queue"] == "default"
    document = ada.get("/api/v1/openapi.json").json
    assert document["components"]["schemas"]["ActionRun"]["properties"]["queue"]["type"] == ["string", "null"]
    examples = document["paths"]["/api/v1/action-runs"]["get"]["responses"]["200"]["content"]["application/json"]
    assert all(one["queue"] is None for one in examples["example"]["data"]), "its default is in them by itself"


def check_page_column(ada: Person) -> None:
    run(ada)
    page = ada.get("/actions").text
    heads = re.findall(r'<th role="columnheader" scope="col">(.*?)</th>', page)
    cells = re.findall(r'<td role="cell" class="pa-c-(\w+)">', page)
    assert (heads.index("Attempt"), len(heads)) == (cells.index("attempt"), len(cells))


def check_command(app: Flask) -> None:
    from portal_actions_plugin.cli import actions

    done = app.test_cli_runner().invoke(actions, ["queues"])
    assert (done.exit_code, done.output) == (0, "default\n")
    assert "| `flask actions queues` |" in (ROOT / "docs/commands.md").read_text()


def check_migration(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")

    def columns() -> set[str]:
        return {one["name"] for one in inspect(database.engine).get_columns("portal_actions_workers")}

    migrations.upgrade(database)
    assert "note" in columns()
    assert migrations.is_current(database)
    migrations.downgrade(database, "0009")
    assert "note" not in columns()
    migrations.upgrade(database)
    assert "note" in columns()
    database.close_connections()
    # What the models say is what the migrations make: the test of that, on SQLite.
    test = "tests/storage/test_migrations.py::test_the_migrations_make_what_the_models_say"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test, "-k", "sqlite"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def check_metric(app: Flask) -> None:
    from portal_actions_plugin.metrics import exposition

    text = exposition(app)
    assert "\nportal_actions_locks_held 0.0\n" in text
    assert "# TYPE portal_actions_locks_held gauge" in text
    assert "| `portal_actions_locks_held` | gauge |" in (ROOT / "docs/metrics.md").read_text()


def check_action(app: Flask, ada: Person) -> None:
    started = run(ada, "debug.echo@v1", message="hello")
    with app.app_context():
        assert work_off() == 1
    ended = ada.get(f"/api/v1/action-runs/{started['id']}").json
    assert (ended["status"], ended["outputs"]) == ("success", {"message": "hello"})
    assert "| `debug.echo@v1` |" in (ROOT / "docs/writing-actions.md").read_text()
