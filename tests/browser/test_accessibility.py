"""axe-core looks at every page, in both colour schemes, wide and narrow: it finds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from demo_portal.app import create_app
from demo_portal.settings import Settings

from demo_portal import seed
from portal_actions_plugin.run_types import AuditEntry
from portal_actions_plugin.runs import audit
from portal_actions_plugin.runs.reading.audit_trail import OUTCOMES
from portal_actions_plugin.storage.sessions import new_id, transaction
from tests.browser.axe import found_by_axe
from tests.browser.sites import Site, serving
from tests.browser.windows import OpenWindow
from tests.support import portal_day
from tests.support.page_rows import TWO_STEPS, add_action_run, add_template_run, ago


def test_axe_finds_nothing_on_any_page(window: OpenWindow, paths: dict[str, str]) -> None:
    errors = {
        "not found": "/templates/runs/nothing",
        "forbidden": "/actions/audit",
        "an address that means nothing": "/actions?status=lost",
        "an empty filtered list": "/actions?entity=nothing",
    }
    seen = window("ada")
    found = {name: bad for name, path in {**paths, **errors}.items() if (bad := found_by_axe(seen.open(path)))}
    assert found == {}


def test_axe_finds_nothing_on_an_empty_list(window: OpenWindow) -> None:
    tab = window("ada").open("/actions")
    tab.get_by_text("No action runs yet.").wait_for()
    assert found_by_axe(tab) == []


def test_axe_finds_nothing_in_what_owners_of_templates_mend(window: OpenWindow, template_folder: Path) -> None:
    for name, version in (("b", "portal-actions/v1"), ("w", "scaffolder.backstage.io/v1beta3")):
        document = CONDITIONS.replace("portal-actions/v1", version).replace("name: kinds", f"name: {name}")
        wrong = "{message: '${{ parameters.nope }}', lev: '" + "x" * 90 + "'}"
        (template_folder / f"{name}.yaml").write_text(document.replace("{message: hello}", wrong))
    tab = window("margaret").open("/templates/findings")
    assert tab.get_by_role("table").count() == 2
    assert found_by_axe(tab) == []


def test_axe_finds_nothing_in_the_audit(window: OpenWindow, site: Site) -> None:
    with transaction("test") as tx:
        for outcome in OUTCOMES:
            details = {"permission": "run:cancel-any", "error_code": "AUTH_ERROR"}
            entry = AuditEntry("user:ada@example.com", "run.cancel", outcome, "two-steps", new_id(), new_id(), details)
            audit.record(tx, entry)
    assert found_by_axe(window("margaret").open("/actions/audit")) == []


def test_axe_finds_nothing_where_somebody_has_to_wait(window: OpenWindow) -> None:
    run_id, _ = add_template_run("failed", ("failed",), **TWO_STEPS, queued_at=ago(300))
    tab = window("ada").open(f"/templates/runs/{run_id}")
    for _ in range(10):
        add_action_run(queued_at=ago(5))
    tab.get_by_role("button", name="Retry").click()
    tab.get_by_role("heading", name="Too many starts").wait_for()
    assert found_by_axe(tab) == []


CONDITIONS = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {name: kinds, title: Kinds}
spec:
  steps:
    - {id: say, action: debug.log@v1, input: {message: hello}}
  parameters:
    required: [host]
    properties:
      host: {type: string, title: Host, enum: [gh, gl], enumNames: [Hub, Lab]}
      token: {type: string, title: Token, ui:field: Secret}
      size: {type: integer, title: Size, const: 3}
      way: {type: boolean, title: Way, ui:widget: radio}
      many: {type: array, title: Many, items: {type: object, properties: {name: {type: string, title: Name}}}}
    dependencies:
      host:
        oneOf:
          - {properties: {host: {enum: [gh]}, org: {type: string, title: Organisation}}, required: [org]}
          - {properties: {host: {enum: [gl]}, group: {type: string, title: Group}}, required: [group]}
"""


@pytest.fixture
def demo(tmp_path: Path, redis_url: str) -> Iterator[Site]:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/kinds.yaml").write_text(CONDITIONS)
    config = {"PORTAL_ACTIONS_REDIS_URL": redis_url, "PORTAL_ACTIONS_TEMPLATE_PATH": [str(tmp_path / "templates")]}
    app = create_app(Settings(tmp_path / "demo", "http://localhost"), TESTING=True, **config)
    with app.app_context():
        seed.create_tables(app)
    with serving(app) as site:
        yield site
    app.extensions["portal_actions"].database.close_connections()
    app.extensions["portal_actions"].redis.close()


def test_axe_finds_nothing_in_the_demo_portal(chromium: Any, demo: Site) -> None:
    day = portal_day.live_through()
    with chromium.new_context(base_url=demo.url) as context:
        tab = context.new_page()
        tab.goto("/sign-in?next=/actions")
        tab.get_by_role("button", name="Ada Lovelace").click()
        found = {}
        for path in (day.list, day.failed, day.running, "/templates/runs/nothing"):
            tab.goto(path)
            tab.get_by_role("link", name="Acme Portal").wait_for()
            if bad := found_by_axe(tab):
                found[path] = bad
    assert found == {}


def test_the_demos_form_shows_the_fields_of_a_choice_at_once_and_axe_finds_nothing_serious(
    chromium: Any, demo: Site
) -> None:
    with chromium.new_context(base_url=demo.url) as context:
        tab = context.new_page()
        tab.goto("/sign-in?next=/templates/kinds")
        tab.get_by_role("button", name="Ada Lovelace").click()
        tab.get_by_label("Token").fill("s3cret")
        tab.get_by_label("Host").focus()
        tab.get_by_label("Host").select_option("Lab")
        tab.get_by_label("Group").wait_for()
        assert tab.get_by_label("Organisation").count() == 0
        assert tab.get_by_label("Token").input_value() == "s3cret"
        assert tab.evaluate("document.activeElement.id") == "input-host"
        assert not tab.get_by_role("button", name="Show the fields").is_visible()
        tab.get_by_role("button", name="Add to Many").click()
        tab.get_by_role("group", name="Item 1").wait_for()
        tab.evaluate("document.querySelector('.form form').noValidate = true")
        tab.get_by_role("button", name="Start").click()
        tab.get_by_role("link", name="Group").wait_for()
        assert tab.get_by_role("alert").inner_text().endswith("Group: is required")
        assert found_by_axe(tab) == []
