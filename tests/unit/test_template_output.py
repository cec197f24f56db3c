"""What a run gives in the end: which links and texts are there, in both readings, after a success and after a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from portal_actions_plugin.software_templates.loader import FolderTemplateSource
from portal_actions_plugin.software_templates.outputs.addresses import link_address
from portal_actions_plugin.software_templates.outputs.rendering import render_output, render_output_after_failure
from portal_actions_plugin.software_templates.spec import Template
from portal_actions_plugin.software_templates.step_rendering import step_context

BACKSTAGE = "scaffolder.backstage.io/v1beta3"
OURS = "portal-actions/v1"
READINGS = pytest.mark.parametrize("version", [BACKSTAGE, OURS])

PARAMETERS = {
    "yes": True,
    "no": False,
    "empty": "",
    "zero": 0,
    "none": [],
    "some": [1],
    "object": {},
    "word": "false",
    "links": [{"title": "x", "url": "/x", "if": False}, {"title": "y", "url": "/y", "if": True}, "w"],
}


def source(folder: Path, output: object, version: str) -> FolderTemplateSource:
    properties = {name: {} for name in (*PARAMETERS, "missing")}
    steps = [{"id": name, "action": "debug.log@v1", "input": {"message": "m"}} for name in ("repo", "pr")]
    spec = {"parameters": {"properties": properties}, "steps": steps, "output": output}
    document = {"apiVersion": version, "kind": "Template", "metadata": {"name": "t"}, "spec": spec}
    (folder / "t.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return FolderTemplateSource([folder], {"debug.log@v1"})


def loaded(folder: Path, output: object, version: str) -> Template:
    found = source(folder, output, version).list()
    assert not found.problems, found.problems
    return found.templates[0]


def context(outputs: dict[str, Any] | None = None) -> dict[str, Any]:
    return step_context(PARAMETERS, {"repo": {"url": "https://x/r"}} if outputs is None else outputs, {}, {})


def titles(found: dict[str, Any], name: str = "links") -> list[str]:
    return [entry["title"] for entry in found.get(name, [])]


@pytest.mark.parametrize(
    ("condition", "is_shown"),
    [
        (True, True), (False, False), ("x ${{ parameters.empty }}", True),
        ("", True), ("${{ parameters.yes }}", True), ("${{ parameters.no }}", False), ("${{ parameters.empty }}", False),
        ("${{ parameters.zero }}", False), ("${{ parameters.none }}", False), ("${{ parameters.some }}", True),
        ("${{ parameters.object }}", True), ("${{ parameters.word }}", True), ("${{ parameters.missing }}", True),
        ("${{ steps.pr.output.url }}", True), ("${{ parameters.missing === 'x' }}", False),
        ("{% if parameters.no %}x{% endif %}", True), ("${{ failure() }}", False), ("${{ always() }}", True),
    ],
)  # fmt: skip
def test_an_entry_of_backstages_is_there_as_at_home(tmp_path: Path, condition: object, is_shown: bool) -> None:
    output = {
        "links": [{"title": "T", "url": "/u", "if": condition}],
        "text": [{"title": "T", "content": "c", "if": condition}],
    }
    found = render_output(loaded(tmp_path, output, BACKSTAGE), context())
    assert titles(found) == titles(found, "text") == ["T"] * is_shown
    assert all("if" not in entry for entry in (*found["links"], *found["text"]))


@pytest.mark.parametrize(
    ("condition", "is_shown"),
    [(True, True), (False, False), ("${{ parameters.word }}", False), ("${{ parameters.missing }}", False),
     ("${{ parameters.some }}", True), ("${{ failure() }}", False), ("${{ not failure() and always() }}", True)],
)  # fmt: skip
def test_an_entry_of_ours_is_there_as_a_step_would_run(tmp_path: Path, condition: object, is_shown: bool) -> None:
    output = {"links": [{"title": "T", "url": "/u", "if": condition}]}
    assert titles(render_output(loaded(tmp_path, output, OURS), context())) == ["T"] * is_shown


@READINGS
def test_after_a_failure_there_is_what_asked_for_it(tmp_path: Path, version: str) -> None:
    output = {
        "repo": "${{ steps.repo.output.url }}",
        "links": [
            {"title": "plain", "url": "/a"},
            {"title": "true", "url": "/a", "if": True},
            {"title": "failure", "url": "${{ steps.repo.output.url }}", "if": "${{ failure() }}"},
            {"title": "always", "entityRef": "group:sre", "if": "${{ always() }}"},
            {"title": "not called", "url": "/a", "if": "${{ parameters.yes or failure() }}"},
            {"title": "not met", "url": "/a", "if": "${{ failure() and parameters.no }}"},
            {"title": "no value", "url": "${{ steps.pr.output.url }}", "if": "${{ failure() }}"},
        ],
        "text": [{"title": "ask", "content": "Ask *us*", "if": "${{ failure() }}"}, {"content": "done"}],
    }
    template = loaded(tmp_path, output, version)
    assert render_output_after_failure(template, context()) == {
        "links": [{"title": "failure", "url": "https://x/r"}, {"title": "always", "entityRef": "group:sre"}],
        "text": [{"title": "ask", "content": "Ask *us*"}],
    }
    assert titles(render_output(template, context())) == ["plain", "true", "always", "not called"]
    assert render_output_after_failure(loaded(tmp_path, {"links": output["links"][:2]}, version), context()) == {}


@READINGS
def test_a_link_without_an_address_is_left_out_and_logged_and_one_without_an_icon_is_not(
    tmp_path: Path, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    output = {
        "links": [
            {"title": "pr", "url": "${{ steps.pr.output.url }}"},
            {"title": "repo", "url": "${{ steps.repo.output.url }}", "icon": "${{ parameters.missing }}"},
            {"title": "entity", "url": "${{ steps.pr.output.url }}", "entityRef": "component:orders"},
        ],
        "text": [{"title": "none", "content": "${{ steps.pr.output.url }}"}],
        "number": "${{ steps.pr.output.number }}",
    }
    assert render_output(loaded(tmp_path, output, version), context()) == {
        "links": [{"title": "repo", "url": "https://x/r"}, {"title": "entity", "entityRef": "component:orders"}],
        "text": [],
    }
    assert "output.links[0] is left out: it has no url and no entityRef" in caplog.text
    assert "output.text[0] is left out: it has no content" in caplog.text


def test_a_list_that_an_expression_gives_has_its_entries_chosen_as_well(tmp_path: Path) -> None:
    found = render_output(loaded(tmp_path, {"links": "${{ parameters.links }}"}, BACKSTAGE), context())
    assert found == {"links": [{"title": "y", "url": "/y"}, "w"]}


def test_other_lists_of_backstages_keep_an_item_that_has_lost_a_part(tmp_path: Path) -> None:
    output = {
        "more": [{"a": 1, "b": "${{ parameters.missing }}", "if": "${{ parameters.no }}"}, "${{ parameters.missing }}"]
    }
    assert render_output(loaded(tmp_path, output, BACKSTAGE), context()) == {"more": [{"a": 1, "if": False}]}


@READINGS
def test_an_if_that_cannot_be_evaluated_in_the_end_leaves_its_entry_out(
    tmp_path: Path, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    output = {"links": [{"url": "/a", "if": "${{ range(10 ** 9) and failure() }}"}, {"url": "/b"}]}
    template = loaded(tmp_path, output, version)
    assert render_output(template, context()) == {"links": [{"url": "/b"}]}
    assert render_output_after_failure(template, context()) == {}
    assert "output.links[0].if" in caplog.text


@pytest.mark.parametrize(
    ("output", "place", "said", "write"),
    [
        ({"links": [{"url": "javascript:alert(1)"}]}, "links[0].url", "this becomes no link", ""),
        ({"links": [{"url": "create"}]}, "links[0].url", "this becomes no link", ""),
        ({"links": [{"title": "T", "ur1": "/a"}]}, "links[0].ur1", "it has no url and no entityRef", "url"),
        ({"links": [{"title": 5, "url": "/a"}]}, "links[0].title", "this must be a text", ""),
        ({"links": ["/a"]}, "links[0]", "a mapping with url or entityRef", ""),
        ({"links": {"url": "/a"}}, "links", "a list of entries", ""),
        ({"text": [{"title": "T"}]}, "text[0]", "it has no content", ""),
        ({"links": [{"url": "/a", "if": "parameters.yes"}]}, "links[0].if", "always true", "${{ parameters.yes }}"),
    ],
)
def test_what_no_page_would_show_is_told_with_what_to_write(
    tmp_path: Path, output: object, place: str, said: str, write: str
) -> None:
    for version in (BACKSTAGE, OURS):
        listing = source(tmp_path, output, version).list()
        found = listing.warnings if version == BACKSTAGE else listing.problems
        assert [(one.key, one.write) for one in found] == [(f"spec.output.{place}", write)]
        assert said in found[0].message
        assert bool(listing.templates) == (version == BACKSTAGE)


def test_an_if_that_cannot_be_read_is_a_problem_though_at_home_it_is_true(tmp_path: Path) -> None:
    problems = source(tmp_path, {"links": [{"url": "/a", "if": "${{ a ? b : c }}"}]}, BACKSTAGE).list().problems
    assert [problem.key for problem in problems] == ["spec.output.links[0].if"]


@pytest.mark.parametrize(
    "address",
    ["https://x/y?z#a", "http://x", "HTTPS://X", "mailto:team@x.example", "mailto:a@x?subject=Help", "/", "/catalog/a?b=c"],
)  # fmt: skip
def test_a_link_leads_to_the_web_to_mail_and_to_this_portal(address: str) -> None:
    assert link_address(address) == address


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\nscript:alert(1)", " javascript:alert(1)", "data:text/html,x",
     "vbscript:x", "file:///etc/passwd", "//evil.example", "/\\evil.example", "\\\\evil", "https:evil", "create", "",
     "https://a@evil.example", "https://", "mailto:", "mailto:a b@x", "/a\u202eb", "/a b", "ftp://x", "blob:x", "#a",
     "https://x/" + "a" * 2_000, None, 5, ["https://x"]],
)  # fmt: skip
def test_a_link_leads_nowhere_else(address: object) -> None:
    assert link_address(address) is None
