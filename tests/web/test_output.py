"""What a run gives in the end, in the API and on its page: links, texts, and what a failed run says."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal_actions_plugin import PortalActions
from portal_actions_plugin.blueprints.pages.run.markdown import MAX_CHARS
from portal_actions_plugin.cli.runs import _template_run_text
from portal_actions_plugin.runner import recovery
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.changes import claims
from portal_actions_plugin.runs.changes.claims import Claim, StepRef
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.storage.sessions import transaction
from tests.support.page_rows import TWO_STEPS, add_template_run
from tests.support.people import Visitor
from tests.support.portal import PEOPLE
from tests.support.run_helpers import work_off

TEMPLATE = """
apiVersion: {version}
kind: Template
metadata: {{name: gives}}
spec:
  owner: team:platform
  type: service
  parameters: {{required: [name], properties: {{name: {{type: string}}, token: {{type: string, ui:field: Secret}}}}}}
  steps:
    - {{id: greet, action: debug.log@v1, input: {{message: "hello ${{{{ parameters.name }}}}"}}}}
    - {{id: create, action: scm.createRepo@v1, input: {{provider: local, owner: "${{{{ parameters.name }}}}", repo: x}}}}
  output:
    repo: ${{{{ steps.create.output.repoUrl }}}}
    links:
      - {{title: Repository, url: "${{{{ steps.create.output.repoUrl }}}}"}}
      - {{title: Clean up, url: "/help?of=${{{{ parameters.name }}}}", if: "${{{{ failure() }}}}"}}
    text:
      - {{title: Next, content: "Clone *it*"}}
      - {{title: What now, content: "Ask **SRE** about ${{{{ user.ref }}}}", if: "${{{{ failure() }}}}", default: true}}
"""
VERSIONS = pytest.mark.parametrize("version", ["portal-actions/v1", "scaffolder.backstage.io/v1beta3"])


@pytest.fixture
def portal(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app()
    with app.app_context():
        yield app


@pytest.fixture
def ada(portal: Flask) -> Visitor:
    return Visitor(portal, "ada")


def give(folder: Path, version: str, name: str) -> str:
    (folder / "gives.yaml").write_text(TEMPLATE.format(version=version))
    return service.start_template_run(PEOPLE["ada"], "gives", {"name": name}).run.id


AFTER_FAILURE = {
    "links": [{"title": "Clean up", "url": "/help?of=-acme"}],
    "text": [{"title": "What now", "content": "Ask **SRE** about user:ada@example.com", "default": True}],
}


@VERSIONS
def test_a_failed_run_gives_what_asks_for_failures(ada: Visitor, template_folder: Path, version: str) -> None:
    run_id = give(template_folder, version, "-acme")
    work_off()
    answer = ada.get(f"/api/v1/template-runs/{run_id}").json
    assert (answer["status"], answer["outputs"]) == ("failed", AFTER_FAILURE)
    shown = "\n".join(_template_run_text(queries.template_run(run_id)))
    assert f"outputs\n  links: {json.dumps(AFTER_FAILURE['links'])}\n  text: " in shown
    page = ada.see(f"/templates/runs/{run_id}")
    assert page.one("div", class_="pa-buttons").links() == {"Clean up": "/help?of=-acme"}
    assert page.one(id="run-text-1").text == "What now Ask SRE about user:ada@example.com"
    assert "Repository" not in page.links()


def test_a_run_gives_links_texts_and_values(ada: Visitor, template_folder: Path) -> None:
    run_id = give(template_folder, "portal-actions/v1", "acme")
    work_off()
    run = queries.template_run(run_id)
    assert run.status == "success", run
    assert set(run.outputs) == {"repo", "links", "text"}
    page = ada.see(f"/templates/runs/{run_id}")
    assert page.one(id="run-text-1").text == "Next Clone it"
    assert page.one("dl", aria_label="Outputs").text.startswith("repo ")
    assert "/prose.css?v=" in ada.get(f"/templates/runs/{run_id}").text


def test_a_run_whose_worker_died_gives_what_asks_for_failures(portal: Flask, template_folder: Path) -> None:
    run_id = give(template_folder, "portal-actions/v1", "-acme")
    first, token = queries.template_run(run_id).steps[0].run, str(uuid.uuid4())
    assert first
    with transaction("test") as tx:
        assert claims.claim(tx, Claim(StepRef(first.id, run_id), 0, token, "test", 30, 60))
    recovery.fail_spoilt(token)
    run = queries.template_run(run_id)
    assert (run.status, run.outputs) == ("failed", AFTER_FAILURE)


def show(ada: Visitor, **outputs: Any) -> Any:
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS, outputs=outputs)
    return ada.see(f"/templates/runs/{run_id}")


def test_texts_are_folded_but_for_the_one_that_asks_to_be_read_first(ada: Visitor) -> None:
    texts = [{"content": "one"}, {"title": "Two", "content": "# Head\n<script>x</script>", "default": True}]
    page = show(ada, text=[*texts, "three"], more={"a": 1})
    folds = [section.one("details") for section in page.all("section", class_="pa-prose")]
    assert [fold.one("h2").text for fold in folds] == ["Text output", "Two"]
    assert ["open" in fold.attributes for fold in folds] == [False, True]
    assert folds[1].one("h3").text == "Head"
    assert [script for script in page.all("script") if "src" not in script.attributes] == []
    assert page.one("dl", aria_label="Outputs").text == "text three more a: 1"


def test_a_long_text_says_that_it_is_cut(ada: Visitor) -> None:
    section = show(ada, text=[{"content": "a " * MAX_CHARS}]).one("section", class_="pa-prose")
    assert section.one(class_="pa-cut").text == "This is its beginning: the API has all of it."


def test_a_link_to_an_entity_leads_where_the_hosts_catalog_says(portal: Flask, ada: Visitor) -> None:
    links = [
        {"title": "Orders", "entityRef": "Component:orders"},
        {"title": "Gone", "entityRef": "component:default/gone"},
    ]
    page = show(ada, links=links)
    assert "Orders" not in page.links()
    assert "Orders: Component:orders" in page.text

    class Catalog:
        def register_entity(self, entity: object, source: object) -> str:
            return ""

        def entity_url(self, entity_id: str) -> str | None:
            return "/catalog/orders" if entity_id == "component:default/orders" else None

    PortalActions().of(portal).catalog(Catalog(), replace=True)
    page = show(ada, links=links)
    assert page.links()["Orders"] == "/catalog/orders"
    assert "Gone: component:default/gone" in page.text
