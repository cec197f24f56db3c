"""What a run's page tells in people's words: what is left, what helps, what it was for, and what it was given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal_actions_plugin import PortalActions
from portal_actions_plugin.blueprints.pages.outlines import outline
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import AuditEntry
from portal_actions_plugin.runs import audit, service
from portal_actions_plugin.runs.resume import LeftOff, fails_again
from portal_actions_plugin.storage.sessions import transaction
from tests.support.page_html import Element, rows
from tests.support.page_rows import AUTH_ERROR, BOB, ORIGIN, TWO_STEPS, add_action_run, add_template_run
from tests.support.people import Visitor
from tests.support.portal import PEOPLE
from tests.support.run_helpers import work_off

WRONG_INPUT = """
apiVersion: portal-actions/v1
kind: Template
metadata: {name: wrong-input}
spec:
  owner: team:platform
  type: service
  parameters: {required: [name], properties: {name: {type: string, title: Name of the service}, size: {type: string}}}
  steps:
    - {id: greet, name: Greet, action: debug.log@v1, input: {message: "hello ${{ parameters.name }}"}}
    - {id: create, name: Create, action: scm.createRepo@v1, input: {provider: local, owner: "${{ parameters.name }}", repo: x}}
    - {id: part, name: Part, action: debug.log@v1, input: {message: bye}}
"""
SECRET = "token: {type: string, ui:field: Secret}"
INVALID = {"error_code": "VALIDATION_ERROR", "error_message": "Wrong: see owner.", "error_hint": "Correct it."}
MADE = {"links": [{"title": "Repository", "url": "https://forge.example/r"}]}


@pytest.fixture
def portal(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app()
    with app.app_context():
        yield app


@pytest.fixture
def ada(portal: Flask) -> Visitor:
    return Visitor(portal, "ada")


def primary(page: Element) -> list[str]:
    return [button.text for button in page.all("button", class_="pa-primary")]


def failed_run(**values: Any) -> str:
    step_values = {0: MADE, 1: values or INVALID}
    return (
        f"/templates/runs/{add_template_run('failed', ('success', 'failed'), **TWO_STEPS, step_values=step_values)[0]}"
    )


# -- what helps ------------------------------------------------------------------------------------------------------


@pytest.mark.fault("E24")
def test_resume_is_not_the_first_choice_where_the_step_is_given_what_was_refused(
    ada: Visitor, template_folder: Path
) -> None:
    file = template_folder / "wrong-input.yaml"
    file.write_text(WRONG_INPUT)
    run = service.start_template_run(PEOPLE["ada"], "wrong-input", {"name": "-acme"}).run
    work_off()
    page = ada.see(f"/templates/runs/{run.id}")
    assert primary(page) == ["Retry"]
    assert page.form("Resume from “Create”")
    assert page.one(id="run-choice").text == (
        "Resume would fail the same way: it goes on with the template as it was, which gives “Create” the same input. "
        "Retry runs every step again, with the template as it is now. It has not changed since: "
        "that helps once somebody has corrected it."
    )
    file.write_text(WRONG_INPUT.replace("repo: x", "repo: y"))
    words = ada.see(f"/templates/runs/{run.id}").one(id="run-choice").text
    assert words.endswith("Retry runs every step again, with the template as it is now, which has changed since.")


@pytest.mark.fault("E24")
def test_resume_is_not_the_first_choice_while_the_portal_lacks_a_setting(ada: Visitor) -> None:
    page = ada.see(failed_run(error_code="CONFIGURATION_ERROR", error_message="No token", error_hint="Tell them."))
    assert primary(page) == ["Retry"]
    assert "Resume would fail the same way until what the portal lacks is there." in page.one(id="run-choice").text


@pytest.mark.parametrize(
    ("version", "owner"),
    [
        ("portal-actions/v1", "${{ secrets.token }}"),
        ("scaffolder.backstage.io/v1beta3", "${{ secrets.token if secrets.token !== '' }}"),
    ],
)
def test_resume_is_the_first_choice_where_another_secret_can_be_given(
    portal: Flask, template_folder: Path, version: str, owner: str
) -> None:
    document = WRONG_INPUT.replace("portal-actions/v1", version).replace("size: {type: string}", SECRET)
    document = document.replace("required: [name]", "required: [name, token]")
    file = template_folder / "wrong-input.yaml"
    file.write_text(document.replace('owner: "${{ parameters.name }}"', f'owner: "{owner}"'))
    begin = LeftOff(extension().templates.get("wrong-input"), 1, {})
    assert not fails_again(begin, "VALIDATION_ERROR")
    assert fails_again(replace(begin, position=2), "VALIDATION_ERROR")


@pytest.mark.parametrize("error", [AUTH_ERROR, {**INVALID, "error_code": "REMOTE_ERROR"}])
def test_resume_is_the_first_choice_where_the_world_may_have_changed(ada: Visitor, error: dict[str, Any]) -> None:
    page = ada.see(failed_run(**error))
    assert primary(page) == ["Resume from “Shout”"]
    assert page.one(id="run-choice").text.startswith("Resume takes over what is done")


# -- what was made, and what is left ---------------------------------------------------------------------------------


@pytest.mark.fault("E24")
def test_a_failed_run_has_a_receipt_of_what_was_made_and_what_is_left(ada: Visitor) -> None:
    receipt = ada.see(failed_run(**AUTH_ERROR)).one("div", id="run-receipt")
    assert [line.text for line in (*receipt.all("p"), *receipt.all("li"))] == [
        "Failed. What was done by then is still there:",
        "Shout failed: look at what it may have done.",
        "Left undone: Part.",
        "Greet · Repository",
    ]
    assert receipt.links() == {"Repository": "https://forge.example/r"}


@pytest.mark.fault("E24")
def test_a_step_whose_input_was_refused_is_not_said_to_have_done_something(ada: Visitor) -> None:
    assert "Shout failed. Left undone: Part." in ada.see(failed_run()).one("div", id="run-receipt").text


@pytest.mark.fault("E24")
def test_a_failed_one_off_says_what_it_had_made(ada: Visitor) -> None:
    run_id = add_action_run("failed", **AUTH_ERROR, **MADE)
    receipt = ada.see(f"/actions/runs/{run_id}").one("div", id="run-receipt")
    assert receipt.text == "Failed. What it made by then is still there · Repository"
    nothing = add_action_run("failed", **AUTH_ERROR)
    assert ada.see(f"/actions/runs/{nothing}").all(id="run-receipt") == []


# -- what it was given -----------------------------------------------------------------------------------------------


@pytest.mark.fault("E29")
def test_inputs_are_shown_by_the_titles_that_the_form_had(ada: Visitor, template_folder: Path) -> None:
    (template_folder / "wrong-input.yaml").write_text(WRONG_INPUT)
    run = service.start_template_run(PEOPLE["ada"], "wrong-input", {"name": "orders", "size": "small"}).run
    (template_folder / "wrong-input.yaml").unlink()
    names = ada.see(f"/templates/runs/{run.id}").one("dl", aria_label="Inputs").all("dt")
    assert [(name.text, name.attributes.get("title")) for name in names] == [
        ("Name of the service", "name"),
        ("size", None),
    ]


@pytest.mark.fault("E29")
def test_what_a_one_off_was_given_is_written_line_by_line(ada: Visitor) -> None:
    files = [{"path": "README.md", "content": "# Orders\n\nTakes orders.\n"}, {"path": "b", "executable": True}]
    run_id = add_action_run(input={"repo": {"owner": "acme", "name": "orders"}, "files": files, "empty": {}})
    values = [value._raw for value in ada.see(f"/actions/runs/{run_id}").one("dl", aria_label="Input").all("dd")]
    assert values == [
        "owner: acme\nname: orders",
        "- path: README.md\n  content: |\n    # Orders\n    \n    Takes orders.\n- path: b\n  executable: true",
        "{}",
    ]


def test_an_outline_ends_at_its_limit_and_tells_texts_from_other_values() -> None:
    assert outline(
        {"a": "true", "b": True, "c": "", "d": "7", "e": 7, "f": " x", "g": None, "h": ["a\nb", []]}, 99
    ) == (
        'a: "true"\nb: true\nc: ""\nd: "7"\ne: 7\nf: " x"\ng: null\nh:\n  - a\n    b\n  - []',
        True,
    )
    cut, whole = outline({"many": [{"n": number} for number in range(10**6)]}, 100)
    assert (len(cut) < 130, whole) == (True, False)
    deep: object = "x"
    for _ in range(200):
        deep = {"a": [deep]}
    assert len(outline(deep, 9_999)[0].splitlines()) < 30


# -- what it was for -------------------------------------------------------------------------------------------------


class HostPages:
    """A catalog and scorecards that say where their pages are, and what passes."""

    def __init__(self, passes: object = None, url: object = "/catalog/orders#readme") -> None:
        self.passes, self.url = passes, url

    def register_entity(self, entity: Any, source: Any) -> str:
        return "unused"

    def entity_url(self, entity_id: str) -> object:
        return f"/catalog/{entity_id}"

    async def rule_url(self, entity_id: str, scorecard_id: str, rule: str) -> object:
        if isinstance(self.url, Exception):
            raise self.url
        return self.url

    def evaluate(self, entity_id: str, scorecard_id: str, force: bool) -> dict[str, Any]:
        return {"level": "gold", "results": [{"rule": ORIGIN["rule"], "passes": self.passes}]}


def fix_page(portal: Flask, pages: HostPages | None, status: str = "success") -> Element:
    if pages:
        PortalActions().of(portal).catalog(pages, replace=True)
        PortalActions().of(portal).scorecards(pages, replace=True)
    run_id = add_action_run(status, origin=ORIGIN, entity=ORIGIN["entity"])
    return Visitor(portal, "ada").see(f"/actions/runs/{run_id}")


@pytest.mark.fault("E29")
def test_a_fix_leads_to_the_hosts_pages_about_its_entity_and_rule(portal: Flask) -> None:
    page = fix_page(portal, HostPages())
    assert page.link("orders") == "/catalog/orders"
    assert page.link("README exists") == "/catalog/orders#readme"


@pytest.mark.fault("E29")
@pytest.mark.parametrize("url", [None, 7, "javascript:alert(1)", "//evil.example", "/\\evil.example", OSError("away")])
def test_what_is_no_address_of_a_rule_becomes_no_link(portal: Flask, url: object) -> None:
    page = fix_page(portal, HostPages(url=url))
    assert "README exists" not in page.links()
    assert "Fix for README exists on orders" in page.text


@pytest.mark.fault("E29")
def test_without_a_page_of_the_hosts_an_entity_leads_to_all_of_its_runs(portal: Flask, ada: Visitor) -> None:
    assert fix_page(portal, None).link("orders") == "/actions?entity=orders"
    run_id, _ = add_template_run("success", ("success",), **TWO_STEPS, entity="orders")
    assert ada.see(f"/templates/runs/{run_id}").link("orders") == "/actions?entity=orders"


@pytest.mark.fault("E29")
@pytest.mark.parametrize(
    ("passes", "status", "says", "again"),
    [
        (True, "success", "passes by now", False),
        (True, "failed", "passes by now", False),
        (False, "success", "does not pass yet", True),
        (None, "failed", "", True),
        (True, "running", "", False),
    ],
)
def test_a_fix_says_whether_its_rule_passes_and_offers_no_other_one_where_it_does(
    portal: Flask, passes: object, status: str, says: str, again: bool
) -> None:
    page = fix_page(portal, HostPages(passes), status)
    badges = [badge.text for badge in page.one("ul", id="run-meta").all(class_="pa-badge")]
    assert badges == ([says] if says else [])
    assert ("Run again" in [button.text for button in page.all("button")]) is again


# -- the lists -------------------------------------------------------------------------------------------------------


@pytest.mark.fault("E29")
def test_the_audit_names_people_and_template_runs(portal: Flask) -> None:
    run_id, _ = add_template_run("failed", **TWO_STEPS)
    add_action_run(**BOB)
    ada, bob = "user:ada@example.com", BOB["requested_by"]
    with transaction("test") as tx:
        audit.record(tx, AuditEntry(ada, "template_run.start", "accepted", "two-steps", run_id, template_run_id=run_id))
        audit.record(tx, AuditEntry(bob, "template_run.cancel", "denied", run_id, run_id, template_run_id=run_id))
        audit.record(tx, AuditEntry("user:eve@example.com", "action_run.start", "denied", "debug.log@v1"))
    page = Visitor(portal, "margaret").see("/actions/audit")
    assert [(row[1], row[3]) for row in rows(page)] == [
        ("Euser:eve@example.com", "debug.log@v1"),
        ("BKBob Kahn", f"Two steps{run_id}"),
        ("ALAda Lovelace", "Two stepstwo-steps"),
    ]
    options = {one.attributes["value"]: one.text for one in page.one("datalist", id="pa-known-actor").all("option")}
    assert options == {ada: "Ada Lovelace", bob: "Bob Kahn", "user:eve@example.com": ""}


@pytest.mark.fault("E29")
def test_a_list_without_anything_to_tick_has_no_column_for_ticks(ada: Visitor) -> None:
    add_action_run()
    page = ada.see("/actions")
    assert (page.all("table", class_="pa-picks"), page.all(class_="pa-bulk")) == ([], [])
    add_action_run("failed", **AUTH_ERROR)
    page = ada.see("/actions")
    assert page.one("table", class_="pa-picks")
    assert page.one(class_="pa-bulk")
