"""The page for whoever owns templates: what is to be mended, and who is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal_actions_plugin import PortalActions
from portal_actions_plugin.blueprints.pages import findings_page
from portal_actions_plugin.host import Identity, Severity, TemplateFinding
from portal_actions_plugin.runs.guards.findings import is_anything_to_mend
from tests.support.page_html import Element, rows
from tests.support.page_rows import TWO_STEPS, add_template_run
from tests.support.people import Visitor
from tests.support.portal import PEOPLE

DOCUMENT = """\
apiVersion: {version}
kind: Template
metadata: {{name: {name}, title: Two steps}}
spec:
  type: service
  steps:
    - {{id: say, action: debug.log@v1, input: {{message: "${{{{ parameters.nope ? 1 : 2 }}}}"}}}}
    - {{id: more, action: debug.log@v1, input: {{message: m, levle: info}}}}
"""
BACKSTAGE, OURS = "scaffolder.backstage.io/v1beta3", "portal-actions/v1"
PATH = "/templates/findings"


@pytest.fixture
def portal(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app()
    with app.app_context():
        yield app


@pytest.fixture
def margaret(portal: Flask) -> Visitor:
    return Visitor(portal, "margaret")


@pytest.fixture
def faulty(template_folder: Path) -> Path:
    (template_folder / "two-steps.yaml").write_text(DOCUMENT.format(version=BACKSTAGE, name="two-steps"))
    (template_folder / "broken.yaml").write_text(DOCUMENT.format(version=OURS, name="broken"))
    return template_folder


def decide(portal: Flask, may: Callable[[Identity, str, object], bool]) -> None:
    PortalActions().of(portal).authorizer(may, replace=True)


def run_page(visitor: Visitor) -> Element:
    return visitor.see(f"/templates/runs/{add_template_run('success', ('success',), **TWO_STEPS)[0]}")


def test_an_owner_reads_what_is_wrong_where_and_what_to_write(margaret: Visitor, faulty: Path) -> None:
    page = margaret.see(PATH)
    assert page.one("header", class_="pa-list-head").one("p").text == (
        "You may edit 2 templates: 1 cannot be used, 1 has warnings."
    )
    assert [head.text for head in page.all("h2")] == [
        "broken · 2 problems · cannot be used", "Two steps · two-steps · 2 warnings",
    ]  # fmt: skip
    first, second = rows(page.all("table")[1])
    assert [first[0], first[2]] == ["warning", "two-steps.yaml:7spec.steps[0].input.message"]
    assert "'?' cannot be used here" in first[1]
    assert "Write ${{ 1 if parameters.nope else 2 }}" in first[1]
    assert "levle is unknown" in second[1]
    assert 'It says "info"' in second[1]


def test_the_page_of_a_run_and_the_list_lead_owners_there(margaret: Visitor, faulty: Path) -> None:
    assert margaret.see("/actions").link("Template findings") == PATH
    note = run_page(margaret).one(id="run-findings")
    assert note.text == "2 warnings about this template, which you may edit."
    page = margaret.see(note.link("2 warnings"))
    assert [head.text for head in page.all("h2")] == ["Two steps · two-steps · 2 warnings"]


def test_whoever_edits_no_template_learns_nothing(portal: Flask, faulty: Path) -> None:
    for person in ("ada", "vera"):
        visitor = Visitor(portal, person)
        assert "There is no template here that you may edit." in visitor.see(PATH, 404).text
        assert PATH not in visitor.get("/actions").text
        assert not run_page(visitor).all(id="run-findings")


def test_the_host_decides_about_each_template(portal: Flask, faulty: Path) -> None:
    ada = Visitor(portal, "ada")
    decide(portal, lambda _who, permission, target: permission != "template:edit" or target == "broken")
    page = ada.see(PATH)
    assert [head.text for head in page.all("h2")] == ["broken · 2 problems · cannot be used"]
    assert "You may edit 1 template: 1 cannot be used." in page.text
    assert "two-steps" not in page.text
    assert "nothing to change about two-steps, or you may not edit it" in ada.see(f"{PATH}?template=two-steps").text
    assert ada.see("/actions").link("Template findings") == PATH
    assert not run_page(ada).all(id="run-findings")
    decide(portal, lambda _who, permission, target: (permission, target) != ("template:read", "broken"))
    assert [head.text for head in ada.see(PATH).all("h2")] == ["Two steps · two-steps · 2 warnings"]


def test_nothing_to_mend_is_quiet(margaret: Visitor) -> None:
    assert "There is nothing to change." in margaret.see(PATH).text
    assert PATH not in margaret.get("/actions").text
    assert not run_page(margaret).all(id="run-findings")


def test_many_findings_are_shown_in_part_with_the_way_to_the_rest(
    margaret: Visitor, faulty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings_page, "MAX_OF_EACH", 1)
    monkeypatch.setattr(findings_page, "MAX_TEMPLATES", 1)
    page = margaret.see(PATH)
    assert len(rows(page.one("table"))) == 1
    assert len(rows(margaret.see(page.link("Show all 2 problems about broken")).one("table"))) == 2
    assert page.link("two-steps") == f"{PATH}?template=two-steps"


def test_hostile_words_of_findings_stay_words_and_a_source_that_fails_harms_no_other_page(
    portal: Flask, margaret: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "\"'><script>alert(1)</script>"
    found = TemplateFinding(f"{evil}.yaml", 1, evil, evil, "", Severity.PROBLEM, "", f"x{evil}", f"y{evil}")

    class Source:
        fails = False

        def list(self) -> Any:
            if self.fails:
                raise OSError("away")
            from portal_actions_plugin.host import TemplateListing

            return TemplateListing((), (found,))

        def get(self, name: str) -> Any:
            raise AssertionError

    source = Source()
    PortalActions().of(portal).template_source(source, replace=True)
    page = margaret.see(PATH)
    assert [script for script in page.all("script") if "src" not in script.attributes] == []
    assert evil in page.text
    source.fails = True
    assert not is_anything_to_mend(PEOPLE["margaret"])
    assert "Template findings" not in margaret.see("/actions").links()
    run_page(margaret)


def test_a_location_that_leads_nowhere_is_no_template_that_cannot_be_used(
    margaret: Visitor, template_folder: Path
) -> None:
    (template_folder / "two-steps.yaml").write_text(DOCUMENT.format(version=BACKSTAGE, name="two-steps"))
    (template_folder / "all.yaml").write_text(
        "apiVersion: backstage.io/v1alpha1\nkind: Location\nspec: {targets: [./two-steps.yaml, ./gone.yaml]}\n"
    )
    page = margaret.see(PATH)
    assert page.one("header", class_="pa-list-head").one("p").text == "You may edit 1 template: 1 has warnings."
    assert [head.text for head in page.all("h2")] == ["all.yaml · 1 problem", "Two steps · two-steps · 2 warnings"]
